"""Broadcast and multicast of a VXLAN network on a real kernel: copies to members and to their hosts."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from isthmus.core.datapath import Flood, KernelObject, Uplink
from isthmus.core.trace import DropReason
from tests.edge.kernel_hosts import HOME, NET, VTEPS, Cluster, desired, leg
from tests.edge.talk import BROADCAST, GROUP, is_heard_once, listening, say

pytestmark = pytest.mark.root


def flooding(host: int, *, is_fast: bool = True) -> frozenset[KernelObject]:
    here = tuple(sorted(leg(i).endpoint for i in HOME if HOME[i] == host))
    return desired(host, is_fast=is_fast) | {Flood(NET, here, (VTEPS[1 - host],))}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ExitStack() as stack:
        made = Cluster(tmp_path_factory.mktemp("hosts"), stack)
        for i, host in enumerate(made.hosts):
            host.reach(flooding(i))
        for i in HOME:
            made.join(i)
            made.containers[i].ip(f"addr replace {leg(i).addresses[0]}/24 brd {BROADCAST} dev eth0")
        yield made


@pytest.mark.parametrize("is_fast", [True, False], ids=["fast", "slow"])
@pytest.mark.parametrize("target", [GROUP, BROADCAST])
@pytest.mark.parametrize("speaker", HOME)
def test_what_is_for_all_reaches_all_once(cluster: Cluster, speaker: int, target: str, is_fast: bool) -> None:
    for i, host in enumerate(cluster.hosts):
        host.reach(flooding(i, is_fast=is_fast))
        assert host.do(host.kernel.read()) == flooding(i, is_fast=is_fast)
    word = f"{speaker} {target} {is_fast}".encode()
    with ExitStack() as stack:
        ears = [stack.enter_context(listening(cluster.containers[i], "eth0")) for i in HOME if i != speaker]
        say(cluster.containers[speaker], "eth0", word, target)
        assert all(is_heard_once(ear, word) for ear in ears)


@pytest.mark.parametrize("is_fast", [True, False], ids=["fast", "slow"])
def test_the_tunnel_goes_on_where_its_device_is_an_uplink_too(cluster: Cluster, is_fast: bool) -> None:
    for i, host in enumerate(cluster.hosts):
        host.reach(flooding(i, is_fast=is_fast) | {Uplink("eth1", True)})
    for target in leg(2).addresses:
        assert cluster.containers[1].ping(target, size=8000) == 5
    assert cluster.hosts[0].netns.ping(VTEPS[1]) == 5


def test_copies_are_counted_for_sender_and_receivers(cluster: Cluster) -> None:
    before = [host.do(host.kernel.counters()) for host in cluster.hosts]
    say(cluster.containers[1], "eth0", b"counted", GROUP)
    after = [host.do(host.kernel.counters()) for host in cluster.hosts]
    one, three = leg(1).endpoint, leg(3).endpoint
    assert after[0][one].sent_packets == before[0][one].sent_packets + 1
    assert after[0][three].received_packets == before[0][three].received_packets + 1


def test_a_network_that_does_not_flood_drops_and_counts(cluster: Cluster) -> None:
    host = cluster.hosts[0]
    host.reach(desired(0))
    before = host.lost(DropReason.MULTICAST)
    say(cluster.containers[1], "eth0", b"unheard", GROUP)
    assert host.lost(DropReason.MULTICAST) > before
    host.reach(flooding(0))
