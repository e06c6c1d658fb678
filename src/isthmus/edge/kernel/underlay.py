"""The tunnel: our vxlan device, and the programs on it and on the device that carries it.

The vxlan device's alias holds what it was made from, `DEVICE VTEP fast|slow`, and is written last.
"""

import errno
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address

from isthmus.core.datapath import Underlay
from isthmus.core.errors import KernelRefusedError
from isthmus.core.model import VXLAN_OVERHEAD_BYTES
from isthmus.edge.kernel.datapath import Datapath
from isthmus.edge.kernel.links import Link, Side, silence_ipv6
from isthmus.edge.kernel.programs import FROM_OVERLAY, FROM_UNDERLAY, TO_UNDERLAY
from isthmus.edge.kernel.untracked import add_untracked, is_untracked, remove_untracked
from isthmus.wire.maps import Settings

VXLAN_LINK = "isthmus-vxlan"
_SPEEDS = {True: "fast", False: "slow"}
_PORT_TAKEN = (errno.EADDRINUSE, errno.EEXIST)  # by a socket, by a vxlan device without an id


async def read_underlay(datapath: Datapath, links: Sequence[Link]) -> list[Underlay]:
    """The underlay, if there is one; where a part is missing its port reads as 0, so that it is added again."""
    overlay = next((each for each in links if each.name == VXLAN_LINK), None)
    if overlay is None:
        return []
    underlay = parse_alias(overlay)
    carrier = next((each for each in links if each.name == underlay.device), None)
    is_whole = carrier is not None and await _is_whole(datapath, overlay, carrier)
    return [underlay if is_whole and is_untracked(underlay.port) else replace(underlay, port=0)]


def parse_alias(overlay: Link) -> Underlay:
    """What the vxlan device says it was made from; no device and no VTEP where it says nothing."""
    try:
        device, vtep, speed = overlay.alias.split(" ")
        return Underlay(device, IPv4Address(vtep), overlay.port, speed == _SPEEDS[True])
    except (ValueError, AddressValueError):
        return Underlay("", IPv4Address(0), 0)


async def _is_whole(datapath: Datapath, overlay: Link, carrier: Link) -> bool:
    if not overlay.is_up or overlay.mtu_bytes != carrier.mtu_bytes - VXLAN_OVERHEAD_BYTES:
        return False
    for index, side, name in _places(overlay, carrier):
        if not await datapath.is_served(index, side, name):
            return False
    return True


def _places(overlay: Link, carrier: Link) -> list[tuple[int, Side, str]]:
    return [
        (overlay.index, Side.INGRESS, FROM_OVERLAY),
        (carrier.index, Side.EGRESS, TO_UNDERLAY),
        (carrier.index, Side.INGRESS, FROM_UNDERLAY),
    ]


async def add_underlay(datapath: Datapath, underlay: Underlay) -> tuple[Link, Link]:
    """Make the tunnel, or what is missing of it; another one is replaced. Return the vxlan device and the carrier.

    Raises:
        KernelRefusedError: also where somebody else has the port; the text says which and what to do.
    """
    carrier = await datapath.links.find_or_fail(underlay.device)
    await _leave_other_carrier(datapath, underlay.device)
    overlay = await _make_device(datapath, underlay, carrier.mtu_bytes - VXLAN_OVERHEAD_BYTES)
    await datapath.reload(settings_of(underlay, overlay))
    await _attach(datapath, overlay, carrier)
    add_untracked(underlay.port)
    alias = f"{underlay.device} {underlay.vtep} {_SPEEDS[underlay.fast_receive]}"
    await datapath.links.set(VXLAN_LINK, ifalias=alias)
    return replace(overlay, alias=alias), carrier


async def _leave_other_carrier(datapath: Datapath, device: str) -> None:
    overlay = await datapath.links.find(VXLAN_LINK)
    left = parse_alias(overlay).device if overlay else ""
    if left and left != device:
        await _leave(datapath, left)


async def _leave(datapath: Datapath, device: str) -> None:
    carrier = await datapath.links.find(device)
    if carrier:
        await datapath.detach(carrier.index, Side.INGRESS)
        await datapath.detach(carrier.index, Side.EGRESS)


async def _make_device(datapath: Datapath, underlay: Underlay, mtu_bytes: int) -> Link:
    overlay = await datapath.links.find(VXLAN_LINK)
    if overlay and overlay.port != underlay.port:
        await datapath.links.remove(VXLAN_LINK)
        overlay = None
    try:
        if overlay is None:
            await datapath.links.add_vxlan(VXLAN_LINK, underlay.port)
            silence_ipv6(VXLAN_LINK)
        await datapath.links.set(VXLAN_LINK, mtu=mtu_bytes, state="up")
    except KernelRefusedError as error:
        await datapath.links.remove(VXLAN_LINK)
        raise _explained(error, underlay.port) from error
    return await datapath.links.find_or_fail(VXLAN_LINK)


def _explained(error: KernelRefusedError, port: int) -> KernelRefusedError:
    if error.errno not in _PORT_TAKEN:
        return error
    asked = f"open UDP port {port} for VXLAN: another device or program holds it; choose one by --vxlan-port"
    return KernelRefusedError(error.errno, asked)


def settings_of(underlay: Underlay, overlay: Link) -> Settings:
    """What the programs must know of the tunnel."""
    return Settings(overlay.index, underlay.vtep, underlay.port, underlay.fast_receive)


async def _attach(datapath: Datapath, overlay: Link, carrier: Link) -> None:
    for index, side, name in _places(overlay, carrier):
        await datapath.attach(index, side, name)


async def remove_underlay(datapath: Datapath, underlay: Underlay) -> None:
    """Take the programs off the carrier and delete the vxlan device; legs then drop what is for afar."""
    await datapath.reload(Settings())
    if underlay.device:
        await _leave(datapath, underlay.device)
    remove_untracked()
    await datapath.links.remove(VXLAN_LINK)


def settings_left(links: Sequence[Link]) -> Settings:
    """The settings under which an earlier agent ran."""
    overlay = next((each for each in links if each.name == VXLAN_LINK), None)
    return settings_of(parse_alias(overlay), overlay) if overlay else Settings()


async def renew_underlay(datapath: Datapath, links: Sequence[Link]) -> None:
    """Renew what an earlier agent left."""
    by_name = {each.name: each for each in links}
    overlay = by_name.get(VXLAN_LINK)
    carrier = by_name.get(parse_alias(overlay).device) if overlay else None
    if overlay and carrier:
        for index, side, name in _places(overlay, carrier):
            await datapath.renew(index, side, name)
