"""A container whose link somebody deletes by hand is whole again, and goes as every other."""

from collections.abc import Callable

import pytest

from isthmus.core.datapath import host_link_name
from isthmus.core.model import EndpointId
from isthmus.lab.running import RunningLab
from tests.lab.probes import NET, PINS, SUBNET, Container, create_net, eventually, held, legs, records, run, table

pytestmark = [pytest.mark.root, pytest.mark.lab]

SUBNET_V6 = "fd00:2::/64"
Pair = tuple[Container, Container]


@pytest.fixture
def pair(cluster: RunningLab) -> Pair:
    """A container on either node, with IPv4 and IPv6, of which the first publishes a port by Docker's own network."""
    create_net(cluster, NET, SUBNET, f"--subnetv6={SUBNET_V6}")
    first, second = cluster.nodes
    one, two = run(first, "one", "-p", "8080:80"), run(second, "two")
    assert two.reaches("one")
    assert eventually(20, lambda: all(each["container_id"] for each in records(first, "endpoint").values()))
    return one, two


def host_link(container: Container) -> str:
    template = f'{{{{(index .NetworkSettings.Networks "{NET}").EndpointID}}}}'
    return host_link_name(EndpointId(container.inspected(template)))


def delete_host_end(container: Container) -> None:
    container.node.output(["ip", "link", "del", host_link(container)])


def delete_containers_end(container: Container) -> None:
    container.node.output(container.inside(["ip", "link", "del", "eth0"]))


def are_joined(pair: Pair) -> bool:
    one, two = pair
    ways = [(here, target) for here, there in ((one, two), (two, one)) for target in (there.name, *there.addresses())]
    return all(here.reaches(target) for here, target in ways)


def ways_out(container: Container) -> str:
    """Docker's own link and routes."""
    shown = [container.inside(["ip", *words.split()]) for words in ("-o link show eth1", "route show dev eth1")]
    return "\n".join(container.node.output(each) for each in shown)


@pytest.mark.parametrize("damage", [delete_host_end, delete_containers_end])
def test_a_link_deleted_by_hand_is_back_and_docker_notices_nothing(
    pair: Pair, damage: Callable[[Container], None]
) -> None:
    one, _ = pair
    before = ways_out(one)
    damage(one)
    assert eventually(20, lambda: are_joined(pair))
    assert ways_out(one) == before
    assert_ordinary(pair)


@pytest.mark.parametrize("damage", [delete_host_end, delete_containers_end])
def test_a_link_deleted_while_the_agent_was_dead_is_back_when_it_lives(
    pair: Pair, damage: Callable[[Container], None]
) -> None:
    one, _ = pair
    one.node.kill("netplugin")
    damage(one)
    one.node.start("netplugin")
    assert eventually(20, lambda: are_joined(pair))


def delete_a_row(name: str) -> Callable[[Container], None]:
    def damage(container: Container) -> None:
        key, _ = table(container.node, name)[0]
        container.node.output(["bpftool", "map", "delete", "pinned", f"{PINS}/{name}", "key", *map(str, key)])

    return damage


def on_its_node(words: str) -> Callable[[Container], None]:
    def damage(container: Container) -> None:
        container.node.output(words.format(leg=host_link(container)))

    return damage


def destroy_its_resolver(container: Container) -> None:
    for kind in ("-u", "-t"):
        container.node.output(container.inside(["ss", "-K", kind, "-a", "src", "127.0.0.11"]))


@pytest.mark.parametrize(
    "damage",
    [
        on_its_node("ip link del isthmus-vxlan"),
        on_its_node("ip link set isthmus-vxlan down"),
        on_its_node("ip link set {leg} down"),
        on_its_node("tc qdisc del dev eth1 clsact"),
        on_its_node("tc qdisc del dev {leg} clsact"),
        on_its_node("nft delete table ip isthmus-underlay"),
        on_its_node(f"rm -r {PINS}"),
        *map(delete_a_row, ("endpoints", "networks", "directory", "vteps")),
        destroy_its_resolver,
    ],
)
def test_whatever_of_ours_is_damaged_by_hand_is_whole_again(pair: Pair, damage: Callable[[Container], None]) -> None:
    damage(pair[0])
    assert eventually(10, lambda: are_joined(pair))


def assert_ordinary(pair: Pair) -> None:
    """The container stops, starts and goes, and leaves nothing."""
    one, two = pair
    one.node.output(["docker", "stop", "-t", "1", one.name])
    assert not legs(one.node)
    one.node.output(["docker", "start", one.name])
    assert eventually(20, lambda: are_joined(pair))
    one.remove()
    assert not legs(one.node)
    assert eventually(20, lambda: len(records(two.node, "endpoint")) == 1)
    two.remove()
    assert eventually(20, lambda: not held(two.node)), held(two.node)
