"""netctl's start: finds the command, runs it, and turns what went wrong into text and exit code."""

import contextlib
import os
import sys
from collections.abc import Sequence

from isthmus import __version__
from isthmus.core.errors import InvalidError
from isthmus.netctl import declarative, status, version
from isthmus.netctl.client import DEFAULT_MASTER, BadMasterError, Client, RefusedError, UnreachableError
from isthmus.netctl.command import Call, Command, FailedError, UsageError
from isthmus.netctl.output import complain
from isthmus.netctl.targets import HELP, Target, find, help_text
from isthmus.wire.goflags import Flag, Kind, Parsed, parse, parse_leading

OK, WRONG_USAGE, FAILED, LOCAL_FAILURE = 0, 1, 3, 4

ROOT = Command(
    ("netctl",),
    "Networks and tenants for containers",
    flags=(
        Flag(("netmaster",), f"URLs of the masters by commas, also from $NETMASTER (default: {DEFAULT_MASTER})"),
        Flag(("insecure",), "Do not check the master's certificate, also from $INSECURE", Kind.SWITCH),
        HELP,
        Flag(("version", "v"), "Show this program's version", Kind.SWITCH),
    ),
    parts=(
        Command(("aci-gw",), "Refused: this system has no ACI", source="aci:GATEWAY"),
        Command(("app-profile",), "App profiles: named lists of groups", source="app_profiles:COMMANDS"),
        Command(("bgp",), "BGP: the router of a node, and its neighbour", source="routers:COMMANDS"),
        Command(("endpoint", "ep"), "Endpoints: the containers' legs into networks", source="endpoints:COMMANDS"),
        Command(("external-contracts",), "Refused: this system has no ACI", source="aci:CONTRACTS"),
        Command(("global",), "Settings of the whole cluster", source="settings:COMMANDS"),
        Command(
            ("group",),
            "Endpoint groups: containers of a network that policies and a net profile apply to",
            source="groups:COMMANDS",
        ),
        Command(
            ("netprofile",),
            "Net profiles: limits on what each container of a group sends",
            source="netprofiles:COMMANDS",
        ),
        Command(("network", "net"), "Networks: subnets and the tags they travel under", source="networks:COMMANDS"),
        Command(("node",), "Nodes: the hosts of the cluster", source="nodes:COMMANDS"),
        Command(("policy",), "Policies: sets of rules for the members of groups", source="policies:COMMANDS"),
        Command(
            ("service",), "Services: an address in front of containers with certain labels", source="services:COMMANDS"
        ),
        Command(("tenant",), "Tenants: spaces of names and addresses", source="tenants:COMMANDS"),
        *declarative.COMMANDS,
        status.COMMAND,
        version.COMMAND,
    ),
)


def main() -> None:
    """Run the command that the words of the command line say."""
    if "_NETCTL_LINE" in os.environ:
        from isthmus.netctl.completion import complete

        complete(ROOT, os.environ)
    try:
        code = run(sys.argv[1:])
        print(end="", flush=True)
    except OSError as error:  # of our own output: the client has its own word for a connection that fails
        code = _unwritten(error)
    sys.exit(code)


def _unwritten(error: OSError) -> int:
    if not isinstance(error, BrokenPipeError):  # a reader that has seen enough is no error to speak of
        with contextlib.suppress(OSError):
            complain(f"the output could not be written: {error.strerror}")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):  # the interpreter writes what is left at its end, and must not fail again
        os.dup2(nowhere, number)
    return LOCAL_FAILURE


def run(words: Sequence[str]) -> int:
    """The exit code of the command that `words` say; its output goes to stdout and stderr."""
    try:
        leading = parse_leading(ROOT.flags, words)
    except InvalidError as error:
        return _incorrect(error, Target((), ROOT))
    if leading.is_on("version"):
        print(f"netctl version {__version__}")
        return OK
    target = find(ROOT, leading.positionals)
    if target.unknown:
        return _wrong(f"unknown command: {' '.join(('netctl', *target.path, target.unknown))}", target)
    try:
        parsed = parse((*target.command.flags, HELP), target.words)
    except InvalidError as error:
        return _incorrect(error, target)
    if target.command.run is None or any(each.is_on("help") for each in (leading, parsed)):
        print(help_text(target), end="")
        return OK
    return _act(target, parsed, leading)


def _act(target: Target, parsed: Parsed, leading: Parsed) -> int:
    assert target.command.run is not None
    try:
        target.command.run(Call(parsed, _client(leading)))
    except UsageError as error:
        return _wrong(str(error), target)
    except (BadMasterError, UnreachableError, RefusedError, FailedError) as error:
        complain(str(error))
        return _exit_code(error)
    return OK


def _exit_code(error: Exception) -> int:
    match error:
        case BadMasterError():
            return WRONG_USAGE
        case FailedError():
            return error.exit_code
        case _:
            return FAILED


def _client(leading: Parsed) -> Client:
    is_insecure = leading.is_on("insecure") or os.environ.get("INSECURE", "").lower() in ("1", "t", "true")
    return Client(leading.text("netmaster") or os.environ.get("NETMASTER", ""), is_insecure=is_insecure)


def _incorrect(error: InvalidError, target: Target) -> int:
    print("Incorrect Usage.\n")
    return _wrong(str(error), target)


def _wrong(text: str, target: Target) -> int:
    print(help_text(target), end="", flush=True)
    complain(text)
    return WRONG_USAGE


if __name__ == "__main__":
    main()
