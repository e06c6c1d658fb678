"""Every command and every option stands in docs/reference/netctl.md."""

from pathlib import Path

from isthmus.netctl.__main__ import ROOT

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
