"""`netctl app-profile`."""

from isthmus.netctl.client import Object
from isthmus.netctl.collection import Collection
from isthmus.netctl.command import ALL, JSON, QUIET, TENANT, Call, Command
from isthmus.netctl.listing import Column, Listing, joined, show
from isthmus.wire.goflags import Flag

_APP_PROFILES = Collection(
    "appProfiles",
    "app profile",
    "appProfileName",
    "Profile name required",
    created="Creating AppProfile {key}",
)
_GROUPS = Flag(("group", "g"), "Groups, by commas; none if it is empty", completes="endpointGroups,")
COLUMNS = (
    Column("Tenant", "------", "tenantName"),
    Column("AppProfile", "----------", "appProfileName"),
    Column("Groups", "------", joined("endpointGroups")),
)


def _create(call: Call) -> None:
    _APP_PROFILES.create(call, call.only_argument(_APP_PROFILES.missing), _fields(call))


def _update(call: Call) -> None:
    name = call.only_argument(_APP_PROFILES.missing)
    call.client.object(_APP_PROFILES.path, _APP_PROFILES.key(call, name))  # else it would be created
    _APP_PROFILES._replace(created="").create(call, name, _fields(call))


def _fields(call: Call) -> dict[str, object]:
    return {"endpointGroups": [name.strip() for name in call.parsed.text("group").split(",") if name.strip()]}


def _list_groups(call: Call) -> None:
    name = call.only_argument(_APP_PROFILES.missing)
    names = call.client.object(_APP_PROFILES.path, _APP_PROFILES.key(call, name)).get("endpointGroups", [])
    groups = [{"groupName": each} for each in names]
    if call.parsed.is_on("json"):
        groups = [each for each in call.client.objects("endpointGroups") if _is_named(each, call.tenant, names)]
    show(call, groups, "groupName", lambda: f"{','.join(names)}\n" if names else "")


def _is_named(group: Object, tenant: str, names: list[str]) -> bool:
    return group["tenantName"] == tenant and group["groupName"] in names


COMMANDS = (
    Command(
        ("create",), "Create an app profile", "[app profile]", (TENANT, _GROUPS), _create, completes=("appProfiles",)
    ),
    Command(
        ("group-ls", "group-list"),
        "List the groups of an app profile",
        "[app profile]",
        (TENANT, ALL, JSON, QUIET),
        _list_groups,
        completes=("appProfiles",),
    ),
    _APP_PROFILES.inspect_command(),
    _APP_PROFILES.list_command("List the app profiles", Listing("appProfileName", COLUMNS)),
    _APP_PROFILES.remove_command("Delete an app profile; its groups stay"),
    Command(
        ("update",),
        "Replace the groups of an app profile",
        "[app profile]",
        (TENANT, _GROUPS),
        _update,
        completes=("appProfiles",),
    ),
)
