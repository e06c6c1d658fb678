"""The C and its oracle: thousands of packets at random end alike in the kernel and in core.trace."""

import random
from typing import Any

import pytest

from isthmus.core.trace import Answer, Deliver, Drop, Encapsulate, PassToKernel, tables_of, trace
from tests.bpf.packets import HOST, any_arrival

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
