"""Completion on TAB: the table of commands as an argparse parser, for argcomplete."""

import argparse

import argcomplete

from isthmus.netctl.command import Command
from isthmus.wire.goflags import Flag, Kind


def complete(root: Command) -> None:
    """Answer the shell, and exit, if it was the shell that called."""
    argcomplete.autocomplete(_parser(root))


def _parser(root: Command) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    _fill(parser, root)
    return parser


def _fill(parser: argparse.ArgumentParser, command: Command) -> None:
    for flag in command.flags:
        words = [dashes + name for name in flag.names for dashes in ("--", "-")]
        _add(parser, flag, words)
    if command.subcommands:
        subparsers = parser.add_subparsers()
        for each in command.subcommands:
            made = subparsers.add_parser(each.names[0], aliases=each.names[1:], help=each.summary, add_help=False)
            _fill(made, each)


def _add(parser: argparse.ArgumentParser, flag: Flag, words: list[str]) -> None:
    if flag.kind is Kind.SWITCH:
        parser.add_argument(*words, action="store_true", help=flag.help)
    else:
        parser.add_argument(*words, help=flag.help)
