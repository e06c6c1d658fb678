"""TCP connections made one after the other: `serve PORT`, or `connect ADDRESS PORT`, each until it is killed.

One connection: connect, the server accepts and closes, the client sees the end and resets, so that neither side is
left with waiting sockets. Run as a plain script: it needs nothing but the standard library, and of `socket` only its
half in C, whose own work is a tenth of a connection's; with the other half it would be a quarter.
"""

import struct
import sys
from _socket import AF_INET, SO_LINGER, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, close, socket

BACKLOG = 128
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, zero seconds


def serve(port: int) -> None:
    """Accept and close."""
    listening = socket(AF_INET, SOCK_STREAM)
    listening.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    listening.bind(("", port))
    listening.listen(BACKLOG)
    while True:
        close(listening._accept()[0])  # type: ignore[attr-defined]  # noqa: SLF001 - its stub lacks what gives a bare descriptor


def connect(address: str, port: int) -> None:
    """Connect, and again."""
    while True:
        connection = socket(AF_INET, SOCK_STREAM)
        connection.setsockopt(SOL_SOCKET, SO_LINGER, RESET_ON_CLOSE)
        connection.connect((address, port))
        connection.recv(1)
        connection.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", port]:
            serve(int(port))
        case ["connect", address, port]:
            connect(address, int(port))
        case _:
            sys.exit(__doc__)
