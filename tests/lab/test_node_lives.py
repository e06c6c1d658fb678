"""Nodes that share a name, lose their power, go for good, move, or have a wrong clock or a full disk."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from isthmus.core.trace.drops import DropReason
from isthmus.lab.running import RunningLab, RunningNode, running
from isthmus.lab.topology import Lab
from isthmus.wire import maps
from tests.lab import probes
from tests.lab.probes import (
    NET,
    Container,
    create_net,
    directory,
    drops,
    eventually,
    held,
    legs,
    networks,
    records,
    run,
    table,
)

pytestmark = [pytest.mark.root, pytest.mark.lab]

Pair = tuple[Container, Container]
AGENT = "netplugin -plugin-mode docker -vlan-if eth2 -cluster-store etcd://localhost:2379"
MOVED = "192.168.2.112"
FIRST_VTEP, OLD_VTEP = "192.168.2.10", "192.168.2.12"
TUNNELLED = """
import socket, struct, sys
source, target, vni = sys.argv[1:]
inner = bytes.fromhex("02020a010201" "02020a010202" "0800" + "00" * 46)
vxlan = bytes.fromhex("08000000" + f"{int(vni):06x}" + "00") + inner
udp = struct.pack("!HHHH", 50000, 8472, 8 + len(vxlan), 0) + vxlan
head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0)
head += socket.inet_aton(source) + socket.inet_aton(target)
total = sum(struct.unpack("!10H", head)) % 0xFFFF
head = head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:]
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
    wire.setsockopt(263, 20, 1)  # SOL_PACKET, PACKET_QDISC_BYPASS: our own guard on the way out does not see it
    wire.bind(("eth1", 0))
    for _ in range(5):
        wire.send(bytes.fromhex("525400000101" "525400000103" "0800") + head + udp)
"""


@pytest.fixture(scope="module")
def three_nodes() -> Iterator[RunningLab]:
    """Three nodes, so that etcd goes on without the last one."""
    with running(Lab(f"lives-{os.getpid()}", nodes=3)) as up:
        yield up


@pytest.fixture
def trio(three_nodes: RunningLab) -> Iterator[RunningLab]:
    """The lab; containers and networks of the test are removed at its end."""
    yield three_nodes
    probes.clean(three_nodes)


@pytest.fixture
def pair(trio: RunningLab) -> Pair:
    """A container on the first node, and one on the last that its engine starts again."""
    create_net(trio)
    first, _, last = trio.nodes
    return run(first, "one"), run(last, "two", "--restart=always")


@contextmanager
def stopped(node: RunningNode, program: str) -> Iterator[None]:
    """Without the program during the block."""
    node.stop(program)
    try:
        yield
    finally:
        node.start(program)


def meet(pair: Pair) -> bool:
    one, two = pair
    return one.reaches(two.name) and two.reaches(one.name)


def vteps(node: RunningNode) -> set[str]:
    """From which hosts this node takes tunnel packets."""
    return {str(maps.parse_vtep_key(key)) for key, _ in table(node, "vteps")}


def test_a_second_node_of_the_same_name_does_not_join_and_the_first_does_not_notice(pair: Pair) -> None:
    """Its agent would take the first one's containers for its own: make their legs, and collect their entries."""
    one, two = pair
    name = one.node.name
    before = held(one.node), directory(one.node), legs(one.node), sorted(records(one.node, "node"))
    with stopped(two.node, "netplugin"):
        own_legs = legs(two.node)
        line = f"{AGENT} -host-label {name} & docker run --rm --net={NET} alpine true; wait $!"
        refused = two.node.run(line, timeout_s=60)
        assert refused.returncode == 1
        assert f"node name {name} is in use by a live host ({FIRST_VTEP}); choose -host-label" in refused.stderr
        said = f"Error response from daemon: IpamDriver.RequestAddress: node name {name} is held by another host"
        assert said in refused.stderr, refused.stderr
        assert legs(two.node) == own_legs
        assert NET in networks(two.node)
        lost = f"{two.node.name}/lease"
        after = held(one.node), directory(one.node), legs(one.node), sorted(records(one.node, "node"))
        assert after == (*before[:3], [each for each in before[3] if each != lost])
    assert meet(pair)
    assert sorted(records(one.node, "node")) == before[3]


def test_of_a_node_that_lost_its_power_only_what_runs_again_is_kept(pair: Pair) -> None:
    one, two = pair
    for name in ("gone1", "gone2"):
        run(two.node, name)
    assert len(held(one.node)) == 8
    two.node.pull_power()
    two.node.turn_on()
    assert eventually(30, lambda: len(held(one.node)) == 4), held(one.node)
    assert eventually(20, lambda: meet(pair)), two.node.log("netplugin")[-2000:]
    assert eventually(10, lambda: len(directory(one.node)) == 2)
    assert two.node.output("docker ps -q --filter name=gone") == ""
    two.node.output("docker start gone1")
    assert eventually(10, lambda: one.reaches("gone1"))


def test_a_removed_node_is_forgotten_everywhere_and_joins_as_new_when_it_is_back(pair: Pair) -> None:
    one, two = pair
    old = two.address()
    assert one.node.run(["netctl", "node", "rm", two.node.name]).returncode != 0, "it is alive"
    two.node.pull_power()
    assert eventually(30, lambda: one.node.run(["netctl", "node", "rm", two.node.name]).returncode == 0)
    assert len(held(one.node)) == 2
    assert eventually(5, lambda: directory(one.node) == [one.address()])
    assert eventually(5, lambda: OLD_VTEP not in vteps(one.node))
    assert not [key for key in records(one.node, "node") if key.startswith(two.node.name)]
    taker = run(one.node, "taker", f"--ip={old}")
    two.node.turn_on()
    assert eventually(30, lambda: meet(pair)), two.node.log("netplugin")[-2000:]
    assert two.reaches(taker.name)
    assert two.address() != old


def test_containers_that_outlived_their_nodes_removal_are_in_again_when_they_are_restarted(pair: Pair) -> None:
    """An operator who removes a node says that it is off; what ran on all the same has no address any more."""
    one, two = pair
    with stopped(two.node, "netplugin"):
        one.node.output(["netctl", "node", "rm", two.node.name])
        assert len(held(one.node)) == 2
    assert run(two.node, "new").reaches(one.name)
    two.node.output("docker restart -t 1 two")
    assert eventually(20, lambda: meet(pair)), two.node.log("netplugin")[-2000:]
    assert len(held(one.node)) == 6


def test_a_node_that_moved_is_found_at_its_new_address_and_no_more_believed_at_the_old(pair: Pair) -> None:
    one, two = pair
    vni = records(one.node, "network")[f"default/{NET}"]["tag"]
    with moved(two.node):
        assert eventually(20, lambda: vteps(one.node) >= {MOVED} and OLD_VTEP not in vteps(one.node))
        assert eventually(10, lambda: meet(pair))
        assert one.node.output(["netctl", "node", "inspect", two.node.name]).count(MOVED)
        before = drops(one.node, DropReason.UNKNOWN_VTEP)
        two.node.output(["python3", "-c", TUNNELLED, OLD_VTEP, FIRST_VTEP, str(vni)])
        assert drops(one.node, DropReason.UNKNOWN_VTEP) - before == 5
    assert eventually(20, lambda: OLD_VTEP in vteps(one.node) and MOVED not in vteps(one.node))
    assert eventually(10, lambda: meet(pair))


@contextmanager
def moved(node: RunningNode) -> Iterator[None]:
    """The node's name means another address during the block; etcd's members keep theirs."""
    rename = f"sed 's/^{{}} {node.name}$/{{}} {node.name}/' /etc/hosts >/run/hosts && cat /run/hosts >/etc/hosts"
    with stopped(node, "netplugin"):
        node.output(f"ip address add {MOVED}/24 dev eth1; {rename.format(OLD_VTEP, MOVED)}")
    yield
    with stopped(node, "netplugin"):
        node.output(f"{rename.format(MOVED, OLD_VTEP)}; ip address del {MOVED}/24 dev eth1")


@contextmanager
def with_settable_clock(node: RunningNode) -> Iterator[str]:
    """An agent for which the time is what stands in a file, as libfaketime has it: `+5h`, `-5h`."""
    clock = "/run/clock"
    variables = {
        "LD_PRELOAD": "/usr/$LIB/faketime/libfaketimeMT.so.1",
        "FAKETIME_TIMESTAMP_FILE": clock,
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # nor does anything that sets a host's clock
    }
    node.output(f"echo +0 >{clock}")
    line = ["env", *(f"{name}={value}" for name, value in variables.items()), *AGENT.split()]
    with stopped(node, "netplugin"), subprocess.Popen(node.command(line)) as agent:
        try:
            assert eventually(20, lambda: f"{node.name}/lease" in records(node, "node"))
            yield clock
        finally:
            agent.terminate()


def test_an_agent_whose_clock_jumps_hours_keeps_its_lease_and_its_containers(pair: Pair) -> None:
    """The agent's own clock only: etcd asks the kernel without a library, and counts leases by the other clock."""
    one, two = pair
    with with_settable_clock(two.node) as clock:
        assert eventually(20, lambda: meet(pair))
        before, lease = held(one.node), lease_of(two.node)
        for jump in ("+5h", "-5h", "+0"):
            two.node.output(f"echo {jump} >{clock}")
            assert two.node.run(f"docker run --rm --net={NET} alpine ping -c 1 -W 2 one").returncode == 0
            assert meet(pair)
        time.sleep(12)  # longer than a lease lives that nobody refreshes
        assert lease_of(two.node) == lease
        assert held(one.node) == before


def lease_of(node: RunningNode) -> tuple[str, int]:
    """The node's lease in etcd, and when it was taken."""
    key = f"/isthmus/v1/node/{node.name}/lease"
    found = json.loads(node.output(["etcdctl", "get", "-w", "json", key]))["kvs"][0]
    return hex(found["lease"]), found["mod_revision"]


@contextmanager
def full(node: RunningNode, *folders: str) -> Iterator[None]:
    """Folders on a disk without a free byte, in front of what they had."""
    try:
        for folder in folders:
            node.output(
                f"mount -t tmpfs -o size=64k full {folder}; dd if=/dev/zero of={folder}/filler 2>/dev/null; true"
            )
        yield
    finally:
        for folder in folders:
            node.output(f"umount -l {folder}")


def test_an_agent_on_a_full_disk_goes_on_and_says_so_once(pair: Pair, trio: RunningLab) -> None:
    one, two = pair
    node = two.node
    told = len(node.log("netplugin"))
    with full(node, "/var/lib/isthmus", "/var/log/isthmus"):
        for name in ("first-net", "second-net"):
            create_net(trio, name, f"10.9.{len(name)}.0/24")
            assert run(node, f"on-{name}", network=name).reaches(f"on-{name}")
            time.sleep(1.5)  # what is known is written at most once a second
        said = node.log("netplugin")[told:]
        for what in ("could not keep what is known", "could not keep the engine's network ids"):
            assert said.count(what) == 1, said
        assert "No space left on device" in said
        with stopped(node, "netplugin"):  # the next one's log is on the full disk, too
            pass
        new = run(node, "new")
        assert new.reaches(one.name)
        assert eventually(10, lambda: meet(pair))
    with stopped(node, "netplugin"):
        pass
    assert eventually(10, lambda: meet(pair))
