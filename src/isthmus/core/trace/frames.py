"""Ethernet frames to values, and the answers that the datapath writes. Bounds and order are those of the C."""

import struct
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from isthmus.core.model import Address, Mac
from isthmus.core.trace.drops import DropReason

ETHERNET_BYTES = 14
IPV4 = 0x0800
ARP = 0x0806
IPV6 = 0x86DD
_TAGGED = (0x8100, 0x88A8)
_ICMPV6 = 58
_WALKED = (0, 43, 60)  # hop-by-hop options, routing, destination options; RFC 8200 section 4
_MAX_EXTENSION_HEADERS = 6
_DISCOVERY = range(133, 138)  # RFC 4861 section 4
_SOLICITATION_BYTES = 32
_ND_BARE_BYTES = 24  # before the options
_NO_ADDRESS = IPv6Address(0)
_ALL_NODES, _ALL_NODES_MAC = IPv6Address("ff02::1"), Mac("33:33:00:00:00:01")

_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ND = struct.Struct("!BBHI16sBB6s")


class DroppedError(Exception):
    """The walk ends here; caught in `trace` and nowhere else."""

    def __init__(self, reason: DropReason) -> None:
        super().__init__(reason.sentence)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Packet:
    """A frame's fields, as far as the datapath looks. ARP has no addresses here."""

    frame: bytes
    destination_mac: Mac
    source_mac: Mac
    ethertype: int
    source: Address = _NO_ADDRESS
    destination: Address = _NO_ADDRESS
    l4_offset: int = 0
    is_discovery: bool = False

    @property
    def is_for_group(self) -> bool:
        """Whether it is for all or for a group, other than to find neighbours."""
        return is_group(self.destination_mac) and self.ethertype != ARP and not self.is_discovery


@dataclass(frozen=True, slots=True)
class Question:
    """An ARP request or a neighbour solicitation, or else an answer to one."""

    sender: Address
    sender_mac: Mac
    target: Address
    is_request: bool = True


def parse_frame(frame: bytes) -> Packet:
    """A frame's fields.

    Raises:
        DroppedError: the frame is not one that may travel.
    """
    require(len(frame) >= ETHERNET_BYTES, DropReason.TRUNCATED)
    ethertype = int.from_bytes(frame[12:14], "big")
    packet = Packet(frame, _mac(frame[:6]), _mac(frame[6:12]), ethertype)
    if ethertype == IPV4:
        return _parse_ipv4(packet)
    if ethertype == IPV6:
        return _parse_ipv6(packet)
    require(ethertype not in _TAGGED, DropReason.TAGGED)
    require(ethertype == ARP, DropReason.ETHERTYPE)
    return packet


def _parse_ipv4(packet: Packet) -> Packet:
    ip = packet.frame[ETHERNET_BYTES:]
    require(len(ip) >= 20, DropReason.TRUNCATED)
    header_bytes = (ip[0] & 15) * 4
    require(ip[0] >> 4 == 4 and header_bytes >= 20, DropReason.BAD_HEADER)
    require(len(ip) >= header_bytes, DropReason.TRUNCATED)
    source, destination = IPv4Address(ip[12:16]), IPv4Address(ip[16:20])
    return _with(packet, source, destination, ETHERNET_BYTES + header_bytes)


def _parse_ipv6(packet: Packet) -> Packet:
    ip = packet.frame[ETHERNET_BYTES:]
    require(len(ip) >= 40, DropReason.TRUNCATED)
    require(ip[0] >> 4 == 6, DropReason.BAD_HEADER)
    source, destination = IPv6Address(ip[8:24]), IPv6Address(ip[24:40])
    is_mapped = source.ipv4_mapped is not None or destination.ipv4_mapped is not None
    require(not is_mapped, DropReason.MAPPED_ADDRESS)
    protocol, offset = _skip_extension_headers(ip)
    is_discovery = False
    if protocol == _ICMPV6:
        require(len(ip) > offset, DropReason.TRUNCATED)
        is_discovery = ip[offset] in _DISCOVERY
    return _with(packet, source, destination, ETHERNET_BYTES + offset, is_discovery=is_discovery)


def _skip_extension_headers(ip: bytes) -> tuple[int, int]:
    protocol, offset = ip[6], 40
    for _ in range(_MAX_EXTENSION_HEADERS + 1):
        if protocol not in _WALKED:
            return protocol, offset
        require(len(ip) >= offset + 2, DropReason.TRUNCATED)
        protocol, offset = ip[offset], offset + (ip[offset + 1] + 1) * 8
    raise DroppedError(DropReason.EXTENSION_HEADERS)


def _with(
    packet: Packet, source: Address, destination: Address, l4_offset: int, *, is_discovery: bool = False
) -> Packet:
    macs = (packet.destination_mac, packet.source_mac)
    return Packet(packet.frame, *macs, packet.ethertype, source, destination, l4_offset, is_discovery)


def parse_arp(packet: Packet) -> Question:
    """Who asks for whose MAC, or answers whom.

    Raises:
        DroppedError: it is neither a request for an IPv4 address nor a reply.
    """
    arp = packet.frame[ETHERNET_BYTES:]
    require(len(arp) >= _ARP.size, DropReason.TRUNCATED)
    fields = _ARP.unpack_from(arp)
    require(fields[:4] == (1, IPV4, 6, 4) and fields[4] in (1, 2), DropReason.ARP_FORM)
    return Question(IPv4Address(fields[6]), _mac(fields[5]), IPv4Address(fields[8]), fields[4] == 1)


def answer_arp(packet: Packet, question: Question, mac: Mac) -> bytes:
    """The reply; what stood behind the request stays."""
    asker, answerer = mac_bytes(question.sender_mac), mac_bytes(mac)
    reply = _ARP.pack(1, IPV4, 6, 4, 2, answerer, question.target.packed, asker, question.sender.packed)
    rest = packet.frame[ETHERNET_BYTES + _ARP.size :]
    return mac_bytes(packet.source_mac) + answerer + ARP.to_bytes(2, "big") + reply + rest


def parse_solicitation(packet: Packet) -> Question:
    """Who asks for whose MAC, where the message is a plain solicitation with the asker's MAC in it.

    Raises:
        DroppedError: it is not.
    """
    require(packet.source != _NO_ADDRESS, DropReason.ADDRESS_PROBE)
    require(is_plain_solicitation(packet), DropReason.NEIGHBOUR_DISCOVERY)
    kind, code, _, _, target, *_ = _ND.unpack(packet.frame[packet.l4_offset :])
    hop_limit = packet.frame[ETHERNET_BYTES + 7]
    require((kind, code, hop_limit) == (135, 0, 255), DropReason.NEIGHBOUR_DISCOVERY)
    return Question(packet.source, packet.source_mac, IPv6Address(target))


def is_plain_solicitation(packet: Packet) -> bool:
    """Whether a message has no extension headers, and is as long as one with the asker's MAC and nothing else."""
    return packet.l4_offset == ETHERNET_BYTES + 40 and len(packet.frame) - packet.l4_offset == _SOLICITATION_BYTES


def parse_discovery(packet: Packet) -> Question:
    """A solicitation, or an advertisement with any options or none.

    Raises:
        DroppedError: it is neither.
    """
    message = packet.frame[packet.l4_offset :]
    is_whole = packet.l4_offset == ETHERNET_BYTES + 40 and len(message) >= _ND_BARE_BYTES
    require(is_whole, DropReason.NEIGHBOUR_DISCOVERY)
    kind, code, target = message[0], message[1], IPv6Address(message[8:_ND_BARE_BYTES])
    is_right = (code, packet.frame[ETHERNET_BYTES + 7]) == (0, 255) and target.ipv4_mapped is None
    require(is_right and kind in (135, 136), DropReason.NEIGHBOUR_DISCOVERY)
    return Question(packet.source, packet.source_mac, target, kind == 135)


def has_source_option(packet: Packet) -> bool:
    """Whether a solicitation says the asker's MAC. Source: RFC 4861, 4.6.1."""
    *_, kind, length, _ = _ND.unpack(packet.frame[packet.l4_offset :])
    return (kind, length) == (1, 1)


def is_probe(packet: Packet) -> bool:
    """Whether a solicitation is duplicate address detection. Source: RFC 4862, 5.4.2."""
    return packet.source == _NO_ADDRESS


def answer_probe(packet: Packet, question: Question, mac: Mac) -> bytes:
    """The advertisement to all nodes that an address has its owner. Source: RFC 4861, 7.2.4.

    Raises:
        DroppedError: the probe is neither bare nor has one option only.
    """
    octets = len(packet.frame) - packet.l4_offset
    require(octets in (_ND_BARE_BYTES, _SOLICITATION_BYTES), DropReason.NEIGHBOUR_DISCOVERY)
    frame = packet.frame
    if octets == _ND_BARE_BYTES:
        frame = frame[:18] + _SOLICITATION_BYTES.to_bytes(2, "big") + frame[20:]
    probe = replace(packet, frame=frame, source=_ALL_NODES, source_mac=_ALL_NODES_MAC)
    return answer_solicitation(probe, question, mac, flags=0x20000000)


def answer_solicitation(packet: Packet, question: Question, mac: Mac, *, flags: int = 0x60000000) -> bytes:
    """The advertisement: solicited, to override. Source: RFC 4861, 4.4."""
    answerer = mac_bytes(mac)
    addresses = question.target.packed + packet.source.packed
    pseudo = addresses + struct.pack("!II", _SOLICITATION_BYTES, _ICMPV6)
    fields = (flags, question.target.packed, 2, 1, answerer)
    checksum = internet_checksum(pseudo + _ND.pack(136, 0, 0, *fields))
    ethernet = mac_bytes(packet.source_mac) + answerer
    return ethernet + packet.frame[12:22] + addresses + _ND.pack(136, 0, checksum, *fields)


def internet_checksum(octets: bytes) -> int:
    """The complement of the sum of 16-bit words. Source: RFC 1071."""
    total: int = sum(word for (word,) in struct.iter_unpack("!H", octets + bytes(len(octets) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def is_group(mac: Mac) -> bool:
    """Whether a MAC is a group's, or everybody's."""
    return bool(mac_bytes(mac)[0] & 1)


def link_local(mac: Mac) -> IPv6Address:
    """The link-local address that a MAC gives. Source: RFC 4291, appendix A."""
    octets = mac_bytes(mac)
    interface = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return IPv6Address(b"\xfe\x80" + bytes(6) + interface)


def mac_bytes(mac: Mac) -> bytes:
    """The six octets of a MAC."""
    return bytes.fromhex(mac.replace(":", ""))


def _mac(octets: bytes) -> Mac:
    return Mac(octets.hex(":"))


def require(truth: bool, reason: DropReason) -> None:
    """End the walk unless so.

    Raises:
        DroppedError: with the reason.
    """
    if not truth:
        raise DroppedError(reason)
