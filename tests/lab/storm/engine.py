"""A node's Docker engine by its own API: one call each, without the price of a docker command."""

import http.client
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from isthmus.core.errors import NotFoundError
from isthmus.lab.programs import DOCKER_SOCKET, UnixConnection
from isthmus.lab.running import RunningNode

SLOT = "slot"  # the label by which a container is known whatever its name
_PATIENCE_S = 120.0


class EngineGoneError(Exception):
    """The engine, or its node, is off or went while it was asked."""


class RefusedError(Exception):
    """The engine says no, and why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Leg:
    """An endpoint as its engine shows it with the container."""

    network: str
    endpoint: str
    address: str
    mac: str


@dataclass(frozen=True, slots=True)
class Container:
    """A container as its engine shows it; `pid` is 0 unless it runs, and `legs` are those that it has now."""

    id: str
    slot: str
    name: str
    pid: int
    networks: frozenset[str]
    legs: tuple[Leg, ...]

    @property
    def is_running(self) -> bool:
        return self.pid != 0


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine of a node, running or not."""

    node: RunningNode

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Ask for one thing; return the answer's JSON, None if it has none.

        Raises:
            EngineGoneError: it does not answer, or not to the end.
            RefusedError: it refuses.
        """
        status, text = self._call(method, path, body, _PATIENCE_S)
        if status >= 400:
            raise RefusedError(status, json.loads(text).get("message", ""))
        return json.loads(text) if text else None

    def answers(self) -> bool:
        """Whether it is there."""
        try:
            return self._call("GET", "/_ping", None, 5)[0] == 200
        except EngineGoneError:
            return False

    def _call(self, method: str, path: str, body: Mapping[str, object] | None, patience_s: float) -> tuple[int, bytes]:
        content = json.dumps(body).encode() if body is not None else b""
        try:
            with closing(UnixConnection(self._socket(), patience_s)) as connection:
                connection.request(method, path, content, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                return answer.status, answer.read()
        except (OSError, http.client.HTTPException, NotFoundError) as gone:
            raise EngineGoneError(f"{self.node.name}: {type(gone).__name__}: {gone}") from gone

    def containers(self) -> list[Container]:
        """All containers of the storm, running or not."""
        listed = self.ask("GET", "/containers/json?all=1")
        found = [self._shown(each["Id"]) for each in listed if SLOT in each["Labels"]]
        return [each for each in found if each is not None]

    def find(self, slot: str) -> Container | None:
        """The container with this label."""
        listed = self.ask("GET", f"/containers/json?all=1&filters={quote(json.dumps({'label': [f'{SLOT}={slot}']}))}")
        return self._shown(listed[0]["Id"]) if listed else None

    def members(self, network: str) -> dict[str, tuple[str, str, str]]:
        """What the engine's network shows: {endpoint: (container, address with prefix, MAC)}."""
        shown = self.ask("GET", f"/networks/{quote(network, safe='')}")["Containers"] or {}
        return {each["EndpointID"]: (each["Name"], each["IPv4Address"], each["MacAddress"]) for each in shown.values()}

    def _shown(self, container: str) -> Container | None:
        try:
            shown = self.ask("GET", f"/containers/{container}/json")
        except RefusedError as refusal:
            if refusal.status != 404:  # else it was removed since it was listed
                raise
            return None
        networks = shown["NetworkSettings"]["Networks"]
        is_running = shown["State"]["Running"]
        return Container(
            id=shown["Id"],
            slot=shown["Config"]["Labels"][SLOT],
            name=shown["Name"].removeprefix("/"),
            pid=shown["State"]["Pid"] if is_running else 0,
            networks=frozenset(networks),
            legs=tuple(_leg(name, each) for name, each in networks.items() if is_running and each["EndpointID"]),
        )

    def _socket(self) -> Path:
        return Path(f"/proc/{self.node.pid}/root") / DOCKER_SOCKET


def _leg(network: str, shown: Mapping[str, str]) -> Leg:
    return Leg(network, shown["EndpointID"], shown["IPAddress"], shown["MacAddress"])
