"""An etcd whose other members do not run: started all the same, and nobody waits for it."""

import os
from collections.abc import Iterator

import pytest

from isthmus.lab import cluster
from isthmus.lab.cli import main
from isthmus.lab.running import RunningLab, running
from isthmus.lab.topology import Lab

pytestmark = [pytest.mark.root, pytest.mark.lab]

WAITING = "etcd runs but waits for the other members"


@pytest.fixture(scope="module")
def pair() -> Iterator[RunningLab]:
    """Two nodes with etcd only, each of which needs the other."""
    with running(Lab(f"quorum-{os.getpid()}", nodes=2, only=("internet", "etcd"))) as up:
        yield up


def is_all_ready(pair: RunningLab) -> bool:
    return all(machine.is_ready for machine in cluster.status(pair.lab))


def lab(pair: RunningLab, verb: str, *words: str) -> int:
    return main(["lab", verb, "--name", pair.name, *words])


@pytest.mark.parametrize("words", [("etcd",), ()])
def test_the_first_member_is_started_and_the_second_is_awaited(
    pair: RunningLab, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for node in ("node1", "node2"):
        assert lab(pair, "stop", node, *words) == 0
    capsys.readouterr()
    assert lab(pair, "start", "node1", *words) == 0
    assert f"{pair.name}-node1: {WAITING}\n" in capsys.readouterr().err
    assert lab(pair, "start", "node2", *words) == 0
    assert WAITING not in capsys.readouterr().err
    # The second answers as soon as both agree; the first does, at the latest, when its own clients' port opens.
    pair.node("node1").start("etcd")
    assert is_all_ready(pair)
