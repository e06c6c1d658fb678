"""From the words of the command line to the command that they mean, and to its help."""

from collections.abc import Sequence
from typing import NamedTuple

from isthmus.netctl.command import Command
from isthmus.wire.goflags import Flag, Kind, usage

HELP = Flag(("help", "h"), "Show help", Kind.SWITCH)
_HELP_WORDS = ("help", "h", "-h", "--h", "-help", "--help")


class Target(NamedTuple):
    """A command, the words that led to it, and the words that are left for it.

    `unknown` is the word under which it has no subcommand.
    """

    path: tuple[str, ...]
    command: Command
    words: tuple[str, ...] = ()
    unknown: str = ""


def find(root: Command, words: Sequence[str]) -> Target:
    """What the words mean: a command that acts, or a group where its help is wanted."""
    command, path, rest = root, tuple[str, ...](), list(words)
    wants_help = False
    while command.subcommands and rest:
        word = rest.pop(0)
        if word in _HELP_WORDS:
            wants_help = True
            continue
        found = command.find(word)
        if found is None:
            return Target(path, command, unknown=word)
        command, path = found, (*path, word)
    return Target(path, command, ("-help",) if wants_help else tuple(rest))


def help_text(target: Target) -> str:
    """How to call a command: its subcommands, or its arguments and options."""
    command = target.command
    head = " ".join(("netctl", *target.path))
    if command.subcommands:
        return _group_help(head, command)
    options = usage((*command.flags, HELP))
    arguments = f" {command.arguments}" if command.arguments else ""
    return (
        f"NAME:\n   {head} - {command.summary}\n\nUSAGE:\n   {head} [command options]{arguments}\n\nOPTIONS:\n{options}"
    )


def _group_help(head: str, command: Command) -> str:
    names = {", ".join(each.names): each.summary for each in command.subcommands}
    width = max(map(len, names))
    lines = "".join(f"   {name:<{width}}  {summary}\n" for name, summary in sorted(names.items()))
    options = f"\nGLOBAL OPTIONS:\n{usage(command.flags)}" if command.flags else ""
    return (
        f"NAME:\n   {head} - {command.summary}\n\n"
        f"USAGE:\n   {head} command [command options] [arguments]\n\nCOMMANDS:\n{lines}{options}"
    )
