"""Every command and every option stands in docs/reference/netctl.md."""

import re
from pathlib import Path

from isthmus.netctl.__main__ import ROOT
from isthmus.netctl.kinds import KINDS, Kind

PAGE = (Path(__file__).parents[2] / "docs/reference/netctl.md").read_text()
SECTIONS = {section.split("\n", 1)[0]: section for section in PAGE.split("### ")[1:]}
TOGETHER = ("aci-gw", "external-contracts")  # a section each, for all that they refuse


def heading(path: tuple[str, ...]) -> str:
    """How the head of a command's section begins."""
    first = "net" if path[0] == "network" else path[0]
    return " ".join(("netctl", first, *(() if first in TOGETHER else path[1:]))) + " "


def test_every_command_has_its_section_and_every_option_stands_there() -> None:
    for path, command in ROOT.leaves():
        (section,) = (text for head, text in SECTIONS.items() if f"{head} ".startswith(heading(path)))
        for flag in command.flags:
            assert f"`--{flag.name}`" in section
            assert all(f"`-{alias}`" in section for alias in flag.names[1:])


def test_every_alias_and_global_option_is_told() -> None:
    aliases = {name for _, command in ROOT.leaves() for name in command.names[1:]}
    for name in aliases | {name for group in ROOT.subcommands for name in group.names[1:]} | {"network"}:
        assert f"`{name}`" in PAGE
    assert [flag.name for flag in ROOT.flags if f"`--{flag.name}" not in PAGE] == []


def test_every_kind_and_field_of_a_file_is_told_and_nothing_else() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/apply.md").read_text()
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| `")]
    told = [[re.findall(r"`([^`]+)`", cell) for cell in row] for row in rows]
    assert told == [
        [
            [kind.word],
            [name.word for name in kind.names],
            [field.name for field in kind.fields],
            may_change(kind),
        ]
        for kind in KINDS
    ]


def may_change(kind: Kind) -> list[str]:
    """The fields named as such: none where all may change, or none."""
    able = [
        field.name for field in kind.fields if not field.is_fixed and field.name not in ("networkName", "ipAddress")
    ]
    is_told = len(able) < len(kind.fields)
    return able if is_told else []
