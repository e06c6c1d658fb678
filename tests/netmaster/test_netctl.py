"""netctl against a real netmaster: what it prints, where, and its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from isthmus import __version__
from isthmus.core.model import (
    Endpoint,
    EndpointId,
    EngineState,
    NetworkKey,
    NetworkName,
    Node,
    NodeLease,
    NodeName,
    TenantName,
    mac_of,
)
from isthmus.edge.store import Put, Store
from isthmus.wire import keys

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

pytestmark = pytest.mark.root

Netctl = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def netctl(master: Master) -> Netctl:
    def run(line: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "isthmus.netctl", *line.split()]
        environment = os.environ | {"NETMASTER": master.url}
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)

    return run


async def commit(store: Store, *records: Node | NodeLease) -> None:
    await store.commit((), [Put(keys.key_of(each), keys.render(each)) for each in records])


def test_lists_keep_to_the_tenant_unless_all_are_wanted(netctl: Netctl) -> None:
    netctl("tenant create blue")
    netctl("net create -t blue -s 10.1.1.0/24 b")
    netctl("net create -s 10.1.1.0/24 d")
    assert netctl("net ls -q").stdout == "d\n"
    assert netctl("net ls -q -t blue").stdout == "b\n"
    assert netctl("net list --quiet --all").stdout == "b\nd\n"
    keys_listed = [each["key"] for each in json.loads(netctl("net ls -a -j -q").stdout)]
    assert keys_listed == ["blue:b", "default:d"]


def test_json_is_indented_by_two(netctl: Netctl) -> None:
    assert netctl("net ls -j").stdout == "[]\n"
    listed = netctl("tenant ls --json").stdout
    assert listed.startswith('[\n  {\n    "key": "default",\n    "tenantName": "default",\n')
    inspected = netctl("tenant inspect default").stdout
    assert list(json.loads(inspected)) == ["Config", "Oper"]
    assert inspected.startswith('{\n  "Config": {\n    "key": "default"')


@pytest.mark.parametrize(
    "line",
    [
        "net create foo -subnet=10.1.1.0/24 -encap=vlan -p=7",
        "net create -subnet 10.1.1.0/24 --encap vlan -pkt-tag 7 foo",
        "network create --subnet=10.1.1.0/24 foo -e=vlan --pkt-tag=0x7",
    ],
)
def test_every_way_to_write_an_option_makes_the_same_network(netctl: Netctl, line: str) -> None:
    assert netctl(line).returncode == 0
    config = json.loads(netctl("net inspect foo").stdout)["Config"]
    assert (config["subnet"], config["encap"], config["pktTag"]) == ("10.1.1.0/24", "vlan", 7)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("net create -t red -s 10.1.1.0/24 foo", "tenant red not found"),
        ("net ls -t red -a", "tenant red not found"),
        ("net inspect foo", "network default:foo not found"),
        ("net rm foo", "network default:foo not found"),
        ("tenant rm red", "tenant red not found"),
        ("tenant rm default", "tenant default cannot be deleted: it is always there"),
        ("net create -s 10.1.1.0/33 foo", 'subnet \\"10.1.1.0/33\\": the prefix length 33 is not in 8 to 31'),
        ("tenant create a_b", "tenantName"),
        ("tenant create h\u00e9", 'tenantName \\"h\u00e9\\" has an invalid format'),
        ("tenant create \udce9", 'tenantName \\"\\\\udce9\\" has an invalid format'),
        ("tenant create ../x", 'tenantName \\"../x\\" has an invalid format: it takes letters, digits'),
        ("net create -s 10.1.1.0/24 a/b", 'networkName \\"a/b\\" has an invalid format: it takes letters, digits'),
        ("net create -t a/b -s 10.1.1.0/24 c", 'tenantName \\"a/b\\" has an invalid format'),
        ("net rm a/b", "network default:a/b not found"),
        ("net inspect ../x", "network default:../x not found"),
        ("tenant rm /", "tenant / not found"),
    ],
)
def test_the_masters_refusal_is_one_record_on_stderr_and_exit_code_3(netctl: Netctl, line: str, text: str) -> None:
    done = netctl(line)
    assert (done.returncode, done.stdout) == (3, "")
    assert f'level=error msg="{text}' in done.stderr
    assert done.stderr.count("\n") == 1


async def test_a_network_in_use_is_kept_and_its_users_are_named(netctl: Netctl, store: Store) -> None:
    netctl("net create -s 10.1.1.0/24 net")
    address = IPv4Address("10.1.1.1")
    key = NetworkKey(TenantName("default"), NetworkName("net"))
    user = Endpoint(EndpointId("e" * 64), key, NodeName("node1"), mac_of(address), address, container="web")
    await store.commit((), (Put(keys.key_of(user), keys.render(user)),))
    done = netctl("net rm net")
    assert (done.returncode, done.stdout) == (3, "")
    assert "network default:net is in use by 1 container: web (10.1.1.1 on node1)" in done.stderr


async def test_nodes_that_do_not_follow_are_a_warning(netctl: Netctl, store: Store) -> None:
    silent = Node(NodeName("node2"), IPv4Address("192.168.2.11"), "0", EngineState.READY)
    await commit(store, silent, NodeLease(silent.name, "host"))
    done = netctl("net create -s 10.1.1.0/24 net")
    assert (done.returncode, done.stdout) == (0, "Creating network default:net\n")
    assert 'level=warning msg="network default:net: not yet so on node2"' in done.stderr


async def test_a_node_without_an_engine_is_a_warning_with_the_reason(netctl: Netctl, store: Store) -> None:
    node = Node(NodeName("node2"), IPv4Address("192.168.2.11"), "0", EngineState.ABSENT)
    await commit(store, node, NodeLease(node.name, "host"))
    done = netctl("net create -s 10.1.1.0/24 net")
    assert (done.returncode, done.stdout) == (0, "Creating network default:net\n")
    assert 'msg="network default:net: not yet so on node2: its container engine does not answer"' in done.stderr


def test_that_no_node_is_alive_is_a_warning(netctl: Netctl) -> None:
    done = netctl("net create -s 10.1.1.0/24 net")
    assert (done.returncode, done.stdout) == (0, "Creating network default:net\n")
    assert 'level=warning msg="network default:net: not yet so on any node: none is alive"' in done.stderr


def test_a_reader_that_has_gone_ends_it_silently_with_4(master: Master) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "isthmus.netctl", "--netmaster", master.url, "net", "ls"]
    try:
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (4, "")


def test_both_versions_are_shown(netctl: Netctl) -> None:
    lines = f"Version: {__version__}\nGitCommit: unknown\nBuildTime: unknown\n"
    assert netctl("version").stdout == f"Client Version:\n{lines}\nServer Version:\n{lines}"
