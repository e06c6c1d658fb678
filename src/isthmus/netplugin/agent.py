"""The agent's parts, wired together: from an empty memory to a running node."""

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address

from starlette.applications import Starlette
from structlog.typing import FilteringBoundLogger

from isthmus import __version__
from isthmus.core.datapath import Underlay
from isthmus.core.desired import Seat
from isthmus.core.model import Node
from isthmus.edge.engine import Engine
from isthmus.edge.kernel import Kernel
from isthmus.edge.sandbox import NameService
from isthmus.edge.server import serve
from isthmus.edge.store import Store
from isthmus.netplugin.census import Census, Outside
from isthmus.netplugin.contact import keep_contact
from isthmus.netplugin.driver import Driver
from isthmus.netplugin.engine_turns import EngineTurns
from isthmus.netplugin.kernel_turns import KernelTurns
from isthmus.netplugin.ledger import Ledger
from isthmus.netplugin.membership import Membership, Report
from isthmus.netplugin.memory import Memory
from isthmus.netplugin.mirror import Mirror
from isthmus.netplugin.name_turns import NameBook, NameTurns
from isthmus.netplugin.network_ids import NetworkIds
from isthmus.netplugin.options import Options, address_of_host_name
from isthmus.netplugin.plugin import plugin_app
from isthmus.netplugin.salvage import Salvage
from isthmus.netplugin.signals import Signals
from isthmus.netplugin.uplinks import Uplinks
from isthmus.netplugin.vigil import keep_vigil

_MTU_BYTES = 1500  # of a host without an underlay: nothing is tunnelled, so any would do
_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Edges:
    """The outside, as one agent meets it."""

    store: Store
    engine: Engine
    kernel: Kernel
    names: NameService
    network_ids: NetworkIds
    memory: Memory


class Agent:
    """One host's agent: it answers its engine from the first moment, and turns as soon as it knows the world."""

    def __init__(self, edges: Edges, options: Options, log: FilteringBoundLogger) -> None:
        signals = Signals()
        self._edges = edges
        self._options = options
        self._log = log
        self._seat: Seat | None = None
        self._membership = Membership(edges.store, options.node, log)
        self._store = store = edges.store.behind(self._membership)  # two hosts of one name would undo each other's work
        self._mirror = Mirror(store, log, edges.memory.load())
        self._uplinks = Uplinks(edges.kernel, options.uplinks, log)
        self._kernel_turns = KernelTurns(edges.kernel, signals.moved, log)
        self._engine_turns = EngineTurns(edges.engine, self._mirror, edges.network_ids, signals, log)
        self._name_turns = NameTurns(edges.names, NameBook(options.node), log)
        self._report = Report(store, self._node, signals.moved, log)
        self._ledger = Ledger(store, self._mirror, options.node)
        self._salvage = Salvage(store, self._mirror, self._ledger, signals, log)
        outside = Outside(edges.engine, self._mirror, self._ledger)
        self._census = Census(options.node, outside, self._salvage, signals.stirred, log)

    async def run(self, plugin_socket: socket.socket, stop: asyncio.Event) -> None:
        """Answer and turn until `stop` is set.

        Raises:
            ConflictError: another live host has this node's name.
        """
        turns = asyncio.create_task(self._turn())
        answers = asyncio.create_task(serve(self._app(), [plugin_socket], stop))
        await asyncio.wait((turns, answers), return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        turns.cancel()
        await asyncio.wait((turns, answers))
        if not turns.cancelled():
            turns.result()
        answers.result()

    async def _turn(self) -> None:
        seat = await self._uplinks.seat(await self._find_seat())
        memory, turns = self._edges.memory, (self._kernel_turns, self._engine_turns, self._name_turns)
        for listener in (*turns, self._report, self._salvage, self._membership, memory):
            self._mirror.listen(listener.notice)
        self._name_turns.notice(self._mirror.remembered)
        self._seat = seat
        identity = str(seat.underlay.vtep if seat.underlay else socket.gethostname())
        parts = (
            self._mirror.run(),
            self._kernel_turns.run(seat),
            self._uplinks.run(seat, self._kernel_turns.reseat),
            self._engine_turns.run(),
            self._census.run(),
            self._report.run(),
            self._membership.run(identity),
            memory.keep(self._mirror.remember),
            keep_contact(self._store, self._options.node),
            keep_vigil(self._edges.store, self._log),
        )
        async with asyncio.TaskGroup() as tasks:
            for part in parts:
                tasks.create_task(part)

    def _app(self) -> Starlette:
        driver = Driver(
            self._options.node,
            self._mirror,
            self._ledger,
            self._kernel_turns,
            self._edges.engine,
            self._edges.network_ids,
            has_uplinks=bool(self._options.uplinks),
        )
        return plugin_app(driver, self._store.ready, self._explain, self._log)

    def _explain(self) -> str:
        """What a call may be waiting for."""
        if self._seat is None:
            return "no link of this host has the tunnel address yet"
        health = self._edges.store.health
        if not health.is_connected:
            return f"etcd does not answer ({health.reason})"
        if self._membership.reason:
            return self._membership.reason
        problems = self._problems()
        return "; ".join(f"{title}: {text}" for title, text in problems.items()) or "the host is overloaded"

    def _problems(self) -> dict[str, str]:
        parts = (
            self._salvage.problems,
            self._mirror.unreadable,
            self._name_turns.problems,
            self._engine_turns.problems,
            self._uplinks.problems,
        )
        return {title: text for part in (*parts, self._kernel_turns.problems) for title, text in part.items()}

    def _node(self) -> Node:
        assert self._seat is not None
        underlay = self._seat.underlay
        return Node(
            name=self._options.node,
            vtep=underlay.vtep if underlay else None,
            version=__version__,
            engine=self._engine_turns.state,
            engine_version=self._engine_turns.version,
            applied_revision=min(self._kernel_turns.revision, self._engine_turns.revision),
            problems=self._problems(),
            epoch=self._salvage.epoch,
            salvage=self._salvage.text,
        )

    async def _find_seat(self) -> Seat:
        """Where this node's tunnels end, and on which link."""
        kernel, options = self._edges.kernel, self._options
        vtep = options.vtep or address_of_host_name(socket.gethostname()) or await kernel.default_address()
        if vtep is None:
            self._log.warning("this host has no address for tunnels; only its own containers will reach each other")
            return Seat(options.node, None, _MTU_BYTES)
        device = await self._device_of(vtep)
        return Seat(options.node, Underlay(device, vtep, options.vxlan_port), await kernel.mtu_of(device))

    async def _device_of(self, vtep: IPv4Address) -> str:
        while True:
            device = await self._edges.kernel.link_of_address(vtep)
            if device is not None:
                return device
            self._log.warning("no link of this host has the tunnel address; waiting for one", vtep=str(vtep))
            await asyncio.sleep(_RETRY_S)
