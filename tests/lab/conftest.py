"""Labs for tests: each under a name of its own, each removed at the end of the module that asked for it."""

import os
from collections.abc import Iterator

import pytest

from isthmus.lab.running import RunningLab, running
from isthmus.lab.topology import Lab
from tests.lab import probes

WITHOUT_US = ("internet", "etcd", "containerd", "dockerd")


@pytest.fixture(scope="module")
def lab() -> Iterator[RunningLab]:
    """Two nodes with everything."""
    with running(Lab(f"test-{os.getpid()}", nodes=2)) as up:
        yield up


@pytest.fixture(scope="module")
def engines() -> Iterator[RunningLab]:
    """Two nodes with engines and etcd, without programs of ours."""
    with running(Lab(f"engines-{os.getpid()}", nodes=2, only=WITHOUT_US)) as up:
        yield up


@pytest.fixture(scope="session")
def two_nodes() -> Iterator[RunningLab]:
    """Two nodes with everything, for all modules whose tests leave nothing behind; ask for `cluster`."""
    with running(Lab(f"accept-{os.getpid()}", nodes=2)) as up:
        yield up


@pytest.fixture
def cluster(two_nodes: RunningLab) -> Iterator[RunningLab]:
    """The shared lab; containers, networks and tenants of the test are removed at its end."""
    yield two_nodes
    probes.clean(two_nodes)
