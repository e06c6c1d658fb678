"""Every verb of netctl against a real netmaster, as the files in transcripts/ have it.

A line that begins with `$ ` is a command, one with `# ` a remark, and what follows a command is what it printed on
stdout, then on stderr, and its exit code if it is not 0. Points stand
for times, and for the digits of the master's port.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from isthmus.core.model import (
    Endpoint,
    EndpointId,
    EngineState,
    GroupName,
    NetworkKey,
    NetworkName,
    Node,
    NodeContact,
    NodeLease,
    NodeName,
    Record,
    TenantName,
    mac_of,
)
from isthmus.edge.store import Put, Store
from isthmus.netctl.__main__ import ROOT
from isthmus.wire import keys

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

FOLDER = Path(__file__).parent / "transcripts"
WITH_HOSTS = {"endpoints", "nodes", "status"}
TRANSCRIPTS = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.txt"))}

AGE_S = (2 * 24 + 4) * 3600 + 1800  # of a lost node's last contact: it stays "2d4h ago" for half an hour
_TIMES = re.compile(r'^(time=|    +"lastContact": )"[^"]*"', re.MULTILINE)


def played(text: str, master: Master) -> str:
    """The transcript, with what its commands print now."""
    return "".join(_played(text, master))


def _played(text: str, master: Master) -> Iterator[str]:
    for line in text.splitlines(keepends=True):
        if line.startswith("# "):
            yield line
        elif line.startswith("$ netctl "):
            yield line
            yield _printed(shlex.split(line)[2:], master)


def _printed(words: list[str], master: Master) -> str:
    environment = os.environ | {"NETMASTER": master.url}
    command = [sys.executable, "-m", "isthmus.netctl", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    code = f"exit code {done.returncode}\n" if done.returncode else ""
    printed = _TIMES.sub(r'\1"..."', done.stdout + done.stderr)
    return printed.replace(f":{master.port}", ":" + "." * len(str(master.port))) + code


@pytest.fixture
async def quick_node(store: Store) -> None:
    """A node that holds every change at once."""
    node = Node(NodeName("node1"), IPv4Address("192.168.2.10"), "0.1.0", EngineState.READY, applied_revision=1 << 40)
    await _commit(store, node, NodeLease(node.name, "host1"))


@pytest.fixture
async def hosts(master: Master, store: Store) -> None:
    """Two nodes that are alive and one that is lost, with containers of two tenants."""
    assert master.post_tenant("blue").status == 200
    for key in ("default:net", "blue:net"):
        tenant = key.partition(":")[0]
        reply = master.post_network(key, "10.1.1.0/24", ipv6Subnet="2001:db8::/64" if tenant == "blue" else "")
        assert reply.status == 200
    group = {"tenantName": "default", "groupName": "db", "networkName": "net"}
    assert master.post("endpointGroups", "default:db", **group).status == 200
    await _commit(store, *_nodes(), *_endpoints())


async def _commit(store: Store, *records: Record) -> None:
    await store.commit((), [Put(keys.key_of(each), keys.render(each)) for each in records])


def _nodes() -> Iterator[Record]:
    yield Node(NodeName("node1"), IPv4Address("192.168.2.10"), "0.1.0", EngineState.READY, "28.5.1", 3)
    problems = {"network default:net": "a Docker network of this name has another driver"}
    yield Node(NodeName("node2"), IPv4Address("192.168.2.11"), "0.1.0", EngineState.ABSENT, "", 2, problems)
    yield Node(NodeName("node3"), IPv4Address("192.168.2.12"), "0.1.0", EngineState.READY, "28.5.1", 3)
    yield NodeLease(NodeName("node1"), "host1")
    yield NodeLease(NodeName("node2"), "host2")
    yield NodeContact(NodeName("node1"), int(time.time()))
    yield NodeContact(NodeName("node3"), int(time.time()) - AGE_S)


def _endpoints() -> Iterator[Record]:
    yield _endpoint("a1", "default", "10.1.1.1", "node1", "web1")
    yield _endpoint("a2", "default", "10.1.1.2", "node2", "db1", group="db")
    yield _endpoint("a3", "default", "10.1.1.3", "node3", "web3")
    yield _endpoint("a4", "default", "10.1.1.4", "node3", "db2", group="db")
    yield _endpoint("b1", "blue", "10.1.1.1", "node2", "shop", six="2001:db8::1")
    yield _endpoint("b2", "blue", "10.1.1.2", "node3", "cache", six="2001:db8::2")


def _endpoint(
    digits: str, tenant: str, address_text: str, node: str, container: str, *, group: str = "", six: str = ""
) -> Endpoint:
    address = IPv4Address(address_text)
    return Endpoint(
        EndpointId(digits * 32),
        NetworkKey(TenantName(tenant), NetworkName("net")),
        NodeName(node),
        mac_of(address),
        address,
        IPv6Address(six) if six else None,
        GroupName(group) if group else None,
        container,
    )


@pytest.mark.root
@pytest.mark.usefixtures("quick_node")
@pytest.mark.parametrize("name", sorted(TRANSCRIPTS.keys() - WITH_HOSTS))
def test_netctl_prints_what_the_transcript_says(name: str, master: Master) -> None:
    assert played(TRANSCRIPTS[name], master) == TRANSCRIPTS[name]


@pytest.mark.root
@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize("name", sorted(WITH_HOSTS))
def test_netctl_prints_what_the_transcript_says_of_hosts(name: str, master: Master) -> None:
    assert played(TRANSCRIPTS[name], master) == TRANSCRIPTS[name]


def test_every_verb_stands_in_a_transcript() -> None:
    told = {tuple(line.split()[2:4]) for text in TRANSCRIPTS.values() for line in text.splitlines() if line[:2] == "$ "}
    missing = [
        (group.names[0], command.names[0])
        for group in ROOT.subcommands
        for command in group.subcommands
        if not any((first, second) in told for first in group.names for second in command.names)
    ]
    assert missing == []
