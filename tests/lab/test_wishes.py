"""What an operator asks of one container: an address, a MAC, another name, other networks."""

import json

import pytest

from isthmus.lab.running import RunningLab
from tests.lab.probes import NET, SUBNET, Container, create_net, eventually, held, run

pytestmark = [pytest.mark.root, pytest.mark.lab]

OTHER = "other-net"


@pytest.fixture
def pair(cluster: RunningLab) -> tuple[Container, Container]:
    """A container on either node."""
    create_net(cluster)
    first, second = cluster.nodes
    return run(first, "one"), run(second, "two")


Pair = tuple[Container, Container]


REFUSED = {
    "10.1.2.1": "in use by container one on node",
    "10.1.2.254": "is the gateway",
    "10.1.2.0": "10.1.2.0/24",
    "10.1.2.255": "10.1.2.0/24",
    "10.1.3.1": "does not belong to any of this network's subnets",
}


def test_an_address_that_cannot_be_given_is_refused_with_the_reason(cluster: RunningLab) -> None:
    create_net(cluster, NET, SUBNET, "--gateway=10.1.2.254")
    first, second = cluster.nodes
    run(first, "one")
    before = held(first)
    for wish, reason in REFUSED.items():
        refused = second.run(f"docker run --rm --net={NET} --ip={wish} alpine true")
        assert refused.returncode != 0
        assert reason in refused.stderr
    assert held(first) == before


def test_a_full_network_says_so_and_takes_the_next_when_one_has_left(cluster: RunningLab) -> None:
    create_net(cluster, NET, "10.1.2.0/30")
    first, second = cluster.nodes
    one, two = run(first, "one"), run(second, "two")
    refused = second.run(f"docker run --rm --net={NET} alpine true")
    assert refused.returncode != 0
    assert "exhaustion in subnet 10.1.2.0/30" in refused.stderr
    address = one.address()
    one.remove()
    three = run(second, "three")
    assert three.address() == address
    assert three.reaches("two")
    assert two.reaches("three")


def test_a_wished_address_is_given_and_free_again_afterwards(pair: Pair) -> None:
    one, two = pair
    for node in (one.node, two.node):
        wished = run(node, "wished", "--ip=10.1.2.77")
        assert wished.address() == "10.1.2.77"
        assert one.reaches("wished")
        wished.remove()


def test_a_container_with_a_mac_of_its_own_is_reached(pair: Pair) -> None:
    one, two = pair
    mac = "02:aa:bb:cc:dd:ee"
    body = (
        f'{{"Image":"alpine","Cmd":["sleep","infinity"],"MacAddress":"{mac}","HostConfig":{{"NetworkMode":"{NET}"}}}}'
    )
    # By the API: a command line newer than the engine refuses --mac-address before it asks.
    curl = "curl -sSf --unix-socket /run/docker.sock -H Content-Type:application/json"
    one.node.output(f"{curl} -d '{body}' http://d/v1.41/containers/create?name=marked && docker start marked")
    marked = Container(one.node, "marked")
    assert mac in marked.output("ip link show eth0")
    assert two.reaches("marked")
    assert one.reaches("marked")
    assert marked.reaches("two")


def test_a_renamed_container_has_its_new_name_everywhere_and_not_the_old(pair: Pair) -> None:
    one, two = pair
    one.node.output("docker rename one first")
    assert eventually(10, lambda: two.reaches("first"))
    assert eventually(10, lambda: two.run("nslookup one").returncode != 0)
    assert "name = first" in two.output("nslookup 10.1.2.1")


def test_a_running_container_joins_and_leaves_networks(pair: Pair, cluster: RunningLab) -> None:
    one, two = pair
    create_net(cluster, OTHER, "10.9.0.0/24")
    far = run(two.node, "far", network=OTHER)
    assert one.run(f"ping -c 1 -W 1 {far.address(OTHER)}").returncode != 0
    one.node.output(f"docker network connect {OTHER} one")
    assert one.reaches("far")
    assert one.reaches("two")
    assert far.reaches("one")
    assert far.address(OTHER).startswith("10.9.0.")
    one.node.output(f"docker network disconnect {NET} one")
    assert one.run(f"ping -c 1 -W 1 {two.address()}").returncode != 0
    assert far.reaches("one")
    one.node.output(f"docker network connect {NET} one")
    one.node.output(f"docker network disconnect {OTHER} one")
    assert two.reaches("one")
    assert one.reaches("two")
    assert eventually(5, lambda: len(held(one.node)) == 6)


def test_a_name_in_two_networks_is_the_address_in_the_askers_own(pair: Pair, cluster: RunningLab) -> None:
    one, two = pair
    create_net(cluster, OTHER, "10.9.0.0/24")
    one.node.output(f"docker network connect {OTHER} one")
    far = run(two.node, "far", network=OTHER)
    assert one.address(NET) in two.output("nslookup one")
    assert one.address(OTHER) not in two.output("nslookup one")
    assert one.address(OTHER) in far.output("nslookup one")
    assert one.address(NET) not in far.output("nslookup one")


def test_a_paused_and_a_restarted_container_are_reached_again(pair: Pair) -> None:
    one, two = pair
    one.node.output("docker pause one && docker unpause one")
    assert two.reaches("one")
    one.node.output("docker restart -t 1 one")
    assert eventually(10, lambda: two.reaches("one"))
    assert one.reaches("two")
    assert len(held(one.node)) == 4


def test_a_container_whose_command_does_not_exist_leaves_nothing(pair: Pair) -> None:
    one, two = pair
    failed = one.node.run(f"docker run --name=broken --net={NET} alpine /no/such/command")
    assert failed.returncode != 0
    assert eventually(10, lambda: len(held(one.node)) == 4)
    one.node.output("docker rm broken")
    assert two.run("nslookup broken").returncode != 0


def test_an_endpoint_is_found_by_the_id_that_docker_prints(pair: Pair) -> None:
    _, two = pair
    printed = two.inspected("{{.Id}}")[:12]
    asked = f"netctl endpoint inspect {printed}"
    assert eventually(10, lambda: two.node.run(asked).returncode == 0)
    oper = json.loads(two.node.output(asked))["Oper"]
    assert (oper["containerName"], oper["homingHost"]) == ("two", two.node.name)
