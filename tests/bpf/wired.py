"""Floods and VLANs: packets by name, and how each ends on the host WIRED of tests.bpf.packets."""

from ipaddress import IPv6Address

from isthmus.core.model import Mac
from isthmus.core.trace import Answer, Copy, Deliver, DropReason, PassToKernel, Tag
from tests.bpf.cases import Case, drops
from tests.bpf.packets import (
    ALL,
    DATA,
    GROUP_V6,
    GROUP_V6_ADDRESS,
    LINK_LOCAL_A,
    MACS,
    NONE_V4,
    NONE_V6,
    ROUTER_MAC,
    V4,
    V6,
    P,
    Q,
    advertised,
    arp,
    came,
    ethernet,
    for_group,
    from_a,
    from_p,
    ipv4,
    ipv6,
    mapped,
    replied,
    solicit,
    trunk,
    v4_frame,
    v6_frame,
)

MDNS = Mac("33:33:00:00:00:fb")
JOIN = ethernet(MDNS, MACS[1], 0x86DD, ipv6(LINK_LOCAL_A, IPv6Address("ff02::fb"), DATA))
FROM_NOBODY = ethernet(MDNS, MACS[1], 0x86DD, ipv6(NONE_V6, IPv6Address("ff02::fb"), DATA))
OUTSIDE = V4[9]
TAGGED_TWICE = ethernet(MACS[1], MACS[9], 0x8100, bytes(40))


def asks(i: int, sender: int = 1, target_mac: Mac = ALL) -> bytes:
    return ethernet(target_mac, MACS[sender], 0x806, arp(MACS[sender], V4[sender], V4[i]))


def solicits(i: int, sender: int = 1) -> bytes:
    message = solicit(V6[i], MACS[sender])
    return ethernet(GROUP_V6, MACS[sender], 0x86DD, ipv6(V6[sender], GROUP_V6_ADDRESS, message, protocol=58))


def probe(target: IPv6Address, *, octets: int = 24, kind: int = 135) -> bytes:
    return advertised(NONE_V6, GROUP_V6_ADDRESS, target, GROUP_V6, octets=octets, kind=kind)


FLOODED = [
    Case("a broadcast in a VXLAN network", from_a(for_group(1)), Copy(4)),
    Case("a multicast from link-local", from_a(JOIN), Copy(4)),
    Case("a broadcast out of the tunnel", came(for_group(3)), Copy(3)),
    *drops(DropReason.MULTICAST, from_a(FROM_NOBODY), came(for_group(3), vni=8)),
    *drops(
        DropReason.SOURCE_ADDRESS,
        from_a(for_group(2, by=1)),
        from_a(for_group(9, by=1)),
        from_a(ethernet(ALL, MACS[1], 0x800, ipv4(NONE_V4, V4[0], DATA))),
    ),
    *drops(DropReason.SOURCE_MAC, from_a(for_group(1, by=2))),
    *drops(DropReason.SOURCE_IS_LOCAL, came(for_group(2))),
]

ANSWER_V6 = advertised(V6[9], V6[1], V6[9], MACS[1])
PROBED = advertised(V6[9], V6[1], V6[9], MACS[1], octets=24)
PROBED_LINK_LOCAL = advertised(V6[9], LINK_LOCAL_A, V6[9], MACS[1], octets=24)
TO_ALL_NODES = advertised(V6[9], IPv6Address("ff02::1"), V6[9], Mac("33:33:00:00:00:01"))

TO_WIRE = [
    Case("a VLAN neighbour here", from_p(v4_frame(1, 2)), Deliver(Q, v4_frame(1, 2))),
    Case("a VLAN neighbour on another host", from_p(v4_frame(1, 3)), Tag(5)),
    Case("the same by IPv6", from_p(v6_frame(1, 3)), Tag(5)),
    Case("a device on the wire", from_p(v4_frame(1, 9)), Tag(5)),
    Case("a device by IPv6", from_p(v6_frame(1, 9)), Tag(5)),
    Case("by a gateway", from_p(ethernet(ROUTER_MAC, MACS[1], 0x800, ipv4(V4[1], OUTSIDE, DATA))), Tag(5)),
    Case("ARP for a VLAN neighbour", from_p(asks(3)), Answer),
    Case("ARP for a device", from_p(asks(9)), Tag(5)),
    Case("ARP for a device, by unicast", from_p(asks(9, target_mac=MACS[9])), Tag(5)),
    Case("an announcement", from_p(asks(1)), Tag(5)),
    Case("a solicitation for a VLAN neighbour", from_p(solicits(3)), Answer),
    Case("a solicitation for a device", from_p(solicits(9)), Tag(5)),
    Case("a broadcast in a VLAN", from_p(for_group(1)), Tag(5)),
    Case("a multicast in a VLAN", from_p(JOIN), Tag(5)),
    *drops(DropReason.TAGGED, from_p(TAGGED_TWICE[:6] + v4_frame(1, 2)[6:12] + TAGGED_TWICE[12:])),
    *drops(DropReason.SOURCE_MAC, from_p(v4_frame(9, 3)), from_p(asks(9, sender=2))),
    *drops(
        DropReason.SOURCE_ADDRESS,
        from_p(ethernet(MACS[9], MACS[1], 0x800, ipv4(V4[2], V4[9], DATA))),
        from_p(for_group(2, by=1)),
    ),
    *drops(DropReason.ARP_SENDER, from_p(ethernet(ALL, MACS[1], 0x806, arp(MACS[1], V4[2], V4[9])))),
    *drops(DropReason.ARP_FORM, from_p(replied(1, 9))),
    *drops(DropReason.ADDRESS_PROBE, from_p(ethernet(ALL, MACS[1], 0x806, arp(MACS[1], NONE_V4, V4[1])))),
    *drops(DropReason.DESTINATION_MAC, from_p(ethernet(MACS[9], MACS[1], 0x800, ipv4(V4[1], V4[3], DATA)))),
    *drops(DropReason.NEIGHBOUR_DISCOVERY, from_p(v6_frame(1, 9, solicit(V6[1], kind=136), protocol=58))),
]

FROM_WIRE = [
    Case("from a device", trunk(v4_frame(9, 1)), Deliver(P, v4_frame(9, 1))),
    Case("from a device by IPv6", trunk(v6_frame(9, 1)), Deliver(P, v6_frame(9, 1))),
    Case("from another host", trunk(v4_frame(3, 2)), Deliver(Q, v4_frame(3, 2))),
    Case("asked by a device", trunk(asks(1, sender=9)), Answer),
    Case("probed by a device", trunk(ethernet(ALL, MACS[9], 0x806, arp(MACS[9], NONE_V4, V4[1]))), Answer),
    Case("solicited by a device", trunk(solicits(1, sender=9)), Answer),
    Case("an IPv6 probe by a device", trunk(probe(V6[1])), Answer),
    Case("an IPv6 probe with a nonce", trunk(probe(V6[1], octets=32)), Answer),
    Case("answered by a device", trunk(replied(9, 1)), Deliver(P, replied(9, 1))),
    Case("advertised by a device", trunk(ANSWER_V6), Deliver(P, ANSWER_V6)),
    Case("advertised without an option", trunk(PROBED), Deliver(P, PROBED)),
    Case("advertised to a link-local address", trunk(PROBED_LINK_LOCAL), Deliver(P, PROBED_LINK_LOCAL)),
    Case("a device's broadcast", trunk(for_group(9)), Copy(2)),
    Case("a broadcast from another host", trunk(for_group(3)), Copy(2)),
    Case("untagged", trunk(v4_frame(9, 1), None), PassToKernel()),
    Case("a foreign tag", trunk(v4_frame(9, 1), 6), PassToKernel()),
    Case("a priority tag", trunk(v4_frame(9, 1), 0), PassToKernel()),
    Case("a tag that is a VXLAN network's number", trunk(v4_frame(3, 1), 7), PassToKernel()),
    *drops(DropReason.TAGGED, trunk(TAGGED_TWICE)),
    *drops(DropReason.IDLE_UPLINK, trunk(v4_frame(9, 1), is_active=False), trunk(for_group(9), is_active=False)),
    *drops(
        DropReason.NOT_ASKED,
        trunk(asks(3, sender=9)),
        trunk(asks(9, sender=3)),
        trunk(asks(9, sender=9)),
        trunk(solicits(3, sender=9)),
        trunk(replied(9, 3)),
        trunk(replied(3, 1)),
        trunk(advertised(V6[9], V6[1], V6[3], MACS[1])),
        trunk(advertised(V6[9], V6[3], V6[9], MACS[3])),
        trunk(advertised(V6[9], LINK_LOCAL_A, V6[9], MACS[2])),
        trunk(TO_ALL_NODES),
    ),
    *drops(
        DropReason.SOURCE_IS_LOCAL,
        trunk(v4_frame(2, 1)),
        trunk(v6_frame(1, 2)),
        trunk(for_group(2)),
        trunk(asks(1, sender=2)),
        trunk(replied(2, 1)),
        trunk(solicits(1, sender=2)),
        trunk(advertised(V6[9], V6[1], V6[2], MACS[1])),
        trunk(advertised(V6[2], V6[1], V6[9], MACS[1])),
    ),
    *drops(DropReason.DESTINATION_MAC, trunk(replied(9, 1, MACS[2])), trunk(advertised(V6[9], V6[1], V6[9], ALL))),
    *drops(DropReason.NO_RECEIVER, trunk(v4_frame(9, 5)), trunk(replied(9, 5))),
    *drops(DropReason.NOT_HERE, trunk(v4_frame(9, 3))),
    *drops(DropReason.UNKNOWN_DESTINATION, trunk(v4_frame(9, 8))),
    *drops(DropReason.ARP_FORM, trunk(ethernet(ALL, MACS[9], 0x806, arp(MACS[9], V4[9], V4[1], operation=3)))),
    *drops(DropReason.ADDRESS_PROBE, trunk(probe(V6[9])), trunk(probe(V6[3]))),
    *drops(
        DropReason.NEIGHBOUR_DISCOVERY,
        trunk(advertised(V6[9], V6[1], V6[9], MACS[1], kind=134)),
        trunk(advertised(V6[9], V6[1], V6[9], MACS[1], kind=137)),
        trunk(advertised(V6[9], V6[1], V6[9], MACS[1], octets=20)),
        trunk(probe(V6[1], octets=31)),
        trunk(probe(V6[1], kind=136)),
        trunk(advertised(V6[9], V6[1], V6[1], MACS[1], octets=24, kind=135)),
        trunk(advertised(V6[9], V6[1], mapped(V4[9]), MACS[1])),
    ),
]

SEEN_FROM_A, SEEN_FROM_P = FLOODED, TO_WIRE + FROM_WIRE
