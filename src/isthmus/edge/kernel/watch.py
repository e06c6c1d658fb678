"""Tells whether links, filters and the nft table are as we left them, from what the kernel says of them."""

from collections.abc import Iterable
from dataclasses import replace

from isthmus.core.datapath import Leg, Underlay, host_link_name
from isthmus.core.model import EndpointId
from isthmus.edge.kernel.events import Events, Look
from isthmus.edge.kernel.links import Link
from isthmus.edge.kernel.underlay import VXLAN_LINK
from isthmus.edge.kernel.untracked import TABLE, is_untracked

_HOST_LINK_PREFIX = host_link_name(EndpointId(""))


class Watch:
    """What our links look like for as long as nobody else changes them.

    A link is judged between our own steps, by how it looks in the end: so what we do is no news, whatever the kernel
    tells of it.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self._legs: dict[int, Look] = {}
        self._parted: set[str] = set()
        self._underlay: Underlay | None = None
        self._tunnel: dict[int, Look] = {}
        self._uplinks: dict[int, str] = {}

    def keep_legs(self, legs: dict[int, Leg]) -> None:
        """These are all legs, by the ifindex of the host's end."""
        self._legs = {index: _look_of_leg(leg) for index, leg in legs.items()}

    def keep_leg(self, index: int, leg: Leg) -> None:
        """A leg is there, whole."""
        self._legs[index] = _look_of_leg(leg)

    def keep_parted(self, names: Iterable[str]) -> None:
        """These host ends have, or had, their other end in a sandbox."""
        self._parted.update(names)

    def was_parted(self, name: str) -> bool:
        """Whether a host end's other end was ever in a sandbox."""
        return name in self._parted or name in self._events.peek().parted

    def forget_leg(self, name: str) -> None:
        """A leg is to go."""
        self._parted.discard(name)
        self._events.peek().parted.discard(name)
        self._legs = {index: look for index, look in self._legs.items() if look.name != name}

    def keep_underlay(self, underlay: Underlay | None, overlay: Link | None, carrier: Link | None) -> None:
        """The tunnel is there, whole, or not at all."""
        self._underlay = underlay
        both = [_look_of_link(each) for each in (overlay, carrier) if each]
        indexes = [each.index for each in (overlay, carrier) if each]
        self._tunnel = dict(zip(indexes, both, strict=True))

    def keep_uplinks(self, devices: dict[int, str]) -> None:
        """These are all uplinks, whole, by ifindex."""
        self._uplinks = devices

    def keep_uplink(self, link: Link) -> None:
        """An uplink is there, whole."""
        self._uplinks[link.index] = link.name

    def forget_uplink(self, device: str) -> None:
        """An uplink is to be let go of."""
        self._uplinks = {index: name for index, name in self._uplinks.items() if name != device}

    def is_as_left(self) -> bool:
        """Whether nothing that happened since the last time changed what is ours; what is new counts if it may be."""
        heard = self._events.take()
        self._parted |= {name for name in heard.parted if name.startswith(_HOST_LINK_PREFIX)}
        left = self._legs | self._tunnel
        if heard.is_incomplete or heard.filters & (left.keys() | self._uplinks.keys()):
            return False
        if not all(self._is_as_left(left.get(index), look) for index, look in heard.links.items()):
            return False
        if not all(self._is_uplink_as_left(index, look) for index, look in heard.links.items()):
            return False
        return TABLE not in heard.tables or self._underlay is None or is_untracked(self._underlay.port)

    def _is_as_left(self, left: Look | None, now: Look | None) -> bool:
        if left is None:
            return now is None or not self._may_be_ours(now.name)
        now = now and replace(now, is_promiscuous=False)  # harmless
        if now is not None and self._underlay and left.name == self._underlay.device:
            now = replace(now, is_up=left.is_up, alias=left.alias)  # the carrier's own affair
        return now == left

    def _is_uplink_as_left(self, index: int, now: Look | None) -> bool:
        """What else an uplink is, is the operator's affair."""
        if index in self._uplinks:
            return now is not None and now.name == self._uplinks[index] and now.is_promiscuous
        return now is None or now.name not in self._uplinks.values()

    def _may_be_ours(self, name: str) -> bool:
        carrier = self._underlay.device if self._underlay else None
        return name in (VXLAN_LINK, carrier) or name.startswith(_HOST_LINK_PREFIX)


def _look_of_leg(leg: Leg) -> Look:
    return Look(host_link_name(leg.endpoint), leg.mtu_bytes, is_up=True, alias=leg.endpoint)


def _look_of_link(link: Link) -> Look:
    return Look(link.name, link.mtu_bytes, link.is_up, link.alias)
