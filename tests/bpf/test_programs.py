"""Packets through the programs in the kernel, each case by name: packet in, verdict, packet and counter out."""

from typing import Any

import pytest

from isthmus.core.datapath import KernelObject, KnownNetwork, Leg, Underlay, Uplink
from isthmus.core.model import Encap, Tag
from isthmus.core.trace import (
    Answer,
    Copy,
    Drop,
    DropReason,
    FromUnderlay,
    PassToKernel,
    tables_of,
    trace,
)
from tests.bpf.cases import INNER, LOSSES, WAYS, Case
from tests.bpf.packets import (
    HOST,
    NET,
    WIRED,
    A,
    B,
    P,
    for_group,
    from_a,
    from_p,
    tunnel,
    v4_frame,
    vxlan,
)
from tests.bpf.wired import SEEN_FROM_A, SEEN_FROM_P

pytestmark = [pytest.mark.root, pytest.mark.bpf]


# Where another host of tables is needed, or (KERNEL_REFUSED) a kernel that fails.
ELSEWHERE = {DropReason.NO_ENDPOINT, DropReason.NO_UNDERLAY, DropReason.NO_UPLINK, DropReason.KERNEL_REFUSED}


@pytest.mark.parametrize("case", WAYS + LOSSES, ids=lambda case: case.name)
def test_a_packet_ends_as_the_case_says_in_the_kernel_and_in_the_trace(rig: Any, case: Case) -> None:
    expected = trace(tables_of(HOST), case.arrival).verdict
    assert rig.run(case.arrival) == expected
    assert expected == case.verdict or (case.verdict is Answer and isinstance(expected, Answer))


@pytest.mark.parametrize(
    ("seen_from", "case"),
    [*(("flooded", each) for each in SEEN_FROM_A), *(("wired", each) for each in SEEN_FROM_P)],
    ids=lambda each: each.name if isinstance(each, Case) else "",
)
def test_floods_and_vlans_end_as_the_case_says(request: Any, seen_from: str, case: Case) -> None:
    expected = trace(tables_of(WIRED), case.arrival).verdict
    assert request.getfixturevalue(seen_from).run(case.arrival) == expected
    assert expected == case.verdict or (case.verdict is Answer and isinstance(expected, Answer))


def test_every_reason_has_a_case() -> None:
    everything = LOSSES + SEEN_FROM_A + SEEN_FROM_P
    seen = {case.verdict.reason for case in everything if isinstance(case.verdict, Drop)}
    assert seen | ELSEWHERE == set(DropReason)


def test_a_drop_is_counted_once_under_its_reason(rig: Any) -> None:
    for case in LOSSES:
        assert isinstance(case.verdict, Drop)
        before = rig.lost(case.verdict.reason)
        rig.run(case.arrival)
        assert rig.lost(case.verdict.reason) == before + 1, case.name


def test_traffic_is_counted_for_sender_and_receiver(rig: Any) -> None:
    frame = v4_frame(1, 2)
    identities = {each.endpoint: ifindex for ifindex, each in rig.tables.identities().items()}
    before = rig.tables.traffic()
    rig.run(from_a(frame))
    after = rig.tables.traffic()
    sender, receiver = identities[A], identities[B]
    assert after[sender].sent_packets == before[sender].sent_packets + 1
    assert after[sender].sent_bytes == before[sender].sent_bytes + len(frame)
    assert after[receiver].received_bytes == before[receiver].received_bytes + len(frame)


def without(kind: type) -> list[KernelObject]:
    return [each for each in HOST if not isinstance(each, kind)]


@pytest.mark.parametrize(
    ("missing", "frame", "reason"),
    [
        (Leg, v4_frame(1, 2), DropReason.NO_ENDPOINT),
        (Underlay, v4_frame(1, 3), DropReason.NO_UNDERLAY),
        (KnownNetwork, v4_frame(1, 3), DropReason.UNKNOWN_NETWORK),
    ],
)
def test_what_is_missing_drops(rigs: Any, missing: type, frame: bytes, reason: DropReason) -> None:
    objects = without(missing)
    assert rigs.make(objects, A).run(from_a(frame)) == Drop(reason)
    assert trace(tables_of(objects), from_a(frame)).verdict == Drop(reason)


def test_a_network_that_travels_otherwise_than_its_number_says_does_not_travel(rigs: Any) -> None:
    objects = [KnownNetwork(NET, Encap.VLAN, Tag(7)) if isinstance(each, KnownNetwork) else each for each in HOST]
    assert rigs.make(objects, A).run(from_a(v4_frame(1, 3))) == Drop(DropReason.ENCAP)


def test_without_the_fast_receive_the_tunnel_device_gets_everything(rigs: Any) -> None:
    assert rigs.make_slow(HOST, A).run(FromUnderlay(tunnel(vxlan(7, INNER)))) == PassToKernel()


def test_without_an_uplink_a_vlan_ends_on_this_host(rigs: Any) -> None:
    objects = [each for each in WIRED if not isinstance(each, Uplink)]
    rig = rigs.make(objects, P)
    for arrival, verdict in (
        (from_p(v4_frame(1, 3)), Drop(DropReason.NO_UPLINK)),
        (from_p(v4_frame(1, 9)), Drop(DropReason.NO_UPLINK)),
        (from_p(for_group(1)), Copy(1)),
    ):
        assert rig.run(arrival) == trace(tables_of(objects), arrival).verdict == verdict
