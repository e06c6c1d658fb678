"""One host's tables, and frames for it: right ones by name, and any."""

import random
import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from isthmus.core.datapath import (
    DatapathId,
    DirectoryEntry,
    Flood,
    Here,
    KernelObject,
    KnownNetwork,
    KnownVtep,
    Leg,
    There,
    Underlay,
    Uplink,
)
from isthmus.core.model import Address, Encap, EndpointId, Mac, Tag, mac_of
from isthmus.core.trace import Arrival, FromContainer, FromOverlay, FromUnderlay, FromUplink, ToUnderlay

PORT = 8472
SHORTEST_RUNNABLE = 54  # test runs refuse a frame that ends within its own first IP header
NET, OTHER_NET, VLAN_NET = DatapathId(7), DatapathId(8), DatapathId(1 << 24 | 5)
OWN_VTEP, VTEP, STRANGER = IPv4Address("192.168.2.10"), IPv4Address("192.168.2.11"), IPv4Address("192.168.2.66")
V4 = [IPv4Address(f"10.1.0.{i}") for i in range(10)]
V6 = [IPv6Address(f"fd00::{i:x}") for i in range(10)]
MACS = [mac_of(each) for each in V4]
ROUTER_MAC, ALL, GROUP_V6 = Mac("02:42:00:00:00:01"), Mac("ff:ff:ff:ff:ff:ff"), Mac("33:33:ff:00:00:02")
A, B, C, D, P, Q = (EndpointId(letter * 64) for letter in "abcdpq")
NONE_V4, NONE_V6 = IPv4Address(0), IPv6Address(0)
GROUP_V6_ADDRESS = IPv6Address("ff02::1:ff00:3")
LINK_LOCAL_A = IPv6Address("fe80::2:aff:fe01:1")  # of A's MAC, 02:02:0a:01:00:01


def both(i: int) -> tuple[Address, ...]:
    return (V4[i], V6[i])


def live(network: DatapathId, i: int, place: Here | There, mac: Mac | None = None) -> list[KernelObject]:
    return [DirectoryEntry(network, each, mac or MACS[i], place) for each in both(i)]


# .1 A and .2 B here, .3 and .4 on another host, .5 just leaving this host, .6 in the directory under a leg of
# another network; C has A's addresses in that one; D has one address only.
HOST: list[KernelObject] = [
    Underlay("eth1", OWN_VTEP, PORT),
    KnownVtep(OWN_VTEP),
    KnownVtep(VTEP),
    KnownNetwork(NET, Encap.VXLAN, Tag(7)),
    KnownNetwork(OTHER_NET, Encap.VXLAN, Tag(8)),
    KnownNetwork(VLAN_NET, Encap.VLAN, Tag(5)),
    Leg(A, NET, MACS[1], both(1), 1450),
    Leg(B, NET, MACS[2], both(2), 1450),
    Leg(C, OTHER_NET, MACS[1], both(1), 1450),
    Leg(D, NET, MACS[8], (V4[8],), 1450),
    *live(NET, 1, Here(A)),
    *live(NET, 2, Here(B)),
    *live(NET, 3, There(VTEP)),
    *live(NET, 4, There(VTEP)),
    *live(NET, 5, Here(EndpointId("e" * 64))),
    *live(NET, 6, Here(C)),
    *live(OTHER_NET, 1, Here(C)),
    DirectoryEntry(NET, V4[8], MACS[8], Here(D)),
]

# The same with floods and an uplink. In the VLAN .1 P and .2 Q are here, .3 and .4 on another host, .5 is leaving,
# .9 is a device on the wire.
WIRED: list[KernelObject] = [
    *HOST,
    Uplink("eth2", True),
    Leg(P, VLAN_NET, MACS[1], both(1), 1500),
    Leg(Q, VLAN_NET, MACS[2], both(2), 1500),
    *live(VLAN_NET, 1, Here(P)),
    *live(VLAN_NET, 2, Here(Q)),
    *live(VLAN_NET, 3, There(VTEP)),
    *live(VLAN_NET, 4, There(VTEP)),
    *live(VLAN_NET, 5, Here(EndpointId("e" * 64))),
    Flood(NET, (A, B, D), (VTEP, STRANGER)),
    Flood(VLAN_NET, (P, Q)),
]


def ethernet(destination: Mac, source: Mac, ethertype: int, rest: bytes) -> bytes:
    macs = bytes.fromhex((destination + source).replace(":", ""))
    return macs + ethertype.to_bytes(2, "big") + rest


def ipv4(
    source: Address,
    destination: Address,
    l4: bytes = b"",
    *,
    options: bytes = b"",
    fragment: int = 0,
    protocol: int = 17,
) -> bytes:
    words, total = 5 + len(options) // 4, 20 + len(options) + len(l4)
    fields = (0x40 | words, 0, total, 1, fragment, 64, protocol, 0, source.packed[-4:], destination.packed[-4:])
    return struct.pack("!BBHHHBBH4s4s", *fields) + options + l4


def ipv6(
    source: Address, destination: Address, l4: bytes = b"", *, protocol: int = 17, extensions: int = 0, hops: int = 255
) -> bytes:
    chain = b"".join(bytes([60 if i + 1 < extensions else protocol, 0]) + bytes(6) for i in range(extensions))
    header = struct.pack("!IHBB", 6 << 28, len(chain + l4), 60 if extensions else protocol, hops)
    return header + source.packed + destination.packed + chain + l4


def udp(port: int, payload: bytes, checksum: int = 0) -> bytes:
    return struct.pack("!HHHH", 40000, port, 8 + len(payload), checksum) + payload


def arp(sender_mac: Mac, sender: Address, target: Address, operation: int = 1, protocol: int = 0x800) -> bytes:
    head = struct.pack("!HHBBH", 1, protocol, 6, 4, operation)
    return head + bytes.fromhex(sender_mac.replace(":", "")) + sender.packed + bytes(6) + target.packed


def solicit(target: Address, mac: Mac = MACS[1], *, kind: int = 135, option: int = 1, code: int = 0) -> bytes:
    body = struct.pack("!BBHI", kind, code, 0, 0) + target.packed
    return body + bytes([option, 1]) + bytes.fromhex(mac.replace(":", ""))


def vxlan(vni: int, frame: bytes, flags: int = 0x08, low: int = 0) -> bytes:
    return struct.pack("!BxxxI", flags, vni << 8 | low) + frame


def tunnel(payload: bytes, source: Address = VTEP, destination: Address = OWN_VTEP, **outer: Any) -> bytes:
    checksum, port = outer.pop("checksum", 0), outer.pop("port", PORT)
    return ethernet(MACS[0], MACS[9], 0x800, ipv4(source, destination, udp(port, payload, checksum), **outer))


DATA = udp(53, b"x" * 20)


def v4_frame(source: int, destination: int, **more: Any) -> bytes:
    return ethernet(MACS[destination], MACS[source], 0x800, ipv4(V4[source], V4[destination], DATA, **more))


def v6_frame(source: int, destination: int, l4: bytes = DATA, **more: Any) -> bytes:
    return ethernet(MACS[destination], MACS[source], 0x86DD, ipv6(V6[source], V6[destination], l4, **more))


def from_a(frame: bytes) -> FromContainer:
    return FromContainer(A, frame)


def asked(rest: bytes, destination: Mac = ALL) -> FromContainer:
    return from_a(ethernet(destination, MACS[1], 0x806, rest))


def solicited(source: Address, l4: bytes, **more: Any) -> FromContainer:
    rest = ipv6(source, GROUP_V6_ADDRESS, l4, protocol=58, **more)
    return from_a(ethernet(GROUP_V6, MACS[1], 0x86DD, rest))


def came(frame: bytes, vtep: IPv4Address | None = VTEP, vni: int = 7, *, is_vouched: bool = True) -> FromOverlay:
    return FromOverlay(frame, vtep, vni, is_vouched)


def mapped(address: IPv4Address) -> IPv6Address:
    return IPv6Address(f"::ffff:{address}")


def any_inner(
    dice: random.Random, shortest: int = SHORTEST_RUNNABLE, sources: tuple[int, ...] = (1, 1, 1, 2, 3, 9)
) -> bytes:
    """A frame, mostly near to a right one."""
    source, destination = dice.choice(sources), dice.choice([1, 2, 3, 4, 5, 6, 8, 9])
    macs = (
        dice.choice([MACS[destination]] * 4 + [ALL, MACS[3], GROUP_V6]),
        dice.choice([MACS[source]] * 4 + [MACS[1]]),
    )
    options = bytes(4 * dice.choice([0, 0, 0, 1, 10]))
    v6_pool = [*V6, NONE_V6, LINK_LOCAL_A, mapped(V4[2])]
    kind = dice.choice([135] * 6 + [128, 133, 134, 136, 137, 143])
    message = solicit(dice.choice(v6_pool), kind=kind, option=dice.choice([1, 1, 1, 2]))
    extensions, hops = dice.choice([0, 0, 0, 1, 6, 7]), dice.choice([255, 255, 64])
    forms = [
        (0x800, ipv4(V4[source], V4[destination], DATA, options=options, fragment=dice.choice([0, 0x2000, 100]))),
        (0x86DD, ipv6(V6[source], V6[destination], DATA, extensions=extensions, protocol=dice.choice([6, 17, 44, 58]))),
        (0x86DD, ipv6(dice.choice(v6_pool), dice.choice(v6_pool), message, protocol=58, hops=hops)),
        (0x86DD, ipv6(V6[source], V6[destination], message, protocol=58, hops=hops, extensions=extensions)),
        (0x806, arp(macs[1], dice.choice([V4[source], V4[1], NONE_V4]), V4[destination], dice.choice([1, 1, 1, 2]))),
        (dice.choice([0x8100, 0x88A8, 0x88CC, 0x800]), bytes(40)),
    ]
    return damaged(dice, ethernet(*macs, *dice.choice(forms)), shortest)


def damaged(dice: random.Random, frame: bytes, shortest: int) -> bytes:
    """Once in a while cut short, or one octet changed."""
    if dice.random() < 0.1:
        return frame[: dice.randrange(min(shortest, len(frame)), len(frame) + 1)]
    if dice.random() < 0.2:
        at = dice.randrange(len(frame))
        return frame[:at] + bytes([dice.randrange(256)]) + frame[at + 1 :]
    return frame


def any_tunnel(dice: random.Random) -> bytes:
    vni, low = dice.choice([7, 7, 7, 8, 9]), dice.choice([0, 0, 0, 3])
    payload = vxlan(vni, any_inner(dice, 14), dice.choice([8, 8, 8, 0x88, 0]), low)
    return damaged(
        dice,
        tunnel(
            payload,
            dice.choice([VTEP, VTEP, STRANGER, OWN_VTEP]),
            dice.choice([OWN_VTEP, OWN_VTEP, VTEP]),
            port=dice.choice([PORT, PORT, PORT, 4789]),
            checksum=dice.choice([0, 0, 0, 9]),
            options=bytes(4 * dice.choice([0, 0, 0, 1])),
            fragment=dice.choice([0, 0, 0, 0x4000, 0x2000, 3]),
        ),
        SHORTEST_RUNNABLE,
    )


def any_arrival(dice: random.Random) -> Arrival:
    match dice.choice("ccoouul"):
        case "c":
            return FromContainer(A, any_inner(dice))
        case "o":
            vtep = dice.choice([VTEP, VTEP, VTEP, STRANGER, None])
            return FromOverlay(any_inner(dice), vtep, dice.choice([7, 7, 7, 8, 9]), dice.random() < 0.9)
        case "u":
            return FromUnderlay(any_tunnel(dice))
        case _:
            return ToUnderlay(any_tunnel(dice), dice.random() < 0.3)


def from_p(frame: bytes) -> FromContainer:
    return FromContainer(P, frame)


def trunk(frame: bytes, vlan: int | None = 5, *, is_active: bool = True) -> FromUplink:
    return FromUplink(frame, vlan, is_active)


def for_group(source: int, *, by: int | None = None) -> bytes:
    """From an address, by its own MAC or another, to all."""
    to_all = ipv4(V4[source], IPv4Address("10.1.0.255"), DATA)
    return ethernet(ALL, MACS[source if by is None else by], 0x800, to_all)


def replied(sender: int, target: int, destination: Mac | None = None) -> bytes:
    """An ARP reply."""
    rest = arp(MACS[sender], V4[sender], V4[target], operation=2)
    return ethernet(destination or MACS[target], MACS[sender], 0x806, rest)


def advertised(
    source: Address, destination: Address, target: Address, to: Mac, *, octets: int = 32, kind: int = 136
) -> bytes:
    """An advertisement, with its option or cut short."""
    message = solicit(target, MACS[9], kind=kind, option=2)[:octets]
    return ethernet(to, MACS[9], 0x86DD, ipv6(source, destination, message, protocol=58))


def any_neighbourly(dice: random.Random) -> bytes:
    """What may be asked and answered on a wire."""
    asker, asked_for = dice.choice([9, 9, 9, 1, 3]), dice.choice([1, 1, 2, 3, 5, 9])
    mac = dice.choice([MACS[asked_for]] * 3 + [ALL, MACS[2]])
    own = [V6[asked_for], LINK_LOCAL_A, GROUP_V6_ADDRESS]
    forms = [
        ethernet(mac, MACS[asker], 0x806, arp(MACS[asker], V4[asker], V4[asked_for], dice.choice([1, 2]))),
        advertised(V6[asker], dice.choice(own), V6[dice.choice([9, asker])], mac, octets=dice.choice([32, 32, 24, 20])),
        ethernet(mac, MACS[9], 0x86DD, ipv6(V6[asker], dice.choice(own), solicit(V6[asked_for], MACS[9]), protocol=58)),
        advertised(V6[9], LINK_LOCAL_A, V6[9], MACS[1], octets=24),
        advertised(NONE_V6, GROUP_V6_ADDRESS, V6[asked_for], GROUP_V6, octets=dice.choice([24, 32, 28]), kind=135),
    ]
    return damaged(dice, dice.choice(forms), SHORTEST_RUNNABLE)


def any_wired_arrival(dice: random.Random) -> Arrival:
    if dice.random() < 0.4:
        return from_p(any_inner(dice))
    vlan, is_active = dice.choice([5, 5, 5, 5, 5, 6, 0, None]), dice.random() < 0.95
    if dice.random() < 0.5:
        return trunk(any_neighbourly(dice), vlan, is_active=is_active)
    return trunk(any_inner(dice, sources=(9, 9, 9, 3, 1)), vlan, is_active=is_active)
