"""What the name service holds open inside one namespace: two listeners, a way out to Docker's resolver, a table."""

import socket
from contextlib import ExitStack
from dataclasses import dataclass

from isthmus.edge.sandbox.redirect import MARK, RESOLVER, open_redirect

_IP_FREEBIND = 15  # linux/in.h; not in the socket module
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h; not there either
_BACKLOG = 64
_BURST_BYTES = 1 << 20  # some 1300 small datagrams as the kernel counts them; the usual limit holds 270


@dataclass(frozen=True, slots=True)
class Doors:
    """Open sockets of one namespace, none of which blocks, and the redirect that leads to them."""

    udp: socket.socket
    tcp: socket.socket
    upstream: socket.socket
    redirect: socket.socket

    @property
    def are_open(self) -> bool:
        """Whether both listeners still listen: a host's administrator can destroy any socket (`ss -K`)."""
        is_listening = self.tcp.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        return bool(is_listening) and self.udp.getsockname()[1] != 0

    def close(self) -> None:
        """The redirect first, so that no question meets a closed socket."""
        for each in (self.redirect, self.udp, self.tcp, self.upstream):
            each.close()


def open_doors() -> Doors:
    """Open all of it in the namespace of the calling thread.

    The listeners take free ports: a fixed one would be missing to the container's own programs.

    Raises:
        KernelRefusedError: nft would not have the redirect.
    """
    with ExitStack() as undo:
        udp = undo.enter_context(_listener(socket.SOCK_DGRAM))
        tcp = undo.enter_context(_listener(socket.SOCK_STREAM))
        tcp.listen(_BACKLOG)
        upstream = undo.enter_context(marked_socket(socket.SOCK_DGRAM))
        redirect = open_redirect(udp.getsockname()[1], tcp.getsockname()[1])
        undo.pop_all()
    return Doors(udp, tcp, upstream, redirect)


def marked_socket(kind: socket.SocketKind) -> socket.socket:
    """A socket whose questions pass the redirect."""
    made = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
    made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BURST_BYTES)
    return made


def _listener(kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    # The engine may not have brought the loopback up yet, and then no address is local.
    made.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BURST_BYTES)
    made.bind((RESOLVER, 0))
    return made
