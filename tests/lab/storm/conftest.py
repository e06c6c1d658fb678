"""The lab on which storms rage: three nodes, so that etcd survives any of them."""

import os
from collections.abc import Iterator

import pytest

from isthmus.lab.running import RunningLab, running
from isthmus.lab.topology import Lab
from tests.lab import probes
from tests.lab.storm.plan import NODES
from tests.lab.storm.storm import prepare


@pytest.fixture(scope="session")
def three_nodes() -> Iterator[RunningLab]:
    """Three nodes with everything, for the modules of this folder; ask for `sea`."""
    with running(Lab(f"storm-{os.getpid()}", nodes=NODES)) as up:
        yield up


@pytest.fixture
def sea(three_nodes: RunningLab) -> Iterator[RunningLab]:
    """The shared lab with the networks of a storm; all is removed at the test's end."""
    prepare(three_nodes)
    yield three_nodes
    probes.clean(three_nodes)
