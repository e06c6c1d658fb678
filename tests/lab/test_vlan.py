"""VLAN networks on the wire: tags, devices that are none of ours, uplinks that go, and frames that lie."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from isthmus.core.trace.drops import DropReason
from isthmus.edge.kernel.build import compile_one
from isthmus.lab.running import RunningLab, RunningNode
from tests.lab.probes import Container, capturing, create_net, drops, eventually, run

pytestmark = [pytest.mark.root, pytest.mark.lab]

VLAN_NET = "contiv-vlan"
VLAN = 112
DEVICE = "10.1.3.200"
GATEWAY = "10.1.3.254"
WEBSITE = "203.0.113.10"
PORT = 9000

SEND_PAST_TC = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
    wire.setsockopt(263, 20, 1)  # SOL_PACKET, PACKET_QDISC_BYPASS: the frame leaves as it is
    wire.bind((sys.argv[1], 0))
    for frame in sys.argv[2:]:
        for _ in range(3):
            wire.send(bytes.fromhex(frame))
"""
LISTEN = """
import socket, struct, sys
group, port, own = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
    receiver.bind(("", port))
    if group != "-":
        membership = socket.inet_aton(group) + socket.inet_aton(own)
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    open(sys.argv[4], "w").write("listening")
    receiver.settimeout(20)
    heard = receiver.recvfrom(100)[1][0]
    open(sys.argv[4], "w").write(heard)
"""
SHOUT = """
import socket, sys
target, port, own = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own))
    sender.sendto(b"to all", (target, port))
"""


@dataclass(frozen=True, slots=True)
class Wire:
    """A container on either node, and a device on the trunk, in the same VLAN."""

    lab: RunningLab
    device: RunningNode
    one: Container
    two: Container


@pytest.fixture(scope="module")
def access_port(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled programs that make a cable one of a VLAN."""
    return compile_one(Path(__file__).with_name("access_port.bpf.c"), tmp_path_factory.mktemp("access"))


@contextmanager
def in_vlan(device: RunningNode, programs: Path, *addresses: str) -> Iterator[None]:
    """The device's cable in the trunk is in the VLAN, with these addresses."""
    device.output("tc qdisc add dev eth2 clsact")
    try:
        for side in ("egress", "ingress"):
            # In its network, but in our file system: there the programs are.
            words = f"tc filter add dev eth2 {side} bpf direct-action object-file {programs} section tc/{side}"
            subprocess.run(["nsenter", "-t", str(device.pid), "-n", *words.split()], check=True)
        for address in addresses:
            device.output(f"ip address add {address} dev eth2")
        yield
    finally:
        device.output("tc qdisc del dev eth2 clsact; ip address flush dev eth2")


@pytest.fixture
def wire(cluster: RunningLab, access_port: Path) -> Iterator[Wire]:
    create_vlan(cluster)
    first, second = cluster.nodes
    one, two = run(first, "one", network=VLAN_NET), run(second, "two", network=VLAN_NET)
    device = cluster.node("outside")
    with in_vlan(device, access_port, f"{DEVICE}/24", f"{GATEWAY}/24"):
        yield Wire(cluster, device, one, two)


def create_vlan(lab: RunningLab, name: str = VLAN_NET, vlan: int = VLAN, *options: str) -> None:
    create_net(lab, name, "10.1.3.0/24", "-p", str(vlan), "-e", "vlan", *options)


def pings(node: RunningNode, target: str, *options: str) -> bool:
    return node.run(["ping", "-c", "2", "-W", "1", *options, target]).returncode == 0


def test_frames_carry_the_tag_and_are_whole(wire: Wire) -> None:
    first = wire.lab.node("node1")
    listener = "timeout 10 tcpdump -l -n -e -i eth2 -c 2 icmp"
    first.output(f"{listener} >/tmp/seen 2>/tmp/ready & until grep -q listening /tmp/ready; do sleep 0.1; done")
    assert "mtu 1500" in wire.two.output("ip link show eth0")
    wire.two.node.output(wire.two.inside(["ping", "-c", "2", "-M", "do", "-s", "1472", wire.one.address(VLAN_NET)]))
    assert eventually(5, lambda: len(first.output("cat /tmp/seen").splitlines()) == 2)
    request, reply = first.output("cat /tmp/seen").splitlines()
    for line, what in ((request, "request"), (reply, "reply")):
        assert re.search(rf"ethertype 802.1Q \(0x8100\), length 1518: vlan {VLAN}, p 0, .* ICMP echo {what}", line), (
            line
        )


def test_containers_and_a_device_on_the_trunk_reach_each_other(wire: Wire) -> None:
    for container in (wire.one, wire.two):
        assert container.reaches(DEVICE)
        assert pings(wire.device, container.address(VLAN_NET))
        told = json.loads(wire.device.output(f"ip -j neighbour show {container.address(VLAN_NET)}"))
        assert [each["lladdr"] for each in told] == [container.output("cat /sys/class/net/eth0/address").strip()]
    assert wire.one.reaches("two")
    wire.one.start(f"nc -l {PORT} >/tmp/arrived")
    assert eventually(5, lambda: f":{PORT}" in wire.one.output("netstat -ltn"))
    wire.device.output(f"head -c 3000000 /dev/zero | nc -N {wire.one.address(VLAN_NET)} {PORT}")
    assert eventually(5, lambda: wire.one.output("wc -c </tmp/arrived").strip() == "3000000")


@pytest.mark.parametrize("target", ["10.1.3.255", "239.1.1.1"])
def test_what_is_for_all_or_for_a_group_reaches_all(wire: Wire, target: str) -> None:
    group = target if target.startswith("239") else "-"
    containers = (wire.one, wire.two)

    def heard(container: Container) -> str:
        return container.node.run(f"cat /tmp/heard-{container.name}").stdout

    def listens(container: Container) -> bool:
        return heard(container) == "listening"

    for each in containers:
        file = f"/tmp/heard-{each.name}"
        words = ["python3", "-c", LISTEN, group, str(PORT), each.address(VLAN_NET), file]
        each.node.output(f"rm -f {file}; {shlex.join(each.inside(words))} >/tmp/listener 2>&1 &")
        assert eventually(5, partial(listens, each)), each.node.output("cat /tmp/listener")
    wire.device.output(["python3", "-c", SHOUT, target, str(PORT), DEVICE])
    assert eventually(5, lambda: [heard(each) for each in containers] == [DEVICE, DEVICE])


def test_a_real_gateway_on_the_trunk_leads_outside(cluster: RunningLab, access_port: Path) -> None:
    create_vlan(cluster, VLAN_NET, VLAN, f"--gateway={GATEWAY}")
    one = run(cluster.node("node1"), "one", network=VLAN_NET)
    assert f"default via {GATEWAY} dev eth0" in one.output("ip route")
    assert "eth1" not in one.output("ip link")
    with in_vlan(cluster.node("outside"), access_port, f"{GATEWAY}/24"):
        assert one.reaches(WEBSITE)


def frame(target_mac: str, source: str, target: str, *, tags: str = "") -> str:
    """A UDP frame, in hexadecimal, from the device's own MAC."""
    udp = bytes.fromhex("3039232800280000") + bytes(32)
    addresses = b"".join(bytes(map(int, each.split("."))) for each in (source, target))
    head = bytes.fromhex("4500003c000100004011") + b"\0\0" + addresses
    total = sum(int.from_bytes(head[i : i + 2], "big") for i in range(0, 20, 2))
    total = (total & 0xFFFF) + (total >> 16)
    checked = head[:10] + (~total & 0xFFFF).to_bytes(2, "big") + head[12:]
    ethernet = bytes.fromhex(target_mac.replace(":", "") + "525400000200" + tags + "0800")
    return (ethernet + checked + udp).hex()


def test_untagged_foreign_and_double_tags_and_stolen_sources_reach_no_container(wire: Wire) -> None:
    first = wire.lab.node("node1")
    one = wire.one.address(VLAN_NET)
    mac = wire.one.output("cat /sys/class/net/eth0/address").strip()
    lies = [
        frame(mac, DEVICE, one),
        frame(mac, DEVICE, one, tags="81000071"),  # VLAN 113
        frame(mac, DEVICE, one, tags="88a80070"),  # 802.1ad
        frame(mac, DEVICE, one, tags="8100007081000070"),
        frame(mac, one, one, tags="81000070"),
        frame("ff:ff:ff:ff:ff:ff", one, "10.1.3.255", tags="81000070"),
        frame("02:02:0a:01:03:63", DEVICE, one, tags="81000070"),
    ]
    counted = (DropReason.TAGGED, DropReason.SOURCE_IS_LOCAL, DropReason.DESTINATION_MAC)
    before = {reason: drops(first, reason) for reason in counted}
    with capturing(wire.one, "inbound") as arrived:
        wire.device.output(["python3", "-c", SEND_PAST_TC, "eth2", *lies])
        wire.device.output(["python3", "-c", SEND_PAST_TC, "eth2", frame(mac, DEVICE, one, tags="81000070")])
    assert len(arrived) == 3, arrived  # the truth, three times; and none of the lies
    assert {reason: drops(first, reason) - before[reason] >= 3 for reason in counted} == dict.fromkeys(counted, True)


def test_two_tenants_vlans_never_mix_and_containers_choose_no_tag(wire: Wire) -> None:
    first, second = wire.lab.nodes
    first.output("netctl tenant create blue")
    create_vlan(wire.lab, VLAN_NET, VLAN + 1, "-t", "blue")
    blue = [run(node, f"blue{i}", network=f"{VLAN_NET}/blue") for i, node in enumerate((first, second))]
    addresses = [each.address(f"{VLAN_NET}/blue") for each in blue]
    assert addresses == [wire.one.address(VLAN_NET), wire.two.address(VLAN_NET)]
    forged = frame(
        blue[1].output("cat /sys/class/net/eth0/address").strip(), addresses[0], addresses[1], tags="81000071"
    )
    before = drops(first, DropReason.TAGGED)
    with capturing(blue[1], "inbound") as arrived:
        assert wire.one.reaches("two")
        assert pings(wire.device, addresses[1])  # the other tenant's container of that address
        wire.one.node.output(wire.one.inside(["python3", "-c", SEND_PAST_TC, "eth0", forged]))
    assert arrived == []
    assert drops(first, DropReason.TAGGED) - before == 3
    assert blue[0].reaches("blue1")


def test_the_hosts_own_addresses_on_an_uplink_keep_working(wire: Wire) -> None:
    nodes = wire.lab.nodes
    try:
        for number, node in enumerate(nodes, 1):
            node.output(f"ip address add 10.9.9.{number}/24 dev eth2")
        assert pings(nodes[0], "10.9.9.2")
        assert wire.one.reaches("two")
    finally:
        for node in nodes:
            node.output("ip address flush dev eth2")


def test_an_uplink_that_goes_is_named_and_picked_up_when_it_is_back(wire: Wire) -> None:
    first, second = wire.lab.nodes
    second.cut("eth2")
    try:
        told = "uplink eth2: the device has no carrier: is its cable plugged in?"
        assert eventually(10, lambda: told in first.run("netctl status").stdout), first.run("netctl status").stdout
        assert wire.one.run("ping -c 1 -W 1 two").returncode != 0
        before = drops(second, DropReason.NO_UPLINK)
        assert wire.two.run("ping -c 1 -W 1 one").returncode != 0
        assert drops(second, DropReason.NO_UPLINK) > before
    finally:
        second.heal("eth2")
    assert eventually(10, lambda: wire.one.reaches("two"))
    assert eventually(10, lambda: "uplink" not in first.run("netctl status").stdout)
    second.output("ip link set eth2 promisc off")
    assert eventually(2, lambda: "PROMISC" in second.output("ip link show eth2"))
    second.output("tc qdisc del dev eth2 clsact")
    assert eventually(2, lambda: wire.one.run("ping -c 1 -W 1 two").returncode == 0)
