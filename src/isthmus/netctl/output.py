"""What netctl prints: tables, JSON, and records of what went wrong."""

import itertools
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

_PADDING = 2


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells in columns, as Go's tabwriter lays them out.

    A column is as wide as its widest cell, and two more, within a run of lines that all have it; the last cell
    of a line belongs to no column and is not padded.
    """
    lines = [list(row) for row in rows]
    for column in range(max((len(line) - 1 for line in lines), default=0)):
        for block in _blocks(lines, column):
            width = max(len(line[column]) for line in block) + _PADDING
            for line in block:
                line[column] = line[column].ljust(width)
    return "".join("".join(line) + "\n" for line in lines)


def _blocks(lines: list[list[str]], column: int) -> Iterator[list[list[str]]]:
    for has_column, block in itertools.groupby(lines, lambda line: len(line) - 1 > column):
        if has_column:
            yield list(block)


def print_json(value: object) -> None:
    """The value on stdout, indented by two."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def complain(text: str, level: str = "error") -> None:
    """One log record on stderr, in Contiv's two forms: for people, and for machines."""
    if sys.stderr.isatty():
        print(f"{level.upper()[:4]}[0000] {text}", file=sys.stderr)
        return
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f'time="{now}" level={level} msg={json.dumps(text, ensure_ascii=False)}', file=sys.stderr)
