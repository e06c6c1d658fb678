"""A simulated Docker engine: its networks and containers, and its calls to our driver, with Docker's own rules."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from isthmus.core.datapath import DockerNetwork
from isthmus.core.errors import EdgeError, EngineRefusedError, EngineUnavailableError, IsthmusError
from isthmus.core.model import ContainerId, EndpointId
from isthmus.edge.engine import EngineInfo, EventsBegin, Unreadable
from isthmus.netplugin.driver import Driver
from isthmus.wire import docker
from isthmus.wire.docker import DockerNetworkId
from isthmus.wire.docker_api import Event, Occupant
from tests.simulation.chance import Chance

_CALL_S = 9.0  # our own deadline for a call
_PATIENCE_S = 15.0  # an engine tries a plugin that is away for so long

Said = Event | Unreadable | EventsBegin


class CallFailedError(Exception):
    """The driver refused, or was not there; the engine rolls back."""


@dataclass
class Attachment:
    """A container on a network of ours."""

    container: str
    network: DockerNetworkId
    endpoint: EndpointId
    address: IPv4Address
    is_joined: bool = False


@dataclass
class SimEngine:
    """In the form of `edge.engine.Engine` for the agent; `start` and `stop` are the user's."""

    chance: Chance
    driver: Driver | None = None  # None: the agent is down
    is_up: bool = True
    our_networks: dict[DockerNetworkId, DockerNetwork] = field(default_factory=dict)
    attachments: dict[EndpointId, Attachment] = field(default_factory=dict)
    beginning: list[DockerNetworkId] = field(default_factory=list)  # networks of containers that are being started
    ended: Callable[[EndpointId], None] = lambda _endpoint: None
    _listeners: list["asyncio.Queue[Said | None]"] = field(default_factory=list)
    _driver_gone: asyncio.Event = field(default_factory=asyncio.Event)

    # --- what the user does ---

    async def start(self, container: str, network: str) -> bool:
        """Run a container; whether it runs."""
        network_id = next((each for each, known in self.our_networks.items() if known.name == network), None)
        if network_id is None or not self.is_up:
            return False
        self.beginning.append(network_id)
        try:
            is_started = await self._begin(container, network_id)
        finally:
            self.beginning.remove(network_id)
        if is_started:
            self._say(Unreadable())
        return is_started

    async def _begin(self, container: str, network_id: DockerNetworkId) -> bool:
        pool = docker.Pool(self.our_networks[network_id].owner, self.our_networks[network_id].subnet)
        endpoint = EndpointId(self.chance.letters(64))
        address: IPv4Address | None = None
        try:
            answer = await self._call(lambda driver: driver.request_address(docker.RequestAddress(pool)))
            address = IPv4Address(json.loads(answer)["Address"].split("/")[0])
            request = docker.CreateEndpoint(network_id, endpoint, address)
            await self._call(lambda driver: driver.create_endpoint(request))
            here = self.attachments[endpoint] = Attachment(container, network_id, endpoint, address)
            await self._call(lambda driver: driver.join(docker.Join(network_id, endpoint, f"/run/{endpoint[:8]}")))
            here.is_joined = True
        except CallFailedError as error:
            self.chance.note(f"start of {container}: {error}")
            await self._take_back(network_id, endpoint, address, pool)
            return False
        return True

    async def stop(self, endpoint: EndpointId) -> None:
        """End a container, whatever our driver says to it."""
        here = self.attachments.get(endpoint)
        if here is None or not here.is_joined:
            return
        here.is_joined = False
        network = self.our_networks[here.network]
        pool = docker.Pool(network.owner, network.subnet)
        await self._try(lambda driver: driver.leave(docker.Leave(here.network, endpoint)))
        self.ended(endpoint)
        await self._take_back(here.network, endpoint, here.address, pool)
        self._say(Unreadable())

    async def _take_back(
        self, network: DockerNetworkId, endpoint: EndpointId, address: IPv4Address | None, pool: docker.Pool
    ) -> None:
        if endpoint in self.attachments:
            await self._try(lambda driver: driver.delete_endpoint(docker.DeleteEndpoint(network, endpoint)))
            del self.attachments[endpoint]
        if address is not None:
            released = docker.ReleaseAddress(pool, address)
            await self._try(lambda driver: driver.release_address(released))

    async def _try(self, call: Callable[[Driver], Awaitable[bytes]]) -> None:
        try:
            await self._call(call)
        except CallFailedError as error:
            self.chance.note(f"a call whose failure is only logged: {error}")

    async def _call(self, call: Callable[[Driver], Awaitable[bytes]]) -> bytes:
        """One call, as Docker makes it: tried again while the plugin is away; after a crash without its body."""
        end_s = asyncio.get_running_loop().time() + _PATIENCE_S
        while self.driver is None:
            await asyncio.sleep(1.0)
            if asyncio.get_running_loop().time() > end_s:
                raise CallFailedError("the plugin is away")
        gone = asyncio.ensure_future(self._driver_gone.wait())
        calling = asyncio.ensure_future(asyncio.wait_for(call(self.driver), _CALL_S))
        await asyncio.wait({gone, calling}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if not calling.done():
            calling.cancel()
            await asyncio.wait({calling})
        if calling.cancelled():
            raise CallFailedError("the plugin died in mid-call, and has no answer to an empty body")
        try:
            return calling.result()
        except (IsthmusError, EdgeError) as error:
            raise CallFailedError(str(error)) from error
        except TimeoutError as error:
            raise CallFailedError("the deadline passed") from error

    # --- what the agent asks ---

    def plug(self, driver: Driver) -> None:
        """Have an agent that answers."""
        self._driver_gone = asyncio.Event()
        self.driver = driver

    def unplug(self) -> None:
        """Have none: calls under way are cut short."""
        self.driver = None
        self._driver_gone.set()

    async def ping(self) -> EngineInfo:
        """As Engine.ping."""
        await self._trip()
        return EngineInfo("28.0", "1.41")

    async def networks(self) -> list[tuple[DockerNetworkId, DockerNetwork]]:
        """As Engine.networks: those of ours."""
        await self._trip()
        return list(self.our_networks.items())

    async def network_by_id(self, network_id: DockerNetworkId) -> DockerNetwork | None:
        """As Engine.network_by_id."""
        await self._trip()
        return self.our_networks.get(network_id)

    async def foreign_network(self, _name: str) -> str | None:
        """As Engine.foreign_network: there is none."""
        return None

    async def containers_of(
        self, network_id: DockerNetworkId, *, deadline_s: float = 5.0
    ) -> dict[EndpointId, Occupant]:
        """As Engine.containers_of."""
        await self._trip()
        mine = (each for each in self.attachments.values() if each.network == network_id)
        return {each.endpoint: Occupant(each.container, ContainerId(each.container)) for each in mine}

    async def create_network(self, network: DockerNetwork, *, deadline_s: float = 5.0) -> DockerNetworkId:
        """As Engine.create_network."""
        await self._trip()
        if any(each.name == network.name for each in self.our_networks.values()):
            raise EngineRefusedError(409, f"network with name {network.name} already exists")
        made = DockerNetworkId(self.chance.letters(64))
        self.our_networks[made] = network
        self._say(Unreadable())
        return made

    async def remove_network(self, network_id: DockerNetworkId) -> None:
        """As Engine.remove_network."""
        await self._trip()
        assert network_id in self.our_networks, "a step on a foreign network"
        if network_id in self.beginning or any(each.network == network_id for each in self.attachments.values()):
            raise EngineRefusedError(403, "the network has active endpoints")
        del self.our_networks[network_id]
        self._say(Unreadable())

    async def events(self) -> AsyncIterator[Said]:
        """As Engine.events; some are lost, all are late."""
        await self._trip()
        queue: asyncio.Queue[Said | None] = asyncio.Queue()
        self._listeners.append(queue)
        try:
            yield EventsBegin()
            while (said := await queue.get()) is not None:
                await self.chance.pass_time(0.0, 0.05)
                yield said
            raise EngineUnavailableError("the engine has gone")
        finally:
            self._listeners.remove(queue)

    def go(self) -> None:
        """Be down; containers live on, as with live-restore."""
        self.is_up = False
        for queue in self._listeners:
            queue.put_nowait(None)

    def _say(self, event: Said) -> None:
        for queue in self._listeners:
            if not self.chance.happens(0.1):
                queue.put_nowait(event)

    async def _trip(self) -> None:
        await self.chance.pass_time(0.0, 0.003)
        if not self.is_up:
            raise EngineUnavailableError("the engine is down")
