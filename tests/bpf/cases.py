"""Packets by name, and how each ends on the host of tests.bpf.packets."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from isthmus.core.trace import (
    Answer,
    Arrival,
    Deliver,
    Drop,
    DropReason,
    Encapsulate,
    FromUnderlay,
    PassToKernel,
    ToUnderlay,
    Verdict,
)
from tests.bpf.packets import (
    ALL,
    DATA,
    GROUP_V6,
    LINK_LOCAL_A,
    MACS,
    NONE_V4,
    NONE_V6,
    OWN_VTEP,
    ROUTER_MAC,
    STRANGER,
    V4,
    V6,
    VLAN_NET,
    VTEP,
    A,
    B,
    C,
    arp,
    asked,
    came,
    ethernet,
    for_group,
    from_a,
    ipv4,
    ipv6,
    mapped,
    solicit,
    solicited,
    tunnel,
    v4_frame,
    v6_frame,
    vxlan,
)


@dataclass(frozen=True)
class Case:
    name: str
    arrival: Arrival
    verdict: Verdict | type[Answer]


def drops(reason: DropReason, *arrivals: Arrival) -> Iterator[Case]:
    for i, arrival in enumerate(arrivals):
        yield Case(f"{reason.name.lower()} {i}", arrival, Drop(reason))


INNER, INNER_V6 = v4_frame(3, 1), v6_frame(3, 1)
FRAGMENT = v4_frame(1, 3, fragment=0x2000)

WAYS = [
    Case("to a neighbour", from_a(v4_frame(1, 2)), Deliver(B, v4_frame(1, 2))),
    Case("to a neighbour by IPv6", from_a(v6_frame(1, 2)), Deliver(B, v6_frame(1, 2))),
    Case("to another host", from_a(v4_frame(1, 3)), Encapsulate(VTEP, 7)),
    Case("to another host by IPv6", from_a(v6_frame(1, 3)), Encapsulate(VTEP, 7)),
    Case("with IP options", from_a(v4_frame(1, 3, options=b"\1" * 8)), Encapsulate(VTEP, 7)),
    Case("a first fragment", from_a(FRAGMENT), Encapsulate(VTEP, 7)),
    Case("a later fragment", from_a(v4_frame(1, 3, fragment=185)), Encapsulate(VTEP, 7)),
    Case("six extension headers", from_a(v6_frame(1, 3, extensions=6)), Encapsulate(VTEP, 7)),
    Case("ping by IPv6", from_a(v6_frame(1, 3, b"\x80" + bytes(7), protocol=58)), Encapsulate(VTEP, 7)),
    Case("ARP for a neighbour", asked(arp(MACS[1], V4[1], V4[2])), Answer),
    Case("ARP for afar, by unicast", asked(arp(MACS[1], V4[1], V4[3]), MACS[3]), Answer),
    Case("solicitation", solicited(V6[1], solicit(V6[3])), Answer),
    Case("solicitation from link-local", solicited(LINK_LOCAL_A, solicit(V6[2])), Answer),
    Case("unpacked", FromUnderlay(tunnel(vxlan(7, INNER))), Deliver(A, INNER)),
    Case("unpacked IPv6", FromUnderlay(tunnel(vxlan(7, INNER_V6))), Deliver(A, INNER_V6)),
    Case("unpacked in another network", FromUnderlay(tunnel(vxlan(8, v4_frame(2, 1)))), Deliver(C, v4_frame(2, 1))),
    Case("a stranger's tunnel", FromUnderlay(tunnel(vxlan(7, INNER), STRANGER)), PassToKernel()),
    Case("an unknown VNI", FromUnderlay(tunnel(vxlan(9, INNER))), PassToKernel()),
    Case("other VXLAN flags", FromUnderlay(tunnel(vxlan(7, INNER, flags=0x88))), PassToKernel()),
    Case("no VNI", FromUnderlay(tunnel(vxlan(7, INNER, flags=0))), PassToKernel()),
    Case("a reserved byte", FromUnderlay(tunnel(vxlan(7, INNER, low=1))), PassToKernel()),
    Case("an outer checksum", FromUnderlay(tunnel(vxlan(7, INNER), checksum=7)), PassToKernel()),
    Case("an outer fragment", FromUnderlay(tunnel(vxlan(7, INNER), fragment=0x2000)), PassToKernel()),
    Case("outer options", FromUnderlay(tunnel(vxlan(7, INNER), options=b"\1" * 4)), PassToKernel()),
    Case("another port", FromUnderlay(tunnel(vxlan(7, INNER), port=4789)), PassToKernel()),
    Case("for another host", FromUnderlay(tunnel(vxlan(7, INNER), destination=VTEP)), PassToKernel()),
    Case("for a group, unpacked elsewhere", FromUnderlay(tunnel(vxlan(7, for_group(3)))), PassToKernel()),
    Case("anything else", FromUnderlay(v6_frame(1, 2)), PassToKernel()),
    Case("out of the tunnel", came(INNER), Deliver(A, INNER)),
    Case("out of the tunnel by IPv6", came(INNER_V6), Deliver(A, INNER_V6)),
    Case("our own tunnel leaves", ToUnderlay(tunnel(vxlan(7, INNER), OWN_VTEP, VTEP), True), PassToKernel()),
    Case("another's VXLAN leaves", ToUnderlay(tunnel(vxlan(7, INNER), OWN_VTEP, STRANGER), False), PassToKernel()),
    Case("DNS to a host leaves", ToUnderlay(tunnel(b"", OWN_VTEP, VTEP, port=53), False), PassToKernel()),
    Case("a later fragment leaves", ToUnderlay(tunnel(b"", OWN_VTEP, VTEP, fragment=9), False), PassToKernel()),
]

LOSSES = [
    *drops(
        DropReason.TRUNCATED,
        FromUnderlay(tunnel(vxlan(7, INNER[:30]))),
        from_a(v4_frame(1, 2, options=b"\1" * 8)[:36]),
        FromUnderlay(tunnel(vxlan(7, INNER_V6[:50]))),
        from_a(v6_frame(1, 2, b"", protocol=58)),
        from_a(v6_frame(1, 2, extensions=2)[:62]),
        asked(arp(MACS[1], V4[1], V4[2])[:20]),
    ),
    *drops(
        DropReason.BAD_HEADER,
        from_a(ethernet(MACS[2], MACS[1], 0x800, b"\x65" + bytes(19))),
        from_a(ethernet(MACS[2], MACS[1], 0x800, b"\x44" + bytes(19))),
        from_a(ethernet(MACS[2], MACS[1], 0x86DD, b"\x40" + bytes(39))),
    ),
    *drops(DropReason.ETHERTYPE, from_a(ethernet(MACS[2], MACS[1], 0x88CC, bytes(40)))),
    *drops(DropReason.TAGGED, from_a(ethernet(MACS[2], MACS[1], 0x8100, bytes(40)))),
    *drops(DropReason.EXTENSION_HEADERS, from_a(v6_frame(1, 2, extensions=7))),
    *drops(
        DropReason.MAPPED_ADDRESS,
        from_a(ethernet(MACS[2], MACS[1], 0x86DD, ipv6(mapped(V4[1]), V6[2], DATA))),
        from_a(ethernet(MACS[2], MACS[1], 0x86DD, ipv6(V6[1], mapped(V4[2]), DATA))),
    ),
    *drops(
        DropReason.SOURCE_MAC,
        from_a(v4_frame(2, 3)),
        from_a(ethernet(ALL, MACS[2], 0x806, arp(MACS[2], V4[2], V4[3]))),
    ),
    *drops(
        DropReason.SOURCE_ADDRESS,
        from_a(ethernet(MACS[3], MACS[1], 0x800, ipv4(V4[2], V4[3], DATA))),
        from_a(ethernet(MACS[3], MACS[1], 0x86DD, ipv6(V6[2], V6[3], DATA))),
        from_a(ethernet(MACS[3], MACS[1], 0x86DD, ipv6(NONE_V6, V6[3], DATA))),
        from_a(ethernet(MACS[3], MACS[1], 0x86DD, ipv6(LINK_LOCAL_A, V6[3], DATA))),
        from_a(ethernet(MACS[3], MACS[1], 0x800, ipv4(NONE_V4, V4[3], DATA))),
        solicited(V6[2], solicit(V6[3])),
    ),
    *drops(DropReason.ARP_SENDER, asked(arp(MACS[2], V4[1], V4[3])), asked(arp(MACS[1], V4[2], V4[3]))),
    *drops(
        DropReason.ARP_FORM,
        asked(arp(MACS[1], V4[1], V4[2], operation=2)),
        asked(arp(MACS[1], V4[1], V4[2], protocol=0x86DD)),
        came(ethernet(ALL, MACS[3], 0x806, arp(MACS[3], V4[3], V4[1]))),
    ),
    *drops(
        DropReason.ADDRESS_PROBE,
        asked(arp(MACS[1], NONE_V4, V4[1])),
        asked(arp(MACS[1], V4[1], V4[1])),
        solicited(NONE_V6, solicit(V6[1])[:24]),
        solicited(V6[1], solicit(V6[1])),
    ),
    *drops(
        DropReason.UNKNOWN_NEIGHBOUR,
        asked(arp(MACS[1], V4[1], V4[9])),
        solicited(V6[1], solicit(V6[9])),
        solicited(V6[1], solicit(mapped(V4[2]))),
    ),
    *drops(
        DropReason.NEIGHBOUR_DISCOVERY,
        solicited(V6[1], solicit(V6[3], kind=133)),
        solicited(V6[1], solicit(V6[3], kind=136)),
        solicited(V6[1], solicit(V6[3], option=2)),
        solicited(V6[1], solicit(V6[3], code=1)),
        solicited(V6[1], solicit(V6[3]), hops=64),
        solicited(V6[1], solicit(V6[3]), extensions=1),
        from_a(v6_frame(1, 2, solicit(V6[2], kind=136), protocol=58)),
        from_a(v6_frame(1, 2, solicit(V6[2], kind=136), protocol=58, extensions=3)),
        came(v6_frame(3, 1, solicit(V6[1]), protocol=58)),
    ),
    *drops(
        DropReason.MULTICAST,
        from_a(ethernet(ALL, MACS[1], 0x800, ipv4(V4[1], IPv4Address("10.1.0.255"), DATA))),
        from_a(ethernet(GROUP_V6, MACS[1], 0x86DD, ipv6(V6[1], IPv6Address("ff02::2"), DATA))),
        came(for_group(3)),
    ),
    *drops(DropReason.UNKNOWN_DESTINATION, from_a(v4_frame(1, 9)), from_a(v6_frame(1, 9)), came(v4_frame(3, 9))),
    *drops(
        DropReason.DESTINATION_MAC,
        from_a(ethernet(MACS[3], MACS[1], 0x800, ipv4(V4[1], V4[2], DATA))),
        from_a(ethernet(ROUTER_MAC, MACS[1], 0x800, ipv4(V4[1], V4[3], DATA))),
        came(ethernet(MACS[2], MACS[3], 0x800, ipv4(V4[3], V4[1], DATA))),
    ),
    *drops(DropReason.NO_RECEIVER, from_a(v4_frame(1, 5)), from_a(v4_frame(1, 6)), came(v4_frame(3, 5))),
    *drops(DropReason.UNKNOWN_NETWORK, came(INNER, vni=9)),
    *drops(DropReason.ENCAP, came(INNER, vni=VLAN_NET)),
    *drops(DropReason.NOT_FROM_UNDERLAY, came(INNER, is_vouched=False)),
    *drops(DropReason.NO_TUNNEL_KEY, came(INNER, None)),
    *drops(DropReason.UNKNOWN_VTEP, came(INNER, STRANGER)),
    *drops(
        DropReason.SOURCE_IS_LOCAL,
        from_a(v4_frame(1, 1)),
        came(v4_frame(2, 1)),
        came(v4_frame(1, 1)),
        FromUnderlay(tunnel(vxlan(7, v6_frame(2, 1)))),
    ),
    *drops(DropReason.NOT_HERE, came(v4_frame(4, 3)), FromUnderlay(tunnel(vxlan(7, v4_frame(4, 3))))),
    *drops(
        DropReason.FORGED_TUNNEL,
        ToUnderlay(tunnel(vxlan(7, INNER), OWN_VTEP, VTEP), is_vouched=False),
        ToUnderlay(tunnel(vxlan(7, INNER), STRANGER, VTEP, fragment=0x2000), is_vouched=False),
        ToUnderlay(tunnel(vxlan(7, INNER), STRANGER, VTEP, options=b"\1" * 8), is_vouched=False),
    ),
]
