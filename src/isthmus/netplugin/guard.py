"""Notices what others do to this host's kernel: rows and pins are put back at once, the rest is for an audit."""

import asyncio
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from isthmus.core.errors import EdgeError
from isthmus.edge.kernel import Kernel

_SETTLE_S = 0.05  # events come in bursts
_POLL_S = 0.5  # of the rows, of which nothing tells


class Guard:
    """Stands beside the turns from the moment that the kernel is as it should be."""

    def __init__(self, kernel: Kernel, log: FilteringBoundLogger) -> None:
        self._kernel = kernel
        self._log = log
        self.problems: dict[str, str] = {}

    async def run(self, alarm: Callable[[], Awaitable[None]]) -> None:
        """Watch for ever; `alarm` whenever a link, a filter or a table is not as we left it."""
        now_s = asyncio.get_running_loop().time
        poll_s = now_s() + _POLL_S
        while True:
            await self._wait(poll_s - now_s())
            if not await self._kernel.is_as_left():
                await alarm()
            if now_s() >= poll_s:
                await self._mend_rows()
                poll_s = now_s() + _POLL_S

    async def _wait(self, longest_s: float) -> None:
        try:
            async with asyncio.timeout(max(longest_s, 0)):
                await self._kernel.stirred()
        except TimeoutError:
            return
        await asyncio.sleep(_SETTLE_S)

    async def _mend_rows(self) -> None:
        try:
            mended = await self._kernel.mend_rows()
        except EdgeError as error:
            if not self.problems:
                self._log.warning("rows and pins cannot be put back; will retry", reason=str(error))
            self.problems = {"maps": str(error)}
            return
        self.problems = {}
        if mended:
            self._log.warning("rows and pins differed from what was applied; put back", **mended)
