"""Where a packet comes from, and how its way ends: arrivals and verdicts."""

from dataclasses import dataclass
from ipaddress import IPv4Address

from isthmus.core.model import EndpointId
from isthmus.core.trace.drops import DropReason


@dataclass(frozen=True, slots=True)
class FromContainer:
    """A frame at the host's end of an endpoint's veth."""

    endpoint: EndpointId
    frame: bytes


@dataclass(frozen=True, slots=True)
class FromUnderlay:
    """A frame that enters by the underlay's device."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class FromOverlay:
    """A frame that the kernel took out of a tunnel.

    `vtep` is None where there was no tunnel; `is_vouched`: it entered by the underlay's device.
    """

    frame: bytes
    vtep: IPv4Address | None
    vni: int
    is_vouched: bool


@dataclass(frozen=True, slots=True)
class ToUnderlay:
    """A frame about to leave by the underlay's device; `is_vouched`: our tunnel sent it."""

    frame: bytes
    is_vouched: bool


@dataclass(frozen=True, slots=True)
class FromUplink:
    """A frame that enters by an uplink; `vlan` is the 802.1Q tag that the kernel took out of it, if any."""

    frame: bytes
    vlan: int | None
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Deliver:
    """Into an endpoint's sandbox, as this frame."""

    endpoint: EndpointId
    frame: bytes


@dataclass(frozen=True, slots=True)
class Encapsulate:
    """Through the tunnel to another host."""

    vtep: IPv4Address
    vni: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Back to the asker, as this frame."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Tag:
    """Out by the active uplink, with this 802.1Q tag; whoever of this host is to have it too, has got a copy."""

    vlan: int


@dataclass(frozen=True, slots=True)
class Copy:
    """To everybody of the network here and on other hosts, in so many copies."""

    copies: int


@dataclass(frozen=True, slots=True)
class PassToKernel:
    """Not ours to judge."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Lost, and counted."""

    reason: DropReason


Arrival = FromContainer | FromUnderlay | FromOverlay | FromUplink | ToUnderlay
Verdict = Deliver | Encapsulate | Answer | Tag | Copy | PassToKernel | Drop
