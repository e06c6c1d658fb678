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

_GRACE_S = 5.0  # an endpoint under construction is unknown to the engine for some milliseconds
_PERIOD_S = 30.0
_SETTLE_S = 0.2  # events come in bursts

Leftover = Endpoint | AddressClaim


@dataclass(frozen=True, slots=True)
class Census:
    """What a crash left behind goes; a container that was renamed is called by its new name.

    An entry goes if the engine does not know it twice, a grace period apart, and it did not change in between.
    `stirred` is set by whoever hears that something happened on the engine.
    """

    node: NodeName
    engine: Engine
    mirror: Mirror
    ledger: Ledger
    stirred: asyncio.Event
    log: FilteringBoundLogger

    async def run(self) -> None:
        """Count at start, after whatever happens on the engine, and from time to time; for ever."""
        await self.mirror.reached()
        suspects: frozenset[Leftover] = frozenset()
        while True:
            try:
                suspects = await self._count(suspects)
            except (EdgeError, IsthmusError) as error:
                self.log.debug("the census was cut short; another follows", reason=str(error))
            await self._wait(_GRACE_S if suspects else _PERIOD_S, is_grace=bool(suspects))

    async def _wait(self, longest_s: float, *, is_grace: bool) -> None:
        if is_grace:
            await asyncio.sleep(longest_s)
            return
        try:
            await asyncio.wait_for(self.stirred.wait(), longest_s)
        except TimeoutError:
            return
        self.stirred.clear()
        await asyncio.sleep(_SETTLE_S)

    async def _count(self, suspects: frozenset[Leftover]) -> frozenset[Leftover]:
        names = await self._names()
        world = self.mirror.world
        await self._rename(world, names)
        unknown = frozenset(each for each in _entries(world, self.node) if _endpoint_of(each) not in names)
        await self._collect(unknown & suspects)
        return unknown - suspects

    async def _names(self) -> Mapping[EndpointId, str]:
        found: dict[EndpointId, str] = {}
        for network_id, _ in await self.engine.networks():
            found |= await self.engine.containers_of(network_id)
        return found

    async def _rename(self, world: World, names: Mapping[EndpointId, str]) -> None:
        for endpoint in _endpoints(world, self.node):
            name = names.get(endpoint.id, endpoint.container)
            if endpoint.is_joined and name != endpoint.container:
                await self.ledger.rename(endpoint, name)

    async def _collect(self, leftovers: Iterable[Leftover]) -> None:
        for leftover in leftovers:
            addresses = leftover.addresses if isinstance(leftover, Endpoint) else (leftover.address,)
            if isinstance(leftover, Endpoint):
                await self.ledger.delete(leftover)
            for address in addresses:
                await self.ledger.release(leftover.network, address)
            self.log.warning("removed what the engine does not know", leftover=repr(leftover))


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
