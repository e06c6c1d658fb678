"""Keeps the Docker networks of this host's engine as the world wants them, whenever there is an engine."""

import asyncio

from structlog.typing import FilteringBoundLogger

from isthmus.core.datapath import DockerNetwork
from isthmus.core.desired import desired_docker_networks
from isthmus.core.errors import EdgeError, EngineRefusedError, IsthmusError
from isthmus.core.model import EngineState
from isthmus.core.world import Evolution, World
from isthmus.edge.engine import Engine, Unreadable
from isthmus.netplugin.mirror import Mirror
from isthmus.netplugin.network_ids import NetworkIds
from isthmus.netplugin.signals import Signals
from isthmus.wire.docker import DockerNetworkId
from isthmus.wire.docker_api import NetworkCreated, NetworkDestroyed

_RETRY_S = 1.0
_REMOVE_PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8, 0.0)
_MISCOUNTED = "; yet it shows none: it has miscounted (moby#42119), and counts again when dockerd is restarted"
_CREATE_S = 30.0  # within it the engine calls our own driver three times


class EngineTurns:
    """One turn after every change of the networks, here or in etcd, and after every return of the engine."""

    def __init__(
        self,
        engine: Engine,
        mirror: Mirror,
        network_ids: NetworkIds,
        signals: Signals,
        log: FilteringBoundLogger,
    ) -> None:
        self._engine = engine
        self._mirror = mirror
        self._network_ids = network_ids
        self._signals = signals
        self._log = log
        self._wake = asyncio.Event()
        self._wanted_revision = 0  # of the latest change of intent
        self._turned_revision = 0  # of the world at the latest turn; 0 while there is no engine
        self._problems: dict[str, str] = {}
        self._version = ""

    @property
    def state(self) -> EngineState:
        """Whether the engine answers, and has what it should have, but for `problems`."""
        return EngineState.READY if self._turned_revision else EngineState.ABSENT

    @property
    def version(self) -> str:
        """The engine's version; empty while it is absent."""
        return self._version

    @property
    def revision(self) -> int:
        """The engine's networks are those of the world of this revision, but for `problems`."""
        is_level = self._turned_revision >= self._wanted_revision
        return self._mirror.world.revision if is_level else self._turned_revision

    @property
    def problems(self) -> dict[str, str]:
        """By the title of a network or a group, why it is not there or not as wanted."""
        return self._problems

    def notice(self, evolution: Evolution) -> None:
        """A later world: turn again if its networks differ, or if its etcd has begun to count anew."""
        revision = evolution.world.revision
        if evolution.is_intent_changed or revision < max(self._wanted_revision, self._turned_revision):
            self._turned_revision = min(self._turned_revision, max(1, revision - 1))
            self._wanted_revision = revision
            self._wake.set()

    async def run(self) -> None:
        """Turn for ever, through every absence of the engine."""
        await self._mirror.reached()
        while True:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._follow())
                    tasks.create_task(self._live())
            except* (EdgeError, IsthmusError) as gone:
                if self._turned_revision:
                    self._log.warning("the engine has gone; waiting for it", reason=str(gone.exceptions[0]))
            self._version, self._turned_revision = "", 0
            self._signals.moved.set()
            await asyncio.sleep(_RETRY_S)

    async def _follow(self) -> None:
        async for event in self._engine.events():
            self._signals.stirred.set()
            if isinstance(event, NetworkCreated | NetworkDestroyed | Unreadable):
                self._wake.set()

    async def _live(self) -> None:
        self._version = (await self._engine.ping()).version
        while True:
            self._wake.clear()
            world = self._mirror.world
            await self._turn(world)
            self._turned_revision = world.revision
            self._signals.moved.set()
            await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_RETRY_S if self._problems else None):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _turn(self, world: World) -> None:
        wanted = desired_docker_networks(world)
        present = await self._engine.networks()
        self._network_ids.replace({network_id: network.owner for network_id, network in present})
        problems: dict[str, str] = {}
        kept: set[DockerNetwork] = set()
        for network_id, network in present:
            if network in wanted and network not in kept:
                kept.add(network)
            else:
                await self._remove(network_id, network, wanted, problems)
        for network in sorted(wanted - kept, key=lambda each: each.name):
            await self._create(network, problems)
        self._problems = problems

    async def _remove(
        self,
        network_id: DockerNetworkId,
        network: DockerNetwork,
        wanted: frozenset[DockerNetwork],
        problems: dict[str, str],
    ) -> None:
        # A container that has just gone is gone for us some milliseconds before the engine has let go of its endpoint.
        for pause_s in _REMOVE_PAUSES_S:
            if network not in wanted and network in desired_docker_networks(self._mirror.world):
                return  # it came back meanwhile
            try:
                await self._engine.remove_network(network_id)
            except EngineRefusedError as error:
                hint = "" if await self._engine.containers_of(network_id) else _MISCOUNTED
                problems[network.title] = f"Docker does not remove {network.name}: {error.reason}{hint}"
                await asyncio.sleep(pause_s)
            else:
                problems.pop(network.title, None)
                self._log.info("removed a Docker network", network=network.name)
                return

    async def _create(self, network: DockerNetwork, problems: dict[str, str]) -> None:
        try:
            network_id = await self._engine.create_network(network, deadline_s=_CREATE_S)
        except EngineRefusedError as error:
            other = await self._engine.foreign_network(network.name)
            reason = f"the name is used by another driver, {other}" if other else error.reason
            problems.setdefault(network.title, f"Docker refuses {network.name}: {reason}")
            return
        self._network_ids.learn(network_id, network.owner)
        self._log.info("created a Docker network", network=network.name)
