"""`netctl global`."""

from isthmus.netctl.client import Object
from isthmus.netctl.collection import fields
from isthmus.netctl.command import ALL, JSON, TENANT, Call, Command, UsageError
from isthmus.netctl.output import print_json
from isthmus.wire.goflags import Flag

_COLLECTION, _KEY = "globals", "global"
_LINES = (  # what `info` prints before a field
    ("Fabric mode", "networkInfraType"),
    ("Forward mode", "fwdMode"),
    ("ARP mode", "arpMode"),
    ("Vlan Range", "vlans"),
    ("Vxlan range", "vxlans"),
    ("Private subnet", "pvtSubnet"),
)
_OPTIONS = {
    "networkInfraType": Flag(("fabric-mode", "f"), "default: this system has no ACI"),
    "vlans": Flag(("vlan-range", "v"), "VLAN ids that networks may have: FIRST-LAST"),
    "vxlans": Flag(("vxlan-range", "x"), "VNIs that networks may have: FIRST-LAST"),
    "fwdMode": Flag(("fwd-mode", "b"), "bridge or routing; kept, without effect", completes="bridge|routing"),
    "arpMode": Flag(("arp-mode", "a"), "proxy or flood; kept, without effect", completes="proxy|flood"),
    "pvtSubnet": Flag(("private-subnet", "s"), "A.B.0.0/16; kept, without effect"),
}


def _show(call: Call) -> None:
    call.no_arguments()
    found = call.client.objects(_COLLECTION)
    if call.parsed.is_on("json"):
        print_json(found)
    else:
        print("".join(map(_text, found)), end="")


def _text(settings: Object) -> str:
    return "".join(f"{heading}: {settings.get(field, '')}\n" for heading, field in _LINES)


def _inspect(call: Call) -> None:
    call.no_arguments()
    print_json(call.client.inspect(_COLLECTION, _KEY))


def _set(call: Call) -> None:
    call.no_arguments()
    given = {field: option for field, option in _OPTIONS.items() if option.name in call.parsed.given}
    if not given:
        raise UsageError("Nothing to set: give an option")
    call.client.create(_COLLECTION, _KEY, {"name": _KEY, **fields(call.parsed, given)})


COMMANDS = (
    Command(("info",), "Show the settings", "", (JSON, TENANT, ALL), _show),
    Command(("inspect",), "Show the settings and the cluster's state as JSON", "", (), _inspect),
    Command(("set",), "Change the settings that are given", "", tuple(_OPTIONS.values()), _set),
)
