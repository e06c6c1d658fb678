"""What `netctl status` says at 3 a.m.: who is silent and since when, and what is wrong with those who are not."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from isthmus.lab.running import RunningLab, RunningNode
from tests.lab.probes import eventually

pytestmark = [pytest.mark.root, pytest.mark.lab]

LEASE_S = 10


def asked(node: RunningNode) -> tuple[int, dict[str, dict[str, Any]], list[str]]:
    """The exit code, the nodes by name, and what to look at."""
    done = node.run("netctl status -j")
    shown = json.loads(done.stdout) if done.stdout else {"nodes": [], "lookAt": []}
    return done.returncode, {each["name"]: each for each in shown["nodes"]}, shown["lookAt"]


def all_is_well(lab: RunningLab) -> Callable[[], bool]:
    """Whether every node is there and in sync, and nothing is to be looked at."""

    def is_so() -> bool:
        code, nodes, advice = asked(lab.nodes[0])
        return (code, len(nodes), advice) == (0, len(lab.nodes), [])

    return is_so


@contextmanager
def without(lab: RunningLab, node: RunningNode, program: str, end: Callable[[str], None]) -> Iterator[None]:
    """A program of a node ended during the block; all is well before and after."""
    assert eventually(30, all_is_well(lab)), asked(node)
    end(program)
    try:
        yield
    finally:
        node.start(program)
    assert eventually(30, all_is_well(lab)), asked(node)


def test_a_node_whose_agent_was_killed_is_unreachable_since_its_last_contact_until_it_is_back(
    cluster: RunningLab,
) -> None:
    first, second = cluster.nodes
    with without(cluster, second, "netplugin", second.kill):
        assert eventually(LEASE_S + 15, lambda: not asked(first)[1][second.name]["isAlive"])
        code, nodes, advice = asked(first)
        assert (code, nodes[first.name]["inSync"], len(advice)) == (3, True, 1)
        told = first.run("netctl status")
        (row,) = (line for line in told.stdout.splitlines() if line.startswith(second.name))
        assert " ago  unreachable  its netplugin does not run, or cannot reach etcd" in row, row
        assert f"- node {second.name}: unreachable, last contact " in told.stdout
        assert "1 of 2 nodes unreachable" in told.stderr
        assert told.returncode == 3


def test_a_node_whose_engine_is_stopped_says_so(cluster: RunningLab) -> None:
    first, second = cluster.nodes
    with without(cluster, second, "dockerd", second.stop):
        assert eventually(20, lambda: not asked(first)[1][second.name]["inSync"])
        code, nodes, advice = asked(first)
        assert (code, nodes[second.name]["isAlive"]) == (3, True)
        assert nodes[second.name]["problem"] == "its container engine does not answer"
        assert advice == [
            f"node {second.name}: its container engine does not answer: does Docker run there? journalctl -u docker"
        ]
        told = first.output("netctl node ls")
        (row,) = (line for line in told.splitlines() if line.startswith(second.name))
        assert row.endswith("now      not in sync  its container engine does not answer"), row
