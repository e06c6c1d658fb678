"""One host: a kernel, an engine and a disk that outlive agents, and an agent put together from the real parts."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import structlog

from isthmus.core.datapath import Owner, Underlay
from isthmus.core.desired import Seat
from isthmus.core.model import Node, NodeLease, NodeName
from isthmus.core.world import Evolution
from isthmus.edge.engine import Engine
from isthmus.edge.kernel import Kernel
from isthmus.edge.store import Put, Store
from isthmus.netplugin.census import Census, Outside
from isthmus.netplugin.driver import Driver
from isthmus.netplugin.engine_turns import EngineTurns
from isthmus.netplugin.kernel_turns import KernelTurns
from isthmus.netplugin.ledger import Ledger
from isthmus.netplugin.membership import Report
from isthmus.netplugin.memory import NOTHING, Remembered
from isthmus.netplugin.mirror import Mirror
from isthmus.netplugin.name_turns import NameBook
from isthmus.netplugin.network_ids import NetworkIds
from isthmus.netplugin.salvage import Salvage
from isthmus.netplugin.signals import Signals
from isthmus.wire import keys
from isthmus.wire.docker import DockerNetworkId
from tests.simulation.chance import Chance
from tests.simulation.engine import SimEngine
from tests.simulation.etcd import SimEtcd, SimStore
from tests.simulation.kernel import VTEPS, SimKernel, Watch

LEASE_S = 10.0
_BEAT_S = 3.0

silent = structlog.wrap_logger(None, processors=[], wrapper_class=structlog.make_filtering_bound_logger(50))


@dataclass
class SimNetworkIds:
    """In the form of `NetworkIds`: what the disk knows of the engine's networks."""

    owners: dict[DockerNetworkId, Owner] = field(default_factory=dict)

    def get(self, network_id: DockerNetworkId) -> Owner | None:
        """As NetworkIds.get."""
        return self.owners.get(network_id)

    def learn(self, network_id: DockerNetworkId, owner: Owner) -> None:
        """As NetworkIds.learn."""
        self.owners[network_id] = owner

    def forget(self, network_id: DockerNetworkId) -> None:
        """As NetworkIds.forget."""
        self.owners.pop(network_id, None)

    def replace(self, owners: dict[DockerNetworkId, Owner]) -> None:
        """As NetworkIds.replace."""
        self.owners = dict(owners)


class SimNode:
    """A host, with an agent or without."""

    def __init__(self, number: int, etcd: SimEtcd, chance: Chance, watch: Watch) -> None:
        self.name = NodeName(f"node{number + 1}")
        self.vtep = VTEPS[number]
        self.kernel = SimKernel(chance, watch)
        self.engine = SimEngine(chance)
        self.engine.ended = self.kernel.end_sandbox
        self.store = SimStore(etcd, chance)
        self.agent: Agent | None = None
        self._etcd = etcd
        self._ids = SimNetworkIds()
        self._remembered = NOTHING
        self._crashes = 0

    def start_agent(self) -> None:
        """Start an agent, unless there is one."""
        if self.agent is None:
            self.agent = Agent(self, cast("NetworkIds", self._ids), self._remembered)
            self.engine.plug(self.agent.driver)

    async def kill_agent(self) -> None:
        """Kill it in the middle of whatever it does; its lease runs out."""
        if self.agent is None:
            return
        agent, self.agent = self.agent, None
        self.engine.unplug()
        await agent.end()
        self._crashes += 1
        asyncio.get_running_loop().call_later(LEASE_S, self._let_lease_go, self._crashes)

    def _let_lease_go(self, crash: int) -> None:
        if crash == self._crashes and self.agent is None and not self._etcd.is_away:
            self._etcd.expire(keys.lease_key(self.name))

    def remember(self, known: Remembered) -> None:
        """Write to the disk."""
        self._remembered = known


class Agent:
    """The agent's real parts, as netplugin.agent wires them, less those that touch the real outside."""

    def __init__(self, node: SimNode, ids: NetworkIds, remembered: Remembered) -> None:
        signals = Signals()
        store, engine = cast("Store", node.store), cast("Engine", node.engine)
        self._node = node
        self._seat = Seat(node.name, Underlay("eth1", node.vtep, 8472), 1500)
        self.mirror = Mirror(store, silent, remembered)
        self.book = NameBook(node.name)
        self.kernel_turns = KernelTurns(cast("Kernel", node.kernel), signals.moved, silent)
        self.engine_turns = EngineTurns(engine, self.mirror, ids, signals, silent)
        self.ledger = Ledger(store, self.mirror, node.name)
        self.salvage = Salvage(store, self.mirror, self.ledger, signals, silent)
        self.report = Report(store, self._describe, signals.moved, silent)
        outside = Outside(engine, self.mirror, self.ledger)
        self.census = Census(node.name, outside, self.salvage, signals.stirred, silent)
        self.driver = Driver(node.name, self.mirror, self.ledger, self.kernel_turns, engine, ids)
        self.book.learn(self.mirror.remembered)
        for notice in (self.book.learn, self._remember, *(each.notice for each in self._listeners())):
            self.mirror.listen(notice)
        self._tasks = [asyncio.ensure_future(part) for part in self._parts()]

    def _listeners(self) -> tuple[Any, ...]:
        return self.kernel_turns, self.engine_turns, self.report, self.salvage

    def _parts(self) -> tuple[Coroutine[None, None, None], ...]:
        return (
            self.mirror.run(),
            self.kernel_turns.run(self._seat),
            self.engine_turns.run(),
            self.census.run(),
            self.report.run(),
            self._live(),
        )

    async def end(self) -> None:
        """Stop all of it where it stands."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def check(self) -> None:
        """See that nothing of it has ended by an error."""
        for task in self._tasks:
            if task.done():
                task.result()

    def _describe(self) -> Node:
        revision = min(self.kernel_turns.revision, self.engine_turns.revision)
        return Node(
            self._node.name, self._node.vtep, "1", self.engine_turns.state, "", revision, {}, self.salvage.epoch
        )

    def _remember(self, _evolution: Evolution) -> None:
        """At once; really it is a second later, and what a crash and a loss of etcd meet in that second is lost."""
        self._node.remember(self.mirror.remember())

    async def _live(self) -> None:
        lease = NodeLease(self._node.name, str(self._node.vtep))
        put = Put(keys.key_of(lease), keys.render(lease))
        while True:
            if put.key not in self._node._etcd.values:
                with suppress(Exception):
                    await self._node.store.commit([], [put])
            await asyncio.sleep(_BEAT_S)
