"""The kernel turns on a real kernel: what somebody else changes there is mended."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from isthmus.core.datapath import host_link_name
from isthmus.core.desired import Seat
from isthmus.core.model import Encap, Endpoint, Network, Node, NodeName, Record, Tag, mac_of
from isthmus.core.world import Change, World, evolve
from isthmus.netplugin.kernel_turns import KernelTurns
from tests.edge.kernel_hosts import VTEPS, Host, address, leg, own_bpffs, run, underlay
from tests.netplugin.conftest import KEY, SUBNET, log

pytestmark = pytest.mark.root

ONE, TWO = NodeName("one"), NodeName("two")
SEAT = Seat(ONE, underlay(0), 1500)
WORLD: list[Record] = [
    Node(ONE, VTEPS[0], "1"),
    Node(TWO, VTEPS[1], "1"),
    Network(KEY, Encap.VXLAN, Tag(1), SUBNET),
    Endpoint(leg(1).endpoint, KEY, ONE, mac_of(address(1)), address(1), sandbox="/s"),
]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with ExitStack() as stack:
        stack.enter_context(own_bpffs(tmp_path / "bpffs"))
        made = Host(tmp_path / "bpffs")
        stack.callback(run, f"ip netns del {made.netns.name}")
        stack.callback(made.close)
        made.netns.ip("link add eth1 type veth peer name wire")
        made.netns.ip(f"addr add {VTEPS[0]}/24 dev eth1")
        made.netns.ip("link set eth1 up")
        yield made


async def mended(host: Host, damage: str) -> None:
    """Let turns bring the host in line, do the damage, and wait until an audit has mended it."""
    turns = KernelTurns(host.kernel, asyncio.Event(), log(), audit_s=0.1)
    turns.notice(evolve(World(), map(Change, WORLD), 5))
    running = asyncio.create_task(turns.run(SEAT))
    try:
        async with asyncio.timeout(20):
            await turns.applied(5)
            before = await host.kernel.read()
            await asyncio.to_thread(run, damage.format(host.netns.name))  # fails if there is nothing to damage
            while await host.kernel.read() != before:
                await asyncio.sleep(0.05)
    finally:
        running.cancel()
        await asyncio.wait([running])


@pytest.mark.parametrize(
    "damage",
    [
        "ip -n {} link del isthmus-vxlan",
        "tc -n {} qdisc del dev eth1 clsact",
        "tc -n {} qdisc del dev " + host_link_name(leg(1).endpoint) + " clsact",
        "ip -n {} link del " + host_link_name(leg(1).endpoint),
    ],
)
def test_what_somebody_removes_is_back_by_the_next_audit(host: Host, damage: str) -> None:
    host.do(mended(host, damage))
