"""Answers the questions of one sandbox, and hands on to Docker's resolver those that are not ours."""

import asyncio
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from isthmus.edge.sandbox.doors import Doors
from isthmus.edge.sandbox.redirect import RESOLVER
from isthmus.wire import dns

_DATAGRAMS_A_TURN = 16  # then the other sandboxes have theirs
_MOST_WAITING = 1024  # questions handed on and not answered yet
_MOST_STREAMS = 32
_STREAM_IDLE_S = 10.0
_DATAGRAM_BYTES = 65535
_DOCKER = (RESOLVER, 53)

# Bound before the loopback was up, a socket has no source address, and would answer as 127.0.0.1.
_IP_PKTINFO = 8  # linux/in.h; not in the socket module
_FROM_RESOLVER = [(socket.IPPROTO_IP, _IP_PKTINFO, struct.pack("=i4s4s", 0, socket.inet_aton(RESOLVER), bytes(4)))]

_Peer = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A question on its way to Docker's resolver, under an id of ours."""

    query: bytes
    peer: _Peer
    timer: asyncio.TimerHandle


class DatagramRelay:
    """The UDP half, driven by the event loop's readiness callbacks: nothing here waits."""

    def __init__(self, doors: Doors, names: dns.Lookup, upstream_timeout_s: float) -> None:
        self._names = names
        self._upstream_timeout_s = upstream_timeout_s
        self._doors = doors
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, _Waiting] = {}
        self._is_connected = False
        self._loop.add_reader(doors.udp, self._take_queries)

    def close(self) -> None:
        """Stop listening; what waits is dropped."""
        self._loop.remove_reader(self._doors.udp)
        self._loop.remove_reader(self._doors.upstream)
        for waiting in self._waiting.values():
            waiting.timer.cancel()
        self._waiting.clear()

    def _take_queries(self) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):  # the second: somebody destroyed the socket
            for _ in range(_DATAGRAMS_A_TURN):
                query, peer = self._doors.udp.recvfrom(_DATAGRAM_BYTES)
                self._take(query, peer)

    def _take(self, query: bytes, peer: _Peer) -> None:
        reply = dns.answer(query, self._names)
        if reply is not None:
            self._reply(reply, peer)
        elif dns.is_query(query):
            self._hand_on(query, peer)

    def _reply(self, reply: bytes, peer: _Peer) -> None:
        with suppress(OSError):  # its socket's buffer is full, or it has gone: it will ask again
            self._doors.udp.sendmsg([reply], _FROM_RESOLVER, 0, peer)

    def _hand_on(self, query: bytes, peer: _Peer) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self._reply(dns.refusal(query), peer)
            return
        identity = self._free_id()
        timer = self._loop.call_later(self._upstream_timeout_s, self._give_up, identity)
        self._waiting[identity] = _Waiting(query, peer, timer)
        if not self._sent(dns.with_id(query, identity)):
            self._give_up(identity)

    def _free_id(self) -> int:
        while (identity := random.randrange(1 << 16)) in self._waiting:  # noqa: S311 - the asker is its only victim
            pass
        return identity

    def _sent(self, query: bytes) -> bool:
        upstream = self._doors.upstream
        for _ in range(2):
            try:
                if not self._is_connected:  # only now is the loopback sure to be up
                    upstream.connect(_DOCKER)
                    self._loop.add_reader(upstream, self._take_replies)
                    self._is_connected = True
                upstream.send(query)
            except ConnectionRefusedError:
                continue  # the news of an earlier question: nobody listens there; and this one was not sent
            except OSError:
                return False
            return True
        return False

    def _take_replies(self) -> None:
        try:
            for _ in range(_DATAGRAMS_A_TURN):
                self._match(self._doors.upstream.recv(_DATAGRAM_BYTES))
        except BlockingIOError:
            pass
        except OSError:  # nobody listens on Docker's port
            for identity in list(self._waiting):
                self._give_up(identity)

    def _match(self, reply: bytes) -> None:
        identity = dns.id_of(reply)
        waiting = self._waiting.get(identity)
        if waiting is None or not dns.is_reply(reply, dns.with_id(waiting.query, identity)):
            return
        del self._waiting[identity]
        waiting.timer.cancel()
        self._reply(dns.with_id(reply, dns.id_of(waiting.query)), waiting.peer)

    def _give_up(self, identity: int) -> None:
        waiting = self._waiting.pop(identity)
        waiting.timer.cancel()
        self._reply(dns.refusal(waiting.query), waiting.peer)


class StreamRelay:
    """The TCP half: one question after the other on each connection."""

    def __init__(
        self, names: dns.Lookup, dial: Callable[[], Awaitable[socket.socket]], upstream_timeout_s: float
    ) -> None:
        """`dial` makes a marked stream socket in the sandbox."""
        self._names = names
        self._upstream_timeout_s = upstream_timeout_s
        self._dial = dial
        self._streams: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self, listener: socket.socket) -> None:
        """Take connections from `listener`."""
        # In two steps: cancelled in one, it would leave the loop to watch a listener that nobody can take back.
        self._server = await asyncio.start_server(self._accept, sock=listener, start_serving=False)
        await self._server.start_serving()

    async def close(self) -> None:
        """Take no more, and drop those there are."""
        if self._server is not None:
            self._server.close()
        for stream in self._streams:
            stream.cancel()
        await asyncio.gather(*self._streams, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            if len(self._streams) <= _MOST_STREAMS:
                await self._converse(reader, writer)
        except (OSError, EOFError):
            pass  # the asker has gone, or says nothing
        finally:
            self._streams.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(_STREAM_IDLE_S):
                query = await _read(reader)
            if not dns.is_query(query):
                return
            reply = dns.answer(query, self._names, is_stream=True)
            async with asyncio.timeout(_STREAM_IDLE_S):
                await _write(writer, await self._upstream(query) if reply is None else reply)

    async def _upstream(self, query: bytes) -> bytes:
        try:
            async with asyncio.timeout(self._upstream_timeout_s):
                reply = await self._ask(query)
        except (OSError, EOFError):  # TimeoutError is an OSError
            return dns.refusal(query)
        return reply if dns.is_reply(reply, query) else dns.refusal(query)

    async def _ask(self, query: bytes) -> bytes:
        connection = await self._dial()
        try:
            await asyncio.get_running_loop().sock_connect(connection, _DOCKER)
            reader, writer = await asyncio.open_connection(sock=connection)
        except BaseException:
            connection.close()
            raise
        try:
            await _write(writer, query)
            return await _read(reader)
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    """One message after its two octets of length; RFC 1035 section 4.2.2."""
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))


async def _write(writer: asyncio.StreamWriter, message: bytes) -> None:
    writer.write(len(message).to_bytes(2, "big") + message)
    await writer.drain()
