"""Tables as Go's tabwriter makes them."""

import pytest

from isthmus.netctl.output import table


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], ""),
        ([["a"]], "a\n"),
        ([["a", "b"]], "a  b\n"),
        # a column is as wide as its widest cell, and two more; the last cell is not padded
        ([["Name", "X"], ["longer", "yy"]], "Name    X\nlonger  yy\n"),
        # an empty last cell leaves the padding before it
        ([["Subnet", "Gateway"], ["10.1.2.0/24", ""]], "Subnet       Gateway\n10.1.2.0/24  \n"),
        ([["Name", ""], ["------", ""], ["default", ""]], "Name     \n------   \ndefault  \n"),
        # an empty column still takes two
        ([["a", "", "b"], ["c", "", "d"]], "a    b\nc    d\n"),
        # a line without the column ends its block: what follows is aligned for itself
        (
            [["In:"], ["longest", "x"], ["Out:"], ["a", "y"]],
            "In:\nlongest  x\nOut:\na  y\n",
        ),
        ([["aaaa", "b", "c"], ["a", "b"], ["a", "bbb", "c"]], "aaaa  b  c\na     b\na     bbb  c\n"),
        ([["ä", "x"], ["bb", "y"]], "ä   x\nbb  y\n"),
    ],
)
def test_tables(rows: list[list[str]], text: str) -> None:
    assert table(rows) == text
