"""`netctl apply` and `netctl export`: what they are called with. What they do is loaded when they are called."""

from isthmus.netctl.command import Call, Command
from isthmus.wire.goflags import Flag, Kind


def _apply(call: Call) -> None:
    from isthmus.netctl.apply import apply

    apply(call)


def _export(call: Call) -> None:
    from isthmus.netctl.export import export

    export(call)


COMMANDS = (
    Command(
        ("apply",),
        "Make it so as files say: create and change what differs",
        flags=(
            Flag(("file", "f"), "YAML or JSON file, - for standard input; may be repeated", Kind.LIST),
            Flag(("dry-run", "n"), "Print what would change, and change nothing", Kind.SWITCH),
            Flag(("prune",), "Remove what the files leave out of the tenants that they have", Kind.SWITCH),
        ),
        run=_apply,
    ),
    Command(
        ("export",),
        "Print what is there as a file for apply",
        flags=(
            Flag(("tenant", "t"), "This tenant only"),
            Flag(("kind", "k"), "This kind of object only: network, group, ...; may be repeated", Kind.LIST),
            Flag(("output", "o"), "yaml or json", default="yaml"),
            Flag(("all", "a"), "A backup: all objects, and the records of addresses, tags and containers", Kind.SWITCH),
        ),
        run=_export,
    ),
)
