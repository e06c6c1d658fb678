"""Nodes that share a name, go for good, move, or have a wrong clock or a full disk."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from isthmus.lab.running import RunningLab, RunningNode
from tests.lab.probes import NET, Container, create_net, directory, held, legs, networks, records, run

pytestmark = [pytest.mark.root, pytest.mark.lab]

Pair = tuple[Container, Container]
AGENT = "netplugin -plugin-mode docker -cluster-store etcd://localhost:2379"


@pytest.fixture
def pair(cluster: RunningLab) -> Pair:
    """A container on either node."""
    create_net(cluster)
    first, second = cluster.nodes
    return run(first, "one"), run(second, "two")


@contextmanager
def stopped(node: RunningNode, program: str) -> Iterator[None]:
    """Without the program during the block."""
    node.stop(program)
    try:
        yield
    finally:
        node.start(program)


def test_a_second_node_of_the_same_name_does_not_join_and_the_first_does_not_notice(pair: Pair) -> None:
    """Its agent would take the first one's containers for its own: make their legs, and collect their entries."""
    one, two = pair
    name = one.node.name
    before = held(one.node), directory(one.node), legs(one.node), sorted(records(one.node, "node"))
    with stopped(two.node, "netplugin"):
        own_legs = legs(two.node)
        line = f"{AGENT} -host-label {name} & docker run --rm --net={NET} alpine true; wait $!"
        refused = two.node.run(line, timeout_s=60)
        assert refused.returncode == 1
        assert f"node name {name} is in use by a live host (192.168.2.10); choose -host-label" in refused.stderr
        said = f"Error response from daemon: IpamDriver.RequestAddress: node name {name} is held by another host"
        assert said in refused.stderr, refused.stderr
        assert legs(two.node) == own_legs
        assert NET in networks(two.node)
        lost = f"{two.node.name}/lease"
        after = held(one.node), directory(one.node), legs(one.node), sorted(records(one.node, "node"))
        assert after == (*before[:3], [each for each in before[3] if each != lost])
    assert two.reaches(one.name)
    assert one.reaches(two.name)
    assert sorted(records(one.node, "node")) == before[3]
