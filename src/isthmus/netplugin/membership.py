"""This node among the others: a lease that says it is alive, and a report of how far it has come."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from structlog.typing import FilteringBoundLogger

from isthmus.core.errors import ConflictError, EdgeError
from isthmus.core.model import Node, NodeLease, NodeName
from isthmus.core.world import Evolution, World
from isthmus.edge.store import Lease, Put, Store, Unchanged
from isthmus.wire import keys

LEASE_S = 10
_RETRY_S = 1.0


class Membership:
    """Holds the node's lease. Another live host of the same name is never pushed aside.

    It is the gate of all else that this agent reads and writes in etcd: shut until the lease is this host's, while
    etcd may have let it run out, and when another host is found to have it.
    """

    def __init__(self, store: Store, node: NodeName, log: FilteringBoundLogger) -> None:
        self._store = store
        self._node = node
        self._log = log
        self._lease: Lease | None = None
        self._held = asyncio.Event()
        self._disturbed = asyncio.Event()
        self._record = NodeLease(node, "")  # until it runs and knows who this host is
        self._taken_revision = 0
        self._is_told = False
        self.reason = ""
        """Why the lease is not this host's."""

    async def opened(self) -> None:
        """Wait until the lease is surely this host's."""
        while True:
            await self._held.wait()
            lease = self._lease
            if lease and await lease.confirmed():
                return
            if self._lease is lease:  # lost, and run() has not seen it yet
                self._held.clear()

    def notice(self, evolution: Evolution) -> None:
        """A later world: if the lease's record is gone or another's, take it again, or find that it cannot be had."""
        if self._lease is None or evolution.world.revision < self._taken_revision:
            return
        if evolution.world.leases.get(self._node) != self._record:
            self._disturbed.set()

    async def run(self, identity: str) -> None:
        """Be a member for ever; `identity` tells this host from others.

        Raises:
            ConflictError: another live host has this name.
        """
        self._record = NodeLease(self._node, identity)
        while True:
            try:
                async with self._store.lease(LEASE_S) as lease:
                    await self._take(lease)
                    await self._hold(lease)
                    self._log.warning("the node's lease is lost; taking another")
            except EdgeError as error:
                self._tell(error)
                await asyncio.sleep(_RETRY_S)

    async def _hold(self, lease: Lease) -> None:
        self._lease, self.reason, self._is_told = lease, "", False
        self._disturbed.clear()
        self._held.set()
        ends = [asyncio.create_task(lease.lost()), asyncio.create_task(self._disturbed.wait())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._lease = None
            self._held.clear()
            for end in ends:
                end.cancel()

    def _tell(self, error: EdgeError) -> None:
        """Once an outage."""
        self.reason = f"no lease for this node: {error}"
        if not self._is_told:
            self._log.warning("no lease for this node; will retry until there is one", reason=str(error))
        self._is_told = True

    async def _take(self, lease: Lease) -> None:
        place = keys.key_of(self._record)
        for attempt in range(1 << 62):
            snapshot = await self._store.read(keys=[place])
            before = next(iter(snapshot.items), None)
            holder = keys.parse(place, before.value) if before else None
            if isinstance(holder, NodeLease) and holder.identity != self._record.identity:
                await self._outlive(holder, attempt)
                continue
            put = Put(place, keys.render(self._record), lease.id)
            guard = Unchanged(place, before.mod_revision if before else 0)
            revision = await self._store.commit([guard], [put])
            if revision is not None:
                self._taken_revision = revision
                return

    async def _outlive(self, holder: NodeLease, attempt: int) -> None:
        """Wait a little: it may be our own host before its address changed, whose lease then runs out."""
        name, other = holder.name, holder.identity
        if attempt > LEASE_S / _RETRY_S + 1:
            raise ConflictError(f"node name {name} is in use by a live host ({other}); choose -host-label")
        self.reason = f"node name {name} is held by another host ({other})"
        if attempt == 0:
            self._log.warning("another host has this node's name; waiting for it to go", node=name, holder=other)
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
        self._written_revision = 0
        self._is_told = False

    def notice(self, evolution: Evolution) -> None:
        """A later world: if its intent differs, others may wait for us to have applied it."""
        if evolution.is_intent_changed:
            self._owed_revision = evolution.world.revision
        if self._written and self._is_undone(evolution.world, self._written):
            self._written = None
            self._moved.set()

    def _is_undone(self, world: World, written: Node) -> bool:
        """Whether an older etcd has been restored, and our report with it; or somebody else wrote over it."""
        if world.revision < written.applied_revision:
            return True
        return world.revision >= self._written_revision and world.nodes.get(written.name) != written

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
        # An agent that remembers the world owes no revision at its start; that it has turned once is news all the same.
        owed_revision = max(self._owed_revision, 1)
        has_caught_up = self._written.applied_revision < owed_revision <= node.applied_revision
        return has_caught_up or replace(node, applied_revision=0) != replace(self._written, applied_revision=0)

    async def _write(self, node: Node) -> None:
        try:
            revision = await self._store.commit([], [Put(keys.key_of(node), keys.render(node))])
        except EdgeError as error:
            if not self._is_told:
                self._log.warning("could not report; will retry until it is done", reason=str(error))
            self._is_told = True
            await asyncio.sleep(_RETRY_S)
            self._moved.set()
        else:
            assert revision is not None, "a write without guards is done or fails"
            self._written, self._written_revision, self._is_told = node, revision, False
