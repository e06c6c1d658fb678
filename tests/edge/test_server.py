"""Serving on sockets of ours, until told to stop."""

import asyncio
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from isthmus.edge.server import listen_tcp, listen_unix, serve

Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: dict[str, Any], _receive: object, send: Send) -> None:
    length = [] if scope["path"] == "/endless" else [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    while scope["path"] == "/endless":
        await send({"type": "http.response.body", "body": b"more", "more_body": True})
        await asyncio.sleep(0.01)
    await send({"type": "http.response.body", "body": scope["path"].encode()})


async def get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> bytes:
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_one_application_answers_on_a_unix_and_a_tcp_socket(tmp_path: Path) -> None:
    stop = asyncio.Event()
    path = tmp_path / "plugin.sock"
    tcp = listen_tcp("127.0.0.1", 0)
    serving = asyncio.create_task(serve(app, [listen_unix(path), tcp], stop))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    host, port = tcp.getsockname()
    assert (await get(*await asyncio.open_unix_connection(path), "/a")).endswith(b"\r\n/a")
    assert (await get(*await asyncio.open_connection(host, port), "/b")).endswith(b"\r\n/b")
    stop.set()
    await serving
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, port)


async def test_the_end_of_an_answer_does_not_wait_for_the_client_to_confirm_its_beginning() -> None:
    """Head and body of an answer are two writes, and a client that keeps its connection confirms late."""
    with listen_tcp("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


@pytest.mark.root  # for its two seconds
async def test_an_endless_answer_does_not_hold_the_end_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stop = asyncio.Event()
    path = tmp_path / "plugin.sock"
    serving = asyncio.create_task(serve(app, [listen_unix(path)], stop))
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"more")
    stop.set()
    await serving
    assert "timeout graceful shutdown exceeded" in caplog.text
    writer.close()


def test_a_socket_waits_for_its_server_and_replaces_what_a_dead_one_left(tmp_path: Path) -> None:
    path = tmp_path / "plugin.sock"
    listen_unix(path).close()
    with listen_unix(path), socket.socket(socket.AF_UNIX) as early:
        early.connect(str(path))  # nobody accepts yet, but nobody refuses either


def test_an_address_in_use_is_an_error() -> None:
    with listen_tcp("127.0.0.1", 0) as taken, pytest.raises(OSError, match="in use"):
        listen_tcp("127.0.0.1", taken.getsockname()[1])


def test_an_ipv6_host_gets_an_ipv6_socket() -> None:
    with listen_tcp("::1", 0) as made:
        assert made.family == socket.AF_INET6
