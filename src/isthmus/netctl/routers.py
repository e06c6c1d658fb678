"""`netctl bgp`."""

from ipaddress import IPv4Address, IPv4Interface

from isthmus.netctl.addresses import check
from isthmus.netctl.collection import Collection
from isthmus.netctl.command import UsageError
from isthmus.netctl.listing import Column, Listing
from isthmus.wire.goflags import Flag, Parsed

_ROUTERS = Collection(
    "Bgps",
    "host's router",
    "hostname",
    "Host name required",
    deleted="Deleting Bgp router config: {name}",
    has_tenant=False,
    replaced="nodes",
)
_OPTIONS = {
    "routerip": Flag(("router-ip",), "The router's address and its network's length: A.B.C.D/LEN"),
    "as": Flag(("as",), "Number of the router's autonomous system"),
    "neighbor": Flag(("neighbor",), "Address of its neighbour: A.B.C.D"),
    "neighbor-as": Flag(("neighbor-as",), "Number of the neighbour's autonomous system"),
}
COLUMNS = (
    Column("HostName", "---------", "hostname"),
    Column("RouterIP", "--------", "routerip"),
    Column("AS", "-------", "as"),
    Column("Neighbor", "--------", "neighbor"),
    Column("NeighborAS", "-------", "neighbor-as"),
)


def _check(options: Parsed) -> None:
    if not all(options.text(option.name) for option in _OPTIONS.values()):
        raise UsageError("Missing attributes")
    check(IPv4Interface, options.text("router-ip"), "Wrong CIDR format. Enter in x.x.x.x/len format")
    check(IPv4Address, options.text("neighbor"), "Wrong IP format. Enter in x.x.x.x format")


COMMANDS = (
    _ROUTERS.create_command("Set up a node's router, or change it; all options are needed", _OPTIONS, _check),
    _ROUTERS.inspect_command(),
    _ROUTERS.list_command("List the routers", Listing("hostname", COLUMNS)),
    _ROUTERS.remove_command("Take a node's router away"),
)
