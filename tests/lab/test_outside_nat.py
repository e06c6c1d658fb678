"""Networks without a gateway: out by Docker's own bridge and the host's address, in by published ports."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from isthmus.lab.programs import MASTER_PORT
from isthmus.lab.running import RunningLab, RunningNode
from isthmus.lab.topology import FIRST_MANAGEMENT_OFFSET, GATEWAY, MANAGEMENT, WEBSITE, WEBSITE_ADDRESS, cluster_address
from tests.lab import answers, probes
from tests.lab.probes import NET, SUBNET, Container, at_once, create_net, eventually, held, legs, run

pytestmark = [pytest.mark.root, pytest.mark.lab]

IN_BLUE = f"{NET}/blue"
PORT = 9099
LATER_PORT = 9200
PAIR_PORT = 7000
OWN_PORT = 40000  # of both tenants' connections: only the bridge's addresses tell them apart


def management_address(node: RunningNode) -> str:
    """A node's address on the network that the outside is on."""
    return str(MANAGEMENT[FIRST_MANAGEMENT_OFFSET + node.machine.number - 1])


@contextmanager
def serving(node: RunningNode, words: Sequence[str]) -> Iterator[None]:
    """Run a server on a node, from when it listens to the block's end."""
    line = node.command(list(words))
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        try:
            said = server.stdout.readline()
            assert said == "listening\n", said + server.stdout.read()
            yield
        finally:
            server.terminate()


def answering(container: Container, port: int) -> list[str]:
    """The node's words for a server in a container's network that tells the container's name."""
    return container.inside([sys.executable, "-P", answers.__file__, "tell", str(port), container.name])


@dataclass(frozen=True, slots=True)
class Shared:
    """A container with a published port, one on the other node, and another tenant's with the first one's address."""

    lab: RunningLab
    one: Container
    two: Container
    blue: Container

    @property
    def containers(self) -> tuple[Container, ...]:
        return self.one, self.two, self.blue


@pytest.fixture(scope="module")
def shared(two_nodes: RunningLab) -> Iterator[Shared]:
    first, second = two_nodes.nodes
    try:
        first.output("netctl tenant create blue")
        create_net(two_nodes)
        create_net(two_nodes, NET, SUBNET, "-t", "blue")
        one = run(first, "one", *published(PORT))
        found = Shared(two_nodes, one, run(second, "two"), run(first, "blue", network=IN_BLUE))
        with serving(first, answering(one, PORT)):
            yield found
    finally:
        probes.clean(two_nodes)


def published(port: int) -> tuple[str, ...]:
    return f"-p={port}:{port}", f"-p={port}:{port}/udp"


@dataclass(frozen=True, slots=True)
class Way:
    """Someone who asks for a published port of the first node, at one of its addresses."""

    asker: RunningNode
    address: str

    def over_tcp(self, port: int) -> str:
        return self.asker.run(f"nc -d -w 2 {self.address} {port}").stdout.strip()

    def over_udp(self, port: int) -> str:
        return self.asker.run(f"echo | nc -u -W 1 -w 2 {self.address} {port}").stdout.strip()

    def refusal(self, port: int) -> str:
        return self.asker.run(f"nc -vzw 2 {self.address} {port}").stderr.strip()


def ways(lab: RunningLab) -> dict[str, Way]:
    """Every way to a published port of the first node."""
    first, second = lab.nodes
    of_cluster = str(cluster_address(first.machine))
    return {
        "localhost": Way(first, "localhost"),
        "localhost, IPv6": Way(first, "::1"),
        "its own address": Way(first, of_cluster),
        "the other node": Way(second, of_cluster),
        "outside": Way(lab.node("outside"), management_address(first)),
    }


def are_reached(lab: RunningLab, port: int, name: str) -> bool:
    """Whether every way leads to the container of this name, over TCP and UDP."""
    every = ways(lab).values()
    said = at_once([partial(ask, port) for way in every for ask in (way.over_tcp, way.over_udp)])
    return [each.partition(" ")[0] for each in said] == [name] * len(said)


def are_refused(lab: RunningLab, port: int) -> bool:
    """Whether every way is refused, by TCP in words and by UDP in silence."""
    every = ways(lab).values()
    refusals = at_once([partial(way.refusal, port) for way in every])
    answered = at_once([partial(way.over_udp, port) for way in every])
    return all("Connection refused" in each for each in refusals) and not any(answered)


def test_every_container_has_a_second_leg_with_the_default_route(shared: Shared) -> None:
    for container in shared.containers:
        assert "dev eth1" in container.output("ip route show default")
        assert container.output("ip -o link show eth0").count("mtu 1450") == 1
        bridge = container.node.output("ip -4 -o addr show docker_gwbridge").split()[3].partition("/")[0]
        assert f"via {bridge} " in container.output("ip route show default")


def test_every_container_finds_names_of_the_outside_and_comes_by_its_hosts_address(shared: Shared) -> None:
    for container in shared.containers:
        assert f"PING {WEBSITE} ({WEBSITE_ADDRESS})" in container.output(f"ping -c 1 -W 2 {WEBSITE}")
        assert WEBSITE in container.output(f"wget -q -O - http://{WEBSITE}/")
        page = container.output(f"wget -q -O - http://{GATEWAY}/")
        assert f"You came from {management_address(container.node)}." in page


def test_two_tenants_with_one_address_are_outside_at_once_and_each_has_its_own_answer(shared: Shared) -> None:
    one, blue = shared.one, shared.blue
    assert one.address() == blue.address(IN_BLUE)
    command = f"nc -N -w 5 -p {OWN_PORT} {WEBSITE_ADDRESS} {PAIR_PORT}"
    server = [sys.executable, "-P", answers.__file__, "pair", str(PAIR_PORT)]
    with serving(shared.lab.node("outside"), server):
        said = at_once([partial(each.output, f"echo {each.name} | {command}") for each in (one, blue)])
    assert said == ["one", "blue"]


def test_a_port_is_refused_until_published_then_reached_from_everywhere_and_refused_after(shared: Shared) -> None:
    assert are_refused(shared.lab, LATER_PORT)
    later = run(shared.one.node, "later", *published(LATER_PORT))
    with serving(later.node, answering(later, LATER_PORT)):
        assert are_reached(shared.lab, LATER_PORT, later.name)
        later.node.output(f"docker stop -t 1 {later.name}")
        assert are_refused(shared.lab, LATER_PORT)
    later.node.output(f"docker start {later.name}")
    with serving(later.node, answering(later, LATER_PORT)):
        assert are_reached(shared.lab, LATER_PORT, later.name)
    later.remove()
    assert are_refused(shared.lab, LATER_PORT)


def test_a_published_port_sees_who_asks(shared: Shared) -> None:
    by_name = ways(shared.lab)
    second = shared.two.node
    assert by_name["the other node"].over_tcp(PORT) == f"one {cluster_address(second.machine)}"
    assert by_name["outside"].over_tcp(PORT) == f"one {GATEWAY}"
    assert by_name["outside"].over_udp(PORT) == f"one {GATEWAY}"


def test_containers_reach_a_published_port_of_their_own_host_and_of_the_other(shared: Shared) -> None:
    address = cluster_address(shared.one.node.machine)
    for container in shared.containers:  # the first asks itself, by way of its host
        assert container.output(f"nc -d -w 2 {address} {PORT}").startswith("one ")


@pytest.mark.parametrize(
    ("port", "reason"), [(PORT, "port is already allocated"), (MASTER_PORT, "bind: address already in use")]
)
def test_a_port_in_use_is_an_error_of_dockers_and_leaves_nothing_of_ours(
    shared: Shared, port: int, reason: str
) -> None:
    node = shared.one.node
    before = held(node), legs(node)
    refused = node.run(f"docker run -d --name=clash -p {port}:80 --net={NET} alpine sleep 60")
    node.output("docker rm clash")
    assert refused.returncode != 0
    assert reason in refused.stderr
    assert eventually(5, lambda: (held(node), legs(node)) == before), (held(node), legs(node))
    assert shared.two.run("ping -c 1 -W 1 clash").returncode != 0
    assert are_reached(shared.lab, PORT, "one")


def test_published_ports_and_the_way_out_survive_an_agent_that_restarts_or_is_killed(shared: Shared) -> None:
    node = shared.one.node

    def are_fine() -> bool:
        return are_reached(shared.lab, PORT, "one") and all(each.reaches(WEBSITE) for each in (shared.one, shared.blue))

    for end in (node.stop, node.kill):
        end("netplugin")
        try:
            assert are_fine()
        finally:
            node.start("netplugin")
        assert are_fine()
