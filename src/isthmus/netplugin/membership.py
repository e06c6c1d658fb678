"""This node among the others: a lease that says it is alive, and a report of how far it has come."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from structlog.typing import FilteringBoundLogger

from isthmus.core.errors import ConflictError, EdgeError
from isthmus.core.model import Node, NodeLease
from isthmus.core.world import Evolution
from isthmus.edge.store import Lease, Put, Store, Unchanged
from isthmus.wire import keys

LEASE_S = 10
_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Membership:
    """Holds the node's lease. Another live host of the same name is never pushed aside."""

    store: Store
    lease_record: NodeLease
    log: FilteringBoundLogger

    async def run(self) -> None:
        """Be a member for ever.

        Raises:
            ConflictError: another live host has this name.
        """
        while True:
            try:
                async with self.store.lease(LEASE_S) as lease:
                    await self._take(lease)
                    await lease.lost()
                    self.log.warning("the node's lease is lost; taking another")
            except EdgeError as error:
                self.log.warning("no lease for this node; will retry", reason=str(error))
                await asyncio.sleep(_RETRY_S)

    async def _take(self, lease: Lease) -> None:
        place = keys.key_of(self.lease_record)
        for attempt in range(1 << 62):
            snapshot = await self.store.read(keys=[place])
            before = next(iter(snapshot.items), None)
            holder = keys.parse(place, before.value) if before else None
            if isinstance(holder, NodeLease) and holder.identity != self.lease_record.identity:
                await self._outlive(holder, attempt)
                continue
            put = Put(place, keys.render(self.lease_record), lease.id)
            guard = Unchanged(place, before.mod_revision if before else 0)
            if await self.store.commit([guard], [put]) is not None:
                return

    async def _outlive(self, holder: NodeLease, attempt: int) -> None:
        """Wait a little: it may be our own host before its address changed, whose lease then runs out."""
        if attempt > LEASE_S / _RETRY_S + 1:
            name, other = holder.name, holder.identity
            raise ConflictError(f"node name {name} is in use by a live host ({other}); choose -host-label")
        await asyncio.sleep(_RETRY_S)


class Report:
    """Writes the node's record whenever what it says of intent has changed, and never for a container alone.

    `moved` is set by whoever changes what `current` returns.
    """

    def __init__(
        self, store: Store, current: Callable[[], Node], moved: asyncio.Event, log: FilteringBoundLogger
    ) -> None:
        self._store = store
        self._current = current
        self._moved = moved
        self._log = log
        self._owed_revision = 0
        self._written: Node | None = None

    def notice(self, evolution: Evolution) -> None:
        """A later world: if its intent differs, others may wait for us to have applied it."""
        if evolution.is_intent_changed:
            self._owed_revision = evolution.world.revision
        if self._written and evolution.world.revision < self._written.applied_revision:
            self._written = None  # an older etcd has been restored, and our report with it
            self._moved.set()

    async def run(self) -> None:
        """Report for ever."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            node = self._current()
            if self._is_news(node):
                await self._write(node)

    def _is_news(self, node: Node) -> bool:
        if self._written is None:
            return True
        has_caught_up = self._written.applied_revision < self._owed_revision <= node.applied_revision
        return has_caught_up or replace(node, applied_revision=0) != replace(self._written, applied_revision=0)

    async def _write(self, node: Node) -> None:
        try:
            await self._store.commit([], [Put(keys.key_of(node), keys.render(node))])
            self._written = node
        except EdgeError as error:
            self._log.warning("could not report; will retry", reason=str(error))
            await asyncio.sleep(_RETRY_S)
            self._moved.set()
