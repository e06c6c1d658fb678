"""Uplinks: devices of the trunk with our program on them, of which one is active.

What an uplink is else, and whether it is there and up, is the operator's; we turn it up once, when we come.
"""

from collections.abc import Sequence

from isthmus.core.datapath import Uplink
from isthmus.edge.kernel.datapath import Datapath, is_host_link
from isthmus.edge.kernel.links import Link, Side
from isthmus.edge.kernel.programs import FROM_UPLINK


async def read_uplinks(datapath: Datapath, links: Sequence[Link]) -> dict[int, Uplink]:
    """The uplinks, whole or not, by ifindex."""
    active = datapath.tables.uplink()
    found = {}
    for link in links:
        if is_host_link(link) or await datapath.links.label_at(link.index, Side.TRUNK) is None:
            continue
        is_whole = link.is_promiscuous and await datapath.is_served(link.index, Side.TRUNK, FROM_UPLINK)
        found[link.index] = Uplink(link.name, link.index == active, is_whole)
    if active is not None and active not in found:
        datapath.tables.remove_uplink()
    return found


async def add_uplink(datapath: Datapath, uplink: Uplink) -> Link:
    """Put our program on a device, make it take all frames, and make it the active one or not.

    Raises:
        KernelRefusedError: ENODEV, say.
    """
    link = await datapath.links.find_or_fail(uplink.device)
    if await datapath.links.label_at(link.index, Side.TRUNK) is None and not link.is_up:
        await datapath.links.set(uplink.device, state="up")
    if not datapath.is_kept(link.index, Side.TRUNK):
        await datapath.attach(link.index, Side.TRUNK, FROM_UPLINK)
    if not link.is_promiscuous:
        # A network card drops frames for other MACs, and for VLANs that nobody told it of.
        await datapath.links.set_promiscuous(link, is_on=True)
    _activate(datapath, link, is_active=uplink.is_active)
    return link


async def remove_uplink(datapath: Datapath, device: str) -> None:
    """Take our program off a device; a device that is gone is no error."""
    link = await datapath.links.find(device)
    if link is None:
        return
    _activate(datapath, link, is_active=False)
    await datapath.detach(link.index, Side.TRUNK)
    await datapath.links.set_promiscuous(link, is_on=False)


def _activate(datapath: Datapath, link: Link, *, is_active: bool) -> None:
    if is_active:
        datapath.tables.put_uplink(link.index)
    elif datapath.tables.uplink() == link.index:
        datapath.tables.remove_uplink()
