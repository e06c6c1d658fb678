"""Columns of lists, from objects as netmaster answers them."""

import pytest

from isthmus.netctl.client import Object
from isthmus.netctl.listing import Column, columns, joined, number


@pytest.mark.parametrize(
    ("things", "text"),
    [
        ([], "Name  Size  Of\n----  ----  --\n"),
        ([{"name": "a", "size": 5, "of": ["x", "y"]}], "Name  Size  Of\n----  ----  --\na     5     x,y\n"),
        ([{"name": "a"}], "Name  Size  Of\n----  ----  --\na     0     \n"),
    ],
)
def test_what_is_left_out_of_json_is_empty_in_a_column_and_0_as_a_number(things: list[Object], text: str) -> None:
    shown = (Column("Name", "----", "name"), Column("Size", "----", number("size")), Column("Of", "--", joined("of")))
    assert columns(shown, things) == text
