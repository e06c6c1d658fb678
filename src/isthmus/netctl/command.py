"""What a command is, and how it ends when it cannot go on."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import NamedTuple

from isthmus.netctl.client import Client
from isthmus.wire.goflags import Flag, Kind, Parsed


class UsageError(Exception):
    """The command line is wrong: the text goes to stderr, the command's help to stdout. Exit code 1."""


class FailedError(Exception):
    """The command could not be done. `exit_code` is 1 where its options contradict each other, else 2 or 3."""

    def __init__(self, text: str, exit_code: int = 3) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class Call(NamedTuple):
    """A command as it was called, and the master to ask."""

    parsed: Parsed
    client: Client

    @property
    def tenant(self) -> str:
        """The tenant that the command is about."""
        return self.parsed.text("tenant")

    def arguments(self, count: int, missing: str) -> tuple[str, ...]:
        """The positional words.

        Raises:
            UsageError: there are less than `count` (`missing` says so), or more.
        """
        words = self.parsed.positionals
        if len(words) == count:
            return words
        raise UsageError("More arguments than required" if len(words) > count else missing)

    def only_argument(self, missing: str) -> str:
        """The one positional word.

        Raises:
            UsageError: as `arguments`.
        """
        return self.arguments(1, missing)[0]

    def no_arguments(self) -> None:
        """See that there is no positional word.

        Raises:
            UsageError: there is.
        """
        self.arguments(0, "")


class Command(NamedTuple):
    """A word of the command line: one with `run` acts, one without has `subcommands`.

    These are its `parts`, or stand in the place of this package that `source` names ("groups:COMMANDS"), and are
    loaded when they are asked for: netctl needs those of one word. `completes` says of each argument what a shell may
    offer for it, in the words of `completion`.
    """

    names: tuple[str, ...]
    summary: str
    arguments: str = ""
    flags: tuple[Flag, ...] = ()
    run: Callable[[Call], None] | None = None
    parts: tuple["Command", ...] = ()
    source: str = ""
    completes: tuple[str, ...] = ()

    @property
    def subcommands(self) -> tuple["Command", ...]:
        """The words that may follow."""
        if not self.source:
            return self.parts
        module, _, name = self.source.partition(":")
        found: tuple[Command, ...] = getattr(import_module(f"isthmus.netctl.{module}"), name)
        return found

    def find(self, name: str) -> "Command | None":
        """The subcommand of that name or alias."""
        return next((each for each in self.subcommands if name in each.names), None)

    def leaves(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], "Command"]]:
        """Every command below that acts, with the words that lead to it."""
        for each in self.subcommands:
            words = (*path, each.names[0])
            if each.run:
                yield words, each
            yield from each.leaves(words)


TENANT = Flag(("tenant", "t"), "Name of the tenant", default="default", completes="tenants")
FILES = "files"  # what completes names of files
ALL = Flag(("all", "a"), "List what all tenants have", Kind.SWITCH)
JSON = Flag(("json", "j"), "Print the objects as JSON", Kind.SWITCH)
QUIET = Flag(("quiet", "q"), "Print the names only", Kind.SWITCH)
WIDE = Flag(("wide", "w"), "Show more columns", Kind.SWITCH)
