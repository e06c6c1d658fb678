"""What a cluster looks like at one moment: containers, etcd's records, every node's tables, the listings."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from isthmus.core.model import Record
from isthmus.lab.running import RunningLab, RunningNode
from isthmus.lab.topology import cluster_address
from isthmus.wire import keys, maps
from tests.lab.probes import OVERLAY, PINS, ROOT
from tests.lab.storm.engine import Container, Engine
from tests.lab.storm.plan import NETS, Net

_TABLES = ("endpoints", "directory", "networks", "vteps", "traffic", "drops")
_LOOK = f"""
for table in {" ".join(_TABLES)}; do bpftool -j map dump pinned {PINS}/$table | tr -d '\\n'; echo; done
ip -j link show; bpftool -j net show | tr -d '\\n'; echo
"""
_BY_INTERFACE = ("endpoints", "traffic")
Row = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Life:
    """A leg of a container that runs, as its engine has it: from these everything else must follow."""

    node: str
    container: str
    pid: int
    net: Net
    endpoint: str
    address: IPv4Address
    mac: str


@dataclass(frozen=True, slots=True)
class Member:
    """A row of `docker network inspect`."""

    container: str
    address: str
    mac: str


@dataclass(frozen=True, slots=True)
class SeenNode:
    """What one node holds. `links` are those of legs; `programs` has an interface for every tc program that it has."""

    vtep: IPv4Address
    interfaces: frozenset[int]
    links: Mapping[str, int]
    identities: Mapping[int, maps.Identity]
    directory: Mapping[maps.PlaceKey, maps.Place]
    networks: frozenset[int]
    vteps: frozenset[IPv4Address]
    counted: frozenset[int]
    programs: Sequence[str]
    members: Mapping[tuple[str, str], Member]  # by Docker network and endpoint


@dataclass(frozen=True, slots=True)
class Seen:
    """What a cluster looks like; `listed` are the rows of `netctl endpoint ls`, by endpoint."""

    lives: tuple[Life, ...]
    containers: Mapping[str, tuple[Container, ...]]
    records: tuple[Record, ...]
    nodes: Mapping[str, SeenNode]
    listed: Mapping[str, tuple[str, ...]]


def look(lab: RunningLab) -> Seen:
    """Look at everything at once."""
    with ThreadPoolExecutor() as pool:
        looks = {node.name: pool.submit(_look_at, node) for node in lab.nodes}
        records, listed = pool.submit(_records, lab), pool.submit(_listed, lab)
        pairs = {name: each.result() for name, each in looks.items()}
    lives = tuple(life for name, each in pairs.items() for life in _lives(name, each.containers))
    containers = {name: each.containers for name, each in pairs.items()}
    return Seen(lives, containers, records.result(), {name: each.seen for name, each in pairs.items()}, listed.result())


@dataclass(frozen=True, slots=True)
class _Node:
    containers: tuple[Container, ...]
    seen: SeenNode


def _look_at(node: RunningNode) -> _Node:
    engine = Engine(node)
    *dumps, links, programs = node.output(_LOOK).splitlines()
    tables = {name: _rows(json.loads(dump)) for name, dump in zip(_TABLES, dumps, strict=True)}
    shown = {name: engine.members(name) for name in NETS}
    seen = SeenNode(
        vtep=cluster_address(node.machine),
        interfaces=frozenset(each["ifindex"] for each in json.loads(links)),
        links={each["ifname"]: each["ifindex"] for each in json.loads(links) if _is_ours(each["ifname"])},
        identities={maps.parse_number(key): maps.parse_identity(value) for key, value in tables["endpoints"]},
        directory={maps.parse_place_key(key): maps.parse_place(value) for key, value in tables["directory"]},
        networks=frozenset(maps.parse_number(key) for key, _ in tables["networks"]),
        vteps=frozenset(maps.parse_vtep_key(key) for key, _ in tables["vteps"]),
        counted=frozenset(maps.parse_number(key) for name in _BY_INTERFACE for key, _ in tables[name])
        | {maps.parse_drop_key(key)[0] for key, _ in tables["drops"]},
        programs=[each["devname"] for each in json.loads(programs)[0]["tc"]],
        members={(name, key): Member(*row) for name, members in shown.items() for key, row in members.items()},
    )
    return _Node(tuple(engine.containers()), seen)


def _is_ours(link: str) -> bool:
    return link.startswith(("ish", "isc")) and link != OVERLAY


def _rows(dump: list[dict[str, Any]]) -> list[Row]:
    """Keys and values; a value of a table with one for each CPU is left empty, for only its key is asked for."""
    return [(_octets(row["key"]), _octets(row.get("value", []))) for row in dump]


def _octets(words: list[str]) -> bytes:
    return bytes(int(word, 16) for word in words)


def _lives(node: str, containers: Sequence[Container]) -> list[Life]:
    return [
        Life(node, each.name, each.pid, NETS[leg.network], leg.endpoint, IPv4Address(leg.address or 0), leg.mac)
        for each in containers
        for leg in each.legs
    ]


def _records(lab: RunningLab) -> tuple[Record, ...]:
    lines = lab.nodes[0].output(["etcdctl", "get", "--prefix", ROOT]).splitlines()
    parsed = (keys.parse(key, value.encode()) for key, value in zip(lines[::2], lines[1::2], strict=True))
    return tuple(record for record in parsed if record is not None)


def _listed(lab: RunningLab) -> dict[str, tuple[str, ...]]:
    rows = json.loads(lab.nodes[0].output(["netctl", "endpoint", "ls", "-a", "-j"]) or "[]")
    return {
        each["endpointID"]: (
            each["tenantName"],
            each["networkName"],
            each.get("serviceName", ""),
            each.get("containerName", ""),
            *each["ipAddress"],
            each["homingHost"],
        )
        for each in rows or ()
    }
