"""A packet's way through the datapath's tables: the explanation, and the judge of the C.

The stages stand in the order of the programs under bpf/, one function a hook.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import assert_never

from isthmus.core.datapath import DatapathId, DirectoryEntry, Here, Leg, There, is_vlan, vlan_datapath_id
from isthmus.core.model import Address, Encap
from isthmus.core.trace import frames
from isthmus.core.trace.drops import DropReason
from isthmus.core.trace.frames import DroppedError, Packet, require
from isthmus.core.trace.receive import check_remote_source, deliver
from isthmus.core.trace.tables import Tables
from isthmus.core.trace.ways import (
    Answer,
    Arrival,
    Copy,
    Deliver,
    Drop,
    Encapsulate,
    FromContainer,
    FromOverlay,
    FromUnderlay,
    FromUplink,
    PassToKernel,
    Tag,
    ToUnderlay,
    Verdict,
)
from isthmus.core.trace.wire import take_arp, take_discovery

OUTER_BYTES = 50  # Ethernet 14, IPv4 20, UDP 8, VXLAN 8; RFC 7348 section 5
_UDP = 17
_VNI_IS_VALID = 0x08000000
_VLAN_ID_MASK = 0xFFF
_NO_ADDRESS = IPv6Address(0)


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
        case FromUplink():
            return _from_uplink(tables, arrival, note)
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
    if frames.is_group(packet.destination_mac):
        return _flood_out(tables, leg, packet, note)
    require(packet.source in leg.addresses, DropReason.SOURCE_ADDRESS)
    note(f"Its source {packet.source} is the endpoint's.")
    return _send(tables, leg.network, packet, note)


def _send(tables: Tables, network: DatapathId, packet: Packet, note: _Note) -> Verdict:
    if is_vlan(network) and (network, packet.destination) not in tables.directory:
        note(f"Nobody of ours is {packet.destination}; it may be on the wire.")
        return _tag(tables, network)
    entry = _locate(tables, network, packet, note)
    match entry.place:
        case Here(endpoint):
            return deliver(tables, network, packet, endpoint)
        case There(vtep):
            return _tag(tables, network) if is_vlan(network) else _encapsulate(tables, network, vtep)
        case _:
            assert_never(entry.place)


def _tag(tables: Tables, network: DatapathId) -> Tag:
    require(tables.has_uplink, DropReason.NO_UPLINK)
    _check_network(tables, network)
    return Tag(network & _VLAN_ID_MASK)


def _flood_out(tables: Tables, leg: Leg, packet: Packet, note: _Note) -> Verdict:
    flood = tables.floods.get(leg.network)
    if flood is None or packet.source == _NO_ADDRESS:
        raise DroppedError(DropReason.MULTICAST)
    require(packet.source in (*leg.addresses, frames.link_local(leg.mac)), DropReason.SOURCE_ADDRESS)
    _check_network(tables, leg.network)
    others = sum(each != leg.endpoint for each in flood.endpoints)
    note(f"It is for a group or for all: {others} others here, {len(flood.vteps)} other hosts.")
    if is_vlan(leg.network) and tables.has_uplink:
        return _tag(tables, leg.network)
    return Copy(others + len(flood.vteps))


def _flood_in(tables: Tables, network: DatapathId, packet: Packet) -> Copy:
    check_remote_source(tables, network, packet.source)
    flood = tables.floods.get(network)
    if flood is None:
        raise DroppedError(DropReason.MULTICAST)
    return Copy(len(flood.endpoints))


def _answer_arp(tables: Tables, leg: Leg, packet: Packet, note: _Note) -> Verdict:
    question = frames.parse_arp(packet)
    require(question.is_request, DropReason.ARP_FORM)
    require(question.sender_mac == leg.mac, DropReason.ARP_SENDER)
    require(question.sender != IPv4Address(0), DropReason.ADDRESS_PROBE)
    require(question.sender in leg.addresses, DropReason.ARP_SENDER)
    if question.target == question.sender:
        require(is_vlan(leg.network), DropReason.ADDRESS_PROBE)
        note("It announces its own address; the wire hears of it.")
        return _tag(tables, leg.network)
    entry = _neighbour(tables, leg, question.target, note)
    return Answer(frames.answer_arp(packet, question, entry.mac)) if entry else _tag(tables, leg.network)


def _answer_solicitation(tables: Tables, leg: Leg, packet: Packet, note: _Note) -> Verdict:
    question = frames.parse_solicitation(packet)
    own = (*leg.addresses, frames.link_local(leg.mac))
    require(question.sender in own, DropReason.SOURCE_ADDRESS)
    require(frames.has_source_option(packet), DropReason.NEIGHBOUR_DISCOVERY)
    require(question.target not in leg.addresses, DropReason.ADDRESS_PROBE)
    entry = _neighbour(tables, leg, question.target, note)
    return Answer(frames.answer_solicitation(packet, question, entry.mac)) if entry else _tag(tables, leg.network)


def _neighbour(tables: Tables, leg: Leg, target: Address, note: _Note) -> DirectoryEntry | None:
    note(f"It asks for the MAC of {target}.")
    entry = tables.directory.get((leg.network, target))
    if entry is None:
        require(is_vlan(leg.network), DropReason.UNKNOWN_NEIGHBOUR)
        note("Nobody of ours has it, so the wire is asked.")
        return None
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


def _encapsulate(tables: Tables, network: DatapathId, vtep: IPv4Address) -> Encapsulate:
    require(tables.underlay is not None, DropReason.NO_UNDERLAY)
    _check_network(tables, network)
    return Encapsulate(vtep, network)


def _check_network(tables: Tables, network: DatapathId) -> None:
    known = tables.networks.get(network)
    if known is None:
        raise DroppedError(DropReason.UNKNOWN_NETWORK)
    require(known.encap is (Encap.VLAN if is_vlan(network) else Encap.VXLAN), DropReason.ENCAP)


def _from_overlay(tables: Tables, arrival: FromOverlay, note: _Note) -> Verdict:
    require(arrival.vtep is not None, DropReason.NO_TUNNEL_KEY)
    require(arrival.is_vouched, DropReason.NOT_FROM_UNDERLAY)
    require(arrival.vtep in tables.vteps, DropReason.UNKNOWN_VTEP)
    require(not is_vlan(DatapathId(arrival.vni)), DropReason.ENCAP)
    _check_network(tables, DatapathId(arrival.vni))
    note(f"It came in network {arrival.vni} from the host with VTEP {arrival.vtep}.")
    return _admit(tables, DatapathId(arrival.vni), arrival.frame, note)


def _admit(tables: Tables, network: DatapathId, frame: bytes, note: _Note) -> Verdict:
    packet = frames.parse_frame(frame)
    if packet.is_for_group:
        return _flood_in(tables, network, packet)
    return _admit_one(tables, network, packet, note)


def _admit_one(tables: Tables, network: DatapathId, packet: Packet, note: _Note) -> Deliver:
    require(packet.ethertype != frames.ARP, DropReason.ARP_FORM)
    require(not frames.is_group(packet.destination_mac), DropReason.MULTICAST)
    require(not packet.is_discovery, DropReason.NEIGHBOUR_DISCOVERY)
    check_remote_source(tables, network, packet.source)
    place = _locate(tables, network, packet, note).place
    if isinstance(place, There):
        raise DroppedError(DropReason.NOT_HERE)
    return deliver(tables, network, packet, place.endpoint)


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
    packet = frames.parse_frame(arrival.frame[OUTER_BYTES:])
    if packet.is_for_group:
        note("The tunnel device unpacks it, and copies are made there.")
        return PassToKernel()
    note(f"It is unpacked here: network {network}, from the host with VTEP {outer.source}.")
    return _admit_one(tables, network, packet, note)


def _from_uplink(tables: Tables, arrival: FromUplink, note: _Note) -> Verdict:
    network = vlan_datapath_id(arrival.vlan or 0)
    known = tables.networks.get(network)
    if arrival.vlan is None or known is None or known.encap is not Encap.VLAN:
        note("It is in no VLAN of ours.")
        return PassToKernel()
    require(arrival.is_active and tables.has_uplink, DropReason.IDLE_UPLINK)
    note(f"It came in VLAN {arrival.vlan}, and lost its tag.")
    packet = frames.parse_frame(arrival.frame)
    if packet.ethertype == frames.ARP:
        return take_arp(tables, network, packet)
    if packet.is_discovery:
        return take_discovery(tables, network, packet)
    return _flood_in(tables, network, packet) if packet.is_for_group else _admit_one(tables, network, packet, note)


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
