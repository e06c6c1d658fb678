"""A real netmaster on a real etcd, and its REST API."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from isthmus.edge.etcd_child import EtcdSettings, command
from isthmus.edge.store import DeleteRange, Store
from isthmus.netmaster import plans
from isthmus.wire import keys
from tests.edge.conftest import make_cluster  # noqa: F401  a fixture
from tests.netmaster import rows

HOST = "127.0.0.1"
ROLLOUT_S = 2


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at this moment."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in probes]


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    text: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Master:
    """A netmaster process."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def ask(self, method: str, path: str, body: object = None) -> Reply:
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, raw)
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, answer.read().decode(), headers)

    def post(self, collection: str, key: str, **fields: object) -> Reply:
        return self.ask("POST", f"/api/v1/{collection}/{key}/", fields)

    def post_network(self, key: str, subnet: str, **fields: object) -> Reply:
        tenant, _, name = key.partition(":")
        least = {"tenantName": tenant, "networkName": name, "encap": "vxlan", "subnet": subnet}
        return self.post("networks", key, **(least | fields))

    def post_tenant(self, name: str) -> Reply:
        return self.post("tenants", name, tenantName=name)

    def stop(self) -> int:
        """End it by SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        return self.process.returncode


def _spawn(*options: str) -> Master:
    port = free_ports(1)[0]
    words = [sys.executable, "-m", "isthmus.netmaster", "-listen-url", f"{HOST}:{port}", *options]
    master = Master(subprocess.Popen(words, stderr=subprocess.PIPE, text=True), port)
    for _ in range(400):
        with contextlib.suppress(OSError):
            master.ask("GET", "/version")
            return master
        if master.process.poll() is not None:
            break
        time.sleep(0.05)
    master.process.kill()
    raise AssertionError(master.process.communicate()[1])


@pytest.fixture(scope="session")
def start() -> Iterator[Callable[..., Master]]:
    """Starts a netmaster with the options given; it answers, and ends with the session at the latest."""
    started: list[Master] = []

    def start(*options: str) -> Master:
        started.append(_spawn(*options))
        return started[-1]

    yield start
    for master in started:
        if master.process.poll() is None:
            master.stop()


@pytest.fixture(scope="session")
def etcd() -> Iterator[EtcdSettings]:
    """An etcd for this session."""
    client, peer = free_ports(2)
    with tempfile.TemporaryDirectory() as folder:
        settings = EtcdSettings(Path(folder) / "etcd", client, peer, ("--unsafe-no-fsync",))
        process = subprocess.Popen(command(settings), stderr=subprocess.DEVNULL)
        try:
            yield settings
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def masters(etcd: EtcdSettings, start: Callable[..., Master]) -> tuple[Master, Master]:
    """Two netmasters on it."""
    options = ("-cluster-store", str(etcd.endpoints), "-rollout-wait", str(ROLLOUT_S), "-log-level", "error")
    return start(*options), start(*options)


@pytest.fixture
async def store(etcd: EtcdSettings) -> AsyncIterator[Store]:
    """The same etcd, with nothing but the first records in it."""
    async with Store(etcd.endpoints, timeout_s=20) as store:
        await store.commit((), (DeleteRange(keys.ROOT), DeleteRange(keys.CONTACTS)))
        await plans.done(store, plans.first_records())
        yield store


@pytest.fixture
def master(masters: tuple[Master, Master], store: Store) -> Master:
    """A netmaster with nothing but the first records."""
    return masters[0]


@pytest.fixture
def dump(store: Store) -> Callable[[], Awaitable[dict[str, bytes]]]:
    """Reads all that is in etcd."""

    async def dump() -> dict[str, bytes]:
        return {item.key: item.value for item in (await store.read(prefixes=("",))).items}

    return dump


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Finds a port that nobody listens on at this moment."""
    return lambda: free_ports(1)[0]


@pytest.fixture
def furnished(master: Master) -> Master:
    """A netmaster with some of every kind of object, which name each other; see `rows`."""
    rows.furnish(master)
    return master
