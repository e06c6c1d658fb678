"""Uplinks and floods as things of ours: made, read back, left alone by us and put back where others change them."""

import errno
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from isthmus.core.datapath import Flood, KernelObject, Uplink, host_link_name
from isthmus.core.errors import KernelRefusedError
from isthmus.core.reconcile import steps
from isthmus.edge.kernel.programs import object_path
from isthmus.wire.maps import LAYOUT
from tests.edge.kernel_hosts import NET, VTEPS, Host, desired, leg, lone_host, run, underlay
from tests.edge.trunk import vlan_desired

pytestmark = pytest.mark.root

TRUNK_PRIORITY = 18772
WHOLE: frozenset[KernelObject] = desired(0) | {
    Uplink("eth2", True),
    Uplink("eth3", False),
    Flood(NET, tuple(sorted(leg(i).endpoint for i in (1, 3))), (VTEPS[1],)),
}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host that holds everything, and has told all that happened until then."""
    with lone_host(tmp_path) as made:
        for name in ("eth2", "eth3"):
            _add_device(made, name)
        made.reach(WHOLE)
        made.do(made.kernel.is_as_left())
        yield made


def _add_device(host: Host, name: str) -> None:
    host.netns.ip(f"link add {name} type veth peer name {name}-wire")
    host.netns.ip(f"link set {name}-wire up")
    host.netns.ip(f"link set {name} up")


def _filters(host: Host, device: str) -> str:
    return run(f"tc -n {host.netns.name} filter show dev {device} ingress")


def test_what_was_applied_is_read_back_also_after_a_restart(host: Host) -> None:
    assert host.do(host.kernel.read()) == WHOLE
    host.restart()
    assert host.do(host.kernel.read()) == WHOLE


def test_what_we_do_ourselves_is_no_news(host: Host) -> None:
    nothing = frozenset[KernelObject]()
    over = WHOLE - {Uplink("eth2", True), Uplink("eth3", False)} | {Uplink("eth2", False), Uplink("eth3", True)}
    for wanted, there in ((nothing, WHOLE), (WHOLE, nothing), (over, WHOLE), (WHOLE, over)):
        for step in steps(wanted, there):
            host.do(host.kernel.apply(step))
            assert host.do(host.kernel.is_as_left()), step
            assert host.do(host.kernel.mend_rows()) == {}, step
        assert host.do(host.kernel.read()) == wanted


@pytest.mark.parametrize(
    "damage",
    [
        "tc qdisc del dev eth2 clsact",
        f"tc filter del dev eth2 ingress prio {TRUNK_PRIORITY}",
        f"tc filter del dev eth3 ingress prio {TRUNK_PRIORITY}",
        "ip link set eth2 promisc off",
    ],
)
def test_what_is_damaged_is_noticed_and_put_back(host: Host, damage: str) -> None:
    run(f"ip netns exec {host.netns.name} {damage}")
    assert not host.do(host.kernel.is_as_left())
    host.reach(WHOLE)
    assert host.do(host.kernel.read()) == WHOLE
    assert host.do(host.kernel.is_as_left())
    assert _filters(host, "eth2").count(" handle 0x1 from_uplink-") == 1


@pytest.mark.parametrize("is_active", [False, True])
def test_what_a_crash_left_half_made_is_made_whole(host: Host, is_active: bool) -> None:
    """The filter is there, the rest is not yet: as after a kill in the middle, whatever is wanted by then."""
    host.add(Uplink("eth2", False))
    host.netns.ip("link set eth2 promisc off")
    host.restart()
    wanted = WHOLE - {Uplink("eth2", True)} | {Uplink("eth2", is_active)}
    host.reach(wanted)
    assert host.do(host.kernel.read()) == wanted
    assert "PROMISC" in host.netns.ip("link show eth2")


def test_a_device_that_is_gone_is_noticed_and_picked_up_when_it_returns(host: Host) -> None:
    host.netns.ip("link del eth2")
    assert not host.do(host.kernel.is_as_left())
    assert host.do(host.kernel.read()) == WHOLE - {Uplink("eth2", True)}
    with pytest.raises(KernelRefusedError, match="eth2") as refused:
        host.add(Uplink("eth2", True))
    assert refused.value.errno == errno.ENODEV
    host.remove(Uplink("eth2", True))
    _add_device(host, "eth2")
    host.reach(WHOLE)
    assert host.do(host.kernel.read()) == WHOLE


def test_what_an_operator_does_to_an_uplink_is_no_news(host: Host) -> None:
    for each in ("link set eth2 mtu 1600", "link set eth2 alias trunk", "link set eth2 down", "link set eth2 up"):
        host.netns.ip(each)
        assert host.do(host.kernel.is_as_left()), each
    host.netns.ip("addr add 192.168.3.10/24 dev eth2")
    assert host.do(host.kernel.is_as_left())
    assert host.do(host.kernel.read()) == WHOLE


@pytest.mark.parametrize("name", ["uplinks", "floods"])
@pytest.mark.parametrize("is_deleted", [True, False], ids=["deleted", "changed"])
def test_rows_that_others_change_are_put_back(host: Host, name: str, is_deleted: bool) -> None:
    pin = f"pinned {host.bpffs}/isthmus/v{LAYOUT}/{name}"
    row = json.loads(run(f"bpftool -j map dump {pin}"))[0]
    key = " ".join(row["key"])
    if is_deleted:
        run(f"bpftool map delete {pin} key hex {key.replace('0x', '')}")
    else:
        run(f"bpftool map update {pin} key hex {key.replace('0x', '')} value {'1 ' * len(row['value'])}")
    assert host.do(host.kernel.mend_rows()) == {name: 1}
    assert host.do(host.kernel.read()) == WHOLE


def test_a_leg_that_is_made_anew_is_in_the_flood_again(host: Host) -> None:
    host.netns.ip(f"link del {host_link_name(leg(1).endpoint)}")
    assert not host.do(host.kernel.is_as_left())
    host.reach(WHOLE)
    assert host.do(host.kernel.read()) == WHOLE


def test_a_clsact_and_filters_of_others_stay(host: Host) -> None:
    run(f"bpftool prog load {object_path('to_underlay')} {host.bpffs}/program")
    run(
        f"ip netns exec {host.netns.name} tc filter add dev eth2 ingress prio 7 bpf da object-pinned"
        f" {host.bpffs}/program"
    )
    host.reach(frozenset())
    assert "pref 7 " in _filters(host, "eth2")
    assert f"pref {TRUNK_PRIORITY} " not in _filters(host, "eth2")
    assert "PROMISC" not in host.netns.ip("link show dev eth2")


def test_one_device_can_be_the_underlays_and_an_uplink(host: Host) -> None:
    both = desired(0) | {Uplink("eth1", True)}
    host.reach(both)
    assert host.do(host.kernel.read()) == both
    assert [_filters(host, "eth1").count(f" handle 0x1 {name}-") for name in ("from_underlay", "from_uplink")] == [1, 1]
    only = frozenset[KernelObject]([Uplink("eth1", True)])
    for wanted in (only, both, both - {Uplink("eth1", True)}, both - {underlay(0)}):
        host.reach(wanted)
        assert host.do(host.kernel.read()) == wanted


def test_a_vlan_network_is_read_back_with_its_number(host: Host) -> None:
    host.reach(frozenset())
    wanted = vlan_desired(0)
    host.reach(wanted)
    assert host.do(host.kernel.read()) == wanted
