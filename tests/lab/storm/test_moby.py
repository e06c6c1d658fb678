"""What breaks Docker's own overlay after churn, by the numbers of the reports at github.com/moby/moby/issues."""

import itertools
from collections.abc import Callable
from functools import partial

import pytest

from isthmus.lab.running import RunningLab, RunningNode
from tests.lab.probes import NET, Container, at_once, eventually, run
from tests.lab.storm.engine import SLOT
from tests.lab.storm.storm import agreement
from tests.lab.storm.weather import Weather

pytestmark = [pytest.mark.root, pytest.mark.lab]

MANY = 8
_serial = itertools.count()


def start(node: RunningNode, name: str, *options: str) -> Container:
    """Run a container that the storm's view knows."""
    return run(node, name, f"--label={SLOT}=moby{next(_serial)}", *options)


def remove_all(nodes: dict[str, RunningNode]) -> list[Callable[[], object]]:
    """One removal for each node, of all these containers that it has."""
    where = {node.name: node for node in nodes.values()}
    each = {name: [container for container, node in nodes.items() if node.name == name] for name in where}
    return [partial(where[name].output, ["docker", "rm", "-f", *containers]) for name, containers in each.items()]


def on_every_node(sea: RunningLab, shift: int) -> dict[str, RunningNode]:
    """Where each of many containers runs; another shift puts every one on another node."""
    return {f"nginx{i}": sea.nodes[(i + shift) % len(sea.nodes)] for i in range(MANY)}


def test_moby_35401_addresses_that_come_back_on_other_hosts_are_reached_there(sea: RunningLab) -> None:
    """One container stays; around it all others go, and come back with the same addresses on other hosts."""
    stays = start(sea.nodes[0], "debian", "--ip=10.1.2.12")
    for shift in range(len(sea.nodes)):
        nodes = on_every_node(sea, shift)
        many = at_once(
            [partial(start, node, name, f"--ip=10.1.2.{1 + i}") for i, (name, node) in enumerate(nodes.items())]
        )
        asked = "\n".join(f"ping -c 1 -W 1 {each.address()} >/dev/null || echo {each.name}" for each in many)
        assert stays.output(asked) == ""
        agreement(sea)
        at_once(remove_all(nodes))
        agreement(sea)


def test_moby_52661_a_mass_redeployment_leaves_nothing_stale_even_where_it_was_not_heard_of(sea: RunningLab) -> None:
    """All tasks are replaced at once, on other hosts, with each other's addresses, while one host is cut off."""
    first, second, deaf = sea.nodes
    stays = start(deaf, "traefik")
    before = {f"old{i}": node for i, node in enumerate([first, second, first, second, first])}
    at_once([partial(start, node, name) for name, node in before.items()])
    agreement(sea)
    deaf.cut("eth1")
    try:
        after = {f"new{i}": node for i, node in enumerate([second, first, second, first, second])}
        starts: list[Callable[[], object]] = [partial(start, node, name) for name, node in after.items()]
        at_once([*remove_all(before), *starts])
    finally:
        deaf.heal("eth1")
    Weather(sea).await_quiet()
    agreement(sea)
    assert all(stays.reaches(name) for name in after)


def test_moby_30487_a_name_that_was_given_up_is_the_next_containers_alone(sea: RunningLab) -> None:
    """Stopped, disconnected, renamed; then another of the old name: nobody is told the old address."""
    second = sea.nodes[1]
    askers = [start(node, f"test_dns{i}") for i, node in enumerate(sea.nodes)]
    old = start(second, "test")
    assert all(each.reaches("test") for each in askers)
    for words in ("stop -t 0 test", f"network disconnect {NET} test", "rename test test_OLD"):
        second.output(f"docker {words}")
    new = start(second, "test")
    assert new.address() != askers[0].address()
    for asker in askers:
        assert eventually(2, partial(lambda asker: told(asker, "test") == [new.address()], asker)), told(asker, "test")
    second.output(f"docker network connect {NET} {old.name}_OLD && docker start {old.name}_OLD")
    for asker in askers:
        assert eventually(2, partial(lambda asker: len(told(asker, "test_OLD")) == 1, asker))
        assert told(asker, "test") == [new.address()]
    agreement(sea)


def told(asker: Container, name: str) -> list[str]:
    """The addresses that a name means for a container."""
    return asker.run(f"nslookup -type=a {name} | sed -n 's/^Address: //p'").stdout.split()


def test_moby_31588_what_moves_away_from_a_host_whose_engine_stops_is_reached_where_it_went(sea: RunningLab) -> None:
    first, second, third = sea.nodes
    stays = start(third, "client", "--ip=10.1.2.12")
    at_once([partial(start, first, f"nginx{i}", f"--ip=10.1.2.{1 + i}") for i in range(4)])
    assert all(stays.reaches(f"nginx{i}") for i in range(4))
    first.stop("dockerd")
    moved = at_once([partial(start, second, f"nginx{i}", f"--ip=10.1.2.{1 + i}") for i in range(4)])
    assert all(stays.reaches(each.name) for each in moved)
    first.start("dockerd")
    Weather(sea).await_quiet()
    agreement(sea)
