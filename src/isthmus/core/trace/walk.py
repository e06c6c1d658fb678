"""A packet's way through the datapath's tables: the explanation, and the judge of the C.

The stages stand in the order of the programs under bpf/, one function a hook.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import assert_never

from isthmus.core.datapath import (
    DatapathId,
    DirectoryEntry,
    Here,
    KernelObject,
    KnownNetwork,
    KnownVtep,
    Leg,
    There,
    Underlay,
)
from isthmus.core.model import Address, Encap, EndpointId
from isthmus.core.trace import frames
from isthmus.core.trace.drops import DropReason
from isthmus.core.trace.frames import DroppedError, Packet, require

OUTER_BYTES = 50  # Ethernet 14, IPv4 20, UDP 8, VXLAN 8; RFC 7348 section 5
_UDP = 17
_VNI_IS_VALID = 0x08000000


@dataclass(frozen=True, slots=True)
class Tables:
    """What the programs look up: the maps and settings of one host."""

    underlay: Underlay | None = None
    vteps: frozenset[IPv4Address] = frozenset()
    networks: Mapping[DatapathId, KnownNetwork] = field(default_factory=dict)
    legs: Mapping[EndpointId, Leg] = field(default_factory=dict)
    directory: Mapping[tuple[DatapathId, Address], DirectoryEntry] = field(default_factory=dict)


def tables_of(objects: Iterable[KernelObject]) -> Tables:
    """The tables that these objects make."""
    everything = list(objects)
    return Tables(
        next((each for each in everything if isinstance(each, Underlay)), None),
        frozenset(each.address for each in everything if isinstance(each, KnownVtep)),
        {each.id: each for each in everything if isinstance(each, KnownNetwork)},
        {each.endpoint: each for each in everything if isinstance(each, Leg)},
        {(each.network, each.address): each for each in everything if isinstance(each, DirectoryEntry)},
    )


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
class PassToKernel:
    """Not ours to judge."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Lost, and counted."""

    reason: DropReason


Arrival = FromContainer | FromUnderlay | FromOverlay | ToUnderlay
Verdict = Deliver | Encapsulate | Answer | PassToKernel | Drop


@dataclass(frozen=True, slots=True)
class Trace:
    """How a packet's way ends, and a sentence for each stage before that."""

    verdict: Verdict
    stages: tuple[str, ...]


_Note = Callable[[str], None]


def trace(tables: Tables, arrival: Arrival) -> Trace:
    """Walk a packet through the tables, as the programs would."""
    stages: list[str] = []
    try:
        verdict = _walk(tables, arrival, stages.append)
    except DroppedError as dropped:
        stages.append(dropped.reason.sentence)
        verdict = Drop(dropped.reason)
    return Trace(verdict, tuple(stages))


def _walk(tables: Tables, arrival: Arrival, note: _Note) -> Verdict:
    match arrival:
        case FromContainer():
            return _from_container(tables, arrival, note)
        case FromUnderlay():
            return _from_underlay(tables, arrival, note)
        case FromOverlay():
            return _from_overlay(tables, arrival, note)
        case ToUnderlay():
            return _to_underlay(tables, arrival, note)
        case _:
            assert_never(arrival)


def _from_container(tables: Tables, arrival: FromContainer, note: _Note) -> Verdict:
    leg = tables.legs.get(arrival.endpoint)
    if leg is None:
        raise DroppedError(DropReason.NO_ENDPOINT)
    packet = frames.parse_frame(arrival.frame)
    require(packet.source_mac == leg.mac, DropReason.SOURCE_MAC)
    note(f"The frame comes from endpoint {leg.endpoint} and carries its MAC {leg.mac}.")
    if packet.ethertype == frames.ARP:
        return _answer_arp(tables, leg, packet, note)
    if packet.is_discovery:
        return _answer_solicitation(tables, leg, packet, note)
    require(not frames.is_group(packet.destination_mac), DropReason.MULTICAST)
    require(packet.source in leg.addresses, DropReason.SOURCE_ADDRESS)
    note(f"Its source {packet.source} is the endpoint's.")
    entry = _locate(tables, leg.network, packet, note)
    match entry.place:
        case Here(endpoint):
            return _deliver(tables, leg.network, packet, endpoint)
        case There(vtep):
            return _encapsulate(tables, leg.network, vtep)
        case _:
            assert_never(entry.place)


def _answer_arp(tables: Tables, leg: Leg, packet: Packet, note: _Note) -> Answer:
    question = frames.parse_arp(packet)
    require(question.sender_mac == leg.mac, DropReason.ARP_SENDER)
    require(question.sender != IPv4Address(0), DropReason.ADDRESS_PROBE)
    require(question.sender in leg.addresses, DropReason.ARP_SENDER)
    require(question.target != question.sender, DropReason.ADDRESS_PROBE)
    entry = _neighbour(tables, leg, question.target, note)
    return Answer(frames.answer_arp(packet, question, entry.mac))


def _answer_solicitation(tables: Tables, leg: Leg, packet: Packet, note: _Note) -> Answer:
    question = frames.parse_solicitation(packet)
    own = (*leg.addresses, frames.link_local(leg.mac))
    require(question.sender in own, DropReason.SOURCE_ADDRESS)
    require(frames.has_source_option(packet), DropReason.NEIGHBOUR_DISCOVERY)
    require(question.target not in leg.addresses, DropReason.ADDRESS_PROBE)
    entry = _neighbour(tables, leg, question.target, note)
    return Answer(frames.answer_solicitation(packet, question, entry.mac))


def _neighbour(tables: Tables, leg: Leg, target: Address, note: _Note) -> DirectoryEntry:
    note(f"It asks for the MAC of {target}.")
    entry = tables.directory.get((leg.network, target))
    if entry is None:
        raise DroppedError(DropReason.UNKNOWN_NEIGHBOUR)
    note(f"The host answers in its place: {entry.mac}.")
    return entry


def _locate(tables: Tables, network: DatapathId, packet: Packet, note: _Note) -> DirectoryEntry:
    entry = tables.directory.get((network, packet.destination))
    if entry is None:
        raise DroppedError(DropReason.UNKNOWN_DESTINATION)
    require(entry.mac == packet.destination_mac, DropReason.DESTINATION_MAC)
    match entry.place:
        case Here(endpoint):
            note(f"Its destination {packet.destination} is endpoint {endpoint} of this host.")
        case There(vtep):
            note(f"Its destination {packet.destination} lives on the host with VTEP {vtep}.")
    return entry


def _deliver(tables: Tables, network: DatapathId, packet: Packet, endpoint: EndpointId) -> Deliver:
    receiver = tables.legs.get(endpoint)
    if receiver is None or receiver.network != network:
        raise DroppedError(DropReason.NO_RECEIVER)
    require(packet.source not in receiver.addresses, DropReason.SOURCE_IS_LOCAL)
    return Deliver(endpoint, packet.frame)


def _encapsulate(tables: Tables, network: DatapathId, vtep: IPv4Address) -> Encapsulate:
    require(tables.underlay is not None, DropReason.NO_UNDERLAY)
    _check_network(tables, network)
    return Encapsulate(vtep, network)


def _check_network(tables: Tables, network: DatapathId) -> None:
    known = tables.networks.get(network)
    if known is None:
        raise DroppedError(DropReason.UNKNOWN_NETWORK)
    require(known.encap is Encap.VXLAN, DropReason.ENCAP)


def _from_overlay(tables: Tables, arrival: FromOverlay, note: _Note) -> Verdict:
    require(arrival.vtep is not None, DropReason.NO_TUNNEL_KEY)
    require(arrival.is_vouched, DropReason.NOT_FROM_UNDERLAY)
    require(arrival.vtep in tables.vteps, DropReason.UNKNOWN_VTEP)
    _check_network(tables, DatapathId(arrival.vni))
    note(f"It came in network {arrival.vni} from the host with VTEP {arrival.vtep}.")
    return _admit(tables, DatapathId(arrival.vni), arrival.frame, note)


def _admit(tables: Tables, network: DatapathId, frame: bytes, note: _Note) -> Deliver:
    packet = frames.parse_frame(frame)
    require(packet.ethertype != frames.ARP, DropReason.ARP_FORM)
    require(not frames.is_group(packet.destination_mac), DropReason.MULTICAST)
    require(not packet.is_discovery, DropReason.NEIGHBOUR_DISCOVERY)
    sender = tables.directory.get((network, packet.source))
    require(sender is None or isinstance(sender.place, There), DropReason.SOURCE_IS_LOCAL)
    place = _locate(tables, network, packet, note).place
    if isinstance(place, There):
        raise DroppedError(DropReason.NOT_HERE)
    return _deliver(tables, network, packet, place.endpoint)


def _from_underlay(tables: Tables, arrival: FromUnderlay, note: _Note) -> Verdict:
    underlay = tables.underlay
    outer = _tunnel_packet(arrival.frame, underlay.port if underlay else None)
    if underlay is None or outer is None or outer.destination != underlay.vtep:
        note("It is no tunnel packet for this host.")
        return PassToKernel()
    network = DatapathId(outer.vni)
    known = tables.networks.get(network)
    is_known = outer.source in tables.vteps and known is not None and known.encap is Encap.VXLAN
    if not (underlay.fast_receive and outer.is_plain and is_known):
        note("The tunnel device unpacks and judges it.")
        return PassToKernel()
    note(f"It is unpacked here: network {network}, from the host with VTEP {outer.source}.")
    return _admit(tables, network, arrival.frame[OUTER_BYTES:], note)


def _to_underlay(tables: Tables, arrival: ToUnderlay, note: _Note) -> Verdict:
    outer = _tunnel_packet(arrival.frame, tables.underlay.port if tables.underlay else None)
    is_forged = outer is not None and outer.destination in tables.vteps and not arrival.is_vouched
    require(not is_forged, DropReason.FORGED_TUNNEL)
    note("It may leave.")
    return PassToKernel()


@dataclass(frozen=True, slots=True)
class _Outer:
    source: IPv4Address
    destination: IPv4Address
    vni: int
    is_plain: bool


def _tunnel_packet(frame: bytes, port: int | None) -> _Outer | None:
    ip, ethertype = frame[frames.ETHERNET_BYTES :], int.from_bytes(frame[12:14], "big")
    if ethertype != frames.IPV4 or len(ip) < 20:
        return None
    fragment, protocol = struct.unpack_from("!HxB", ip, 6)
    udp = ip[(ip[0] & 15) * 4 :]
    if protocol != _UDP or fragment & 0x1FFF or len(udp) < 8 or udp[2:4] != (port or 0).to_bytes(2, "big"):
        return None
    is_plain = len(frame) >= OUTER_BYTES and ip[0] == 0x45 and not fragment & 0x3FFF and udp[6:8] == b"\0\0"
    flags, vni = struct.unpack("!II", udp[8:16]) if is_plain else (0, 0)
    is_plain = is_plain and flags == _VNI_IS_VALID and not vni & 0xFF
    return _Outer(IPv4Address(ip[12:16]), IPv4Address(ip[16:20]), vni >> 8, is_plain)
