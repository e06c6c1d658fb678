"""Labs for tests: each under a name of its own, each removed at the end of the module that asked for it."""

import os
from collections.abc import Iterator

import pytest

from isthmus.lab.running import RunningLab, running
from isthmus.lab.topology import Lab

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
