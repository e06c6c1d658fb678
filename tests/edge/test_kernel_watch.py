"""The kernel's edge notices what others change of ours, and nothing else."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.core.datapath import KernelObject, container_link_name, host_link_name
from isthmus.core.reconcile import steps
from isthmus.edge.kernel.programs import object_path
from tests.edge.kernel_hosts import VTEPS, Host, desired, entries, leg, lone_host, run, underlay

pytestmark = pytest.mark.root

LEG = host_link_name(leg(1).endpoint)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host that holds what is desired, and has told all that happened until then."""
    with lone_host(tmp_path) as made:
        made.reach(desired(0))
        made.do(made.kernel.is_as_left())
        yield made


def test_what_we_do_ourselves_is_no_news(host: Host) -> None:
    whole, nothing = desired(0), frozenset[KernelObject]()
    for wanted, there in (
        (nothing, whole),
        (whole, nothing),
        (whole, nothing),
        (whole - {leg(1), *entries(1, 0)}, whole),
    ):
        for step in steps(wanted, there):
            host.do(host.kernel.apply(step))
            assert host.do(host.kernel.is_as_left()), step
            assert host.do(host.kernel.mend_rows()) == {}, step


def test_what_the_engine_does_to_a_leg_is_no_news(host: Host) -> None:
    run(f"ip netns add {host.netns.name}-c")
    try:
        inside = f"ip -n {host.netns.name}-c"
        host.netns.ip(f"link set {container_link_name(leg(1).endpoint)} netns {host.netns.name}-c name eth0")
        run(f"{inside} link set eth0 up")
        run(f"{inside} link set eth0 down")
        assert host.do(host.kernel.is_as_left())
    finally:
        run(f"ip netns del {host.netns.name}-c")


def _foreign(host: Host) -> dict[str, str]:
    """What others have beside ours, as their tools show it: each by the command that tells of it."""
    commands = (
        "tc filter show dev eth1 ingress pref 7",
        "tc filter show dev eth1 egress pref 49152",
        "tc qdisc show dev wire clsact",
        "nft list table ip other",
        "nft list table inet isthmus-underlay",
        "ip -br link show dev theirs",
        "ip -br link show dev vxlan9",
        f"bpftool map show pinned {host.bpffs}/theirs",
    )
    return {each: run(f"ip netns exec {host.netns.name} {each}") for each in commands}


def _settle_others(host: Host) -> None:
    run(f"bpftool prog load {object_path('to_underlay')} {host.bpffs}/program")
    run(f"bpftool map create {host.bpffs}/theirs type hash key 4 value 4 entries 4 name directory")
    for each in (
        f"tc filter add dev eth1 ingress prio 7 bpf da object-pinned {host.bpffs}/program",
        f"tc filter add dev eth1 egress prio 49152 bpf da object-pinned {host.bpffs}/program",
        "tc qdisc add dev wire clsact",
        "nft add table ip other",
        "nft add chain ip other output { type filter hook output priority -300; }",
        "nft add table inet isthmus-underlay",
        "ip link add theirs type veth peer name theirs0",
        "ip link add vxlan9 type vxlan id 9 dstport 4790 dev eth1",
    ):
        run(f"ip netns exec {host.netns.name} {each}")


def test_what_others_do_to_what_is_theirs_is_no_news(host: Host) -> None:
    _settle_others(host)
    assert host.do(host.kernel.is_as_left())
    for each in ("link set theirs up", "link set theirs mtu 1400", "link del vxlan9", "link set eth1 alias uplink"):
        host.netns.ip(each)
        assert host.do(host.kernel.is_as_left()), each
    assert host.do(host.kernel.mend_rows()) == {}


@pytest.mark.parametrize(
    "damage",
    [
        f"ip link del {LEG}",
        "ip link del isthmus-vxlan",
        "tc filter del dev eth1 ingress prio 18771",
        f"tc qdisc del dev {LEG} clsact",
        "nft delete table ip isthmus-underlay",
    ],
)
def test_what_is_not_ours_survives_a_repair(host: Host, damage: str) -> None:
    _settle_others(host)
    before = _foreign(host)
    run(f"ip netns exec {host.netns.name} {damage}")
    assert not host.do(host.kernel.is_as_left())
    host.reach(desired(0))
    assert host.do(host.kernel.read()) == desired(0)
    assert _foreign(host) == before


def test_a_clsact_that_was_there_before_us_is_used_and_stays(host: Host) -> None:
    host.reach(frozenset())
    host.netns.ip("link del eth1")
    host.netns.ip("link add eth1 type veth peer name wire")
    host.netns.ip(f"addr add {VTEPS[0]}/24 dev eth1")
    run(f"tc -n {host.netns.name} qdisc add dev eth1 clsact")
    run(f"bpftool prog load {object_path('to_underlay')} {host.bpffs}/program")
    run(f"tc -n {host.netns.name} filter add dev eth1 egress prio 7 bpf da object-pinned {host.bpffs}/program")
    host.reach(desired(0))
    assert host.do(host.kernel.read()) == desired(0)
    host.reach(frozenset())
    assert "pref 7 " in run(f"tc -n {host.netns.name} filter show dev eth1 egress")
    assert "pref 18771 " not in run(f"tc -n {host.netns.name} filter show dev eth1 egress")


def test_a_tunnel_on_another_carrier_leaves_the_first(host: Host) -> None:
    host.netns.ip("link set eth1 down")
    host.netns.ip("link add eth2 type veth peer name wire2")
    host.netns.ip("link set eth2 up")
    moved = desired(0) - {underlay(0)} | {replace(underlay(0), device="eth2")}
    host.reach(moved)
    assert host.do(host.kernel.read()) == moved
    for side in ("ingress", "egress"):
        assert run(f"tc -n {host.netns.name} filter show dev eth1 {side}") == ""


def test_a_tunnel_that_is_mended_stays_the_same_device(host: Host) -> None:
    before = host.netns.ip("-br link show dev isthmus-vxlan")
    index = host.netns.ip("-o link show dev isthmus-vxlan").split(":")[0]
    for damage in ("link set isthmus-vxlan down", "link set isthmus-vxlan mtu 1280"):
        host.netns.ip(damage)
        host.reach(desired(0))
        assert host.netns.ip("-br link show dev isthmus-vxlan") == before
    assert host.netns.ip("-o link show dev isthmus-vxlan").split(":")[0] == index
