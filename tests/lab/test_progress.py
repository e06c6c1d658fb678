"""What the lab tells of its progress."""

import io
import sys

import pytest

from isthmus.lab.progress import shown
from isthmus.lab.topology import Lab, machine


class Pieces(io.StringIO):
    """An output that remembers how it was written: between two pieces another thread's may come."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, text: str) -> int:
        self.pieces.append(text)
        return len(text)


def test_a_line_is_written_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = Pieces()
    monkeypatch.setattr(sys, "stderr", pieces)
    with shown() as say:
        say(machine(Lab("x"), "node1"), "etcd ready")
    (piece,) = pieces.pieces
    assert piece.endswith("s  x-node1: etcd ready\n")
