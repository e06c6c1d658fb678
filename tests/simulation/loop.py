"""An event loop without clock and sockets: time passes only when everybody waits, so an hour costs nothing.

Whoever is ready runs in the order in which asyncio made it so; chance comes in through the simulated outside, whose
answers take as long as the seed says.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

_T = TypeVar("_T")


class DeadlockError(Exception):
    """Everybody waits, and for nothing that will come."""


class _Nowhere(selectors.SelectSelector):
    """Waits for no file: the loop's clock is moved instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise DeadlockError("all wait for each other")
        self.now_s += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop over a clock that jumps to the next timer."""

    def __init__(self) -> None:
        self._nowhere = _Nowhere()
        super().__init__(self._nowhere)

    def time(self) -> float:
        """Seconds since the beginning of this run."""
        return self._nowhere.now_s


def run(work: Coroutine[None, None, _T]) -> _T:
    """Run it in a loop of its own, with whatever tasks it leaves behind cancelled at its end."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
