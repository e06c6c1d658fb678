"""The engine edge against what no engine says: each becomes the one error that the loops know, or an event."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from isthmus.core.errors import EngineUnavailableError
from isthmus.edge.engine import Engine, EventsBegin, Unreadable
from isthmus.wire.docker import DockerNetworkId
from isthmus.wire.docker_api import Event, NetworkCreated

PING = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LIMIT_BYTES = 1 << 20
CREATED = b'{"Type":"network","Action":"create","Actor":{"ID":"n1","Attributes":{"name":"net"}}}\n'


@asynccontextmanager
async def speaking(home: Path, answer: Callable[[bytes], bytes]) -> AsyncIterator[Engine]:
    """An engine whose every byte is the test's."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(asked))
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, home / "engine.sock")
    async with server, Engine(home / "engine.sock") as engine:
        yield engine


def chunk(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


NONSENSE = {
    "a version that is none": PING.replace(b"1.41", b"one.two"),
    "no status line": b"hello\r\n\r\n",
    "a header without end": b"HTTP/1.1 200 OK\r\nServer: " + b"x" * 100_000 + b"\r\n\r\n",
    "a length that is none": PING.replace(b": 2", b": two"),
    "nothing": b"",
}


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE.keys())
async def test_nonsense_for_a_ping_is_an_engine_that_is_not_there(tmp_path: Path, said: bytes) -> None:
    async with speaking(tmp_path, lambda _asked: said) as engine:
        with pytest.raises(EngineUnavailableError):
            await engine.ping()
        with pytest.raises(EngineUnavailableError):
            await engine.networks()


async def heard(engine: Engine) -> list[Event | EventsBegin | Unreadable]:
    """All events to the end, which is an engine that has gone."""
    seen: list[Event | EventsBegin | Unreadable] = []

    async def listen() -> None:
        async for event in engine.events():
            seen.append(event)  # noqa: PERF401  # to be kept although the end is an error

    with pytest.raises(EngineUnavailableError):
        await listen()
    return seen


LINES: list[tuple[str, list[bytes], list[object]]] = [
    ("in one piece", [CREATED * 2], ["created", "created"]),
    ("in pieces", [CREATED[:20], CREATED[20:] + CREATED[:5], CREATED[5:-1], b"\n"], ["created", "created"]),
    ("not JSON", [b"{\n", CREATED], [Unreadable(), "created"]),
    ("not text", [b"\xff\xfe\n", CREATED], [Unreadable(), "created"]),
    ("deep", [b"[" * 5000 + b"\n", CREATED], [Unreadable(), "created"]),
    ("at the limit", [CREATED[:-1].ljust(LIMIT_BYTES) + b"\n", CREATED], ["created", "created"]),
    ("over the limit", [CREATED[:-1].ljust(LIMIT_BYTES + 1) + b"\n" + CREATED], [Unreadable(), "created"]),
    ("far over it, in pieces", [b"x" * 700_000] * 6 + [b"\n", CREATED], [Unreadable(), "created"]),
]


@pytest.mark.parametrize(("what", "parts", "expected"), LINES, ids=[row[0] for row in LINES])
async def test_lines_of_any_length_and_sense(
    tmp_path: Path, what: str, parts: list[bytes], expected: list[object]
) -> None:
    created = NetworkCreated(DockerNetworkId("n1"), "net")
    stream = STREAM + chunk(*parts) + b"0\r\n\r\n"
    async with speaking(tmp_path, lambda asked: PING if b"/_ping" in asked else stream) as engine:
        seen = await heard(engine)
    assert seen == [EventsBegin(), *(created if each == "created" else each for each in expected)], what


async def test_a_stream_that_breaks_its_own_rules_ends_as_one_that_has_gone(tmp_path: Path) -> None:
    stream = STREAM + chunk(CREATED) + b"no length\r\n"
    async with speaking(tmp_path, lambda asked: PING if b"/_ping" in asked else stream) as engine:
        await heard(engine)
