"""Servers that a test runs in a container's network or on a machine of a lab; each says `listening` when it does.

`answers.py tell PORT NAME` tells whoever comes, over TCP and UDP, its own name and where he came from.
`answers.py pair PORT` takes two connections, and only then gives each its own line back.
"""

import socket
import socketserver
import sys
import threading


def tell(port: int, own_name: str) -> None:
    """Answer `NAME ADDRESS` to every connection and every datagram, for ever."""

    class OverTcp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(f"{own_name} {self.client_address[0]}\n".encode())

    class OverUdp(socketserver.DatagramRequestHandler):
        def handle(self) -> None:
            self.wfile.write(f"{own_name} {self.client_address[0]}\n".encode())

    with (
        socketserver.ThreadingTCPServer(("", port), OverTcp) as tcp,
        socketserver.UDPServer(("", port), OverUdp) as udp,
    ):
        threading.Thread(target=udp.serve_forever, daemon=True).start()
        print("listening", flush=True)
        tcp.serve_forever()


def pair(port: int) -> None:
    """Answer each of two connections that are open at once with its own line."""
    with socket.create_server(("", port)) as server:
        print("listening", flush=True)
        both = [server.accept()[0] for _ in range(2)]
        lines = [each.makefile("rb").readline() for each in both]
        for each, line in zip(both, lines, strict=True):
            each.sendall(line)
            each.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["tell", port, own_name]:
            tell(int(port), own_name)
        case ["pair", port]:
            pair(int(port))
        case _:
            sys.exit(__doc__)
