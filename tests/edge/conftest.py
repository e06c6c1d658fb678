"""Real etcds on loopback: members that a test may kill, freeze and start again."""

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest

from isthmus.edge.etcd_child import LOOPBACK
from isthmus.wire.endpoints import Endpoint, Endpoints


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at this moment."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [probe.getsockname()[1] for probe in probes]


@dataclass
class Member:
    """One etcd process."""

    name: str
    client_port: int
    peer_port: int
    options: list[str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(LOOPBACK, self.client_port)

    def start(self) -> None:
        assert self.process is None
        death_with_us = ["setpriv", "--pdeathsig", "KILL", "--"]
        self.process = subprocess.Popen(
            [*death_with_us, "etcd", *self.options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """Kill -9, and wait for the end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@dataclass
class Cluster:
    """Members of one cluster, with their data in a directory of their own."""

    members: list[Member]
    scheme: str
    data: Path = field(default_factory=Path)

    @property
    def endpoints(self) -> Endpoints:
        members = tuple(member.endpoint for member in self.members)
        return Endpoints(members, is_tls=self.scheme == "https")

    def start(self) -> None:
        for member in self.members:
            member.start()


class MakeCluster(Protocol):
    """Make and start a cluster of so many members, with more options for each etcd."""

    def __call__(self, count: int = 1, *extra: str, scheme: str = "http") -> Cluster: ...


def _cluster(data: Path, count: int, extra: tuple[str, ...], scheme: str) -> Cluster:
    ports = free_ports(2 * count)
    names = [f"m{number}" for number in range(count)]
    initial = ",".join(f"{name}=http://{LOOPBACK}:{port}" for name, port in zip(names, ports, strict=False))
    members = []
    for name, peer_port, client_port in zip(names, ports[:count], ports[count:], strict=True):
        client, peer = f"{scheme}://{LOOPBACK}:{client_port}", f"http://{LOOPBACK}:{peer_port}"
        options = [
            f"--name={name}",
            f"--data-dir={data / name}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={initial}",
            "--unsafe-no-fsync",  # these tests kill etcd, never the machine
            "--heartbeat-interval=50",
            "--election-timeout=500",
            *extra,
        ]
        members.append(Member(name, client_port, peer_port, options))
    return Cluster(members, scheme, data)


@contextlib.contextmanager
def _clusters() -> Iterator[MakeCluster]:
    made: list[Cluster] = []

    def make(count: int = 1, *extra: str, scheme: str = "http") -> Cluster:
        cluster = _cluster(Path(tempfile.mkdtemp(prefix="isthmus-etcd-")), count, extra, scheme)
        made.append(cluster)
        cluster.start()
        return cluster

    try:
        yield make
    finally:
        for cluster in made:
            for member in cluster.members:
                member.kill()
            shutil.rmtree(cluster.data)


@pytest.fixture
def make_cluster() -> Iterator[MakeCluster]:
    """Clusters of the test's own, which it may break."""
    with _clusters() as make:
        yield make


@pytest.fixture(scope="session")
def shared_etcd() -> Iterator[Cluster]:
    """One etcd for all tests that leave it whole; each takes a prefix of its own."""
    with _clusters() as make:
        yield make()
