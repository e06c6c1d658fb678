"""The container's end of a leg, put into its sandbox again and set up there as the engine had done it."""

import asyncio
import errno
import itertools
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from isthmus.core.datapath import Inside, Leg, container_link_name, host_link_name
from isthmus.core.errors import KernelRefusedError
from isthmus.core.model import Address
from isthmus.edge.kernel.links import Links
from isthmus.edge.sandbox.netns import in_netns, netns_identity

_IFA_F_NODAD = 2  # linux/if_addr.h; we know whose the address is
_BOOT = 3  # RTPROT_BOOT, linux/rtnetlink.h: what the engine's own routes say of their origin
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


async def plug(links: Links, leg: Leg) -> None:
    """Put the container's end where it belongs; nothing where it is not here, or where its sandbox has gone.

    Raises:
        KernelRefusedError: the sandbox is there, but would not have it; the leg is gone, to be made anew.
    """
    link = await links.find(container_link_name(leg.endpoint))
    if link is None or leg.inside is None:
        return
    sandbox = Path(leg.inside.sandbox)
    with _entering(sandbox):
        if netns_identity(sandbox) is None:
            return
        name = await asyncio.to_thread(in_netns, sandbox, _free_name)
        await links.move(link, sandbox, name)
        try:
            await asyncio.to_thread(in_netns, sandbox, partial(_set_up, name, leg.inside))
        except BaseException:
            await links.remove(host_link_name(leg.endpoint))  # a half one would pass for the engine's
            raise


@contextmanager
def _entering(sandbox: Path) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        raise KernelRefusedError(error.code, f"set up a link in {sandbox}") from error
    except OSError as error:
        raise KernelRefusedError(error.errno or errno.EIO, f"enter {sandbox}") from error


def _free_name() -> str:
    """Docker counts from eth0 on, so where one is missing, that is the one."""
    taken = {name for _, name in socket.if_nameindex()}
    return next(name for i in itertools.count() if (name := f"eth{i}") not in taken)


def _set_up(name: str, inside: Inside) -> None:
    """In the sandbox: addresses, up, ways out."""
    _switch_ipv6(name, is_on=any(each.version == 6 for each in inside.addresses))
    index = socket.if_nametoindex(name)
    with IPRoute() as netlink:
        for each in inside.addresses:
            _add_address(netlink, index, each)
        netlink.link("set", index=index, state="up")
        for gateway in inside.gateways:
            _add_gateway(netlink, index, gateway)


def _switch_ipv6(name: str, *, is_on: bool) -> None:
    switch = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
    if switch.exists():  # not in a kernel without IPv6
        switch.write_text("0" if is_on else "1")


def _add_address(netlink: IPRoute, index: int, address: IPv4Interface | IPv6Interface) -> None:
    flags = {"flags": _IFA_F_NODAD} if address.version == 6 else {}
    netlink.addr("add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen, **flags)


def _add_gateway(netlink: IPRoute, index: int, gateway: Address) -> None:
    family = _FAMILIES[gateway.version]
    try:
        netlink.route("add", family=family, dst="default", gateway=str(gateway), oif=index, proto=_BOOT)
    except NetlinkError as error:
        if error.code != errno.EEXIST:  # another network of the container's is the way out
            raise
