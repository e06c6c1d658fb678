"""Whether etcd answers, as lines of the log: one when it stops, one when it is back, however long it was away."""

import asyncio

from structlog.typing import FilteringBoundLogger

from isthmus.edge.store import Store

_PERIOD_S = 1.0  # what is shorter is an election, and nobody's business


async def keep_vigil(store: Store, log: FilteringBoundLogger, *, period_s: float = _PERIOD_S) -> None:
    """Look from time to time, for ever."""
    was_connected = True
    while True:
        await asyncio.sleep(period_s)
        health = store.health
        if health.is_connected and not was_connected:
            log.info("etcd answers again")
        if was_connected and not health.is_connected:
            log.warning("etcd does not answer; what runs goes on, what is new waits", reason=health.reason)
        was_connected = health.is_connected
