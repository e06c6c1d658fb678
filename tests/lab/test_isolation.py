"""Two tenants with the same network name, subnet and addresses: nothing crosses, whoever forges what."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from isthmus.core.trace.drops import DropReason
from isthmus.lab.running import RunningLab
from tests.lab.probes import NET, SUBNET, Container, capturing, create_net, drops, records, run

pytestmark = [pytest.mark.root, pytest.mark.lab]

FRAMES = 5  # of each kind of forgery

SEND = """
import socket, sys
interface, count, *frames = sys.argv[1:]
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
    wire.bind((interface, 0))
    for frame in frames:
        for _ in range(int(count)):
            wire.send(bytes.fromhex(frame))
"""
SEND_TUNNELLED = """
import socket, sys
target, count, *payloads = sys.argv[1:]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    for payload in payloads:
        for _ in range(int(count)):
            sender.sendto(bytes.fromhex(payload), (target, 8472))
"""


@dataclass(frozen=True, slots=True)
class Tenants:
    """Three containers each, with the same three addresses, on the same two nodes."""

    default: tuple[Container, ...]
    blue: tuple[Container, ...]
    blue_network: str


@pytest.fixture
def tenants(cluster: RunningLab) -> Tenants:
    first, second = cluster.nodes
    first.output("netctl tenant create blue")
    create_net(cluster)
    create_net(cluster, NET, SUBNET, "-t", "blue")
    in_blue = f"{NET}/blue"
    default = tuple(run(node, f"plain{i}") for i, node in enumerate((first, second, first)))
    blue = tuple(run(node, f"blue{i}", network=in_blue) for i, node in enumerate((first, second, second)))
    assert [each.address() for each in default] == [each.address(in_blue) for each in blue]
    return Tenants(default, blue, in_blue)


@contextmanager
def undisturbed(containers: tuple[Container, ...]) -> Iterator[None]:
    """Fail if a single frame arrives at any of these containers, which are silent themselves."""
    with ExitStack() as stack:
        seen = [stack.enter_context(capturing(container, "inbound")) for container in containers]
        yield
        stack.close()
        assert seen == [[] for _ in containers]


def address_bytes(number: int) -> str:
    return bytes([10, 1, 2, number]).hex()


def mac_bytes(number: int) -> str:
    return "0202" + address_bytes(number)


def checksum(header: bytes) -> bytes:
    total = sum(int.from_bytes(header[i : i + 2], "big") for i in range(0, len(header), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")


def ip_frame(mac: int, source: int, target: int, *, payload_bytes: int = 32, tags: str = "") -> str:
    """Give a UDP frame, in hexadecimal, with the MAC of one container and the address of another."""
    udp = bytes.fromhex("3039 3039") + (8 + payload_bytes).to_bytes(2, "big") + bytes(2 + payload_bytes)
    head = bytes.fromhex("4500") + (20 + len(udp)).to_bytes(2, "big") + bytes.fromhex("00010000 4011 0000")
    head += bytes.fromhex(address_bytes(source) + address_bytes(target))
    ethernet = bytes.fromhex(mac_bytes(target) + mac_bytes(mac) + tags + "0800")
    return (ethernet + head[:10] + checksum(head) + head[12:] + udp).hex()


def gratuitous_arp(number: int) -> str:
    body = "0001080006040001" + mac_bytes(number) + address_bytes(number) + "0" * 12 + address_bytes(number)
    return "ffffffffffff" + mac_bytes(number) + "0806" + body + "00" * 18


def vxlan(vni: int, inner: str) -> str:
    return "08000000" + vni.to_bytes(3, "big").hex() + "00" + inner


def send(container: Container, *frames: str) -> None:
    container.node.output(container.inside(["python3", "-c", SEND, "eth0", str(FRAMES), *frames]))


def send_tunnelled(container: Container, target: str, *payloads: str) -> None:
    container.node.output(container.inside(["python3", "-c", SEND_TUNNELLED, target, str(FRAMES), *payloads]))


def test_tenants_of_the_same_addresses_do_not_meet(tenants: Tenants) -> None:
    for talking, silent in ((tenants.blue, tenants.default), (tenants.default, tenants.blue)):
        with undisturbed(silent), capturing(talking[1], "inbound") as arrived:
            for here in talking:
                for there in talking:
                    assert here.reaches(there.name), f"{here.name} does not reach {there.name}"
        assert len(arrived) >= 2  # a capture does see what arrives


def test_a_tenant_has_no_names_of_another(tenants: Tenants) -> None:
    blue, plain = tenants.blue[0], tenants.default[0]
    for here, name in ((blue, "plain1"), (blue, "plain0"), (plain, "blue1"), (plain, "blue0")):
        asked = here.run(f"nslookup {name}")
        assert asked.returncode != 0, asked.stdout
    assert "name = blue1" in blue.output("nslookup 10.1.2.2")
    assert "name = plain1" in plain.output("nslookup 10.1.2.2")


def test_an_address_that_only_another_tenant_has_is_silent(tenants: Tenants) -> None:
    fourth = run(tenants.default[0].node, "plain3")
    with undisturbed((fourth,)):
        for blue in (tenants.blue[0], tenants.blue[2]):
            assert blue.run(f"ping -c 1 -W 1 {fourth.address()}").returncode != 0


def test_dockers_way_out_is_no_way_into_another_container(tenants: Tenants) -> None:
    blue, plain = tenants.blue[0], tenants.default[0]
    way_out = plain.output("ifconfig eth1 | grep -o 'addr:[0-9.]*'").removeprefix("addr:")
    assert blue.reaches("contiv.com")
    assert blue.run(f"ping -c 1 -W 1 {way_out}").returncode != 0


def test_forged_frames_reach_nobody_and_are_counted(tenants: Tenants) -> None:
    mallory = tenants.blue[0]  # 10.1.2.1 on node1
    forged = {
        DropReason.SOURCE_MAC: ip_frame(3, 1, 2),
        DropReason.SOURCE_ADDRESS: ip_frame(1, 3, 2),
        DropReason.TAGGED: ip_frame(1, 1, 2, tags="81000001"),
        DropReason.ARP_FORM: gratuitous_arp(1).replace("0001080006040001", "0001080006040002"),
        DropReason.UNKNOWN_DESTINATION: ip_frame(1, 1, 99),
        DropReason.DESTINATION_MAC: ip_frame(1, 1, 2).replace(mac_bytes(2), mac_bytes(3), 1),
        DropReason.ETHERTYPE: mac_bytes(2) + mac_bytes(1) + "88b5" + "00" * 46,
    }
    to_all_as_another = ip_frame(1, 3, 255).replace(mac_bytes(255), "ffffffffffff", 1)
    before = {reason: drops(mallory.node, reason) for reason in forged}
    with undisturbed((*tenants.default, *tenants.blue[1:])):
        send(mallory, *forged.values(), gratuitous_arp(3), to_all_as_another)
    counted = {reason: drops(mallory.node, reason) - before[reason] for reason in forged}
    counted[DropReason.SOURCE_MAC] -= FRAMES  # the gratuitous ARP, also by a MAC that is not its own
    counted[DropReason.SOURCE_ADDRESS] -= FRAMES  # what is for all
    assert counted == dict.fromkeys(forged, FRAMES)


def test_forged_tunnel_packets_are_dropped_and_counted(tenants: Tenants, cluster: RunningLab) -> None:
    mallory = tenants.blue[0]
    first, second = cluster.nodes
    vni = records(first, "network")[f"default/{NET}"]["tag"]
    inner = vxlan(vni, ip_frame(1, 1, 2))
    long = vxlan(vni, ip_frame(1, 1, 2, payload_bytes=4000))  # leaves as fragments
    to_own_host = vxlan(vni, ip_frame(2, 2, 1))
    sent, inward = DropReason.FORGED_TUNNEL, DropReason.NOT_FROM_UNDERLAY
    before = drops(first, sent), drops(first, inward), drops(second, inward)
    with undisturbed((*tenants.default, *tenants.blue[1:])):
        send_tunnelled(mallory, "192.168.2.11", inner, long)
        send_tunnelled(mallory, "192.168.2.10", to_own_host)
        send_tunnelled(mallory, "10.0.2.16", inner, long)
    assert drops(first, sent) - before[0] >= 2 * FRAMES
    assert drops(first, inward) - before[1] == FRAMES
    assert drops(second, inward) - before[2] >= 2 * FRAMES


def test_a_container_on_dockers_bridge_forges_no_tunnel_either(tenants: Tenants, cluster: RunningLab) -> None:
    first = cluster.node("node1")
    outsider = run(first, "outsider", network="bridge")
    before = drops(first, DropReason.FORGED_TUNNEL)
    with undisturbed((*tenants.default, *tenants.blue)):
        for vni in (1, 2):
            send_tunnelled(outsider, "192.168.2.11", vxlan(vni, ip_frame(1, 1, 2)))
    assert drops(first, DropReason.FORGED_TUNNEL) - before == 2 * FRAMES
