"""From calls to HTTP on the engine's socket, each within its own deadline, and back to typed values."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from isthmus.core.datapath import DockerNetwork
from isthmus.core.errors import EngineRefusedError, EngineUnavailableError, InvalidError
from isthmus.core.model import ContainerId, EndpointId
from isthmus.wire import docker_api
from isthmus.wire.docker import DRIVER, DockerNetworkId

SOCKET = Path("/var/run/docker.sock")
DEADLINE_S = 5.0

NEWEST_API = "1.45"  # the newest that we know; Docker 29 begins at 1.44, 20.10 ends at 1.41

_AT_ONCE = 8  # containers inspected side by side
_LONGEST_EVENT_BYTES = 1 << 20  # an event carries all labels of its container, which anybody may make huge
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Which engine answers, and the API version that it and we speak."""

    version: str
    api_version: str


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A live container's network namespace, as a path in the engine's mount namespace."""

    path: Path
    container: str


@dataclass(frozen=True, slots=True)
class EventsBegin:
    """The stream is open: whatever happens from now on will be told, so this is the time to list."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something happened, but what it was is too long to read, or not an event as we know them."""


class _DeadlineError(EngineUnavailableError):
    """The engine took a call but did not answer in time."""


class Engine:
    """One engine, which may come and go; to be made within a running event loop.

    Every call raises EngineUnavailableError where the engine does not answer within `deadline_s`, and
    EngineRefusedError where it says no.
    """

    def __init__(self, socket: Path = SOCKET) -> None:
        self._session = aiohttp.ClientSession(
            base_url="http://docker",
            # A connection a call: after a restart of the engine there is no stale one to trip over.
            connector=aiohttp.UnixConnector(path=str(socket), force_close=True),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        self._socket = socket
        self._api = ""  # "/v1.41"; empty until negotiated, and again once the engine has gone

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop all connections."""
        await self._session.close()

    async def ping(self, *, deadline_s: float = DEADLINE_S) -> EngineInfo:
        """Which engine answers now."""
        with self._faults("GET /_ping", deadline_s):
            async with asyncio.timeout(deadline_s), await self._send(_Call("GET", "/_ping")) as response:
                offered = response.headers.get("Api-Version", "1.41")
                server = response.headers.get("Server", "")
            api_version = _spoken(offered)
        self._api = f"/v{api_version}"
        named = re.match(r"Docker/(\S+)", server)
        return EngineInfo(named.group(1) if named else "unknown", api_version)

    async def networks(self, *, deadline_s: float = DEADLINE_S) -> list[tuple[DockerNetworkId, DockerNetwork]]:
        """The networks of ours, with their ids on this engine; one name may be there twice."""
        call = _Call("GET", "/networks", {"driver": [DRIVER]})
        return await self._ask(call, docker_api.parse_networks, deadline_s)

    async def network_by_id(
        self, network_id: DockerNetworkId, *, deadline_s: float = DEADLINE_S
    ) -> DockerNetwork | None:
        """The network of ours with this id; None where there is none, or it is another's."""
        call = _Call("GET", f"/networks/{_quoted(network_id)}")
        return await self._ask_for(call, docker_api.parse_network, deadline_s)

    async def foreign_network(self, name: str, *, deadline_s: float = DEADLINE_S) -> str | None:
        """The driver of the network that holds this name, where that is not ours; None where all is well."""
        call = _Call("GET", "/networks", {"name": [name]})  # parts of names fit too
        networks = await self._ask(call, docker_api.parse_named_networks, deadline_s)
        return next((each.driver for each in networks if each.name == name and each.driver != DRIVER), None)

    async def create_network(self, network: DockerNetwork, *, deadline_s: float = DEADLINE_S) -> DockerNetworkId:
        """Create a network and return its id; within the call, the engine calls our own plugin."""
        call = _Call("POST", "/networks/create", body=docker_api.render_network_create(network))
        return await self._ask(call, docker_api.parse_created, deadline_s)

    async def remove_network(self, network_id: DockerNetworkId, *, deadline_s: float = DEADLINE_S) -> None:
        """Remove a network; it is refused while containers are on it, and succeeds where it has gone."""
        await self._ask_for(_Call("DELETE", f"/networks/{_quoted(network_id)}"), lambda _body: None, deadline_s)

    async def containers_of(
        self, network_id: DockerNetworkId, *, deadline_s: float = DEADLINE_S
    ) -> dict[EndpointId, docker_api.Occupant]:
        """The containers on a network, by endpoint; empty where the network has gone.

        Safe within a plugin call, and within Join the joining container is there already.
        """
        call = _Call("GET", f"/networks/{_quoted(network_id)}")
        return await self._ask_for(call, docker_api.parse_containers, deadline_s) or {}

    async def sandboxes(self, *, deadline_s: float = DEADLINE_S) -> dict[EndpointId, Sandbox]:
        """The sandboxes of all live containers on our networks.

        Never wait for this within a plugin call: the engine keeps the container that it calls for locked until
        the call is answered. A container that stays locked beyond the deadline is left out.
        """
        ours = frozenset(network_id for network_id, _ in await self.networks(deadline_s=deadline_s))
        running = _Call("GET", "/containers/json")
        listed = await self._ask(running, docker_api.parse_container_list, deadline_s)
        gate = asyncio.Semaphore(_AT_ONCE)
        on_ours = (each.id for each in listed if each.endpoints_on(ours))
        inspected = await asyncio.gather(*(self._inspect(each, gate, deadline_s) for each in on_ours))
        return {
            endpoint: Sandbox(Path(container.sandbox), container.name)
            for container in inspected
            if container is not None and container.sandbox
            for endpoint in container.endpoints_on(ours)
        }

    async def _inspect(
        self, container_id: ContainerId, gate: asyncio.Semaphore, deadline_s: float
    ) -> docker_api.Container | None:
        call = _Call("GET", f"/containers/{_quoted(container_id)}/json")
        async with gate:
            try:
                return await self._ask_for(call, docker_api.parse_container, deadline_s)
            except _DeadlineError:
                return None

    async def events(
        self, *, deadline_s: float = DEADLINE_S
    ) -> AsyncIterator[docker_api.Event | EventsBegin | Unreadable]:
        """What happens to networks and containers, `EventsBegin` first; `deadline_s` is for the opening.

        Raises:
            EngineUnavailableError: the engine has gone; it never ends otherwise.
        """
        await self._negotiated(deadline_s)
        # The engine opens the stream a little before it listens to itself; from `since` on nothing is missed.
        call = _Call("GET", f"{self._api}/events", docker_api.EVENT_FILTERS, since=f"{time.time():.9f}")
        with self._faults("GET /events", deadline_s):
            async with asyncio.timeout(deadline_s):
                response = await self._send(call)
            async with response:
                yield EventsBegin()
                async for line in _lines(response.content.iter_any()):
                    event = _event(line)
                    if event is not None:
                        yield event
        raise EngineUnavailableError(f"{self._socket}: the stream of events ended")

    async def _ask_for(self, call: "_Call", parse: Callable[[bytes], _T], deadline_s: float) -> _T | None:
        try:
            return await self._ask(call, parse, deadline_s)
        except EngineRefusedError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def _ask(self, call: "_Call", parse: Callable[[bytes], _T], deadline_s: float) -> _T:
        await self._negotiated(deadline_s)
        with self._faults(f"{call.method} {call.path}", deadline_s):
            versioned = replace(call, path=self._api + call.path)
            async with asyncio.timeout(deadline_s), await self._send(versioned) as response:
                return parse(await response.read())

    async def _negotiated(self, deadline_s: float) -> None:
        if not self._api:
            await self.ping(deadline_s=deadline_s)

    async def _send(self, call: "_Call") -> aiohttp.ClientResponse:
        query = {"filters": json.dumps(call.filters)} if call.filters else {}
        if call.since:
            query["since"] = call.since
        response = await self._session.request(call.method, call.path, params=query, json=call.body)
        if response.status >= HTTPStatus.BAD_REQUEST:
            async with response:
                raise EngineRefusedError(response.status, docker_api.parse_refusal(await response.read()))
        return response

    @contextmanager
    def _faults(self, asked: str, deadline_s: float) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise _DeadlineError(f"{self._socket}: {asked}: no answer within {deadline_s:g} s") from error
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:  # ValueError: not HTTP
            self._api = ""
            raise EngineUnavailableError(f"{self._socket}: {asked}: {error}") from error
        except InvalidError as error:
            raise EngineRefusedError(HTTPStatus.OK, f"{asked}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    path: str
    filters: dict[str, list[str]] | None = None
    body: dict[str, object] | None = None
    since: str = ""


def _quoted(part: str) -> str:
    return quote(part, safe="")


def _spoken(offered: str) -> str:
    """The API version to use with an engine whose newest is `offered`."""
    return min(offered, NEWEST_API, key=lambda version: [int(part) for part in version.split(".")])


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes | None]:
    """The lines in the chunks of a stream; None for one that is too long, which is never kept."""
    begun, is_too_long = b"", False
    async for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            yield None if is_too_long or len(begun) + len(end) > _LONGEST_EVENT_BYTES else begun + end
            begun, is_too_long = b"", False
        is_too_long = is_too_long or len(begun) + len(rest) > _LONGEST_EVENT_BYTES
        begun = b"" if is_too_long else begun + rest


def _event(line: bytes | None) -> docker_api.Event | Unreadable | None:
    try:
        return Unreadable() if line is None else docker_api.parse_event(line)
    except InvalidError:
        return Unreadable()
