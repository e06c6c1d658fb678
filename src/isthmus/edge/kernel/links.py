"""Links, addresses and tc filters of this network namespace, by netlink."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from isthmus.core.errors import KernelRefusedError
from isthmus.core.model import Address, Mac
from isthmus.edge.kernel.programs import Program

PRIORITY = 0x4953  # of our filters on every device; with the handle it makes a filter ours
TRUNK_PRIORITY = PRIORITY + 1  # of an uplink's: it comes second where one device is the underlay's too
_HANDLE = 1
_IFF_UP, _IFF_RUNNING, IFF_PROMISC = 1, 1 << 6, 1 << 8
_ANY_ELSEWHERE = "192.0.2.1"  # TEST-NET-1: has no route but the default one; RFC 5737


class Side(Enum):
    """Where on a device a filter sits: one of clsact's two parents, and the priority there."""

    INGRESS = (0xFFFFFFF2, PRIORITY)
    EGRESS = (0xFFFFFFF3, PRIORITY)
    TRUNK = (0xFFFFFFF2, TRUNK_PRIORITY)

    @property
    def parent(self) -> int:
        """The tc parent."""
        return self.value[0]

    @property
    def priority(self) -> int:
        """Our priority there."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Link:
    """A link as the kernel describes it.

    `is_parted`: its other end is in another network namespace. `is_running`: up, and so is the cable. `port` is a
    vxlan device's.
    """

    name: str
    index: int
    mtu_bytes: int
    is_up: bool
    alias: str = ""
    kind: str = ""
    port: int = 0
    is_parted: bool = False
    is_running: bool = False
    is_promiscuous: bool = False


class Links:
    """A netlink socket, between `open` and `close`."""

    def __init__(self) -> None:
        self._netlink = AsyncIPRoute()

    async def open(self) -> None:
        """Open the socket, in the caller's network namespace."""
        await self._netlink.__aenter__()

    async def close(self) -> None:
        """Close the socket."""
        await self._netlink.__aexit__(None, None, None)

    @property
    def port(self) -> int:
        """The socket's netlink address; what the kernel tells of tc changes names who made them."""
        port: int = self._netlink.status["epid"]
        return port

    async def all(self) -> list[Link]:
        """Every link there is."""
        with _asked("list links"):
            return [_link(each) async for each in await self._netlink.get_links()]

    async def find(self, name: str) -> Link | None:
        """The link of this name."""
        try:
            found = await self._netlink.link("get", ifname=name)
        except NetlinkError as error:
            if error.code == errno.ENODEV:
                return None
            raise KernelRefusedError(error.code, f"look up link {name}") from error
        return _link(found[0])

    async def find_or_fail(self, name: str) -> Link:
        """The link of this name.

        Raises:
            KernelRefusedError: ENODEV.
        """
        link = await self.find(name)
        if link is None:
            raise KernelRefusedError(errno.ENODEV, f"look up link {name}")
        return link

    async def holder_of(self, address: Address) -> str | None:
        """The name of the link that holds an address."""
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        with _asked("list addresses"):
            rows = [each async for each in await self._netlink.get_addr(family=family)]
        for each in rows:
            if str(address) == (each.get_attr("IFA_LOCAL") or each.get_attr("IFA_ADDRESS")):
                return await self._name_of(each["index"])
        return None

    async def _name_of(self, index: int) -> str:
        with _asked(f"look up link {index}"):
            return _link((await self._netlink.link("get", index=index))[0]).name

    async def add_veth(self, host: str, container: str, mac: Mac, mtu_bytes: int) -> None:
        """Create a pair, both ends here and down; the container's end has the MAC."""
        peer = {"ifname": container, "address": mac, "mtu": mtu_bytes}
        with _asked(f"create veth {host}"):
            await self._netlink.link("add", ifname=host, kind="veth", mtu=mtu_bytes, peer=peer)

    async def add_vxlan(self, name: str, port: int) -> None:
        """Create a vxlan device that takes each packet's tunnel from its metadata."""
        with _asked(f"create vxlan device {name} on UDP port {port}"):
            await self._netlink.link(
                "add",
                ifname=name,
                kind="vxlan",
                vxlan_collect_metadata=1,
                vxlan_learning=0,
                vxlan_gbp=True,  # it cannot be had later without a new device
                vxlan_port=port,
            )

    async def set(self, link: str, **attributes: str | int) -> None:
        """Change a link's attributes: `mtu`, `state`, `ifalias`, `address`."""
        index = (await self.find_or_fail(link)).index
        with _asked(f"set {attributes} on link {link}"):
            await self._netlink.link("set", index=index, **attributes)

    async def set_promiscuous(self, link: Link, *, is_on: bool) -> None:
        """Let a link's device take frames for MACs and VLANs that are not its own, or no more."""
        with _asked(f"set link {link.name} promiscuous"):
            await self._netlink.link("set", index=link.index, flags=IFF_PROMISC * is_on, change=IFF_PROMISC)

    async def move(self, link: Link, netns: Path, name: str) -> None:
        """Move a link into another namespace, there to have this name, in one step.

        Raises:
            KernelRefusedError: also if the name is taken there: EEXIST.
        """
        with _asked(f"move link {link.name} into {netns} as {name}"), netns.open() as file:
            await self._netlink.link("set", index=link.index, net_ns_fd=file.fileno(), ifname=name)

    async def remove(self, name: str) -> None:
        """Delete a link; one that is gone is no error."""
        link = await self.find(name)
        if link is None:
            return
        try:
            await self._netlink.link("del", index=link.index)
        except NetlinkError as error:
            if error.code != errno.ENODEV:
                raise KernelRefusedError(error.code, f"delete link {name}") from error

    async def attach(self, index: int, side: Side, program: Program) -> None:
        """Put a program on a device, in place of the one that we had there, in one step."""
        with _asked(f"attach {program.label} to link {index}"):
            await self._add_clsact(index)
            await self._netlink.tc(
                "replace-filter",
                "bpf",
                index,
                _HANDLE,
                parent=side.parent,
                prio=side.priority,
                fd=program.fd,
                name=program.label,
                direct_action=True,
            )

    async def _add_clsact(self, index: int) -> None:
        try:
            await self._netlink.tc("add", "clsact", index)
        except NetlinkError as error:
            if error.code != errno.EEXIST:
                raise

    async def label_at(self, index: int, side: Side) -> str | None:
        """The label of the program that we have on a device."""
        with _asked(f"list filters of link {index}"):
            filters = await self._netlink.tc("dump-filter", index=index, parent=side.parent)
            rows = [each async for each in filters]
        for each in rows:
            options = each.get_attr("TCA_OPTIONS")
            is_ours = each["info"] >> 16 == side.priority and each["handle"] == _HANDLE
            if is_ours and each["parent"] == side.parent and options is not None:
                label: str = options.get_attr("TCA_BPF_NAME")
                return label
        return None

    async def detach(self, index: int, side: Side) -> None:
        """Take our program off a device; the clsact qdisc stays, for it may be another's too."""
        if await self.label_at(index, side) is None:
            return
        with _asked(f"detach from link {index}"):
            await self._netlink.tc("del-filter", "bpf", index, _HANDLE, parent=side.parent, prio=side.priority)


def silence_ipv6(name: str) -> None:
    """Keep the host's own IPv6 off a link of ours: it would solicit routers and join groups there."""
    switch = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
    try:
        switch.write_text("1")
    except FileNotFoundError:
        return  # no IPv6 in this kernel
    except OSError as error:
        raise KernelRefusedError(error.errno or errno.EIO, f"write 1 to {switch}") from error


def default_source() -> IPv4Address | None:
    """The source address of the default route; connecting a UDP socket asks the kernel and sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_ANY_ELSEWHERE, 9))
        except OSError:
            return None
        return IPv4Address(probe.getsockname()[0])


@contextmanager
def _asked(what: str) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        raise KernelRefusedError(error.code, what) from error


def _link(message: Any) -> Link:
    described = message.get_attr("IFLA_LINKINFO")
    kind = (described and described.get_attr("IFLA_INFO_KIND")) or ""
    details = described and described.get_attr("IFLA_INFO_DATA")
    return Link(
        name=message.get_attr("IFLA_IFNAME"),
        index=message["index"],
        mtu_bytes=message.get_attr("IFLA_MTU"),
        is_up=bool(message["flags"] & _IFF_UP),
        alias=message.get_attr("IFLA_IFALIAS") or "",
        kind=kind,
        port=(details.get_attr("IFLA_VXLAN_PORT") or 0) if details and kind == "vxlan" else 0,
        is_parted=message.get_attr("IFLA_LINK_NETNSID") is not None,
        is_running=bool(message["flags"] & _IFF_RUNNING),
        is_promiscuous=bool(message["flags"] & IFF_PROMISC),
    )
