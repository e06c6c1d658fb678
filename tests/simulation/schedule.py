"""One run from one seed: users, an operator and what goes wrong, side by side; then quiet, and a look at all of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network
from typing import cast
from unittest.mock import patch
from uuid import UUID

from isthmus.core.admit.networks import NetworkRequest
from isthmus.core.errors import EdgeError, IsthmusError
from isthmus.core.model import DEFAULT_TENANT, Encap, NetworkKey, NetworkName, Subnet
from isthmus.core.reconcile import Step
from isthmus.edge.store import Put, Store
from isthmus.netmaster import plans, wishes
from isthmus.wire import keys
from tests.simulation.chance import Chance
from tests.simulation.etcd import FOREIGN, SimEtcd, SimStore
from tests.simulation.laws import FOREIGN_VALUE, LawBrokenError, check_engines, check_etcd, check_quiet, check_step
from tests.simulation.loop import run
from tests.simulation.node import SimNode

_QUIET_S = (20.0, 60.0, 120.0)  # looked after each: the census counts every 30 s, and networks are kept for 60
_HOUR_S = 3600.0
_POLL_S = 20.0  # of rows that nobody changes here
_SUBNETS = {"red": "10.1.1.0/29", "green": "10.1.2.0/29"}

Act = Callable[["Cluster"], Awaitable[None]]


class Cluster:
    """Nodes around one etcd, and the operator's own way to it."""

    def __init__(self, chance: Chance, nodes: int) -> None:
        self.chance = chance
        self.etcd = SimEtcd()
        self.broken: list[str] = []
        self.etcd.commit([], [Put(FOREIGN, FOREIGN_VALUE)])
        self.nodes = [SimNode(number, self.etcd, chance, self._watch(number)) for number in range(nodes)]
        self.operator = cast("Store", SimStore(self.etcd, chance))
        self.count = 0
        self._faults = 0
        self._is_calm = False

    async def moving(self) -> None:
        """Wait while it is calm."""
        while self._is_calm:
            await asyncio.sleep(0.5)

    @asynccontextmanager
    async def fault(self) -> AsyncIterator[None]:
        """Something of the cluster is not there for the others."""
        await self.moving()
        self._faults += 1
        try:
            yield
        finally:
            self._faults -= 1

    @asynccontextmanager
    async def calm(self) -> AsyncIterator[None]:
        """Everybody knows all that the others know.

        What only an agent knows that cannot tell it is forgotten with etcd: its address may be another's until then.
        """
        while self._faults:
            await asyncio.sleep(0.5)
        self._is_calm = True
        await asyncio.sleep(3.0)
        yield
        await asyncio.sleep(1.0)
        self._is_calm = False

    def _watch(self, number: int) -> Callable[[Step], None]:
        return lambda step: self.see(lambda: check_step(self.nodes[number], step))

    def see(self, check: Callable[[], None]) -> None:
        """Note a law that is broken; the run goes on."""
        try:
            check()
        except LawBrokenError as error:
            self.chance.note(f"BROKEN: {error}")
            self.broken.append(str(error))

    async def create(self, name: str) -> None:
        """Have a network, as netmaster makes it."""
        prefix = IPv4Network(_SUBNETS[name])
        subnet = Subnet(str(prefix), prefix, IPv4Address(int(prefix[0])), prefix[-1])
        request = NetworkRequest(NetworkKey(DEFAULT_TENANT, NetworkName(name)), Encap.VXLAN, subnet)
        await plans.done(self.operator, plans.first_records())
        await plans.done(self.operator, wishes.network_creation(request))


async def start_container(cluster: Cluster) -> None:
    """A user starts a container."""
    await cluster.moving()
    node = cluster.chance.one_of(cluster.nodes)
    cluster.count += 1
    name = f"c{cluster.count}"
    if await node.engine.start(name, cluster.chance.one_of(list(_SUBNETS))):
        cluster.chance.note(f"{name} runs on {node.name}")
    cluster.see(lambda: check_engines(cluster.nodes))


async def stop_container(cluster: Cluster) -> None:
    """A user stops one."""
    node = cluster.chance.one_of(cluster.nodes)
    if node.engine.attachments:
        here = cluster.chance.one_of(list(node.engine.attachments.values()))
        cluster.chance.note(f"{here.container} on {node.name} is stopped")
        await node.engine.stop(here.endpoint)


async def crash_agent(cluster: Cluster) -> None:
    """An agent is killed, and started again soon, or not so soon."""
    async with cluster.fault():
        node = cluster.chance.one_of(cluster.nodes)
        cluster.chance.note(f"the agent of {node.name} is killed")
        await node.kill_agent()
        if cluster.chance.happens(0.2):
            node.kernel.leave("stray" + cluster.chance.letters(59))
        await asyncio.sleep(cluster.chance.one_of((0.0, 0.5, 3.0, 20.0)))
        node.start_agent()
        cluster.chance.note(f"the agent of {node.name} is started")


async def lose_etcd(cluster: Cluster) -> None:
    """No etcd for some time, at times for an hour."""
    async with cluster.fault():
        cluster.etcd.go(is_away=True)
        cluster.chance.note("etcd is away")
        await asyncio.sleep(_HOUR_S if cluster.chance.happens(0.02) else cluster.chance.one_of((0.1, 2.0, 15.0)))
        cluster.etcd.go(is_away=False)
        cluster.chance.note("etcd is back")


async def cut_node(cluster: Cluster) -> None:
    """A node without its way to etcd."""
    async with cluster.fault():
        node = cluster.chance.one_of(cluster.nodes)
        node.store.cut(is_cut=True)
        cluster.chance.note(f"{node.name} is cut off")
        await asyncio.sleep(cluster.chance.one_of((0.1, 2.0, 30.0)))
        node.store.cut(is_cut=False)
        cluster.chance.note(f"{node.name} is reached again")


async def lose_answers(cluster: Cluster) -> None:
    """Calls of one node fail, some after they were done; and steps of its kernel."""
    async with cluster.fault():
        node = cluster.chance.one_of(cluster.nodes)
        node.store.loss, node.kernel.loss = 0.2, 0.1
        cluster.chance.note(f"answers to {node.name} get lost")
        await asyncio.sleep(cluster.chance.seconds(1.0, 8.0))
        node.store.loss = node.kernel.loss = 0.0


async def stop_engine(cluster: Cluster) -> None:
    """An engine is away; its containers live on."""
    node = cluster.chance.one_of(cluster.nodes)
    if node.engine.is_up:
        node.engine.go()
        cluster.chance.note(f"the engine of {node.name} is down")
        await asyncio.sleep(cluster.chance.one_of((0.5, 5.0, 40.0)))
        node.engine.is_up = True


async def operate(cluster: Cluster) -> None:
    """The operator removes a network, if nobody lives in it, or creates it."""
    name = cluster.chance.one_of(list(_SUBNETS))
    with suppress(IsthmusError, EdgeError):
        if cluster.chance.happens(0.3):
            await plans.done(cluster.operator, wishes.network_removal(NetworkKey(DEFAULT_TENANT, NetworkName(name))))
            cluster.chance.note(f"network {name} is removed")
        else:
            await cluster.create(name)


async def turn_back(cluster: Cluster) -> None:
    """Etcd is as it was some time ago.

    Where no agent looks on, its id is another one: nobody could tell an etcd that comes back under the same id and is
    written, before anybody looks, beyond all that was seen of it.
    """
    cluster.etcd.save()
    await cluster.chance.pass_time(1.0, 20.0)
    async with cluster.calm():
        cluster.chance.note(f"etcd turns back from {cluster.etcd.revision} to {cluster.etcd.backup[0]}")
        is_seen = any(node.agent and node.store.health.is_connected for node in cluster.nodes)
        cluster.etcd.turn_back(is_same_cluster=is_seen)


async def wipe(cluster: Cluster) -> None:
    """Etcd has lost everything, and somebody restores a backup."""
    cluster.etcd.save()
    await cluster.chance.pass_time(1.0, 20.0)
    async with cluster.calm():
        cluster.chance.note("etcd is wiped")
        cluster.etcd.wipe()
        cluster.etcd.commit([], [Put(FOREIGN, FOREIGN_VALUE)])
    await cluster.chance.pass_time(0.1, 40.0)
    saved = [each for key, each in cluster.etcd.backup[1].items() if not key.startswith((keys.NODES, keys.EPOCH))]
    cluster.etcd.commit([], [Put(each.key, each.value) for each in saved if each.key not in cluster.etcd.values])
    cluster.chance.note("a backup is restored")


_OFTEN: tuple[Act, ...] = (start_container, start_container, start_container, stop_container, stop_container)
_AT_TIMES: tuple[Act, ...] = (crash_agent, lose_etcd, cut_node, lose_answers, stop_engine, operate)
_ONCE: tuple[Act, ...] = (turn_back, wipe)


async def _live(chance: Chance, acts: int) -> list[str]:
    cluster = Cluster(chance, chance.number(2, 3))
    for name in _SUBNETS:
        await cluster.create(name)
    cluster.etcd.watch = lambda: cluster.see(lambda: check_etcd(cluster.etcd))
    for node in cluster.nodes:
        node.start_agent()
    await asyncio.sleep(2.0)
    works = [asyncio.ensure_future(chance.one_of(_ONCE)(cluster))] if chance.happens(0.4) else []
    for _ in range(acts):
        works.append(asyncio.ensure_future(chance.one_of(_AT_TIMES if chance.happens(0.25) else _OFTEN)(cluster)))
        await chance.pass_time(0.0, 0.01 if chance.happens(0.6) else 2.0)
    await asyncio.gather(*works)
    for node in cluster.nodes:
        node.start_agent()
    with suppress(IsthmusError):
        for name in _SUBNETS:
            await cluster.create(name)
    for pause_s in _QUIET_S:
        await asyncio.sleep(pause_s)
        with suppress(LawBrokenError):
            check_quiet(cluster.etcd, cluster.nodes)
            return cluster.broken
    cluster.see(lambda: check_quiet(cluster.etcd, cluster.nodes))
    return cluster.broken


_parsed = lru_cache(10_000)(keys.parse)  # three agents read each record; and most records are read again and again


def played(seed: int) -> tuple[list[str], list[str]]:
    """The laws that were broken in the run of this seed, and its trace."""
    chance = Chance(seed)
    with ExitStack() as stack:
        stack.enter_context(patch("uuid.uuid4", lambda: UUID(chance.letters(32))))
        stack.enter_context(patch("isthmus.wire.keys.parse", _parsed))
        stack.enter_context(patch("isthmus.netplugin.guard._POLL_S", _POLL_S))
        try:
            broken = run(_live(chance, chance.number(6, 16)))
        except Exception as error:  # whatever it is, its seed has to be told
            broken = [f"{type(error).__name__}: {error}"]
    return broken, chance.trace
