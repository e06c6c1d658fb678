"""A map's rows as we left them, and put back where others changed them.

Maps tell nobody that they changed, so whoever wants to know reads them. That is cheap: the kernel gives a map's rows in
the order of its buckets, so a map that nobody touched reads as the same bytes twice.

All of it happens on one event loop, without a pause within: no write of ours falls between a reading and its judgement.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

from isthmus.edge.kernel.libbpf import Map

_T = TypeVar("_T")


class Rows:
    """The rows of one map that is ours alone to write."""

    def __init__(self, table: Map) -> None:
        self._map = table
        self._left = dict(table.rows())
        self._whole: tuple[bytes, bytes] | None = None  # the map as it read when every row was as we left it

    def follow(self, table: Map) -> None:
        """Go on with the same map, opened anew."""
        if table.id != self._map.id:
            self._left = dict(table.rows())
        self._map, self._whole = table, None

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """What the kernel has."""
        return self._map.rows()

    def read(self, parse: Callable[[bytes, bytes], _T]) -> list[_T]:
        """Every row as `parse` reads it; what means nothing was not written by us, and is removed."""
        found: list[_T] = []
        for key, value in list(self):
            try:
                found.append(parse(key, value))
            except ValueError:
                self.remove(key)
        return found

    def keys(self) -> list[bytes]:
        """The keys that we left there."""
        return list(self._left)

    def put(self, key: bytes, value: bytes) -> None:
        """Write a row, there or not."""
        self._map.put(key, value)
        self._left[key], self._whole = value, None

    def remove(self, key: bytes) -> None:
        """Delete a row; one that is gone is no error."""
        self._map.remove(key)
        self._left.pop(key, None)
        self._whole = None

    def mend(self) -> int:
        """Put back what is not as we left it, and remove what we did not write; return how many rows that were."""
        whole = self._map.image()
        if whole == self._whole:
            return 0
        there = dict(self._map.split(*whole))
        if there == self._left:
            self._whole = whole
            return 0
        wrong = {key for key, _ in there.items() ^ self._left.items()}
        for key in wrong:
            self._mend(key)
        return len(wrong)

    def _mend(self, key: bytes) -> None:
        if key in self._left:
            self._map.put(key, self._left[key])
        else:
            self._map.remove(key)
