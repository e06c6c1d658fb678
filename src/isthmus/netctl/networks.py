"""`netctl net`."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address

from isthmus.netctl.client import Done, Object
from isthmus.netctl.command import ALL, JSON, QUIET, TENANT, Call, Command, UsageError
from isthmus.netctl.output import complain, print_json, table
from isthmus.wire.goflags import Flag, Kind

_MISSING = "Network name required"

_COLUMNS = (  # heading, underline, field
    ("Tenant", "------", "tenantName"),
    ("Network", "-------", "networkName"),
    ("Nw Type", "-------", "nwType"),
    ("Encap type", "----------", "encap"),
    ("Packet tag", "----------", "pktTag"),
    ("Subnet", "-------", "subnet"),
    ("Gateway", "------", "gateway"),
)
_WIDE_COLUMNS = (
    *_COLUMNS,
    ("IPv6Subnet", "----------", "ipv6Subnet"),
    ("IPv6Gateway", "-----------", "ipv6Gateway"),
    ("Cfgd Tag", "---------", "cfgdTag"),
)
_ABSENT = {"pktTag": 0}  # zero values are left out of JSON, but shown

_CREATE_FLAGS = (
    TENANT,
    Flag(("nw-type", "n"), "data, or infra for the hosts themselves", default="data"),
    Flag(("encap", "e"), "vlan or vxlan", default="vxlan"),
    Flag(("pkt-tag", "p"), "VLAN id or VNI; 0 is any", Kind.NUMBER),
    Flag(("subnet", "s"), "A.B.C.D/LEN, or A.B.C.D-E.F.G.H/LEN for a part of it"),
    Flag(("gateway", "g"), "Gateway's address within the subnet"),
    Flag(("subnetv6", "s6"), "IPv6 subnet"),
    Flag(("gatewayv6", "g6"), "IPv6 gateway's address within it"),
    Flag(("nw-tag", "tag"), "A label of your own"),
)
_WIDE = Flag(("wide", "w"), "Show the IPv6 and label columns, too", Kind.SWITCH)


def _create(call: Call) -> None:
    name = call.only_argument(_MISSING)
    options = call.parsed
    if not options.text("subnet"):
        raise UsageError("Subnet is required")
    _check_address(options.text("gateway"), IPv4Address, "Invalid gateway - Enter in A.B.C.D format")
    _check_address(options.text("gatewayv6"), IPv6Address, "Invalid IPv6 gateway")
    fields = {
        "tenantName": call.tenant,
        "networkName": name,
        "nwType": options.text("nw-type"),
        "encap": options.text("encap"),
        "pktTag": options.number("pkt-tag"),
        "subnet": options.text("subnet"),
        "gateway": options.text("gateway"),
        "ipv6Subnet": options.text("subnetv6"),
        "ipv6Gateway": options.text("gatewayv6"),
        "cfgdTag": options.text("nw-tag"),
    }
    key = f"{call.tenant}:{name}"
    answer = call.client.create("networks", key, {field: value for field, value in fields.items() if value})
    print(f"Creating network {key}")
    _warn(key, answer)


def _check_address(text: str, kind: type[IPv4Address] | type[IPv6Address], refusal: str) -> None:
    try:
        if text:
            kind(text)
    except ValueError:
        raise UsageError(f'{refusal}: "{text}"') from None


def _remove(call: Call) -> None:
    key = f"{call.tenant}:{call.only_argument(_MISSING)}"
    answer = call.client.delete("networks", key)
    print(f"Deleting network {key}")
    _warn(key, answer)


def _warn(key: str, answer: Done) -> None:
    if answer.pending:
        complain(f"network {key}: not yet so on {answer.pending}", "warning")


def _inspect(call: Call) -> None:
    print_json(call.client.inspect("networks", f"{call.tenant}:{call.only_argument(_MISSING)}"))


def _list(call: Call) -> None:
    call.no_arguments()
    networks = _listed(call)
    if call.parsed.is_on("json"):
        print_json(networks)
    elif call.parsed.is_on("quiet"):
        print("".join(f"{network['networkName']}\n" for network in networks), end="")
    else:
        print(_table(networks, is_wide=call.parsed.is_on("wide")), end="")


def _listed(call: Call) -> list[Object]:
    everyone = call.client.objects("networks")
    own = [network for network in everyone if network["tenantName"] == call.tenant]
    if not own:
        call.client.object("tenants", call.tenant)  # a tenant that does not exist is an error, even for --all
    return everyone if call.parsed.is_on("all") else own


def _table(networks: list[Object], *, is_wide: bool) -> str:
    columns = _WIDE_COLUMNS if is_wide else _COLUMNS
    headings, underlines, fields = zip(*columns, strict=True)
    return table((headings, underlines, *(_row(network, fields) for network in networks)))


def _row(network: Mapping[str, object], fields: tuple[str, ...]) -> list[str]:
    return [str(network.get(field, _ABSENT.get(field, ""))) for field in fields]


COMMAND = Command(
    ("network", "net"),
    "Networks: subnets and the tags they travel under",
    subcommands=(
        Command(("create",), "Create a network", "[network]", _CREATE_FLAGS, _create),
        Command(("inspect",), "Show a network and its state as JSON", "[network]", (TENANT,), _inspect),
        Command(("ls", "list"), "List the networks", "", (TENANT, ALL, JSON, QUIET, _WIDE), _list),
        Command(("rm", "delete"), "Delete a network without containers", "[network]", (TENANT,), _remove),
    ),
)
