"""`netctl group`."""

from isthmus.netctl.collection import Collection, fields
from isthmus.netctl.command import Call, Command
from isthmus.netctl.listing import Column, Listing, joined
from isthmus.wire.goflags import Flag, Kind

_GROUPS = Collection(
    "endpointGroups",
    "group",
    "groupName",
    "EndpointGroup name required",
    created="Creating EndpointGroup {key}",
)
_TENANT = Column("Tenant", "------", "tenantName")
_GROUP = Column("Group", "-----", "groupName")
_NETWORK = Column("Network", "-------", "networkName")
_POLICIES = Column("Policies", "--------", joined("policies"))
COLUMNS = (_TENANT, _GROUP, _NETWORK, _POLICIES)
WIDE_COLUMNS = (
    _TENANT,
    _GROUP,
    _NETWORK,
    Column("IP Pool", "-------", "ipPool"),
    Column("CfgdTag", "-------", "cfgdTag"),
    _POLICIES,
    Column("Network profile", "---------------", "netProfile"),
)
_OPTIONS = {
    "policies": Flag(("policy", "p"), "Policy of its members; may be repeated", Kind.LIST, completes="policys"),
    "netProfile": Flag(("networkprofile", "n"), "Net profile of its members", completes="netprofiles"),
    "extContractsGrps": Flag(("external-contract", "e"), "Refused: this system has no ACI", Kind.LIST),
    "ipPool": Flag(("ip-pool", "r"), "A.B.C.D-E.F.G.H: addresses for its members alone"),
    "ipv6Pool": Flag(("ipv6-pool", "r6"), "The same for IPv6"),
    "cfgdTag": Flag(("epg-tag", "tag"), "A label of your own"),
}


def _create(call: Call) -> None:
    network, name = call.arguments(2, "Network and group name required")
    _GROUPS.create(call, name, {"networkName": network, **fields(call.parsed, _OPTIONS)})


COMMANDS = (
    Command(
        ("create",),
        "Create a group, or replace the policies and the net profile of one",
        "[network] [group]",
        (*_GROUPS.flags, *_OPTIONS.values()),
        _create,
        completes=("networks", "endpointGroups"),
    ),
    _GROUPS.inspect_command(),
    _GROUPS.list_command("List the groups", Listing("groupName", COLUMNS, WIDE_COLUMNS)),
    _GROUPS.remove_command("Delete a group that nothing uses"),
)
