"""VLAN networks and floods on a real kernel: hosts on a trunk, containers on both, a foreign device beside them."""

import itertools
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from isthmus.core.datapath import Underlay, Uplink
from isthmus.core.model import Mac
from isthmus.core.reconcile import steps
from isthmus.core.trace import DropReason
from tests.edge.kernel_hosts import HOME, PORT, Netns, address, address_v6, leg, run
from tests.edge.talk import BROADCAST, GROUP, is_heard_once, listening, say
from tests.edge.trunk import DEVICE, VLAN, Trunk, captured, vlan_desired

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trunk]:
    with ExitStack() as stack:
        yield Trunk(tmp_path_factory.mktemp("trunk"), stack)


def test_what_was_applied_is_read_back(trunk: Trunk) -> None:
    for i, host in enumerate(trunk.hosts):
        assert host.do(host.kernel.read()) == vlan_desired(i)
        assert steps(vlan_desired(i), host.do(host.kernel.read())) == ()


def test_containers_reach_each_other(trunk: Trunk) -> None:
    for here, there in itertools.permutations(HOME, 2):
        for target in leg(there).addresses:
            for size in (56, 1400, 8000):
                assert trunk.containers[here].ping(target, size=size, count=3) == 3, (here, target, size)


def test_a_whole_frame_needs_no_fragment(trunk: Trunk) -> None:
    command = f"ip netns exec {trunk.containers[1].name} ping -n -q -c 3 -i 0.05 -W 2 -M do -s 1472 {address(2)}"
    assert " 3 received" in run(command)


def test_a_device_on_the_trunk_reaches_containers_and_is_reached(trunk: Trunk) -> None:
    for i in HOME:
        for of_device, of_container in ((address(DEVICE), address(i)), (address_v6(DEVICE), address_v6(i))):
            assert trunk.containers[i].ping(of_device, count=3) == 3, (i, of_device)
            assert trunk.device.ping(of_container, count=3) == 3, of_container
            trunk.device.ip("neigh flush all")
            assert trunk.device.ping(of_container, count=3) == 3, of_container


@pytest.mark.parametrize("family", [4, 6])
def test_a_known_device_that_is_probed_stays_reachable(trunk: Trunk, family: int) -> None:
    container, target = trunk.containers[1], address(DEVICE) if family == 4 else address_v6(DEVICE)
    assert container.ping(target, count=2) == 2
    mac = trunk.device.ip("-br link show dev vlan").split()[2]
    container.ip(f"neigh replace {target} lladdr {mac} dev eth0 nud probe")
    assert _becomes_reachable(container, str(target))


def test_a_device_that_tries_a_containers_address_is_told(trunk: Trunk) -> None:
    """By duplicate address detection: RFC 4862 for IPv6, RFC 5227 for IPv4."""
    trunk.device.ip(f"addr add {address_v6(1)}/64 dev vlan")
    end = time.monotonic() + 5
    while (
        "tentative" in (told := trunk.device.ip(f"addr show dev vlan to {address_v6(1)}")) and "dadfailed" not in told
    ):
        assert time.monotonic() < end
        time.sleep(0.05)
    trunk.device.ip(f"addr del {address_v6(1)}/64 dev vlan")
    assert "dadfailed" in told
    assert trunk.containers[1].ping(address_v6(DEVICE)) == 5


def _becomes_reachable(container: Netns, target: str) -> bool:
    script = f"until ip neigh show {target} | grep -q REACHABLE; do sleep 0.05; done"
    words = ["ip", "netns", "exec", container.name, "timeout", "4", "sh", "-c", script]
    return subprocess.run(words, check=False).returncode == 0


def test_frames_on_the_trunk_carry_the_tag_and_nothing_else_leaves(trunk: Trunk) -> None:
    trunk.containers[1].ip("neigh flush all")
    with captured(trunk.switch, "host0") as wire:
        assert trunk.containers[1].ping(address(2)) == 5
        assert trunk.containers[1].ping(address(3)) == 5
        assert trunk.containers[1].ping(address(DEVICE)) == 5
        frames = wire.frames()
    ours = [(tag, frame) for tag, frame in frames if bytes.fromhex(leg(1).mac.replace(":", "")) in frame[:12]]
    assert len(ours) >= 20
    assert {tag for tag, _ in ours} == {VLAN}
    assert not [frame for _, frame in frames if address(3).packed in frame[26:34]]
    assert not [frame for tag, frame in frames if tag is None and address(1).packed in frame]


def _frame(destination: Mac, source: Mac, tags: bytes, rest: bytes) -> bytes:
    return bytes.fromhex((destination + source).replace(":", "")) + tags + rest


def _datagram(source: IPv4Address, destination: IPv4Address) -> bytes:
    udp = struct.pack("!HHHH", 5000, 5000, 12, 0) + b"word"
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 32, 1, 0, 64, 17, 0, source.packed, destination.packed)
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    header = header[:10] + struct.pack("!H", ~total & 0xFFFF) + header[12:]
    return b"\x08\x00" + header + udp


FORGED = Mac("02:aa:00:00:00:01")
TAG = b"\x81\x00\x00\x70"
OTHER = b"\x81\x00\x00\x71"


@pytest.mark.parametrize(
    ("tags", "source", "reason"),
    [
        (TAG, address(DEVICE), None),
        (b"", address(DEVICE), None),
        (OTHER, address(DEVICE), None),
        (b"\x88\xa8\x00\x70", address(DEVICE), None),
        (TAG + OTHER, address(DEVICE), DropReason.TAGGED),
        (OTHER + TAG, address(DEVICE), None),
        (TAG, address(3), DropReason.SOURCE_IS_LOCAL),
    ],
    ids=["ours", "untagged", "foreign tag", "802.1ad", "two tags", "ours within a foreign tag", "forged source"],
)
def test_only_our_tag_gets_in(trunk: Trunk, tags: bytes, source: IPv4Address, reason: DropReason | None) -> None:
    host = trunk.hosts[0]
    lost = host.lost(reason) if reason else 0
    arrives = (tags, source) == (TAG, address(DEVICE))
    with captured(trunk.containers[1], "eth0") as inside, trunk.device.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind(("eth2", 0))
        for destination in (leg(1).mac, Mac("ff:ff:ff:ff:ff:ff")):
            out.send(_frame(destination, FORGED, tags, _datagram(source, address(1))))
        mac = bytes.fromhex(FORGED.replace(":", ""))
        found = [frame for _, frame in inside.frames() if frame[6:12] == mac]
    assert len(found) == (2 if arrives else 0)
    if reason:
        assert host.lost(reason) == lost + 2


def test_what_a_container_tags_itself_is_dropped(trunk: Trunk) -> None:
    host = trunk.hosts[0]
    before = host.lost(DropReason.TAGGED)
    with trunk.containers[1].socket(socket.AF_PACKET, socket.SOCK_RAW) as forger:
        forger.bind(("eth0", 0))
        forger.send(_frame(leg(2).mac, leg(1).mac, TAG, _datagram(address(1), address(2))))
    assert host.lost(DropReason.TAGGED) == before + 1


def test_a_forged_source_does_not_leave(trunk: Trunk) -> None:
    host = trunk.hosts[0]
    before = host.lost(DropReason.SOURCE_ADDRESS)
    with captured(trunk.switch, "host0") as wire:
        with trunk.containers[1].socket(socket.AF_PACKET, socket.SOCK_RAW) as forger:
            forger.bind(("eth0", 0))
            for destination in (leg(2).mac, FORGED, Mac("ff:ff:ff:ff:ff:ff")):
                forger.send(_frame(destination, leg(1).mac, b"", _datagram(address(8), address(2))))
        assert not [frame for _, frame in wire.frames() if b"word" in frame]
    assert host.lost(DropReason.SOURCE_ADDRESS) == before + 3


@pytest.mark.parametrize("target", [GROUP, BROADCAST])
@pytest.mark.parametrize("speaker", [1, 2, DEVICE])
def test_what_is_for_all_reaches_all_once(trunk: Trunk, target: str, speaker: int) -> None:
    places = {i: (trunk.containers[i], "eth0") for i in HOME} | {DEVICE: (trunk.device, "vlan")}
    for i, (netns, link) in places.items():
        netns.ip(f"addr replace {address(i)}/24 brd {BROADCAST} dev {link}")
    with ExitStack() as stack:
        ears = {i: stack.enter_context(listening(*place)) for i, place in places.items() if i != speaker}
        word = f"{speaker} to {target}".encode()
        say(*places[speaker], word, target)
        assert [i for i, ear in ears.items() if not is_heard_once(ear, word)] == []


def test_the_hosts_own_address_on_the_uplink_answers(trunk: Trunk) -> None:
    trunk.device.ip("addr replace 192.168.3.99/24 dev eth2")
    assert trunk.device.ping(IPv4Address("192.168.3.10")) == 5
    assert trunk.hosts[0].netns.ping(IPv4Address("192.168.3.11")) == 5


def test_the_other_uplink_takes_over(trunk: Trunk, tmp_path: Path) -> None:
    host = trunk.hosts[0]
    trunk.plug(host.netns, "eth3", "host0b")
    try:
        host.reach(vlan_desired(0, Uplink("eth2", True), Uplink("eth3", False)))
        before = host.lost(DropReason.IDLE_UPLINK)
        with captured(trunk.containers[1], "eth0") as inside:
            say(trunk.device, "vlan", b"once", GROUP)
            assert len([frame for _, frame in inside.frames() if b"once" in frame]) == 1
        assert host.lost(DropReason.IDLE_UPLINK) > before
        over = vlan_desired(0, Uplink("eth2", False), Uplink("eth3", True))
        host.reach(over)
        assert host.do(host.kernel.read()) == over
        trunk.switch.ip("link set host0 down")
        for target in (address(2), address(DEVICE), address_v6(2)):
            assert trunk.containers[1].ping(target) == 5
    finally:
        trunk.switch.ip("link set host0 up")
        host.netns.ip("link del eth3")
        host.reach(vlan_desired(0))
    assert trunk.containers[1].ping(address(2)) == 5


def test_a_vlan_goes_on_where_its_uplink_carries_the_tunnel_too(trunk: Trunk) -> None:
    for i, host in enumerate(trunk.hosts):
        host.reach(vlan_desired(i) | {Underlay("eth2", IPv4Address(f"192.168.3.1{i}"), PORT)})
    for target in (address(2), address_v6(2), address(DEVICE)):
        assert trunk.containers[1].ping(target) == 5
    for i, host in enumerate(trunk.hosts):
        host.reach(vlan_desired(i))


def test_a_restarted_agent_loses_no_packet(trunk: Trunk) -> None:
    replies: list[int] = []
    flood = threading.Thread(
        target=lambda: replies.append(trunk.containers[1].ping(address(2), count=1000, every_s=0.001))
    )
    flood.start()
    while flood.is_alive():
        for host in trunk.hosts:
            host.restart()
    flood.join()
    assert replies == [1000]
