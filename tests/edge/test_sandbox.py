"""The name service in real network namespaces, with a small resolver in them where Docker's own would be."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import TypeVar, cast

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rrset
import pytest

from isthmus.core.errors import KernelRefusedError
from isthmus.core.model import Address
from isthmus.edge.sandbox import NameService, in_netns
from isthmus.edge.sandbox.netns import netns_identity
from isthmus.edge.sandbox.relay import StreamRelay

pytestmark = pytest.mark.root

RESOLVER = "127.0.0.11"
OUTSIDE = "203.0.113.7"  # what the resolver in Docker's place says to everything
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h
_T = TypeVar("_T")


@dataclass(frozen=True)
class Table:
    """Names from a table."""

    entries: Mapping[str, Sequence[Address]] = field(default_factory=dict)

    def addresses(self, name: str) -> Sequence[Address] | None:
        return self.entries.get(name)

    def name(self, address: Address) -> str | None:
        return next((name for name, held in self.entries.items() if address in held), None)


C1 = Table({"contiv-c1": [IPv4Address("10.1.2.1")]})
C1_BLUE = Table({"contiv-c1": [IPv4Address("10.1.2.9")]})


@dataclass(frozen=True)
class Netns:
    """A namespace held by a process."""

    pid: int

    @property
    def path(self) -> Path:
        return Path(f"/proc/{self.pid}/ns/net")

    async def within(self, act: Callable[[], _T]) -> _T:
        return await asyncio.to_thread(in_netns, self.path, act)

    async def ask(self, name: str, kind: str = "A", *, tcp: bool = False) -> dns.message.Message:
        ask = dns.query.tcp if tcp else dns.query.udp
        query = dns.message.make_query(name, kind)
        return await self.within(lambda: ask(query, RESOLVER, timeout=10))

    async def address(self, name: str, *, tcp: bool = False) -> str:
        reply = await self.ask(name, tcp=tcp)
        return reply.answer[0][0].to_text() if reply.answer else dns.rcode.to_text(reply.rcode())

    async def tables(self) -> str:
        command = ["nft", "list", "tables"]
        return await self.within(lambda: subprocess.run(command, capture_output=True, check=True, text=True).stdout)


@contextmanager
def _netns(*, with_loopback: bool = True) -> Iterator[Netns]:
    holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 600"], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        netns = Netns(holder.pid)
        if with_loopback:
            _loopback_up(netns)
        yield netns
    finally:
        holder.kill()
        holder.communicate()


def _loopback_up(netns: Netns) -> None:
    command = ["ip", "link", "set", "lo", "up"]
    in_netns(netns.path, lambda: subprocess.run(command, check=True))


@pytest.fixture
def netns() -> Iterator[Netns]:
    with _netns() as made:
        yield made


@pytest.fixture
async def service() -> AsyncIterator[NameService]:
    made = NameService(upstream_timeout_s=60)  # the resolver runs in our own loop, and is slow on a busy computer
    yield made
    await made.close()


class Resolver(asyncio.DatagramProtocol):
    """Answers `OUTSIDE` to all but `silent.*`, over UDP and TCP, in Docker's place; the last question first."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.transport: asyncio.DatagramTransport | None = None

    def reply(self, query: bytes) -> bytes | None:
        asked = dns.message.from_wire(query)
        name = asked.question[0].name
        self.asked.append(name.to_text(omit_final_dot=True))
        if self.asked[-1].startswith("silent."):
            return None
        response = dns.message.make_response(asked)
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", OUTSIDE))
        return response.to_wire()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self.reply(data)
        if reply is not None and self.transport is not None:
            self.transport.sendto(reply, addr)

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(EOFError, OSError):
            query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            reply = self.reply(query)
            if reply is None:
                await reader.read()  # until the asker gives up
            else:
                writer.write(len(reply).to_bytes(2, "big") + reply)
        writer.close()


def _bound(kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 20)
    made.bind((RESOLVER, 53))
    return made


@pytest.fixture
async def resolver(netns: Netns) -> AsyncIterator[Resolver]:
    made = Resolver()
    udp = await netns.within(partial(_bound, socket.SOCK_DGRAM))
    tcp = await netns.within(partial(_bound, socket.SOCK_STREAM))
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: made, sock=udp)
    server = await asyncio.start_server(made.stream, sock=tcp)
    yield made
    transport.close()
    server.close()
    await server.wait_closed()


def test_an_act_in_a_namespace_leaves_the_caller_where_it_is(netns: Netns) -> None:
    here = Path("/proc/thread-self/ns/net")
    before = here.readlink()
    assert in_netns(netns.path, here.readlink) == netns.path.readlink() != before
    assert here.readlink() == before
    with pytest.raises(ZeroDivisionError):
        in_netns(netns.path, lambda: 1 // 0)
    with pytest.raises(OSError, match="Invalid argument"):
        in_netns(Path("/etc/hosts"), lambda: None)
    assert netns_identity(Path("/etc/hosts")) is None
    assert netns_identity(Path("/proc/self/ns/mnt")) is None


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
async def test_ours_are_answered_and_the_rest_is_asked_of_docker(
    netns: Netns, resolver: Resolver, service: NameService, tcp: bool
) -> None:
    assert await netns.address("contiv-c1", tcp=tcp) == OUTSIDE
    await service.attach(netns.path, C1)
    assert service.attached == {netns.path}
    resolver.asked.clear()
    assert await netns.address("contiv-c1", tcp=tcp) == "10.1.2.1"
    assert (await netns.ask("contiv-c1", "AAAA", tcp=tcp)).answer == []
    assert (await netns.ask("1.2.1.10.in-addr.arpa", "PTR", tcp=tcp)).answer[0][0].to_text() == "contiv-c1."
    assert resolver.asked == []
    assert await netns.address("Contiv.com", tcp=tcp) == OUTSIDE
    assert resolver.asked == ["Contiv.com"]
    await service.detach(netns.path)
    assert service.attached == frozenset()
    assert await netns.tables() == ""
    assert await netns.address("contiv-c1", tcp=tcp) == OUTSIDE
    await service.detach(netns.path)


async def test_each_sandbox_has_its_own_names(netns: Netns, resolver: Resolver, service: NameService) -> None:
    with _netns() as blue:
        await asyncio.gather(service.attach(netns.path, C1), service.attach(blue.path, C1_BLUE))
        assert await netns.address("contiv-c1") == "10.1.2.1"
        assert await blue.address("contiv-c1") == "10.1.2.9"
        await service.detach(blue.path)
        assert await netns.address("contiv-c1") == "10.1.2.1"


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
async def test_without_dockers_resolver_ours_are_answered_and_the_rest_fails_at_once(
    netns: Netns, service: NameService, tcp: bool
) -> None:
    await service.attach(netns.path, C1)
    assert await netns.address("contiv-c1", tcp=tcp) == "10.1.2.1"
    assert await netns.address("contiv.com", tcp=tcp) == "SERVFAIL"
    assert await netns.address("contiv.com", tcp=tcp) == "SERVFAIL"


async def test_attached_twice_is_attached_once_and_the_later_names_count(netns: Netns, service: NameService) -> None:
    await asyncio.gather(service.attach(netns.path, C1), service.attach(netns.path, C1))
    await service.attach(netns.path, C1_BLUE)
    assert await netns.address("contiv-c1") == "10.1.2.9"
    assert (await netns.tables()).count("isthmus-dns") == 1


async def test_hundreds_of_questions_in_flight_find_their_askers(
    netns: Netns, resolver: Resolver, service: NameService
) -> None:
    await service.attach(netns.path, C1)
    sockets = await netns.within(lambda: [_asker() for _ in range(100)])
    try:
        replies = await asyncio.gather(*(_five_questions(index, each) for index, each in enumerate(sockets)))
    finally:
        for each in sockets:
            each.close()
    assert all(replies)
    assert len(resolver.asked) == 400


def _asker() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.connect((RESOLVER, 53))
    return made


async def _five_questions(index: int, asker: socket.socket) -> bool:
    loop = asyncio.get_running_loop()
    names = ["contiv-c1", *(f"host{number}.{index}.example" for number in range(4))]
    wanted = {}
    for number, name in enumerate(names):
        query = dns.message.make_query(name, "A", id=number)
        wanted[number] = (query, "10.1.2.1" if name == "contiv-c1" else OUTSIDE)
        await loop.sock_sendall(asker, query.to_wire())
    async with asyncio.timeout(20):
        for _ in names:
            reply = dns.message.from_wire(await loop.sock_recv(asker, 4096))
            query, address = wanted.pop(reply.id)
            assert query.is_response(reply)
            assert reply.answer[0][0].to_text() == address
    return not wanted


async def test_a_resolver_that_says_nothing_is_a_failure_in_time_and_holds_nobody_up(
    netns: Netns, resolver: Resolver
) -> None:
    service = NameService(upstream_timeout_s=2)
    await service.attach(netns.path, C1)
    silent = asyncio.create_task(netns.address("silent.example"))
    silent_tcp = asyncio.create_task(netns.address("silent.example", tcp=True))
    while len(resolver.asked) < 2:
        await asyncio.sleep(0.01)
    assert await netns.address("contiv.com") == OUTSIDE
    assert await silent == "SERVFAIL"
    assert await silent_tcp == "SERVFAIL"
    await service.close()


async def test_a_flood_in_one_sandbox_starves_no_other(netns: Netns, resolver: Resolver, service: NameService) -> None:
    with _netns() as other:
        await asyncio.gather(service.attach(netns.path, C1), service.attach(other.path, C1_BLUE))
        command = ["nsenter", f"--net={netns.path}", sys.executable, "-c", _FLOOD]
        flood = await asyncio.create_subprocess_exec(*command)
        try:
            while not resolver.asked:
                await asyncio.sleep(0.01)
            for _ in range(20):
                assert await other.address("contiv-c1") == "10.1.2.9"
            assert flood.returncode is None
        finally:
            flood.kill()
            await flood.wait()


_FLOOD = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(({RESOLVER!r}, 53))
query = bytes.fromhex("000001000001000000000000") + b"\\x05flood\\x00\\x00\\x01\\x00\\x01"
while True:
    s.send(query)
"""


@pytest.fixture
def later() -> Iterator[Path]:
    """A plain file on which a namespace may be mounted, as engines do it."""
    with tempfile.TemporaryDirectory(prefix="ish-sandbox-") as directory:
        path = Path(directory) / "sandbox"
        path.touch()
        yield path
        subprocess.run(["umount", "-l", path], check=False, stderr=subprocess.DEVNULL)


async def _run(*command: str) -> None:
    assert await (await asyncio.create_subprocess_exec(*command)).wait() == 0


async def test_a_sandbox_is_waited_for_and_left_when_it_goes(
    netns: Netns, resolver: Resolver, service: NameService, later: Path
) -> None:
    attaching = asyncio.create_task(service.attach(later, C1))
    await asyncio.sleep(0.05)
    assert not attaching.done()
    await _run("mount", "--bind", str(netns.path), str(later))
    await attaching
    assert service.attached == {later}
    assert await netns.address("contiv-c1") == "10.1.2.1"
    await _run("umount", str(later))
    while service.attached:
        await asyncio.sleep(0.01)
    assert await netns.address("contiv-c1") == OUTSIDE
    assert await netns.tables() == ""


@pytest.mark.parametrize("kind", ["-u", "-t"])
async def test_listeners_that_somebody_destroyed_are_opened_again(
    netns: Netns, resolver: Resolver, service: NameService, kind: str
) -> None:
    await service.attach(netns.path, C1)
    killing = ["ss", "-K", kind, "-a", "src", RESOLVER]
    await netns.within(lambda: subprocess.run(killing, capture_output=True, check=True))
    async with asyncio.timeout(10):
        while netns.path in service.attached:
            await asyncio.sleep(0.01)
    await service.attach(netns.path, C1)
    assert [await netns.address("contiv-c1", tcp=tcp) for tcp in (False, True)] == ["10.1.2.1", "10.1.2.1"]
    assert await netns.address("elsewhere") == OUTSIDE


async def test_a_sandbox_that_never_comes_can_be_let_go(service: NameService, later: Path) -> None:
    attaching = asyncio.create_task(service.attach(later, C1))
    await asyncio.sleep(0.02)
    await service.detach(later)
    await attaching
    assert service.attached == frozenset()


async def test_an_attachment_taken_back_at_any_moment_leaves_nothing(netns: Netns, service: NameService) -> None:
    for turn in range(10):
        attaching = asyncio.create_task(service.attach(netns.path, C1))
        for _ in range(turn):
            await asyncio.sleep(0)
        await asyncio.sleep(turn / 1000)
        await service.detach(netns.path)
        await attaching
        await service.detach(netns.path)  # the first one may have come before the attachment
    await service.attach(netns.path, C1)
    assert await netns.address("contiv-c1") == "10.1.2.1"
    await service.detach(netns.path)
    assert await netns.tables() == ""


async def test_a_service_that_closes_enters_nothing_any_more(netns: Netns, service: NameService) -> None:
    await service.attach(netns.path, C1)
    closing = asyncio.create_task(service.close())
    await asyncio.sleep(0)
    await service.attach(netns.path, C1)
    await closing
    assert service.attached == frozenset()
    assert await netns.tables() == ""


async def test_a_service_that_closes_waits_for_what_leaves_already(netns: Netns, service: NameService) -> None:
    await service.attach(netns.path, C1)
    leaving = asyncio.create_task(service.detach(netns.path))
    await asyncio.sleep(0)
    await service.close()
    assert await netns.tables() == ""
    await leaving


async def test_an_attachment_taken_back_while_it_ends_leaves_no_socket(netns: Netns, service: NameService) -> None:
    before = _sockets()
    await service.attach(netns.path, C1)
    life = service._attachments[netns.path].life
    assert _sockets() > before
    for _ in range(2):
        life.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([life])
    assert _sockets() == before


def _sockets() -> set[str]:
    """The sockets that this process has open."""
    found: set[str] = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # of this very listing
            found.add(str(link.readlink()))
    return {each for each in found if each.startswith("socket:")}


async def test_a_listener_taken_back_while_it_is_opened_is_forgotten_by_the_loop() -> None:
    listener = socket.create_server((RESOLVER, 0))
    number = listener.fileno()
    relay = StreamRelay(C1, _nowhere, 1)
    opening = asyncio.create_task(relay.open(listener))
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait([opening])
    far, near = socket.socketpair()
    with far, near:
        await relay.close()
        listener.close()
        heard = asyncio.Event()
        with socket.socket(fileno=os.dup2(near.fileno(), number)) as successor:
            asyncio.get_running_loop().add_reader(successor, heard.set)
            far.send(b"x")
            async with asyncio.timeout(5):
                await heard.wait()
            asyncio.get_running_loop().remove_reader(successor)


async def _nowhere() -> socket.socket:
    raise OSError


async def test_the_loopback_may_come_up_later_than_we_do(service: NameService) -> None:
    with _netns(with_loopback=False) as early:
        await service.attach(early.path, C1)
        _loopback_up(early)
        assert await early.address("contiv-c1") == "10.1.2.1"


async def test_a_redirect_that_another_process_holds_is_refused_aloud(netns: Netns, service: NameService) -> None:
    rival = NameService()
    try:
        await rival.attach(netns.path, C1)
        with pytest.raises(KernelRefusedError, match="isthmus-dns"):
            await service.attach(netns.path, C1_BLUE)
        assert service.attached == frozenset()
        assert await netns.address("contiv-c1") == "10.1.2.1"
    finally:
        await rival.close()
    await service.attach(netns.path, C1_BLUE)
    assert await netns.address("contiv-c1") == "10.1.2.9"


async def test_killed_without_notice_the_service_leaves_dockers_resolver(netns: Netns, resolver: Resolver) -> None:
    command = [sys.executable, "-c", _SERVE, str(netns.path)]
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"attached\n"
        assert await netns.address("contiv-c1") == "10.1.2.1"
    finally:
        child.send_signal(signal.SIGKILL)
        await child.communicate()
    assert await netns.tables() == ""
    assert await netns.address("contiv-c1") == OUTSIDE


_SERVE = """
import asyncio, ipaddress, pathlib, sys
from isthmus.edge.sandbox import NameService

class One:
    def addresses(self, name):
        return [ipaddress.ip_address("10.1.2.1")] if name == "contiv-c1" else None
    def name(self, address):
        return None

async def main():
    await NameService().attach(pathlib.Path(sys.argv[1]), One())
    print("attached", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
