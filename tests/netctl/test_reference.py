"""Every command and every option stands in docs/reference/netctl.md."""

from pathlib import Path

from isthmus.netctl.__main__ import ROOT

PAGE = (Path(__file__).parents[2] / "docs/reference/netctl.md").read_text()
SECTIONS = {section.split("\n", 1)[0]: section for section in PAGE.split("### ")[1:]}


def test_every_command_has_its_section_and_every_option_stands_there() -> None:
    for path, command in ROOT.leaves():
        words = ("netctl", "net" if path[0] == "network" else path[0], *path[1:])
        (section,) = (text for head, text in SECTIONS.items() if f"{head} ".startswith(" ".join(words) + " "))
        for flag in command.flags:
            assert f"`--{flag.name}`" in section
            assert all(f"`-{alias}`" in section for alias in flag.names[1:])


def test_every_alias_and_global_option_is_told() -> None:
    for name in ("delete", "list", "network"):
        assert f"`{name}`" in PAGE
    assert [flag.name for flag in ROOT.flags if f"`--{flag.name}" not in PAGE] == []
