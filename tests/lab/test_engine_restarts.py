"""Engines, agents and whole nodes that go and come back: what should run runs again, by its name."""

import pytest

from isthmus.lab.running import RunningLab
from tests.lab.probes import NET, Container, create_net, directory, eventually, held, legs, networks, run

pytestmark = [pytest.mark.root, pytest.mark.lab]

ALWAYS = "--restart=always"
Pair = tuple[Container, Container]


@pytest.fixture
def pair(cluster: RunningLab) -> Pair:
    """A container on either node, the first to be restarted with its engine."""
    create_net(cluster)
    first, second = cluster.nodes
    return run(first, "one", ALWAYS), run(second, "two")


def is_back(pair: Pair) -> bool:
    """Whether both reach each other by name, and nothing else is held."""
    one, two = pair
    return one.reaches(two.name) and two.reaches(one.name) and len(held(two.node)) == 4


def test_an_engine_that_restarts_has_its_containers_back(pair: Pair) -> None:
    one, _ = pair
    one.node.stop("dockerd")
    assert eventually(10, lambda: len(held(one.node)) == 2)
    one.node.start("dockerd")
    assert eventually(20, lambda: is_back(pair)), held(one.node)
    assert len(legs(one.node)) == 1


def test_an_engine_that_was_killed_has_its_containers_back(pair: Pair) -> None:
    one, two = pair
    one.node.kill("dockerd")
    one.node.start("dockerd")
    assert eventually(20, lambda: is_back(pair)), held(one.node)
    assert len(legs(one.node)) == 1
    assert len(directory(two.node)) == 2


def test_an_agent_started_long_before_its_engine_serves_it(pair: Pair) -> None:
    """As at boot: the engine calls for its containers before it answers, and the agent has asked it nothing yet."""
    one, _ = pair
    for program in ("dockerd", "netplugin"):
        one.node.stop(program)
    one.node.start("netplugin")
    one.node.start("dockerd")
    assert eventually(20, lambda: is_back(pair)), one.node.log("netplugin")[-2000:]


def test_an_agent_that_forgot_its_engines_networks_asks_for_them(pair: Pair) -> None:
    one, two = pair
    one.node.kill("netplugin")
    one.node.output("rm /var/lib/isthmus/docker-networks.json")
    one.node.start("netplugin")
    assert run(one.node, "late").reaches(two.name)
    one.remove()
    assert eventually(10, lambda: len(held(two.node)) == 4)


def test_a_node_whose_power_failed_comes_back_with_its_containers(pair: Pair) -> None:
    one, two = pair
    one.node.pull_power()
    assert two.run(f"ping -c 1 -W 1 {one.name}").returncode != 0
    one.node.turn_on()
    assert eventually(30, lambda: is_back(pair)), one.node.log("netplugin")[-2000:]
    assert networks(one.node)[NET] == "netplugin"
