"""Compares this node's entries in etcd with who really lives on its engine, and mends the entries."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from isthmus.core.errors import EdgeError, IsthmusError
from isthmus.core.model import AddressClaim, ClaimPurpose, Endpoint, EndpointId, NodeName
from isthmus.core.world import World
from isthmus.edge.engine import Engine
from isthmus.netplugin.ledger import Ledger
from isthmus.netplugin.mirror import Mirror
from isthmus.netplugin.salvage import Salvage
from isthmus.wire import keys
from isthmus.wire.docker_api import Occupant

_GRACE_S = 5.0  # an endpoint under construction is unknown to the engine for some milliseconds
_PERIOD_S = 30.0
_SETTLE_S = 0.2  # events come in bursts
_SALVAGE_S = 1.0

Leftover = Endpoint | AddressClaim


@dataclass(frozen=True, slots=True)
class Outside:
    """Whom the census asks, and where it writes."""

    engine: Engine
    mirror: Mirror
    ledger: Ledger


class Census:
    """What a crash left behind goes; a container gets its id, and where it was renamed its new name.

    An entry goes if the engine has not known it for a grace period, in which it did not change.
    """

    def __init__(
        self, node: NodeName, outside: Outside, salvage: Salvage, stirred: asyncio.Event, log: FilteringBoundLogger
    ) -> None:
        """`stirred` is set by whoever hears that something happened on the engine."""
        self._node = node
        self._outside = outside
        self._salvage = salvage
        self._stirred = stirred
        self._log = log
        self._unknown_since_s: dict[Leftover, float] = {}

    async def run(self) -> None:
        """Count at start, after whatever happens on the engine, and from time to time; for ever."""
        await self._outside.mirror.reached()
        while True:
            try:
                await self._count()
            except (EdgeError, IsthmusError) as error:
                self._log.debug("the census was cut short; another follows", reason=str(error))
            await self._wait(self._pause_s())

    def _pause_s(self) -> float:
        if not self._salvage.is_done:
            return _SALVAGE_S
        return _GRACE_S if self._unknown_since_s else _PERIOD_S

    async def _wait(self, longest_s: float) -> None:
        try:
            async with asyncio.timeout(longest_s):
                await self._stirred.wait()
        except TimeoutError:
            return
        await asyncio.sleep(_SETTLE_S)
        self._stirred.clear()

    async def _count(self) -> None:
        await self._salvage.announce()  # though there be no engine: until then a second loss could not be told
        occupants = await self._occupants()
        await self._salvage.review(occupants)
        now_s = asyncio.get_running_loop().time()
        entries = list(self._entries())
        await self._identify(entries, occupants)
        unknown = [each for each in entries if _endpoint_of(each) not in occupants]
        self._unknown_since_s = {each: self._unknown_since_s.get(each, now_s) for each in unknown}
        for leftover, since_s in self._unknown_since_s.items():
            if now_s - since_s >= _GRACE_S:
                await self._collect(leftover)

    async def _occupants(self) -> Mapping[EndpointId, Occupant]:
        found: dict[EndpointId, Occupant] = {}
        for network_id, _ in await self._outside.engine.networks():
            found |= await self._outside.engine.containers_of(network_id)
        return found

    def _entries(self) -> Iterator[Leftover]:
        """What etcd has of this node, but for what is being put back."""
        kept = self._outside.mirror.kept
        for each in _entries(self._outside.mirror.world, self._node):
            if keys.key_of(each) not in kept:
                yield each

    async def _identify(self, entries: Iterable[Leftover], occupants: Mapping[EndpointId, Occupant]) -> None:
        for endpoint in entries:
            if not isinstance(endpoint, Endpoint):
                continue
            occupant = occupants.get(endpoint.id)
            known = (endpoint.container, endpoint.container_id)
            if occupant and endpoint.is_joined and known != (occupant.name, occupant.id):
                await self._outside.ledger.identify(endpoint, occupant.name, occupant.id)

    async def _collect(self, leftover: Leftover) -> None:
        addresses = leftover.addresses if isinstance(leftover, Endpoint) else (leftover.address,)
        try:
            if isinstance(leftover, Endpoint):
                await self._outside.ledger.delete(leftover)
            for address in addresses:
                await self._outside.ledger.release(leftover.network, address)
        except (EdgeError, IsthmusError) as error:
            self._log.warning("a leftover cannot be removed", leftover=repr(leftover), reason=str(error))
        else:
            self._log.warning("removed what the engine does not know", leftover=repr(leftover))


def _endpoints(world: World, node: NodeName) -> Iterator[Endpoint]:
    for population in world.populations.values():
        yield from (each for each in population.endpoints.values() if each.node == node)


def _entries(world: World, node: NodeName) -> Iterator[Leftover]:
    yield from _endpoints(world, node)
    for population in world.populations.values():
        for claim in population.claims.values():
            if claim.node == node and claim.purpose is ClaimPurpose.LEASE and claim.endpoint is None:
                yield claim


def _endpoint_of(leftover: Leftover) -> EndpointId | None:
    return leftover.id if isinstance(leftover, Endpoint) else leftover.endpoint
