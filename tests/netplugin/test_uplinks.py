"""Which uplinks are there, and which of them VLAN networks use."""

from isthmus.edge.kernel import Link
from isthmus.netplugin.uplinks import Trunk, trunk

NAMES = ("eth2", "eth3")
NOTHING = Trunk()


def links(**running: bool | None) -> dict[str, Link]:
    """Links by name, running or not; None: the device is down."""
    return {
        name: Link(name, index, 1500, is_up=is_running is not None, is_running=bool(is_running))
        for index, (name, is_running) in enumerate(running.items(), 1)
    }


def test_the_first_that_works_is_active_in_the_operators_order() -> None:
    now = trunk(NAMES, links(eth3=True, eth2=True), NOTHING)
    assert (now.devices, now.active, dict(now.problems)) == (("eth2", "eth3"), "eth2", {})


def test_the_other_takes_over_and_keeps_on_when_the_first_is_back() -> None:
    before = trunk(NAMES, links(eth2=True, eth3=True), NOTHING)
    cut = trunk(NAMES, links(eth2=False, eth3=True), before)
    assert (cut.active, dict(cut.problems)) == (
        "eth3",
        {"uplink eth2": "the device has no carrier: is its cable plugged in?"},
    )
    healed = trunk(NAMES, links(eth2=True, eth3=True), cut)
    assert (healed.active, dict(healed.problems)) == ("eth3", {})


def test_a_device_that_comes_late_is_taken_then() -> None:
    before = trunk(NAMES, {}, NOTHING)
    assert (before.devices, before.active) == ((), None)
    assert set(before.problems.values()) == {"there is no such device"}
    assert trunk(NAMES, links(eth3=True), before).active == "eth3"


def test_a_device_that_is_down_is_named_so() -> None:
    now = trunk(("eth2",), links(eth2=None), NOTHING)
    assert (now.devices, now.active, dict(now.problems)) == (("eth2",), None, {"uplink eth2": "the device is down"})


def test_the_smallest_mtu_counts_and_lasts_while_no_device_is_there() -> None:
    jumbo = {"eth2": Link("eth2", 1, 9000, is_up=True, is_running=True)}
    now = trunk(NAMES, jumbo | {"eth3": Link("eth3", 2, 4000, is_up=True, is_running=True)}, NOTHING)
    assert now.mtu_bytes == 4000
    assert trunk(NAMES, {}, now).mtu_bytes == 4000
