"""Many containers at once, over two nodes: all different, all connected, and afterwards all gone."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from isthmus.lab.running import RunningLab, RunningNode
from isthmus.wire import maps
from tests.lab.probes import Container, at_once, create_net, directory, eventually, held, legs, records, run, table

pytestmark = [pytest.mark.root, pytest.mark.lab]

EACH = 25  # on either node
PING_ALL = """
import ctypes, json, os, select, socket, sys, time

PATIENCE_S, AGAIN_S = 20, 1
libc = ctypes.CDLL(None, use_errno=True)

def echo_request():
    message = bytearray(b"\\x08\\0\\0\\0\\0\\1\\0\\1")
    message[2:4] = (~sum(int.from_bytes(message[i:i + 2], "big") for i in range(0, 8, 2)) & 0xFFFF).to_bytes(2, "big")
    return bytes(message)

def socket_within(pid):
    with open(f"/proc/{pid}/ns/net") as namespace:
        assert libc.setns(namespace.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)

askers, targets = json.load(sys.stdin)
missing = {socket_within(pid): (name, set(targets)) for name, pid in askers.items()}
end_s = time.monotonic() + PATIENCE_S
while any(left for _, left in missing.values()) and time.monotonic() < end_s:
    for asker, (_, left) in missing.items():
        for target in left:
            asker.sendto(echo_request(), (target, 0))
    again_s = time.monotonic() + AGAIN_S
    while time.monotonic() < again_s and any(left for _, left in missing.values()):
        for asker in select.select(list(missing), [], [], AGAIN_S)[0]:
            packet, (sender, _) = asker.recvfrom(2048)
            if packet[20] == 0:
                missing[asker][1].discard(sender)
print(json.dumps({name: sorted(left) for name, left in missing.values() if left}))
"""
NEIGHBOURS = Path("/proc/sys/net/ipv4/neigh/default")


@pytest.fixture
def room_for_neighbours() -> Iterator[None]:
    """Raise the kernel's limit of neighbours, 1024 over all namespaces: 51 containers that all talk need 2550."""
    settings = {NEIGHBOURS / f"gc_thresh{level}": 4096 * 2**level for level in (3, 2, 1)}
    before = {path: path.read_text() for path in settings}
    for path, entries in settings.items():
        path.write_text(str(max(entries, int(before[path]))))
    yield
    for path, text in before.items():
        path.write_text(text)


def unreached(node: RunningNode, many: list[Container], targets: list[str]) -> dict[str, list[str]]:
    """Which of the targets do not answer which of the node's containers, each asking all of them at once."""
    listed = node.output(["docker", "inspect", "--format", "{{.Name}} {{.State.Pid}}", *(each.name for each in many)])
    askers = {name: int(pid) for name, pid in map(str.split, listed.splitlines())}
    missing: dict[str, list[str]] = json.loads(
        node.output(["python3", "-c", PING_ALL], text=json.dumps([askers, targets]))
    )
    return missing


def interfaces(node: RunningNode) -> set[int]:
    return {each["ifindex"] for each in json.loads(node.output("ip -j link show"))}


def counted_interfaces(node: RunningNode) -> set[int]:
    """The interfaces that the datapath's tables speak of."""
    by_interface = {maps.parse_number(key) for name in ("endpoints", "traffic") for key, _ in table(node, name)}
    return by_interface | {maps.parse_drop_key(key)[0] for key, _ in table(node, "drops")}


@pytest.mark.timeout(300)
def test_fifty_at_once_differ_and_reach_each_other_and_leave_nothing(
    cluster: RunningLab, room_for_neighbours: None
) -> None:
    create_net(cluster)
    first, second = cluster.nodes
    watcher = run(first, "watcher")
    many = at_once([partial(run, node, f"many{i}-{node.name}") for i in range(EACH) for node in (first, second)])
    endpoints = records(first, "endpoint").values()
    addresses = {each["container"]: each["address"] for each in endpoints}
    assert set(addresses) == {watcher.name, *(each.name for each in many)}
    assert len(set(addresses.values())) == len(addresses)

    groups = {node.name: [each for each in (watcher, *many) if each.node == node] for node in (first, second)}
    asked = [partial(unreached, node, groups[node.name], list(addresses.values())) for node in (first, second)]
    assert at_once(asked) == [{}, {}]
    assert all(watcher.reaches(name) for name in addresses)
    assert directory(first) == directory(second) == sorted(addresses.values())

    at_once([partial(_remove_all, node, many) for node in (first, second)])
    assert eventually(10, lambda: len(held(first)) == 2), held(first)
    assert held(first) == sorted([f"default/contiv-net/{watcher.address()}", *records(first, "endpoint")])
    for node, left in ((first, [watcher.address()]), (second, [])):  # what has no leg here needs no directory
        assert eventually(10, partial(lambda node, left: directory(node) == left, node, left))
        assert (len(table(node, "endpoints")), len(legs(node))) == (len(left), len(left))
        assert counted_interfaces(node) <= interfaces(node)
    for gone in (many[0], many[-1]):
        assert watcher.run(f"nslookup {gone.name}").returncode != 0


def _remove_all(node: RunningNode, many: list[Container]) -> None:
    node.output(["docker", "rm", "-f", *(each.name for each in many if each.node == node)], timeout_s=120)
