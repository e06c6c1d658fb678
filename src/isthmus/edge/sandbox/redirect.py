"""The nft table that sends a container's DNS questions to us for as long as we live."""

import os
import socket
from pathlib import Path

from isthmus.core.errors import KernelRefusedError
from isthmus.edge.nft import applied

RESOLVER = "127.0.0.11"  # the address that Docker writes into every container's resolv.conf
MARK = 0x53  # of our own questions to Docker's resolver, which must not come back to us
TABLE = "isthmus-dns"

_NETLINK_NETFILTER = 12  # linux/netlink.h; not in the socket module

# `owner`: the kernel removes the table when the socket closes that made it, however its process ends.
# Priority -101 is just before Docker's own redirect of the same questions, at -100: the first one holds.
_RULES = f"""
add table ip {TABLE} {{ flags owner; }}
add chain ip {TABLE} output {{ type nat hook output priority -101; }}
add rule ip {TABLE} output ip daddr {RESOLVER} udp dport 53 meta mark != {MARK:#x} dnat to {RESOLVER}:%d
add rule ip {TABLE} output ip daddr {RESOLVER} tcp dport 53 meta mark != {MARK:#x} dnat to {RESOLVER}:%d
"""


def open_redirect(udp_port: int, tcp_port: int) -> socket.socket:
    """Redirect port 53 of the resolver's address to these ports, in the namespace of the calling thread.

    The socket returned owns the redirect: closing it ends it. For one thread at a time, which tells its socket by
    what it did not have before.

    Raises:
        KernelRefusedError: nft would not have it.
    """
    others = _netfilter_inodes()
    with applied(_RULES % (udp_port, tcp_port), f"nft table {TABLE}"):
        # The context weighs 640 kB, and all that must live on of it is its socket.
        return _duplicate(_netfilter_inodes() - others)


def _netfilter_inodes() -> set[int]:
    """The netfilter sockets of this thread's namespace."""
    rows = Path("/proc/thread-self/net/netlink").read_text().splitlines()[1:]
    columns = (row.split() for row in rows)  # sk, protocol, ..., inode
    return {int(each[-1]) for each in columns if int(each[1]) == _NETLINK_NETFILTER}


def _duplicate(inodes: set[int]) -> socket.socket:
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if entry.stat().st_ino in inodes:
                return socket.socket(fileno=os.dup(int(entry.name)))
        except OSError:  # closed by another thread meanwhile
            continue
    raise KernelRefusedError(0, f"nft table {TABLE}: the socket that owns it is not to be found")
