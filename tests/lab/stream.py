"""TCP that is checked to its last byte, as a program: `serve ADDRESS PORT`, or `busy|idle ADDRESS PORT OVER`.

The server answers what it got on a connection with its digest. `busy` sends until the file OVER is there, `idle` then.
Both print a line when they are connected, and end with 0 only if all arrived on that connection.
"""

import hashlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

PIECE_BYTES = 32 * 1024
PAUSE_S = 0.02


def serve(address: str, port: int) -> None:
    """Answer every connection; for ever."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, port), family=family) as listener:
        print("listening", flush=True)
        while True:
            threading.Thread(target=_answer, args=(listener.accept()[0],)).start()


def _answer(connection: socket.socket) -> None:
    with connection:
        got = hashlib.sha256()
        while piece := connection.recv(PIECE_BYTES):
            got.update(piece)
        connection.sendall(got.digest())


def send(address: str, port: int, pieces: Iterator[bytes]) -> None:
    """Send the pieces, and compare digests.

    Raises:
        OSError: the connection broke.
        ValueError: something else arrived.
    """
    sent = hashlib.sha256()
    with socket.create_connection((address, port)) as connection:
        print("connected", flush=True)
        for piece in pieces:
            connection.sendall(piece)
            sent.update(piece)
        connection.shutdown(socket.SHUT_WR)
        if connection.recv(64, socket.MSG_WAITALL) != sent.digest():
            raise ValueError("what arrived is not what was sent")


def _busy(over: Path) -> Iterator[bytes]:
    while not over.exists():
        yield os.urandom(PIECE_BYTES)
        time.sleep(PAUSE_S)


def _idle(over: Path) -> Iterator[bytes]:
    while not over.exists():
        time.sleep(PAUSE_S)
    yield os.urandom(PIECE_BYTES)


def main() -> None:
    """Be the server, or a client."""
    verb, address, port, *rest = sys.argv[1:]
    if verb == "serve":
        serve(address, int(port))
    else:
        send(address, int(port), {"busy": _busy, "idle": _idle}[verb](Path(rest[0])))


if __name__ == "__main__":
    main()
