"""An event loop without clock and sockets: time passes only when everybody waits, so an hour costs nothing.

Whoever is ready runs in the order in which asyncio made it so; chance comes in through the simulated outside, whose
answers take as long as the seed says.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, TypeVar, cast

_T = TypeVar("_T")


class DeadlockError(Exception):
    """Everybody waits, and for nothing that will come."""


class _Handle:
    """What is to be called, and from which moment on; in the form of asyncio.TimerHandle, and lighter."""

    __slots__ = ("args", "callback", "context", "is_cancelled", "when_s")

    def __init__(self, when_s: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context) -> None:
        self.when_s = when_s
        self.callback = callback
        self.args = args
        self.context = context
        self.is_cancelled = False

    def cancel(self) -> None:
        """Never call it."""
        self.is_cancelled = True

    def cancelled(self) -> bool:
        """Whether it will never be called."""
        return self.is_cancelled

    def when(self) -> float:
        """The moment."""
        return self.when_s


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop over a clock that jumps to the next timer; what runs most is written anew, and short."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._count = 0
        self._soon: deque[_Handle] = deque()
        self._later: list[tuple[float, int, _Handle]] = []

    def time(self) -> float:
        """Seconds since the beginning of this run."""
        return self._now_s

    def call_soon(  # type: ignore[override]  # asyncio's stubs tie the arguments to the callback
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's."""
        handle = _Handle(0.0, callback, args, context or copy_context())
        self._soon.append(handle)
        return cast("asyncio.Handle", handle)

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's."""
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's."""
        handle = _Handle(when, callback, args, context or copy_context())
        self._count += 1
        heapq.heappush(self._later, (when, self._count, handle))
        return cast("asyncio.TimerHandle", handle)

    def _run_once(self) -> None:
        """Call all that is ready; where nothing is, move the clock to the first that will be."""
        soon, later = self._soon, self._later
        if not soon:
            while later and later[0][2].is_cancelled:
                heapq.heappop(later)
            if not later:
                raise DeadlockError("all wait for each other")
            self._now_s = max(self._now_s, later[0][0])
        while later and later[0][0] <= self._now_s:
            soon.append(heapq.heappop(later)[2])
        for _ in range(len(soon)):
            handle = soon.popleft()
            if not handle.is_cancelled:
                self._call(handle)

    def _call(self, handle: _Handle) -> None:
        try:
            handle.context.run(handle.callback, *handle.args)
        except Exception as error:
            self.call_exception_handler({"message": f"in {handle.callback}", "exception": error})


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
