"""An agent that dies, or has no etcd: what it missed is mended afterwards. Packets: see test_traffic_first."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pytest

from isthmus.lab.running import RunningLab, RunningNode
from tests.lab.probes import NET, Container, at_once, create_net, directory, eventually, held, legs, records, run

pytestmark = [pytest.mark.root, pytest.mark.lab]

DEATHS = 4
OVER = "/run/over"  # this file on a node ends what goes on there
START_AND_REMOVE = f"""
i=0
until test -e {OVER}; do
    i=$((i + 1))
    (docker run -d --init --name=$i-{{name}} --net={NET} alpine sleep 60; docker rm -f $i-{{name}}) >/dev/null 2>&1 &
    sleep 1
done
wait
"""


@pytest.fixture
def pair(cluster: RunningLab) -> tuple[Container, Container]:
    """A container on either node."""
    create_net(cluster)
    first, second = cluster.nodes
    return run(first, "one"), run(second, "two")


Pair = tuple[Container, Container]


@contextmanager
def going_on(nodes: Sequence[RunningNode]) -> Iterator[None]:
    """Let what was started on these nodes go on until the block's end, however long that takes."""
    try:
        yield
    finally:
        for node in nodes:
            node.output(f"touch {OVER}")


@pytest.fixture(autouse=True)
def nothing_over(cluster: RunningLab) -> None:
    for node in cluster.nodes:
        node.output(f"rm -f {OVER}")


def restart_agents(cluster: RunningLab) -> None:
    """Kill both agents in the middle of whatever they do, and start them again."""
    for node in cluster.nodes:
        node.kill("netplugin")
    at_once([partial(node.start, "netplugin") for node in cluster.nodes])


def test_after_a_restart_new_containers_work_and_names_are_there_again(pair: Pair, cluster: RunningLab) -> None:
    one, two = pair
    restart_agents(cluster)
    new = run(one.node, "new")
    assert new.reaches(two.name)
    assert eventually(10, lambda: two.reaches(new.name))
    assert eventually(10, lambda: one.reaches(two.name))  # a sandbox from before the death is served again


def test_a_container_removed_while_the_agent_is_dead_leaves_nothing(pair: Pair, cluster: RunningLab) -> None:
    one, two = pair
    pid = one.pid
    one.node.kill("netplugin")
    with subprocess.Popen(one.node.command(["docker", "rm", "-f", one.name])) as removal:
        assert eventually(10, lambda: one.node.run(["kill", "-0", str(pid)]).returncode != 0)
        one.node.start("netplugin")
        assert removal.wait(timeout=60) == 0
    assert eventually(15, lambda: len(records(two.node, "endpoint")) == 1)
    assert eventually(15, lambda: directory(two.node) == [two.address()])
    assert not legs(one.node)


def test_what_the_engine_gave_up_telling_us_is_removed(pair: Pair) -> None:
    """As after a removal during which the engine lost patience: the entries stand, and nobody is behind them."""
    one, two = pair
    node = one.node
    gone = [line for kind in ("endpoint", "address") for line in entries(node, kind) if node.name in line]
    one.remove()
    node.kill("netplugin")
    for line in gone:
        key, value = line.split("\n")
        node.output(["etcdctl", "put", key, value])
    assert len(held(two.node)) == 4
    node.start("netplugin")
    assert eventually(20, lambda: len(held(two.node)) == 2), held(two.node)
    assert eventually(10, lambda: directory(two.node) == [two.address()])


def entries(node: RunningNode, kind: str) -> list[str]:
    """The records of a kind as etcd has them: key, line end, value."""
    lines = node.output(["etcdctl", "get", "--prefix", f"/isthmus/v1/{kind}/"]).splitlines()
    return ["\n".join(pair) for pair in zip(lines[::2], lines[1::2], strict=True)]


def test_a_second_agent_on_a_host_refuses(pair: Pair) -> None:
    one, two = pair
    refused = one.node.run("netplugin -plugin-mode docker -cluster-store etcd://localhost:2379")
    assert refused.returncode == 1
    assert "another netplugin runs on this host" in refused.stderr
    assert run(one.node, "later").reaches(two.name)


def test_without_etcd_docker_run_says_so_and_what_runs_goes_on(pair: Pair, cluster: RunningLab) -> None:
    one, two = pair
    address = two.address()
    for node in cluster.nodes:
        node.stop("etcd")
    try:
        refused = one.node.run(f"docker run --rm --net={NET} alpine true", timeout_s=30)
        reached = one.reaches(two.name), one.reaches(address)
    finally:
        at_once([partial(node.start, "etcd") for node in cluster.nodes])
    assert refused.returncode != 0
    assert "etcd" in refused.stderr
    assert reached == (True, True)
    assert eventually(
        20, lambda: one.node.run(f"docker run --rm --net={NET} alpine ping -c 1 -W 2 two").returncode == 0
    )
    assert eventually(20, lambda: len(held(two.node)) == 4), held(two.node)


def test_containers_started_and_removed_while_agents_die_again_and_again_leave_nothing(cluster: RunningLab) -> None:
    create_net(cluster)
    stubborn = [node.command(["sh", "-c", START_AND_REMOVE.format(name=node.name)]) for node in cluster.nodes]
    with subprocess.Popen(stubborn[0]) as first, subprocess.Popen(stubborn[1]) as second:
        with going_on(cluster.nodes):
            for _ in range(DEATHS):
                restart_agents(cluster)
        assert (first.wait(timeout=90), second.wait(timeout=90)) == (0, 0)
    one, two = (run(node, f"after-{node.name}") for node in cluster.nodes)
    assert one.reaches(two.name)
    assert eventually(25, lambda: len(held(one.node)) == 4), held(one.node)
    for container in (one, two):
        assert eventually(10, partial(lambda node: len(legs(node)) == 1, container.node))
        assert len(directory(container.node)) == 2
