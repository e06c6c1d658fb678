"""The engine edge against a real dockerd in namespaces of its own, with a plugin made of `wire.docker`."""

import asyncio
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import dns.message
import dns.query
import pytest
import pytest_asyncio
from aiohttp import ClientSession, UnixConnector, web

from isthmus.core.datapath import DockerNetwork, container_link_name, host_link_name
from isthmus.core.errors import EngineRefusedError, EngineUnavailableError, InvalidError
from isthmus.core.model import Address, ContainerId, Encap, EndpointId, NetworkKey, NetworkName, Tag, TenantName, mac_of
from isthmus.edge.engine import Engine, EventsBegin, Unreadable
from isthmus.edge.sandbox import NameService, in_netns
from isthmus.wire import docker
from isthmus.wire.docker_api import (
    ContainerConnected,
    ContainerDied,
    ContainerDisconnected,
    ContainerRenamed,
    ContainerStarted,
    Event,
    NetworkCreated,
    NetworkDestroyed,
    Occupant,
)

pytestmark = [pytest.mark.root, pytest.mark.asyncio(loop_scope="module")]

_DOCKERD = """
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/docker/plugins
ln -s {home}/netplugin.sock /run/docker/plugins/netplugin.sock
ip link set lo up
exec dockerd -H unix://{home}/docker.sock --data-root {home}/data --exec-root /run/exec --pidfile /run/d.pid \
    --bridge=none --iptables=false --ip-masq=false --userland-proxy=false --oom-score-adjust=0
"""


@dataclass
class Dockerd:
    """A real engine that can be stopped, frozen and started again."""

    home: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.home / "docker.sock"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        script = _DOCKERD.format(home=self.home)
        log = (self.home / "log").open("ab")
        command = ["unshare", "-n", "-m", "--propagation", "private", "sh", "-c", script]
        with log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        if self.process is None:
            return
        self.process.send_signal(sign)
        try:
            self.process.wait(20)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()

    async def ready(self, engine: Engine) -> None:
        assert self.process is not None
        for _ in range(600):
            with suppress(EngineUnavailableError):
                await engine.ping()
                return
            assert self.process.poll() is None, (self.home / "log").read_text()
            await asyncio.sleep(0.05)
        raise AssertionError((self.home / "log").read_text())

    async def run(self, name: str, network: str) -> ContainerId:
        options = ["--name", name, "--network", network, "--cgroup-parent", self.home.name]
        return ContainerId(await self.docker("run", "-d", *options, "tiny", "sleep", "600"))

    async def docker(self, *words: str) -> str:
        command = ["docker", "-H", f"unix://{self.socket}", *words]
        child = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await child.communicate()
        assert child.returncode == 0, f"{words}: {err.decode()}"
        return out.decode().strip()


_CONSTANT = {
    "Plugin.Activate": docker.ACTIVATION,
    "NetworkDriver.GetCapabilities": docker.NETWORK_CAPABILITIES,
    "IpamDriver.GetCapabilities": docker.IPAM_CAPABILITIES,
    "IpamDriver.GetDefaultAddressSpaces": docker.ADDRESS_SPACES,
}
_ACKNOWLEDGED: dict[str, Callable[[bytes], object]] = {
    "NetworkDriver.EndpointOperInfo": docker.parse_endpoint_info,
    "NetworkDriver.Leave": docker.parse_leave,
    "NetworkDriver.DeleteEndpoint": docker.parse_delete_endpoint,
    "NetworkDriver.DeleteNetwork": docker.parse_delete_network,
    "NetworkDriver.ProgramExternalConnectivity": docker.parse_program_external_connectivity,
    "NetworkDriver.RevokeExternalConnectivity": docker.parse_revoke_external_connectivity,
    "IpamDriver.ReleaseAddress": docker.parse_release_address,
    "IpamDriver.ReleasePool": docker.parse_release_pool,
}


@dataclass(frozen=True)
class Names:
    """One name, and another address for a name that Docker knows too."""

    def addresses(self, name: str) -> Sequence[Address] | None:
        return {"elsewhere": [IPv4Address("10.1.2.77")], "near": [IPv4Address("10.1.2.78")]}.get(name)

    def name(self, address: Address) -> str | None:
        return None


@dataclass
class Plugin:
    """A driver that keeps no state but what it saw: addresses count upward."""

    engine: Engine
    dockerd: Dockerd
    next_host: int = 1
    created: list[docker.CreateNetwork] = field(default_factory=list)
    joins: list[docker.Join] = field(default_factory=list)
    names_in_join: dict[EndpointId, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        call = request.path.lstrip("/")
        body = await request.read()
        try:
            answer = await self._answer(call, body)
        except InvalidError as error:
            self.faults.append(str(error))
            answer = docker.render_error(str(error))
        return web.Response(body=answer, headers={"Content-Type": docker.CONTENT_TYPE})

    async def _answer(self, call: str, body: bytes) -> bytes:
        if call in _CONSTANT:
            return _CONSTANT[call]
        if call in _ACKNOWLEDGED:
            _ACKNOWLEDGED[call](body)
            return docker.OK
        if call == "NetworkDriver.Join":
            return await self._join(docker.parse_join(body))
        answers: dict[str, Callable[[bytes], bytes]] = {
            "NetworkDriver.CreateNetwork": lambda body: self._network(docker.parse_create_network(body)),
            "NetworkDriver.CreateEndpoint": lambda body: self._endpoint(docker.parse_create_endpoint(body)),
            "IpamDriver.RequestPool": lambda body: self._pool(docker.parse_request_pool(body)),
            "IpamDriver.RequestAddress": lambda body: self._address(docker.parse_request_address(body)),
        }
        return answers[call](body)

    def _network(self, asked: docker.CreateNetwork) -> bytes:
        self.created.append(asked)
        return docker.OK

    def _endpoint(self, asked: docker.CreateEndpoint) -> bytes:
        assert asked.address is not None
        return docker.render_endpoint(None if asked.mac else mac_of(asked.address))

    def _pool(self, asked: docker.RequestPool) -> bytes:
        assert asked.pool is not None
        return docker.render_pool(docker.pool_id(asked.owner, asked.pool), asked.pool)

    def _address(self, asked: docker.RequestAddress) -> bytes:
        prefix = asked.pool.prefix
        if asked.is_gateway:
            return docker.render_address(asked.address or prefix.network_address, prefix)
        self.next_host += 1
        return docker.render_address(asked.address or prefix[self.next_host], prefix)

    async def _join(self, asked: docker.Join) -> bytes:
        self.joins.append(asked)
        found = await self.engine.containers_of(asked.network_id)
        self.names_in_join |= {endpoint: each.name for endpoint, each in found.items()}
        host, inner = host_link_name(asked.endpoint_id), container_link_name(asked.endpoint_id)
        add = ["ip", "link", "add", host, "type", "veth", "peer", "name", inner]
        child = await asyncio.create_subprocess_exec("nsenter", "-t", str(self.dockerd.pid), "-n", *add)
        assert await child.wait() == 0
        return docker.render_join(inner)


@dataclass
class Host:
    """An engine, our edge to it, and the plugin that it calls."""

    dockerd: Dockerd
    engine: Engine
    plugin: Plugin


def _image(path: Path) -> Path:
    with tarfile.open(path, "w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        link = tarfile.TarInfo("bin/sleep")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        tar.addfile(link)
    return path


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="ish-engine-"))
    yield path
    shutil.rmtree(path)
    for pattern in (path.name, f"*/{path.name}"):  # cgroup v2, and v1 with its controllers
        for group in Path("/sys/fs/cgroup").glob(pattern):
            group.rmdir()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(home: Path) -> AsyncIterator[Host]:
    dockerd = Dockerd(home)
    async with Engine(dockerd.socket) as engine:
        plugin = Plugin(engine, dockerd)
        app = web.Application()
        app.router.add_post("/{call}", plugin.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.UnixSite(runner, str(home / "netplugin.sock")).start()
        try:
            dockerd.start()
            await dockerd.ready(engine)
            await dockerd.docker("import", str(_image(home / "image.tar")), "tiny")
            yield Host(dockerd, engine, plugin)
        finally:
            await asyncio.to_thread(dockerd.stop)
            await runner.cleanup()


def _network(name: str, third: int, tenant: str = "default") -> DockerNetwork:
    shown = name if tenant == "default" else f"{name}/{tenant}"
    key = NetworkKey(TenantName(tenant), NetworkName(name))
    return DockerNetwork(shown, key, Encap.VXLAN, Tag(third), IPv4Network(f"10.1.{third}.0/24"))


PLAIN = _network("contiv-net", 2)
BLUE = _network("contiv-net", 2, "blue")
BOTH_FAMILIES = DockerNetwork(
    name="six",
    key=NetworkKey(TenantName("default"), NetworkName("six")),
    encap=Encap.VLAN,
    tag=Tag(112),
    subnet=IPv4Network("10.9.0.0/16"),
    gateway=IPv4Address("10.9.255.254"),
    subnet_v6=IPv6Network("fd00:9::/64"),
    gateway_v6=IPv6Address("fd00:9::fe"),
)
V6_WITHOUT_GATEWAY = DockerNetwork(
    name="six-bare",
    key=NetworkKey(TenantName("default"), NetworkName("six-bare")),
    encap=Encap.VXLAN,
    tag=Tag(7),
    subnet=IPv4Network("10.8.0.0/24"),
    subnet_v6=IPv6Network("fd00:8::/64"),
)


async def test_an_engine_says_which_it_is(host: Host) -> None:
    info = await host.engine.ping()
    assert info.version.startswith("20.10.")
    assert info.api_version == "1.41"


@pytest.mark.parametrize("wanted", [PLAIN, BLUE, BOTH_FAMILIES, V6_WITHOUT_GATEWAY], ids=lambda each: each.name)
async def test_a_network_created_is_the_network_wanted(host: Host, wanted: DockerNetwork) -> None:
    network_id = await host.engine.create_network(wanted)
    try:
        assert (network_id, wanted) in await host.engine.networks()
        assert await host.engine.network_by_id(network_id) == wanted
        assert not host.plugin.created[-1].has_foreign_ipam
        assert host.plugin.created[-1].options["pkt-tag"] == str(wanted.tag)
        with pytest.raises(EngineRefusedError) as refusal:
            await host.engine.create_network(wanted)
        assert refusal.value.status == 409
        assert wanted.name in refusal.value.reason
    finally:
        await host.engine.remove_network(network_id)
    assert await host.engine.networks() == []
    assert await host.engine.network_by_id(network_id) is None
    assert await host.engine.containers_of(network_id) == {}
    await host.engine.remove_network(network_id)
    assert host.plugin.faults == []


async def test_a_name_of_anothers_network_is_told_from_a_free_one(host: Host) -> None:
    assert await host.engine.foreign_network("none") == "null"
    assert await host.engine.foreign_network("non") is None
    network_id = await host.engine.create_network(PLAIN)
    try:
        assert await host.engine.foreign_network(PLAIN.name) is None
    finally:
        await host.engine.remove_network(network_id)


async def test_docker_ipam_under_our_driver_is_seen_as_foreign(host: Host) -> None:
    await host.dockerd.docker("network", "create", "-d", "netplugin", "--subnet", "10.77.0.0/24", "by-hand")
    try:
        assert host.plugin.created[-1].has_foreign_ipam
        assert await host.engine.networks() == []
    finally:
        await host.dockerd.docker("network", "rm", "by-hand")


class Listener:
    """What an engine has told so far."""

    def __init__(self, engine: Engine) -> None:
        self.seen: list[Event | EventsBegin | Unreadable] = []
        self._news = asyncio.Condition()
        self.task = asyncio.create_task(self._listen(engine))

    async def _listen(self, engine: Engine) -> None:
        async for event in engine.events():
            async with self._news:
                self.seen.append(event)
                self._news.notify_all()

    async def until(self, kind: type[Event | EventsBegin | Unreadable]) -> None:
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: any(isinstance(event, kind) for event in self.seen))


async def test_a_container_is_known_from_join_to_its_end(host: Host) -> None:
    listener = Listener(host.engine)
    await listener.until(EventsBegin)
    network_id = await host.engine.create_network(PLAIN)
    try:
        container_id = await host.dockerd.run("c1", PLAIN.name)
        join = host.plugin.joins[-1]
        endpoint_id = join.endpoint_id
        assert host.plugin.names_in_join[endpoint_id] == "c1"
        assert await host.engine.containers_of(network_id) == {endpoint_id: Occupant("c1", ContainerId(container_id))}
        await listener.until(ContainerStarted)
        sandbox = (await host.engine.sandboxes())[endpoint_id]
        assert (str(sandbox.path), sandbox.container) == (join.sandbox, "c1")
        await host.dockerd.docker("rename", "c1", "c2")
        await listener.until(ContainerRenamed)
        assert await host.engine.containers_of(network_id) == {endpoint_id: Occupant("c2", ContainerId(container_id))}
        with pytest.raises(EngineRefusedError) as refusal:
            await host.engine.remove_network(network_id)
        assert refusal.value.status == 403
        await host.dockerd.docker("rm", "-f", "c2")
        assert await host.engine.sandboxes() == {}
        assert await host.engine.containers_of(network_id) == {}
    finally:
        with suppress(AssertionError):
            await host.dockerd.docker("rm", "-f", "c1", "c2")
        await host.engine.remove_network(network_id)
    await listener.until(NetworkDestroyed)
    listener.task.cancel()
    story = [event for event in listener.seen if not isinstance(event, ContainerDisconnected)]
    assert story == [
        EventsBegin(),
        NetworkCreated(network_id, PLAIN.name),
        ContainerConnected(network_id, container_id),
        ContainerStarted(container_id, "c1"),
        ContainerRenamed(container_id, "c2", "c1"),
        ContainerDied(container_id, "c2"),
        NetworkDestroyed(network_id, PLAIN.name),
    ]
    assert ContainerDisconnected(network_id, container_id) in listener.seen
    assert host.plugin.faults == []


async def test_a_container_with_a_huge_label_is_told_as_unreadable_and_the_next_is_read(host: Host) -> None:
    listener = Listener(host.engine)
    await listener.until(EventsBegin)
    body = {"Image": "tiny", "Cmd": ["sleep", "0"], "Labels": {"huge": "x" * 3_000_000}}
    await _post(host.dockerd.socket, "/containers/create?name=huge", json.dumps(body).encode())
    await listener.until(Unreadable)
    await host.dockerd.docker("rm", "-f", "huge")
    network_id = await host.engine.create_network(PLAIN)
    await host.engine.remove_network(network_id)
    await listener.until(NetworkDestroyed)
    listener.task.cancel()
    assert listener.seen == [
        EventsBegin(),
        Unreadable(),  # created
        Unreadable(),  # destroyed
        NetworkCreated(network_id, PLAIN.name),
        NetworkDestroyed(network_id, PLAIN.name),
    ]


async def _post(socket: Path, path: str, body: bytes) -> None:
    kind = {"Content-Type": "application/json"}
    async with (
        ClientSession(connector=UnixConnector(path=str(socket))) as session,
        session.post(f"http://docker{path}", data=io.BytesIO(body), headers=kind) as response,
    ):
        assert response.status == 201, await response.text()


async def test_our_names_come_before_dockers_in_a_real_container_and_end_with_us(host: Host) -> None:
    network_id = await host.engine.create_network(PLAIN)
    names = NameService()
    try:
        await host.dockerd.run("asker", PLAIN.name)
        await host.dockerd.run("near", PLAIN.name)
        await host.dockerd.run("other", PLAIN.name)
        pid = await host.dockerd.docker("inspect", "-f", "{{.State.Pid}}", "asker")
        sandbox = Path(f"/proc/{pid}/ns/net")
        before = [await _address(sandbox, name) for name in ("near", "other")]
        await names.attach(sandbox, Names())
        for tcp in (False, True):
            assert await _address(sandbox, "elsewhere", tcp=tcp) == "10.1.2.77"
            assert await _address(sandbox, "near", tcp=tcp) == "10.1.2.78"
            assert await _address(sandbox, "other", tcp=tcp) == before[1]
        await names.detach(sandbox)
        assert [await _address(sandbox, name) for name in ("near", "other")] == before
    finally:
        await names.close()
        with suppress(AssertionError):
            await host.dockerd.docker("rm", "-f", "asker", "near", "other")
        await host.engine.remove_network(network_id)


async def _address(sandbox: Path, name: str, *, tcp: bool = False) -> str:
    query = dns.message.make_query(name, "A")
    ask = dns.query.tcp if tcp else dns.query.udp
    reply = await asyncio.to_thread(in_netns, sandbox, lambda: ask(query, "127.0.0.11", timeout=10))
    return str(reply.answer[0][0])


async def test_a_frozen_engine_costs_the_deadline_and_no_more(host: Host) -> None:
    os.kill(host.dockerd.pid, signal.SIGSTOP)
    try:
        with pytest.raises(EngineUnavailableError, match=r"no answer within 0\.2 s"):
            await host.engine.networks(deadline_s=0.2)
        with pytest.raises(EngineUnavailableError, match=r"no answer within 0\.2 s"):
            await host.engine.ping(deadline_s=0.2)
    finally:
        os.kill(host.dockerd.pid, signal.SIGCONT)
    assert await host.engine.networks() == []


async def test_an_engine_that_goes_ends_the_events_and_is_found_again(host: Host) -> None:
    network_id = await host.engine.create_network(BLUE)
    listener = Listener(host.engine)
    await listener.until(EventsBegin)
    await asyncio.to_thread(host.dockerd.stop)
    with pytest.raises(EngineUnavailableError):
        await listener.task
    with pytest.raises(EngineUnavailableError):
        await host.engine.networks()
    host.dockerd.start()
    await host.dockerd.ready(host.engine)
    assert await host.engine.networks() == [(network_id, BLUE)]
    await host.engine.remove_network(network_id)
