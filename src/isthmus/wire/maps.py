"""Keys and values of the BPF maps, and the programs' settings, as bytes: the structs of bpf/abi.h."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from isthmus.core.datapath import FLOOD_LIMIT, DatapathId
from isthmus.core.model import Address, Encap, EndpointId, Mac

LAYOUT = 2  # of the maps; the path of their pins carries it, so two layouts never meet

# Host order where the C type is __u32, network order where it is __be*; the targets are little-endian.
_SETTINGS = struct.Struct("<I4s2s??")
_ENDPOINT = struct.Struct("<64sI6s2x16s16s")
_PLACE_KEY = struct.Struct("<I16s")
_PLACE = struct.Struct("<I4s6s2x")
_TRAFFIC = struct.Struct("<4Q")
_DROP_KEY = struct.Struct("<II")
_VERDICT = struct.Struct("<III4sI")
_FLOOD = struct.Struct(f"<II{4 * FLOOD_LIMIT}s{4 * FLOOD_LIMIT}s")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")

_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291, 2.5.5.2
_NO_ADDRESS = bytes(16)
_NOWHERE = IPv4Address(0)
_ENCAPS = {Encap.VXLAN: 1, Encap.VLAN: 2}
_ENCAPS_BACK = {number: encap for encap, number in _ENCAPS.items()}

SIZES = {
    "settings": _SETTINGS.size,
    "endpoint": _ENDPOINT.size,
    "network": _U32.size,
    "place_key": _PLACE_KEY.size,
    "place": _PLACE.size,
    "vtep": _U32.size,
    "traffic": _TRAFFIC.size,
    "drop_key": _DROP_KEY.size,
    "verdict": _VERDICT.size,
    "flood": _FLOOD.size,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a program is told before it is loaded. `overlay` is the vxlan device's ifindex, 0 for none."""

    overlay: int = 0
    vtep: IPv4Address = _NOWHERE
    port: int = 0
    fast_receive: bool = False
    records_verdicts: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends from behind an interface: a row of `endpoints`."""

    endpoint: EndpointId
    network: DatapathId
    mac: Mac
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class PlaceKey:
    """An address of a network: a key of `directory`."""

    network: DatapathId
    address: Address


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address lives: behind an interface of this host, or (`ifindex` 0) behind a VTEP."""

    ifindex: int
    vtep: IPv4Address
    mac: Mac


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one endpoint sent and received."""

    sent_packets: int = 0
    sent_bytes: int = 0
    received_packets: int = 0
    received_bytes: int = 0


@dataclass(frozen=True, slots=True)
class LastVerdict:
    """How the last packet ended, where the programs were told to record it; see `enum verdict_kind`."""

    kind: int
    reason: int
    ifindex: int
    vtep: IPv4Address
    vni: int


def pack_settings(settings: Settings) -> bytes:
    """`struct settings`."""
    port = settings.port.to_bytes(2, "big")
    vtep = settings.vtep.packed
    return _SETTINGS.pack(settings.overlay, vtep, port, settings.fast_receive, settings.records_verdicts)


def pack_number(number: int) -> bytes:
    """A `__u32` key: an ifindex, a datapath id."""
    return _U32.pack(number)


def parse_number(raw: bytes) -> int:
    """The number of a `__u32` key."""
    number: int = _U32.unpack(raw)[0]
    return number


def pack_identity(identity: Identity) -> bytes:
    """`struct endpoint`.

    Raises:
        ValueError: the endpoint's name has more than 64 characters.
    """
    name = identity.endpoint.encode()
    if len(name) > 64:
        raise ValueError(f"endpoint {identity.endpoint}: its name has more than 64 characters")
    v4 = next((each for each in identity.addresses if each.version == 4), None)
    v6 = next((each for each in identity.addresses if each.version == 6), None)
    mac = _pack_mac(identity.mac)
    return _ENDPOINT.pack(name, identity.network, mac, _pack_address(v4), _pack_address(v6))


def parse_identity(raw: bytes) -> Identity:
    """The row behind `struct endpoint`.

    Raises:
        ValueError: its id is no text, so nobody of ours wrote it.
    """
    name, network, mac, v4, v6 = _ENDPOINT.unpack(raw)
    addresses = tuple(_parse_address(each) for each in (v4, v6) if each != _NO_ADDRESS)
    return Identity(EndpointId(name.rstrip(b"\0").decode()), DatapathId(network), _parse_mac(mac), addresses)


def pack_encap(encap: Encap) -> bytes:
    """`struct network`."""
    return _U32.pack(_ENCAPS[encap])


def parse_encap(raw: bytes) -> Encap:
    """How a network travels.

    Raises:
        ValueError: nobody of ours wrote that.
    """
    number = _U32.unpack(raw)[0]
    if number not in _ENCAPS_BACK:
        raise ValueError(f"encapsulation {number}")
    return _ENCAPS_BACK[number]


def pack_place_key(key: PlaceKey) -> bytes:
    """`struct place_key`."""
    return _PLACE_KEY.pack(key.network, _pack_address(key.address))


def parse_place_key(raw: bytes) -> PlaceKey:
    """The address behind `struct place_key`."""
    network, address = _PLACE_KEY.unpack(raw)
    return PlaceKey(DatapathId(network), _parse_address(address))


def pack_place(place: Place) -> bytes:
    """`struct place`."""
    return _PLACE.pack(place.ifindex, place.vtep.packed, _pack_mac(place.mac))


def parse_place(raw: bytes) -> Place:
    """The place behind `struct place`."""
    ifindex, vtep, mac = _PLACE.unpack(raw)
    return Place(ifindex, IPv4Address(vtep), _parse_mac(mac))


def pack_flood(ifindexes: Sequence[int], vteps: Sequence[IPv4Address]) -> bytes:
    """`struct flood`: the legs here, and the hosts that have members; FLOOD_LIMIT each at most."""
    legs, hosts = b"".join(map(_U32.pack, ifindexes)), b"".join(each.packed for each in vteps)
    return _FLOOD.pack(len(ifindexes), len(vteps), legs, hosts)


def parse_flood(raw: bytes) -> tuple[list[int], list[IPv4Address]]:
    """The legs and the hosts behind `struct flood`.

    Raises:
        ValueError: nobody of ours wrote that.
    """
    leg_count, host_count, legs, hosts = _FLOOD.unpack(raw)
    if max(leg_count, host_count) > FLOOD_LIMIT:
        raise ValueError(f"a flood of {leg_count} legs and {host_count} hosts")
    ifindexes = [number for (number,) in _U32.iter_unpack(legs[: 4 * leg_count])]
    return ifindexes, [IPv4Address(hosts[at : at + 4]) for at in range(0, 4 * host_count, 4)]


def pack_vtep_key(address: IPv4Address) -> bytes:
    """A key of `vteps`."""
    return address.packed


def parse_vtep_key(raw: bytes) -> IPv4Address:
    """The VTEP behind a key of `vteps`."""
    return IPv4Address(raw)


UPLINK_KEY = _U32.pack(0)  # of the one row of `uplinks`
VTEP_VALUE = _U32.pack(1)  # `struct vtep`: being in the map is all it says
NO_TRAFFIC = _TRAFFIC.pack(0, 0, 0, 0)


def pack_drop_key(ifindex: int, reason: int) -> bytes:
    """`struct drop_key`."""
    return _DROP_KEY.pack(ifindex, reason)


def parse_drop_key(raw: bytes) -> tuple[int, int]:
    """The interface and the reason's number."""
    ifindex, reason = _DROP_KEY.unpack(raw)
    return ifindex, reason


def sum_drops(per_cpu: bytes) -> int:
    """The packets of one row of `drops`, whose value holds one counter a CPU."""
    return sum(count for (count,) in _U64.iter_unpack(per_cpu))


def sum_traffic(per_cpu: bytes) -> Traffic:
    """One row of `traffic`, whose value holds one struct a CPU."""
    return Traffic(*(sum(column) for column in zip(*_TRAFFIC.iter_unpack(per_cpu), strict=True)))


def parse_verdict(raw: bytes) -> LastVerdict:
    """The verdict behind `struct verdict`."""
    kind, reason, ifindex, vtep, vni = _VERDICT.unpack(raw)
    return LastVerdict(kind, reason, ifindex, IPv4Address(vtep), vni)


def _pack_address(address: Address | None) -> bytes:
    if address is None:
        return _NO_ADDRESS
    return _MAPPED + address.packed if address.version == 4 else address.packed


def _parse_address(raw: bytes) -> Address:
    return IPv4Address(raw[12:]) if raw.startswith(_MAPPED) else IPv6Address(raw)


def _pack_mac(mac: Mac) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _parse_mac(raw: bytes) -> Mac:
    return Mac(raw.hex(":"))
