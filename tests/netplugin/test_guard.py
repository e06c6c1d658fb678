"""The guard's own laws, on a kernel that does nothing but stir."""

import asyncio
from typing import cast

from isthmus.edge.kernel import Kernel
from isthmus.netplugin.guard import Guard
from tests.netplugin.conftest import log


class Stirring:
    """Something happens whenever it is told to."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def stirred(self) -> None:
        await self.event.wait()

    async def is_as_left(self) -> bool:
        return True

    async def mend_rows(self) -> dict[str, int]:
        return {}


async def _nothing() -> None:
    """No alarm."""


async def test_a_guard_that_is_told_to_end_ends_though_something_happens_in_that_moment() -> None:
    kernel = Stirring()
    running = asyncio.create_task(Guard(cast("Kernel", kernel), log()).run(_nothing))
    for _ in range(5):
        await asyncio.sleep(0)  # it waits by now
    kernel.event.set()
    await asyncio.sleep(0)  # the wait is over, but the guard does not know yet
    running.cancel()
    kernel.event.clear()
    await asyncio.wait([running], timeout=10)
    assert running.cancelled()
