"""`netctl netprofile`."""

from isthmus.netctl.client import Object
from isthmus.netctl.collection import Collection
from isthmus.netctl.listing import Column, Listing, number
from isthmus.wire.goflags import Flag, Kind

_NETPROFILES = Collection(
    "netprofiles",
    "netprofile",
    "profileName",
    "Net profile name required",
    created="Creating netprofile {key}",
    replaced="netprofiles",
)
_UNITS = {"k": "Kbps", "m": "Mbps", "g": "Gbps"}
_OPTIONS = {
    "bandwidth": Flag(("bandwidth", "b"), "What each container may send, such as 10Mbps; k, m or g"),
    "DSCP": Flag(("dscp", "d"), "0 to 63, set on what each container sends; 0 leaves it", Kind.NUMBER),
    "burst": Flag(("burst", "s"), "Kilobytes above the bandwidth at once; 0 leaves it to the system", Kind.NUMBER),
}


def _bandwidth(profile: Object) -> str:
    text = str(profile.get("bandwidth", ""))
    digits = text.rstrip("bpsBPS").rstrip("kKmMgG ")
    unit = text[len(digits) :].strip()[:1].lower()
    return digits + _UNITS.get(unit, "")


def _burst(profile: Object) -> str:
    return str(profile.get("burst", 0)) if profile.get("bandwidth") or profile.get("burst") else ""


COLUMNS = (
    Column("Name", "------", "profileName"),
    Column("Tenant", "------", "tenantName"),
    Column("Bandwidth", "---------", _bandwidth),
    Column("DSCP", "--------", number("DSCP")),
    Column("burst size", "----------", _burst),
)

COMMANDS = (
    _NETPROFILES.create_command("Create a net profile, or replace one", _OPTIONS),
    _NETPROFILES.inspect_command(),
    _NETPROFILES.list_command("List the net profiles", Listing("profileName", COLUMNS)),
    _NETPROFILES.remove_command("Delete a net profile that no group has"),
)
