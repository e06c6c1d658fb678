"""`netctl endpoint`: the containers' legs into networks."""

from collections.abc import Callable

from isthmus.netctl.client import Object
from isthmus.netctl.collection import Collection
from isthmus.netctl.command import TENANT, Call, Command, FailedError, UsageError
from isthmus.netctl.listing import Column, Listing
from isthmus.netctl.output import print_json
from isthmus.wire.goflags import Flag, Kind

_ENDPOINTS = Collection("endpoints", "endpoint", "endpointID", "Endpoint name required")
_NETWORK = Flag(("network", "n"), "Instead of an endpoint: all of this network", completes="networks")
_GROUP = Flag(("group", "g"), "Instead of an endpoint: all of this group", completes="endpointGroups")
_OWNERS = {  # by option: an endpoint's field for it, and its word in the path of a clean-up
    _NETWORK.name: ("networkName", "net"),
    _GROUP.name: ("serviceName", "group"),
}
_FORCE = Flag(("force", "f"), "Even if the node is alive", Kind.SWITCH)


def _address(place: int) -> Callable[[Object], str]:
    return lambda endpoint: (*endpoint.get("ipAddress", ()), "", "")[place]


COLUMNS = (
    Column("Tenant", "------", "tenantName"),
    Column("Network", "-------", "networkName"),
    Column("Group", "-----", "serviceName"),
    Column("Container", "---------", "containerName"),
    Column("Address", "-------", _address(0)),
    Column("Node", "----", "homingHost"),
)
WIDE_COLUMNS = (
    *COLUMNS,
    Column("IPv6", "----", _address(1)),
    Column("MAC", "---", "macAddress"),
    Column("Endpoint", "--------", "endpointID"),
)


def _inspect(call: Call) -> None:
    print_json(call.client.inspect(_ENDPOINTS.path, call.only_argument(_ENDPOINTS.missing)))


def _remove(call: Call) -> None:
    network, group = call.parsed.text("network"), call.parsed.text("group")
    if network and group:
        raise UsageError("Give either --network or --group")
    if network:
        _remove_all(call, _NETWORK, network)
    elif group:
        _remove_all(call, _GROUP, group)
    else:
        name = call.only_argument(_ENDPOINTS.missing)
        found = call.client.delete_endpoint(name, is_forced=call.parsed.is_on("force")).content
        print(f"Deleting endpoint {found or name}")


def _remove_all(call: Call, owner: Flag, name: str) -> None:
    call.no_arguments()
    field, kind = _OWNERS[owner.name]
    if not call.parsed.is_on("force"):
        nodes = _living_nodes(call, field, name)
        if nodes:
            where = f"{owner.name} {call.tenant}:{name} has containers on nodes that are alive: {', '.join(nodes)}"
            raise FailedError(f"{where}; --force cuts them off")
    removed = call.client.clean_up(call.tenant, kind, name).content
    print("".join(f"Deleting endpoint {each['endpointID']}\n" for each in removed or ()), end="")


def _living_nodes(call: Call, field: str, name: str) -> list[str]:
    """The nodes that are alive and have an endpoint of the tenant that says `name` in a field."""
    alive = {node["name"] for node in call.client.objects("nodes") if node.get("isAlive")}
    own = [each for each in call.client.objects(_ENDPOINTS.path) if each["tenantName"] == call.tenant]
    return sorted({each["homingHost"] for each in own if each.get(field) == name} & alive)


COMMANDS = (
    Command(("inspect",), "Show the endpoint's state as JSON", "[endpoint]", run=_inspect, completes=("endpoints",)),
    _ENDPOINTS.list_command("List the endpoints", Listing("endpointID", COLUMNS, WIDE_COLUMNS)),
    Command(
        ("rm", "delete"),
        "Forced clean-up of what a lost node left: forget endpoints; refused while their node is alive",
        "[endpoint]",
        (TENANT, _NETWORK, _GROUP, _FORCE),
        _remove,
        completes=("endpoints",),
    ),
)
