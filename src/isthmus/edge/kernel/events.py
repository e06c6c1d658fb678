"""What happens to links, filters and nft tables of this network namespace, as the kernel tells it.

Sources: rtnetlink(7); linux/rtnetlink.h, linux/if_link.h, linux/netfilter/nf_tables.h.
"""

import asyncio
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_NETLINK_NETFILTER = 12  # linux/netlink.h; not in the socket module
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h; not there either
_BUFFER_BYTES = 4 << 20  # Docker sets up a bridge or a chain in bursts
_LONGEST_BYTES = 1 << 16

_LINK_AND_TC = 1 << 0 | 1 << 3  # RTNLGRP_LINK is group 1, RTNLGRP_TC group 4
_NFTABLES = 1 << 6  # NFNLGRP_NFTABLES is group 7

_NEWLINK, _DELLINK = 16, 17
_DELQDISC = 37
_NEWTFILTER, _DELTFILTER = 44, 45
_NFT_SUBSYSTEM = 10
_IFLA_IFNAME, _IFLA_MTU, _IFLA_IFALIAS, _IFLA_LINK_NETNSID = 3, 4, 20, 37
_NFT_OBJECT_TABLE = 1  # the table's name is attribute 1 of tables, chains, rules and sets alike
_IFF_UP, _IFF_PROMISC = 1, 1 << 8
_CLSACT = 0xFFFF0000

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_IFINFO = struct.Struct("=BxHiII")  # family, type, index, flags, change
_TCMSG = struct.Struct("=BxxxiIII")  # family, index, handle, parent, info
_ATTRIBUTE = struct.Struct("=HH")
_NFGENMSG_BYTES = 4


@dataclass(frozen=True, slots=True)
class Look:
    """What of a link we care about."""

    name: str
    mtu_bytes: int
    is_up: bool
    alias: str = ""
    is_promiscuous: bool = False


@dataclass(slots=True)
class Heard:
    """What happened since the last time: links as they look now (None: gone), and whose filters others changed.

    `parted`: links by name whose other end was in another namespace at some time.
    """

    links: dict[int, Look | None] = field(default_factory=dict)
    parted: set[str] = field(default_factory=set)
    filters: set[int] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)
    is_incomplete: bool = False


class Events:
    """Two sockets that listen in the namespace of the thread that opens them, between `open` and `close`."""

    def __init__(self, priorities: frozenset[int], own_port: int) -> None:
        """Filters of `priorities` are ours; what the socket `own_port` did to them is no news."""
        self._priorities = priorities
        self._own_port = own_port
        self._heard = Heard()
        self.stirred = asyncio.Event()

    def open(self) -> None:
        """Listen from now on."""
        self._route = _listen(socket.NETLINK_ROUTE, _LINK_AND_TC)
        self._nft = _listen(_NETLINK_NETFILTER, _NFTABLES)
        for each in (self._route, self._nft):
            asyncio.get_running_loop().add_reader(each, self._drain)

    def close(self) -> None:
        """Hear no more."""
        for each in (self._route, self._nft):
            asyncio.get_running_loop().remove_reader(each)
            each.close()

    def peek(self) -> Heard:
        """All that happened up to this moment, to be taken later."""
        self._drain()
        return self._heard

    def take(self) -> Heard:
        """All that happened up to this moment, once."""
        self._drain()
        heard, self._heard = self._heard, Heard()
        self.stirred.clear()
        return heard

    def _drain(self) -> None:
        for kind, port, body in self._messages(self._route):
            if kind in (_NEWLINK, _DELLINK):
                self._hear_link(kind, body)
            elif port != self._own_port:
                self._hear_filter(kind, body)
        for kind, _, body in self._messages(self._nft):
            if kind >> 8 == _NFT_SUBSYSTEM:
                self._hear_table(body)

    def _messages(self, listener: socket.socket) -> Iterator[tuple[int, int, memoryview]]:
        while True:
            try:
                datagram = memoryview(listener.recv(_LONGEST_BYTES))
            except BlockingIOError:
                return
            except OSError:  # ENOBUFS: the kernel had more to tell than we took
                self._heard.is_incomplete = True
                self.stirred.set()
                continue
            yield from _split(datagram)

    def _hear_link(self, kind: int, body: memoryview) -> None:
        family, _, index, flags, _ = _IFINFO.unpack_from(body)
        if family != socket.AF_UNSPEC:
            return  # a bridge's port tells of itself in its own words
        attributes = _attributes(body[_IFINFO.size :])
        look = _look(flags, attributes)
        self._heard.links[index] = None if kind == _DELLINK else look
        if _IFLA_LINK_NETNSID in attributes:
            self._heard.parted.add(look.name)
        self.stirred.set()

    def _hear_filter(self, kind: int, body: memoryview) -> None:
        _, index, handle, _, info = _TCMSG.unpack_from(body)
        is_filter = kind in (_NEWTFILTER, _DELTFILTER) and info >> 16 in self._priorities
        if is_filter or (kind == _DELQDISC and handle == _CLSACT):
            self._heard.filters.add(index)
            self.stirred.set()

    def _hear_table(self, body: memoryview) -> None:
        name = _attributes(body[_NFGENMSG_BYTES:]).get(_NFT_OBJECT_TABLE, b"")
        self._heard.tables.add(_text(name))
        self.stirred.set()


def _listen(protocol: int, groups: int) -> socket.socket:
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
    made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    made.bind((0, groups))
    return made


def _split(datagram: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    while len(datagram) >= _HEADER.size:
        length, kind, _, _, port = _HEADER.unpack_from(datagram)
        yield kind, port, datagram[_HEADER.size : length]
        datagram = datagram[_aligned(length) :]


def _look(flags: int, attributes: dict[int, bytes]) -> Look:
    mtu_bytes = int.from_bytes(attributes.get(_IFLA_MTU, b""), "little")
    name, alias = (_text(attributes.get(each, b"")) for each in (_IFLA_IFNAME, _IFLA_IFALIAS))
    return Look(name, mtu_bytes, bool(flags & _IFF_UP), alias, bool(flags & _IFF_PROMISC))


def _attributes(rest: memoryview) -> dict[int, bytes]:
    found = {}
    while len(rest) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(rest)
        found[kind] = bytes(rest[_ATTRIBUTE.size : length])
        rest = rest[max(_aligned(length), _ATTRIBUTE.size) :]
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode(errors="replace")
