"""A host of its own for the kernel turns, and the turns over it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from isthmus.core.desired import Seat
from isthmus.core.model import NodeName, Record
from isthmus.core.world import Change, World, evolve
from isthmus.netplugin.kernel_turns import KernelTurns
from tests.edge.kernel_hosts import Host, run, underlay
from tests.netplugin.conftest import log

ONE, TWO = NodeName("one"), NodeName("two")
SEAT = Seat(ONE, underlay(0), 1500)


def tell(host: Host, command: str) -> str:
    """Run an operator's tool in the host's namespace."""
    return run(f"ip netns exec {host.netns.name} {command}")


@asynccontextmanager
async def turning(host: Host, world: Iterable[Record]) -> AsyncIterator[KernelTurns]:
    """A host that turns have brought in line and watch over; an audit by time would come too late for any test."""
    turns = KernelTurns(host.kernel, asyncio.Event(), log(), audit_s=3600)
    turns.notice(evolve(World(), map(Change, world), 5))
    running = asyncio.create_task(turns.run(SEAT))
    try:
        async with asyncio.timeout(60):
            await turns.applied(5)
            yield turns
    finally:
        running.cancel()
        await asyncio.wait([running])
