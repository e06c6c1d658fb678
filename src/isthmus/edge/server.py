"""An ASGI application on sockets of ours, until an event says stop. Signals stay with the program."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn

BACKLOG = 1024
GRACE_S = 2  # an answer that streams would hold the exit up for ever


def listen_tcp(host: str, port: int) -> socket.socket:
    """A listening socket, IPv4 or IPv6 by the form of `host`.

    Raises:
        OSError: the address is in use, is not ours, or means nothing.
    """
    family, _, _, _, address = socket.getaddrinfo(
        host or "0.0.0.0", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return _bound(family, lambda made: made.bind(address))


def listen_unix(path: Path) -> socket.socket:
    """A listening unix socket that only its owner may open; what lies at `path` is replaced.

    Uvicorn's own way would open it to everybody.

    Raises:
        OSError: the folder is missing or may not be written.
    """
    path.unlink(missing_ok=True)
    mask = os.umask(0o177)
    try:
        return _bound(socket.AF_UNIX, lambda made: made.bind(str(path)))
    finally:
        os.umask(mask)


def _bound(family: int, bind: Callable[[socket.socket], None]) -> socket.socket:
    made = socket.socket(family)
    try:
        if family != socket.AF_UNIX:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Connections inherit it. Without, the end of an answer waits 40 ms for the client's delayed ACK.
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bind(made)
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(app: Callable[..., Any], sockets: list[socket.socket], stop: asyncio.Event) -> None:
    """Answer on `sockets` until `stop` is set; then finish what is under way, for two seconds at most."""
    server = _Server(
        uvicorn.Config(
            app,
            http="httptools",
            loop="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=GRACE_S,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=sockets))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.should_exit = True
        stopping.cancel()
        await serving
