"""The C and its oracle: thousands of packets at random end alike in the kernel and in core.trace."""

import random
from typing import Any

import pytest

from isthmus.core.trace import Answer, Copy, Deliver, Drop, Encapsulate, PassToKernel, Tag, tables_of, trace
from tests.bpf.packets import HOST, WIRED, any_arrival, any_wired_arrival

pytestmark = [pytest.mark.root, pytest.mark.bpf]


@pytest.mark.parametrize("seed", range(4))
def test_kernel_and_trace_agree_on_any_packet(rig: Any, seed: int) -> None:
    dice, tables = random.Random(seed), tables_of(HOST)
    kinds = set()
    for _ in range(2500):
        arrival = any_arrival(dice)
        expected = trace(tables, arrival).verdict
        assert rig.run(arrival) == expected, arrival
        kinds.add(expected.reason if isinstance(expected, Drop) else type(expected))
    assert {Deliver, Encapsulate, Answer, PassToKernel} <= kinds
    assert len(kinds) > 20


@pytest.mark.parametrize("seed", range(4))
def test_they_agree_on_any_packet_of_a_vlan(wired: Any, seed: int) -> None:
    dice, tables = random.Random(seed), tables_of(WIRED)
    kinds = set()
    for _ in range(2500):
        arrival = any_wired_arrival(dice)
        expected = trace(tables, arrival).verdict
        assert wired.run(arrival) == expected, arrival
        kinds.add(expected.reason if isinstance(expected, Drop) else type(expected))
    assert {Deliver, Tag, Copy, Answer, PassToKernel} <= kinds
    assert len(kinds) > 20


@pytest.mark.parametrize("seed", range(2))
def test_they_agree_on_any_packet_where_networks_flood(flooded: Any, seed: int) -> None:
    dice, tables = random.Random(seed), tables_of(WIRED)
    kinds = set()
    for _ in range(2500):
        arrival = any_arrival(dice)
        expected = trace(tables, arrival).verdict
        assert flooded.run(arrival) == expected, arrival
        kinds.add(type(expected))
    assert Copy in kinds
