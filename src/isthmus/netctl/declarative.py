"""`netctl apply`, `export` and `completion`: what they are called with. What they do is loaded when they are called."""

from isthmus.netctl.command import FILES, Call, Command
from isthmus.wire.goflags import Flag, Kind


def _apply(call: Call) -> None:
    from isthmus.netctl.apply import apply

    apply(call)


def _export(call: Call) -> None:
    from isthmus.netctl.export import export

    export(call)


def _completion(call: Call) -> None:
    from isthmus.netctl.shells import print_script

    print_script(call)


COMMANDS = (
    Command(
        ("apply",),
        "Make it so as files say: create and change what differs",
        flags=(
            Flag(("file", "f"), "YAML or JSON file, - for standard input; may be repeated", Kind.LIST, completes=FILES),
            Flag(("dry-run", "n"), "Print what would change, and change nothing", Kind.SWITCH),
            Flag(("prune",), "Remove what the files leave out of the tenants that they have", Kind.SWITCH),
        ),
        run=_apply,
    ),
    Command(
        ("completion",),
        "Print the script by which a shell completes netctl's words",
        "[bash or zsh]",
        run=_completion,
        completes=("bash|zsh",),
    ),
    Command(
        ("export",),
        "Print what is there as a file for apply",
        flags=(
            Flag(("tenant", "t"), "This tenant only", completes="tenants"),
            Flag(
                ("kind", "k"),
                "This kind of object only: network, group, ...; may be repeated",
                Kind.LIST,
                completes="tenant|global|policy|network|netprofile|group|rule|service|app-profile|bgp",
            ),
            Flag(("output", "o"), "yaml or json", default="yaml", completes="yaml|json"),
            Flag(("all", "a"), "A backup: all objects, and the records of addresses, tags and containers", Kind.SWITCH),
        ),
        run=_export,
    ),
)
