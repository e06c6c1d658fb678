"""`netctl net`."""

from ipaddress import IPv4Address, IPv6Address

from isthmus.netctl.addresses import check
from isthmus.netctl.collection import Collection
from isthmus.netctl.command import UsageError
from isthmus.netctl.listing import Column, Listing, number
from isthmus.wire.goflags import Flag, Kind, Parsed

_NETWORKS = Collection(
    "networks",
    "network",
    "networkName",
    "Network name required",
    created="Creating network {key}",
    deleted="Deleting network {key}",
)
COLUMNS = (
    Column("Tenant", "------", "tenantName"),
    Column("Network", "-------", "networkName"),
    Column("Nw Type", "-------", "nwType"),
    Column("Encap type", "----------", "encap"),
    Column("Packet tag", "----------", number("pktTag")),
    Column("Subnet", "-------", "subnet"),
    Column("Gateway", "------", "gateway"),
)
WIDE_COLUMNS = (
    *COLUMNS,
    Column("IPv6Subnet", "----------", "ipv6Subnet"),
    Column("IPv6Gateway", "-----------", "ipv6Gateway"),
    Column("Cfgd Tag", "---------", "cfgdTag"),
)
_OPTIONS = {
    "nwType": Flag(("nw-type", "n"), "data, or infra for the hosts themselves", default="data", completes="data|infra"),
    "encap": Flag(("encap", "e"), "vlan or vxlan", default="vxlan", completes="vlan|vxlan"),
    "pktTag": Flag(("pkt-tag", "p"), "VLAN id or VNI; 0 is any", Kind.NUMBER),
    "multicast": Flag(
        ("multicast", "m"), "flood or drop: what becomes of broadcast and multicast", completes="flood|drop"
    ),
    "subnet": Flag(("subnet", "s"), "A.B.C.D/LEN, or A.B.C.D-E.F.G.H/LEN for a part of it"),
    "gateway": Flag(("gateway", "g"), "Gateway's address within the subnet"),
    "ipv6Subnet": Flag(("subnetv6", "s6"), "IPv6 subnet"),
    "ipv6Gateway": Flag(("gatewayv6", "g6"), "IPv6 gateway's address within it"),
    "cfgdTag": Flag(("nw-tag", "tag"), "A label of your own"),
}


def _check(options: Parsed) -> None:
    if not options.text("subnet"):
        raise UsageError("Subnet is required")
    if options.text("gateway"):
        check(IPv4Address, options.text("gateway"), "Invalid gateway - Enter in A.B.C.D format")
    if options.text("gatewayv6"):
        check(IPv6Address, options.text("gatewayv6"), "Invalid IPv6 gateway")


COMMANDS = (
    _NETWORKS.create_command("Create a network", _OPTIONS, _check),
    _NETWORKS.inspect_command(),
    _NETWORKS.list_command("List the networks", Listing("networkName", COLUMNS, WIDE_COLUMNS)),
    _NETWORKS.remove_command("Delete a network that nothing uses"),
)
