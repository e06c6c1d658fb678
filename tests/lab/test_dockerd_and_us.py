"""What real engines do to a network driver, and what they get; docs/design/docker.md has a table of the tests."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from isthmus.lab.running import RunningLab, RunningNode
from isthmus.netplugin.plugin import CALLS
from tests.lab.probes import (
    NET,
    SUBNET,
    Container,
    at_once,
    create_net,
    directory,
    eventually,
    frozen,
    held,
    legs,
    run,
)

pytestmark = [pytest.mark.root, pytest.mark.lab]

Pair = tuple[Container, Container]
CROWD = 10
RUN = f"docker run --rm --net={NET} alpine true"
RUN_ON_BRIDGE = "docker run --rm alpine true"
OTHER = "other-net"
SETTINGS = "/etc/docker/daemon.json"
RELOAD = "kill -HUP $(cut -d ' ' -f 1 /run/isthmus-lab/dockerd)"
RUN_AND_REMOVE = f"""
for i in $(seq {CROWD * 2}); do
    (
        docker run -d --init --name=hasty$i --net={NET} alpine sleep 60 &
        sleep $((i % 3)).$((i % 10)); docker rm -f hasty$i; wait; docker rm -f hasty$i
    ) >/dev/null 2>&1 &
done
wait
"""
SOCKET = "/run/docker/plugins/netplugin.sock"


@pytest.fixture
def pair(cluster: RunningLab) -> Pair:
    """A container on either node, the first to be restarted with its engine."""
    create_net(cluster)
    first, second = cluster.nodes
    return run(first, "one", "--restart=always"), run(second, "two")


@contextmanager
def begun(node: RunningNode, words: str) -> Iterator["subprocess.Popen[str]"]:
    """A command under way on a node; what it says comes with `communicate`."""
    with subprocess.Popen(node.command(words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as command:
        try:
            yield command
        finally:
            command.terminate()


def said(command: "subprocess.Popen[str]") -> tuple[int, str]:
    """Its exit code and all that it said, when it ends."""
    text = command.communicate(timeout=60)[0]
    return command.returncode, text


def is_as_before(pair: Pair) -> bool:
    """Whether both reach each other by name, and nothing else is held, known or linked."""
    one, two = pair
    is_clean = len(held(two.node)) == 4 and len(legs(one.node)) == len(legs(two.node)) == 1
    return is_clean and len(directory(one.node)) == 2 and one.reaches(two.name) and two.reaches(one.name)


def bodies(container: Container) -> dict[str, dict[str, object]]:
    """Every call that is not answered by a constant, as the engine would make it for this container."""
    network_id = container.inspected(f'{{{{(index .NetworkSettings.Networks "{NET}").NetworkID}}}}')
    endpoint = container.inspected(f'{{{{(index .NetworkSettings.Networks "{NET}").EndpointID}}}}')
    ids: dict[str, object] = {"NetworkID": network_id, "EndpointID": endpoint}
    pool: dict[str, object] = {"PoolID": f"default/{NET}|{SUBNET}"}
    options = {"com.docker.network.generic": {"tenant": "default", "encap": "vxlan", "pkt-tag": "1"}}
    return {
        "IpamDriver.RequestPool": {"Options": {"tenant": "default", "network": NET}, "Pool": SUBNET},
        "IpamDriver.ReleasePool": pool,
        "IpamDriver.RequestAddress": {**pool, "Address": ""},
        "IpamDriver.ReleaseAddress": {**pool, "Address": "10.1.2.77"},
        "NetworkDriver.AllocateNetwork": {"NetworkID": "new", "Options": {}},
        "NetworkDriver.FreeNetwork": {"NetworkID": "new"},
        "NetworkDriver.CreateNetwork": {"NetworkID": "new", "Options": options, "IPv4Data": [{"Pool": SUBNET}]},
        "NetworkDriver.DeleteNetwork": {"NetworkID": "new"},
        "NetworkDriver.CreateEndpoint": {**ids, "Interface": {"Address": "10.1.2.77/24"}},
        "NetworkDriver.DeleteEndpoint": ids,
        "NetworkDriver.EndpointOperInfo": ids,
        "NetworkDriver.Join": {**ids, "SandboxKey": "/run/docker/netns/none"},
        "NetworkDriver.Leave": ids,
        "NetworkDriver.ProgramExternalConnectivity": ids,
        "NetworkDriver.RevokeExternalConnectivity": ids,
    }


def ask(node: RunningNode, call: str, body: dict[str, object], *, within_s: int) -> str:
    """Call the plugin as an engine does; the answer, empty where there was none in time."""
    line = ["curl", "-s", "--max-time", str(within_s), "--unix-socket", SOCKET, "-d", json.dumps(body)]
    return node.run([*line, f"http://netplugin/{call}"]).stdout


def test_while_etcd_is_frozen_every_call_is_answered_in_time_and_docker_says_why(
    pair: Pair, cluster: RunningLab
) -> None:
    one, two = pair
    asked = bodies(one)
    assert asked.keys() == CALLS.keys()
    address = two.address()
    with frozen("etcd", *cluster.nodes):
        for _ in range(2):  # when nobody knows yet, and when it is known
            answers = at_once([partial(ask, one.node, call, body, within_s=10) for call, body in asked.items()])
            for call, answer in zip(asked, answers, strict=True):
                assert answer, f"{call} took longer than 10 s"
                assert ("etcd" in answer) == CALLS[call].needs_store, (call, answer)
                assert "was not done within" not in answer, (call, answer)
        crowd = at_once([partial(one.node.run, RUN) for _ in range(CROWD)])
        assert all(each.returncode and "RequestAddress: etcd at " in each.stderr for each in crowd), crowd
        connected = one.node.run(f"docker run -d --name=lone alpine sleep 600; docker network connect {NET} lone")
        assert "etcd at " in connected.stderr
        one.node.output("docker stop one")
        one.node.output("docker rm one lone -f")
        assert two.reaches(two.name), "names are answered from what is known"
        assert two.reaches(address)
    assert eventually(30, lambda: one.node.run(RUN).returncode == 0), "recovery needs nobody"
    assert eventually(30, lambda: len(held(two.node)) == 2), held(two.node)
    assert eventually(10, lambda: not legs(one.node) and directory(two.node) == [address])


def test_containers_of_other_networks_wait_neither_for_etcd_nor_for_a_hung_agent(pair: Pair) -> None:
    one, _ = pair
    with frozen("netplugin", one.node), begun(one.node, RUN) as ours:
        for words in (RUN_ON_BRIDGE, "docker ps", "docker inspect one", "docker exec one true"):
            one.node.output(words)
        assert ours.poll() is None, "ours waits for the agent, for engines have no deadline"
        ours_goes_on = ours
        one.node.output("kill -CONT $(cut -d ' ' -f 1 /run/isthmus-lab/netplugin)")
        code, text = said(ours_goes_on)
        assert code == 0, text
    assert eventually(10, lambda: is_as_before(pair))


def test_a_plugin_that_comes_back_in_time_is_no_more_than_a_delay(pair: Pair) -> None:
    one, _ = pair
    one.node.kill("netplugin")
    with begun(one.node, RUN) as ours:
        one.node.output(RUN_ON_BRIDGE)
        assert ours.poll() is None
        one.node.start("netplugin")
        code, text = said(ours)
        assert code == 0, text
    assert eventually(10, lambda: is_as_before(pair))


def test_a_plugin_that_is_away_too_long_is_named_and_its_return_needs_no_restart(pair: Pair) -> None:
    one, two = pair
    one.node.kill("netplugin")
    refused = one.node.run(RUN)
    assert refused.returncode != 0
    assert "netplugin.sock" in refused.stderr
    assert two.reaches(one.address())
    one.node.start("netplugin")
    one.node.output(RUN)
    assert eventually(10, lambda: is_as_before(pair))


def test_an_agent_killed_in_mid_call_is_an_error_in_words_and_leaves_nothing(pair: Pair, cluster: RunningLab) -> None:
    """The engine repeats the call to the next agent with an empty body, for its own reader is at the end."""
    one, _ = pair
    with frozen("etcd", *cluster.nodes), begun(one.node, RUN) as ours:
        assert eventually(20, lambda: is_call_under_way(one.node))
        one.node.kill("netplugin")
        one.node.start("netplugin")
        code, text = said(ours)
    assert code != 0
    assert "the engine retried a call that was cut" in text
    assert eventually(20, lambda: one.node.run(RUN).returncode == 0)
    assert eventually(20, lambda: is_as_before(pair))


def is_call_under_way(node: RunningNode) -> bool:
    """Whether an engine has a connection to the plugin, which lasts as long as a call."""
    return bool(node.output(f"ss -xnH src {SOCKET}"))


@pytest.fixture
def with_live_restore(cluster: RunningLab) -> Iterator[None]:
    """The first node's engine leaves its containers alone when it ends."""
    node = cluster.node("node1")
    set_live_restore(node, "true")
    yield
    set_live_restore(node, "false")
    node.output(f"rm {SETTINGS}")


def set_live_restore(node: RunningNode, value: str) -> None:
    node.output(f"echo '{{\"live-restore\": {value}}}' >{SETTINGS}; {RELOAD}")
    assert eventually(20, lambda: node.output("docker info --format '{{.LiveRestoreEnabled}}'") == value)


@pytest.mark.usefixtures("with_live_restore")
def test_with_live_restore_an_engine_that_ends_or_dies_takes_nothing_with_it(pair: Pair) -> None:
    one, two = pair
    before = held(two.node), one.inspected("{{.Id}} {{.State.StartedAt}}"), legs(one.node)
    for end in (one.node.stop, one.node.kill):
        end("dockerd")
        assert two.reaches(one.name)
        assert held(two.node) == before[0]
        one.node.start("dockerd")
        assert (held(two.node), one.inspected("{{.Id}} {{.State.StartedAt}}"), legs(one.node)) == before
        assert one.reaches(two.name)
        one.node.output(RUN)
    one.node.output("docker stop -t 1 one")
    assert eventually(10, lambda: len(held(two.node)) == 2), "an engine that did not see the start tells the end"


def test_an_agent_started_after_its_engine_serves_the_containers_that_wait_for_it(pair: Pair) -> None:
    one, _ = pair
    node = one.node
    for program in ("dockerd", "netplugin"):
        node.stop(program)
    told = len(node.log("dockerd"))

    def start_agent_when_missed() -> None:
        assert eventually(40, lambda: "netplugin" in node.log("dockerd")[told:])
        node.start("netplugin")

    def start_engine() -> None:
        node.start("dockerd")

    at_once([start_engine, start_agent_when_missed])
    assert eventually(20, lambda: is_as_before(pair)), node.log("dockerd")[told:]


def test_a_stopped_container_joins_and_leaves_networks_without_a_word_to_us(pair: Pair, cluster: RunningLab) -> None:
    one, two = pair
    create_net(cluster, OTHER, "10.9.0.0/24")
    one.node.output("docker stop -t 1 one")
    assert eventually(10, lambda: len(held(two.node)) == 2)
    one.node.output(f"docker network connect {OTHER} one && docker network disconnect {NET} one")
    assert len(held(two.node)) == 2
    one.node.output("docker start one")
    far = run(two.node, "far", network=OTHER)
    assert far.reaches("one")
    assert len(held(two.node)) == 6


def test_a_second_network_of_the_same_subnet_is_refused_and_nothing_is_left(pair: Pair, cluster: RunningLab) -> None:
    """The engine finds the clash after our Join, and takes the endpoint back."""
    one, two = pair
    one.node.output("netctl tenant create blue")
    create_net(cluster, NET, SUBNET, "-t", "blue")
    refused = one.node.run(f"docker network connect {NET}/blue one")
    assert refused.returncode != 0
    assert "conflicts with existing route" in refused.stderr
    assert eventually(10, lambda: is_as_before(pair)), held(two.node)


def test_containers_removed_while_they_are_made_leave_nothing(pair: Pair) -> None:
    one, _ = pair
    one.node.output(RUN_AND_REMOVE)
    assert one.node.output("docker ps -a --format '{{.Names}}'") == "one"
    assert eventually(30, lambda: is_as_before(pair)), held(one.node)
