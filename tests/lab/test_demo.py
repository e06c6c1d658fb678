"""`make demo`, run as it is run, in a lab of its own: once, once more, and where it cannot succeed."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from isthmus.lab import cluster, state
from isthmus.lab.demo import ACTS
from isthmus.lab.running import RunningLab

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(300)]

DEADLINE_S = 120


@pytest.fixture
def name() -> Iterator[str]:
    """The name of a lab that is not there, and is not there any more at the end."""
    name = f"demo-{os.getpid()}"
    try:
        yield name
    finally:
        with state.locked(name):
            cluster.down(name)


def demo(name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isthmus.lab.demo", name]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def containers(name: str) -> list[str]:
    """Give id and name of every container of the lab."""
    lab = RunningLab(state.existing(name))
    return [node.output("docker ps --no-trunc --format '{{.ID}} {{.Names}}'") for node in lab.nodes]


def test_the_demo_shows_every_command_and_may_be_run_again(name: str) -> None:
    first = demo(name)
    assert first.returncode == 0, first.stdout + first.stderr
    typed = [line for line in first.stdout.splitlines() if line.startswith(("$ ", "root@"))]
    assert typed == [
        f"$ .venv/bin/isthmus lab up --name {name}",
        *(f"root@{name}-{act.node}:~# {act.command}" for act in ACTS),
    ]
    assert f"{name}-node2: dockerd ready" in first.stderr
    assert "PING contiv-c1 (10.1.2.1)" in first.stdout
    assert " 0% packet loss" in first.stdout
    assert "What to try next" in first.stdout

    before = containers(name)
    second = demo(name)
    assert second.returncode == 0, second.stdout + second.stderr
    assert containers(name) == before
    assert second.stdout.count("(an earlier run has done this)") == 3
    assert " 0% packet loss" in second.stdout

    starts_a_stopped_container(name)
    stops_where_a_command_fails(name)


def starts_a_stopped_container(name: str) -> None:
    node = RunningLab(state.existing(name)).node("node1")
    node.output("docker kill contiv-c1")
    again = demo(name)
    assert (again.returncode, " 0% packet loss" in again.stdout) == (0, True), again.stdout + again.stderr


def stops_where_a_command_fails(name: str) -> None:
    node = RunningLab(state.existing(name)).node("node2")
    node.output("docker rm -f contiv-c2 && docker rmi -f alpine")
    failed = demo(name)
    assert failed.returncode == 125  # docker's, where `run` could not even begin
    assert (
        failed.stdout.splitlines()[-1].startswith("See 'docker run --help'") or "Unable to find image" in failed.stdout
    )
    assert "docker ps" not in failed.stdout
    assert f"lab logs --name {name} node2" in failed.stderr
