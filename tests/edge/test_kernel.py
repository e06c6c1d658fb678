"""The kernel's edge on a real kernel: what it makes, what packets do with it, and what it finds again."""

import errno
import hashlib
import itertools
import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from isthmus.core.datapath import (
    DirectoryEntry,
    Here,
    KnownNetwork,
    There,
    container_link_name,
    host_link_name,
)
from isthmus.core.errors import KernelRefusedError
from isthmus.core.model import Encap, EndpointId, Mac, Tag, mac_of
from isthmus.core.reconcile import Step, Verb, steps
from isthmus.core.trace import DropReason
from isthmus.edge.kernel import Kernel
from isthmus.edge.kernel.programs import object_path
from isthmus.wire.maps import LAYOUT
from tests.edge.kernel_hosts import (
    HOME,
    NET,
    PORT,
    VTEPS,
    Cluster,
    Host,
    Netns,
    address,
    desired,
    entries,
    leg,
    lone_host,
    run,
    underlay,
)

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ExitStack() as stack:
        made = Cluster(tmp_path_factory.mktemp("hosts"), stack)
        for i, host in enumerate(made.hosts):
            host.reach(desired(i))
        for i in HOME:
            made.join(i)
        yield made


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Host]:
    """A host without anything of ours."""
    with lone_host(tmp_path) as host:
        yield host


def test_what_was_applied_is_read_back(cluster: Cluster) -> None:
    for i, host in enumerate(cluster.hosts):
        assert host.do(host.kernel.read()) == desired(i)
        assert steps(desired(i), host.do(host.kernel.read())) == ()


def test_adding_twice_equals_adding_once(cluster: Cluster) -> None:
    host = cluster.hosts[0]
    for each in desired(0):
        host.add(each)
    assert host.do(host.kernel.read()) == desired(0)


@pytest.mark.parametrize("is_fast", [True, False], ids=["fast", "slow"])
def test_containers_reach_each_other(cluster: Cluster, is_fast: bool) -> None:
    for i, host in enumerate(cluster.hosts):
        host.reach(desired(i, is_fast=is_fast))
    for here, there in itertools.permutations(HOME, 2):
        for target in leg(there).addresses:
            for size in (56, 1400, 8000):
                assert cluster.containers[here].ping(target, size=size, count=3) == 3, (target, size)


def test_what_is_too_large_for_the_wire_travels_in_outer_fragments(cluster: Cluster) -> None:
    host, name = cluster.hosts[0].netns, host_link_name(leg(1).endpoint)
    host.ip(f"link set {name} mtu 1500")
    cluster.containers[1].ip("link set eth0 mtu 1500")
    assert cluster.containers[1].ping(address(2), size=1472) == 5
    host.ip(f"link set {name} mtu 1450")
    cluster.containers[1].ip("link set eth0 mtu 1450")


@pytest.mark.parametrize("is_fast", [True, False], ids=["fast", "slow"])
def test_the_fast_receive_spares_the_tunnel_device(cluster: Cluster, is_fast: bool) -> None:
    for i, host in enumerate(cluster.hosts):
        host.reach(desired(i, is_fast=is_fast))

    def received() -> int:
        listing = cluster.hosts[1].netns.ip("-s link show isthmus-vxlan").split("RX:")[1]
        return int(listing.splitlines()[1].split()[1])

    before = received()
    for target in leg(2).addresses:
        assert cluster.containers[1].ping(target) == 5
    assert received() - before == (0 if is_fast else 10)


def test_the_tunnels_packets_are_not_tracked(cluster: Cluster) -> None:
    inside = f"ip netns exec {cluster.hosts[0].netns.name} nft"
    run(f"{inside} add table ip watch")
    run(f"{inside} add chain ip watch output {{ type filter hook output priority 0; }}")
    for state in ("untracked", "new,established"):  # asking for states switches tracking on, as Docker's rules do
        run(f"{inside} add rule ip watch output udp dport {PORT} ct state {state} counter")
    assert cluster.containers[1].ping(address(2)) == 5
    counters = re.findall(r"counter packets (\d+)", run(f"{inside} list table ip watch"))
    run(f"{inside} delete table ip watch")
    assert counters == ["5", "0"]


def _send_all(client: socket.socket, sent: bytes) -> None:
    client.sendall(sent)
    client.shutdown(socket.SHUT_WR)


def test_tcp_arrives_intact(cluster: Cluster) -> None:
    sent = os.urandom(1 << 20) * 8
    for target in (2, 3):
        with cluster.containers[target].socket() as listener, cluster.containers[1].socket() as client:
            listener.bind((str(address(target)), 5000))
            listener.listen()
            client.connect((str(address(target)), 5000))
            writer = threading.Thread(target=_send_all, args=(client, sent))
            writer.start()
            with listener.accept()[0] as server:
                received = b"".join(iter(lambda: server.recv(1 << 16), b""))
            writer.join()
        assert hashlib.sha256(received).digest() == hashlib.sha256(sent).digest()


def test_a_restarted_agent_replaces_its_programs_and_no_packet_is_lost(cluster: Cluster) -> None:
    for i, host in enumerate(cluster.hosts):
        host.reach(desired(i))
    replies: dict[int, int] = {}
    pings = [
        threading.Thread(
            target=lambda i=i: replies.update({i: cluster.containers[1].ping(address(i), count=2000, every_s=0.001)})
        )
        for i in (2, 3)
    ]
    for each in pings:
        each.start()
    turns = 0
    while any(each.is_alive() for each in pings):
        cluster.hosts[turns % 2].restart()
        turns += 1
    for each in pings:
        each.join()
    assert replies == {2: 2000, 3: 2000}
    assert turns > 1
    for i, host in enumerate(cluster.hosts):
        assert host.do(host.kernel.read()) == desired(i)


def _frame(source: Mac, i: int, there: int) -> bytes:
    macs = bytes.fromhex((leg(there).mac + source).replace(":", ""))
    header = bytes.fromhex("4500001c000000004011 0000") + address(i).packed + address(there).packed
    return macs + b"\x08\x00" + header + bytes.fromhex("0001000100080000")


def test_a_forged_source_is_dropped_and_counted(cluster: Cluster) -> None:
    host = cluster.hosts[0]
    before = host.lost(DropReason.SOURCE_MAC), host.lost(DropReason.SOURCE_ADDRESS)
    with cluster.containers[1].socket(socket.AF_PACKET, socket.SOCK_RAW) as forger:
        forger.bind(("eth0", 0))
        for _ in range(10):
            forger.send(_frame(leg(3).mac, 3, 2))
            forger.send(_frame(leg(1).mac, 3, 2))
    after = host.lost(DropReason.SOURCE_MAC), host.lost(DropReason.SOURCE_ADDRESS)
    assert after == (before[0] + 10, before[1] + 10)


def _tunnelled() -> bytes:
    return bytes.fromhex("08000000 00000700") + _frame(leg(2).mac, 2, 1)


def _beside(cluster: Cluster) -> Netns:
    """A container that is not ours, behind the first host as behind docker0."""
    host, container = cluster.hosts[0].netns, cluster.netns()
    host.ip(f"link add docker0 type veth peer name eth0 netns {container.name}")
    host.ip("addr add 172.17.0.1/16 dev docker0")
    host.ip("link set docker0 up")
    container.ip("addr add 172.17.0.2/16 dev eth0")
    container.ip("link set eth0 up")
    container.ip("route add default via 172.17.0.1")
    host.call(lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
    host.call(lambda: Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text("0"))
    host.call(lambda: Path("/proc/sys/net/ipv4/conf/docker0/rp_filter").write_text("0"))
    return container


def test_a_container_cannot_forge_a_tunnel(cluster: Cluster) -> None:
    """Neither to another host, nor to its own one under another host's address."""
    host, beside = cluster.hosts[0], _beside(cluster)
    with beside.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
        for _ in range(10):
            forger.sendto(_tunnelled(), (str(VTEPS[1]), PORT))
    assert host.lost(DropReason.FORGED_TUNNEL) == 10
    beside.ip(f"addr add {VTEPS[1]}/32 dev lo")
    with beside.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
        forger.bind((str(VTEPS[1]), 0))
        for _ in range(10):
            forger.sendto(_tunnelled(), (str(VTEPS[0]), PORT))
    assert cluster.containers[1].ping(address(2)) == 5
    assert host.lost(DropReason.NOT_FROM_UNDERLAY) == 10


def test_traffic_is_counted_by_endpoint(cluster: Cluster) -> None:
    host = cluster.hosts[0]
    before = host.do(host.kernel.counters())[leg(1).endpoint]
    assert cluster.containers[1].ping(address(3), count=7) == 7
    after = host.do(host.kernel.counters())[leg(1).endpoint]
    assert after.sent_packets - before.sent_packets == 7
    assert after.received_bytes - before.received_bytes == 7 * 98


def test_a_leg_that_lost_its_program_is_repaired_in_its_sandbox(cluster: Cluster) -> None:
    host = cluster.hosts[0]
    run(f"tc -n {host.netns.name} qdisc del dev {host_link_name(leg(3).endpoint)} clsact")
    assert steps(desired(0), host.do(host.kernel.read())) == (Step(Verb.ADD, leg(3)),)
    host.reach(desired(0))
    assert cluster.containers[3].ping(address(2)) == 5


def test_what_is_removed_is_gone_and_may_be_removed_again(bare: Host) -> None:
    bare.reach(desired(0))
    for _ in range(2):
        for each in desired(0):
            bare.remove(each)
        assert bare.do(bare.kernel.read()) == frozenset()
    assert bare.do(bare.kernel.counters()) == {}
    assert "isthmus" not in bare.netns.ip("link show")
    assert "isthmus" not in run(f"ip netns exec {bare.netns.name} nft list ruleset")
    assert leg(1).endpoint not in bare.netns.ip("link show")
    assert "bpf" not in run(f"tc -n {bare.netns.name} filter show dev eth1 ingress")


def test_the_leftover_of_a_crash_is_read_so_that_it_is_removed(bare: Host) -> None:
    bare.netns.ip("link add ish0123456789ab type veth peer name isc0123456789ab")
    bare.reach(frozenset())
    assert "0123456789ab" not in bare.netns.ip("link show")


def test_rows_that_mean_nothing_stop_no_agent_from_starting(bare: Host) -> None:
    everything = frozenset([KnownNetwork(NET, Encap.VXLAN, Tag(NET)), leg(1), *entries(1, 0)])
    bare.reach(everything)
    for name in ("endpoints", "networks"):
        pin = f"pinned {bare.bpffs}/isthmus/v{LAYOUT}/{name}"
        octets = len(json.loads(run(f"bpftool -j map dump {pin}"))[0]["value"])
        run(f"bpftool map update {pin} key {'200 ' * 4} value {'255 ' * octets}")
    bare.restart()
    assert bare.do(bare.kernel.read()) == everything


def test_a_leg_whose_sandbox_died_is_forgotten_at_the_next_start(bare: Host) -> None:
    bare.reach(frozenset([leg(1), *entries(1, 0)]))
    bare.netns.ip(f"link del {host_link_name(leg(1).endpoint)}")
    bare.restart()
    gone = [DirectoryEntry(NET, each, leg(1).mac, Here(EndpointId(""))) for each in leg(1).addresses]
    assert bare.do(bare.kernel.read()) == frozenset(gone)
    assert bare.do(bare.kernel.counters()) == {}


def test_a_leg_removed_while_packets_come_leaves_no_counters(bare: Host) -> None:
    bare.reach(desired(0))
    others = bare.do(bare.kernel.drops())
    for _ in range(10):
        bare.netns.ip(f"link set {container_link_name(leg(1).endpoint)} up")
        with _flooded(bare, container_link_name(leg(1).endpoint)):
            bare.remove(leg(1))
        assert bare.do(bare.kernel.drops()) == others
        bare.add(leg(1))


@contextmanager
def _flooded(host: Host, link: str) -> Iterator[None]:
    """Send what no sender may send, from the moment that the first is dropped until the link is gone."""
    before = host.lost(DropReason.SOURCE_MAC)
    with host.netns.socket(socket.AF_PACKET, socket.SOCK_RAW) as forger:
        forger.bind((link, 0))
        with ThreadPoolExecutor() as pool:
            flood = pool.submit(_send_until_gone, forger)
            while host.lost(DropReason.SOURCE_MAC) == before and not flood.done():
                pass
            yield
            flood.result()


def _send_until_gone(forger: socket.socket) -> None:
    with suppress(OSError):
        while True:
            forger.send(_frame(leg(3).mac, 3, 2))


@pytest.mark.parametrize(
    "broken", ["tc -n {} qdisc del dev eth1 clsact", "ip netns exec {} nft delete table ip isthmus-underlay"]
)
def test_a_broken_tunnel_is_replaced(bare: Host, broken: str) -> None:
    bare.reach(desired(0))
    run(broken.format(bare.netns.name))
    assert underlay(0) not in bare.do(bare.kernel.read())
    bare.reach(desired(0))
    assert bare.do(bare.kernel.read()) == desired(0)


def test_a_port_in_use_is_refused_by_name(bare: Host) -> None:
    with bare.netns.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("0.0.0.0", PORT))
        with pytest.raises(KernelRefusedError, match=r"8472.*--vxlan-port") as refused:
            bare.add(underlay(0))
    assert refused.value.errno == errno.EADDRINUSE
    bare.add(underlay(0))
    assert bare.do(bare.kernel.read()) == {underlay(0)}


def test_anothers_tunnel_on_the_port_is_refused_by_name(bare: Host) -> None:
    bare.netns.ip(f"link add other type vxlan external dstport {PORT}")
    bare.netns.ip("link set other up")
    with pytest.raises(KernelRefusedError, match=r"8472.*--vxlan-port"):
        bare.add(underlay(0))
    assert bare.do(bare.kernel.read()) == frozenset()


def test_a_large_directory_is_read_back(bare: Host) -> None:
    everything = frozenset(
        DirectoryEntry(NET, IPv4Address(0x0A000000 + i), mac_of(IPv4Address(i)), There(VTEPS[1])) for i in range(20_000)
    )
    bare.reach(everything)
    assert bare.do(bare.kernel.read()) == everything


def test_questions_about_the_host(bare: Host) -> None:
    kernel = bare.kernel
    assert bare.do(kernel.link_of_address(VTEPS[0])) == "eth1"
    assert bare.do(kernel.link_of_address(VTEPS[1])) is None
    assert bare.do(kernel.mtu_of("eth1")) == 1500
    assert bare.do(kernel.default_address()) is None
    bare.netns.ip("link set wire up")
    bare.netns.ip("route add default via 192.168.2.1")
    assert bare.do(kernel.default_address()) == VTEPS[0]
    with pytest.raises(KernelRefusedError) as refused:
        bare.do(kernel.mtu_of("nowhere"))
    assert refused.value.errno == errno.ENODEV


def test_maps_are_pinned_on_a_bpf_file_system_only(bare: Host, tmp_path: Path) -> None:
    with pytest.raises(KernelRefusedError, match="BPF"):
        bare.do(Kernel(tmp_path).open())


def test_a_missing_object_is_named() -> None:
    with pytest.raises(KernelRefusedError, match=r"nothing\.bpf\.o.*make bpf"):
        object_path("nothing")
