"""Completion on TAB: a command line as far as it is typed to the words that may stand at its end.

The shell gives the line in the environment. The answer is lines on stdout: first `files`, for the shell to complete by
itself, or `words`, then those words. What a word may be, the tables of commands and options say by `completes`:

    "networks", ...     names of objects of that collection, asked from netmaster
    "endpointGroups,"   the same, several by commas
    "vlan|vxlan"        one of these words
    "files"             names of files
"""

import os
import shlex
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from isthmus.netctl.client import BadMasterError, Client, Object, RefusedError, UnreachableError
from isthmus.netctl.command import FILES, Command
from isthmus.netctl.targets import HELP
from isthmus.wire.goflags import Flag, Kind, is_option

PATIENCE_S = 1.0  # for netmaster: who types does not wait longer for names
_CURSOR = "\0"
_NAME_FIELD = {  # what an object of a collection is called by
    "tenants": "tenantName",
    "networks": "networkName",
    "endpointGroups": "groupName",
    "policys": "policyName",
    "rules": "ruleId",
    "netprofiles": "profileName",
    "serviceLBs": "serviceName",
    "appProfiles": "appProfileName",
    "Bgps": "hostname",
    "nodes": "name",
    "endpoints": "containerName",
}
COLLECTIONS = tuple(_NAME_FIELD)


class _Place(NamedTuple):
    """Where the word that is typed stands: what it completes, its part before the cursor, and what is known so far."""

    completes: str
    prefix: str
    head: str = ""  # of the word, which stays: `--tenant=`
    tenant: str = ""
    positionals: tuple[str, ...] = ()


class _Options(NamedTuple):
    """The words of a command so far: options by main name, other words, and the option that waits for a value."""

    given: Mapping[str, str]
    before: tuple[str, ...]
    between: tuple[str, ...]
    open: Flag | None = None
    is_over: bool = False  # by --

    @property
    def positionals(self) -> tuple[str, ...]:
        """In the order in which the command takes them."""
        return (*self.between, *self.before)


def complete(root: Command, environment: Mapping[str, str]) -> None:
    """Answer the shell, and exit."""
    *words, prefix = _split(environment["_NETCTL_LINE"])
    found = _answer(root, words[1:], prefix, environment)
    if "=" in environment.get("_NETCTL_BREAKS", "") and found[0] != FILES:  # bash replaces what is behind it only
        found = [found[0], *(word.removeprefix(prefix[: prefix.rfind("=") + 1]) for word in found[1:])]
    print("\n".join(found), flush=True)
    os._exit(0)  # a thread may still wait for netmaster


def _split(line: str) -> list[str]:
    """The words of a line as a shell takes it; the last is what is typed of the word at the cursor, perhaps nothing."""
    for quote in ("", '"', "'"):
        try:
            return [word.replace(_CURSOR, "") for word in shlex.split(line + _CURSOR + quote)]
        except ValueError:
            continue
    return ["", ""]


def _answer(root: Command, words: Sequence[str], prefix: str, environment: Mapping[str, str]) -> list[str]:
    leading = _options(root.flags, words, is_leading=True)
    place = _place(root, leading, prefix)
    if place is None:
        return ["words", *_words(root, leading, prefix)]
    if place.completes == FILES:
        return [FILES]
    offered = _offered(place, lambda: _client(leading, environment))
    return ["words", *sorted({f"{place.head}{word}" for word in offered if word.startswith(place.prefix)})]


def _place(root: Command, leading: _Options, prefix: str) -> _Place | None:
    """Where a value or an argument is wanted; None: a command or an option is."""
    if leading.open is not None:
        return _Place(leading.open.completes, prefix)
    command, rest = _walk(root, leading.positionals)
    if command is None or command.run is None:
        return None
    options = _options((*command.flags, HELP), rest)
    tenant = options.given.get("tenant", _default_tenant(command))
    if options.open is not None:
        return _valued(_Place(options.open.completes, prefix, "", tenant, options.positionals))
    if prefix.startswith("-") and not options.is_over:
        name, is_assigned, value = prefix.partition("=")
        flag = _named(command.flags, name) if is_assigned else None
        return _valued(_Place(flag.completes, value, f"{name}=", tenant, options.positionals)) if flag else None
    number = len(options.between if options.given else options.before)
    completes = command.completes[number] if number < len(command.completes) else ""
    return _Place(completes, prefix, "", tenant, options.positionals)


def _valued(place: _Place) -> _Place:
    """Of several values by commas the last is typed."""
    if not place.completes.endswith(","):
        return place
    done, comma, last = place.prefix.rpartition(",")
    return place._replace(completes=place.completes[:-1], prefix=last, head=place.head + done + comma)


def _words(root: Command, leading: _Options, prefix: str) -> list[str]:
    """The commands or the options that begin so."""
    command, rest = _walk(root, leading.positionals)
    if command is None:
        return []
    if prefix.startswith("-"):
        options = _options((*command.flags, HELP), rest) if command.run else leading
        is_known = command.run is not None or command is root
        flags = [each for each in (*command.flags, HELP) if is_known and _may_come(each, options)]
        return sorted({word for each in flags for word in _spellings(each, prefix) if word.startswith(prefix)})
    return sorted(name for each in command.subcommands for name in each.names if name.startswith(prefix))


def _may_come(flag: Flag, options: _Options) -> bool:
    return not options.is_over and (flag.kind is Kind.LIST or flag.name not in options.given)


def _spellings(flag: Flag, prefix: str) -> list[str]:
    """Long names with two dashes, unless one was typed before a letter; then with one, as Go's programs take it."""
    is_short = len(prefix) > 1 and not prefix.startswith("--")
    return [("-" if is_short or len(name) == 1 else "--") + name for name in flag.names]


def _walk(root: Command, words: Sequence[str]) -> tuple[Command | None, Sequence[str]]:
    """The command that words lead to, and those that are left for it; None where there is no such command."""
    command: Command | None = root
    for number, word in enumerate(words):
        if command is None or command.run is not None:
            return command, words[number:]
        command = command.find(word)
    return command, ()


def _options(flags: Iterable[Flag], words: Sequence[str], *, is_leading: bool = False) -> _Options:
    """The words taken apart as goflags.parse does, as far as they go; with `is_leading` as parse_leading."""
    given: dict[str, str] = {}
    before: list[str] = []
    between: list[str] = []
    known, rest = tuple(flags), iter(words)
    for word in rest:
        if not is_option(word):
            (between if given else before).append(word)
            if is_leading:
                return _Options(given, (*before, *between, *rest), ())
            continue
        if word == "--":
            return _Options(given, (*before, *rest), tuple(between), is_over=True)
        name, is_assigned, value = word.partition("=")
        flag = _named(known, name)
        if flag is None or flag.kind is Kind.SWITCH or is_assigned:
            given[flag.name if flag else name] = value
            continue
        following = next(rest, None)
        if following is None:
            return _Options(given, tuple(before), tuple(between), flag)
        given[flag.name] = following
    return _Options(given, tuple(before), tuple(between))


def _named(flags: Iterable[Flag], word: str) -> Flag | None:
    name = word.removeprefix("-").removeprefix("-")
    return next((each for each in flags if name in each.names), None)


def _default_tenant(command: Command) -> str:
    flag = _named(command.flags, "tenant")
    return str(flag.absent_value) if flag else ""


def _offered(place: _Place, client: Callable[[], Client]) -> list[str]:
    """What the table offers there."""
    if place.completes not in _NAME_FIELD:
        return place.completes.split("|") if place.completes else []
    found = _asked(client, place.completes)
    own = [each for each in found if _is_own(each, place)]
    if place.completes == "endpoints":
        return _names_of_endpoints(own, place.prefix)
    return [str(each[_NAME_FIELD[place.completes]]) for each in own]


def _is_own(thing: Object, place: _Place) -> bool:
    """Whether an object is of the tenant; a rule also of the policy that stands before it."""
    if place.completes == "tenants" or not place.tenant:
        return True
    if place.completes == "rules" and thing.get("policyName") not in place.positionals[:1]:
        return False
    return thing.get("tenantName") in (None, place.tenant)


def _names_of_endpoints(endpoints: Iterable[Object], prefix: str) -> list[str]:
    """Their containers' names; their ids where somebody has begun one."""
    known = list(endpoints)
    names = [str(each["containerName"]) for each in known if each.get("containerName")]
    is_named = not prefix or any(name.startswith(prefix) for name in names)
    return names if is_named else [str(each["endpointID"]) for each in known]


def _asked(client: Callable[[], Client], collection: str) -> list[Object]:
    """What netmaster has; nothing where it does not answer in time, or at all."""
    found: list[Object] = []

    def ask() -> None:
        try:
            found.extend(client().objects(collection))
        except (BadMasterError, UnreachableError, RefusedError):
            return

    asking = threading.Thread(target=ask, daemon=True)  # a look-up of a name cannot be broken off otherwise
    asking.start()
    asking.join(PATIENCE_S)
    return list(found)


def _client(leading: _Options, environment: Mapping[str, str]) -> Client:
    is_insecure = "insecure" in leading.given or environment.get("INSECURE", "").lower() in ("1", "t", "true")
    return Client(leading.given.get("netmaster") or environment.get("NETMASTER", ""), is_insecure=is_insecure)
