"""The laws of `steps`: they lead from what is to what should be, in an order that never opens a hole."""

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from isthmus.core.datapath import (
    DatapathId,
    DirectoryEntry,
    Flood,
    Here,
    KernelObject,
    KnownNetwork,
    KnownVtep,
    Leg,
    Underlay,
    Uplink,
)
from isthmus.core.model import Encap, EndpointId, Mac, Tag
from isthmus.core.reconcile import Step, Verb, place_of, steps

MAC = Mac("02:02:0a:01:02:01")
ADDRESS = IPv4Address("10.1.2.1")
EVERYTHING: list[KernelObject] = [
    Underlay("eth1", IPv4Address("192.168.2.10"), 8472),
    *(KnownNetwork(DatapathId(number), Encap.VXLAN, Tag(number)) for number in (1, 2)),
    KnownVtep(IPv4Address("192.168.2.11")),
    Leg(EndpointId("e1"), DatapathId(1), MAC, (ADDRESS,), 1450),
    DirectoryEntry(DatapathId(1), ADDRESS, MAC, Here(EndpointId("e1"))),
    *(Uplink(device, device == "eth2") for device in ("eth2", "eth3")),
    Flood(DatapathId(1), (EndpointId("e1"),)),
]
VARIANTS: list[KernelObject] = [
    Leg(EndpointId("e1"), DatapathId(1), MAC, (ADDRESS,), 1400),
    DirectoryEntry(DatapathId(1), ADDRESS, MAC, Here(EndpointId("e2"))),
    Uplink("eth2", False),
    Flood(DatapathId(1), (EndpointId("e1"), EndpointId("e2")), (IPv4Address("192.168.2.11"),)),
]


def one_a_place(objects: list[KernelObject]) -> frozenset[KernelObject]:
    return frozenset({place_of(each): each for each in objects}.values())


sets = st.lists(st.sampled_from([*EVERYTHING, *VARIANTS])).map(one_a_place)


@given(sets, sets)
def test_steps_lead_to_what_is_desired(desired: frozenset[KernelObject], actual: frozenset[KernelObject]) -> None:
    held = {place_of(target): target for target in actual}
    for step in steps(desired, frozenset(held.values())):
        if step.verb is Verb.ADD:
            held[place_of(step.target)] = step.target
        else:
            del held[place_of(step.target)]
    assert set(held.values()) == desired


@given(sets)
def test_nothing_is_done_where_all_is_well(objects: frozenset[KernelObject]) -> None:
    assert steps(objects, objects) == ()


def test_reachability_comes_last_and_goes_first() -> None:
    added = [step.target for step in steps(frozenset(EVERYTHING), frozenset())]
    removed = [step.target for step in steps(frozenset(), frozenset(EVERYTHING))]
    assert isinstance(added[0], Underlay)
    assert [type(each) for each in added[-2:]] == [DirectoryEntry, Flood]
    assert removed == added[::-1]


def test_an_entry_that_moves_is_never_missing_meanwhile() -> None:
    old = DirectoryEntry(DatapathId(1), ADDRESS, MAC, Here(EndpointId("e1")))
    new = DirectoryEntry(DatapathId(1), ADDRESS, MAC, Here(EndpointId("e2")))
    assert steps(frozenset([new]), frozenset([old])) == (Step(Verb.ADD, new),)


def test_a_leg_that_differs_is_mended_and_not_cut_off() -> None:
    old = Leg(EndpointId("e1"), DatapathId(1), MAC, (ADDRESS,), 1450)
    new = Leg(EndpointId("e1"), DatapathId(1), MAC, (ADDRESS,), 1400)
    assert steps(frozenset([new]), frozenset([old])) == (Step(Verb.ADD, new),)


def test_a_flood_that_changes_is_written_over_in_one_step() -> None:
    old = Flood(DatapathId(1), (EndpointId("e1"),))
    new = Flood(DatapathId(1), (EndpointId("e1"), EndpointId("e2")))
    assert steps(frozenset([new]), frozenset([old])) == (Step(Verb.ADD, new),)
