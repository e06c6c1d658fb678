"""The systemd units that are shipped: they start our programs again, and wait for nobody."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "packaging").glob("*.service"))
DEPENDENCIES = ("Requires", "Requisite", "BindsTo", "PartOf", "Upholds")


def settings(unit: Path) -> list[tuple[str, str]]:
    return re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE)


def test_both_daemons_have_one() -> None:
    assert [unit.name for unit in UNITS] == ["isthmus-netmaster.service", "isthmus-netplugin.service"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_it_starts_our_program_again_for_ever_and_requires_nothing(unit: Path) -> None:
    found = settings(unit)
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    program = dict(found)["ExecStart"].split()[0]
    assert Path(program).name == unit.stem.removeprefix("isthmus-")
    assert Path(program).name in scripts
    for expected in (("Restart", "always"), ("RestartSec", "1"), ("StartLimitIntervalSec", "0")):
        assert expected in found
    assert ("After", "network-online.target") in found
    assert [name for name, _ in found if name in DEPENDENCIES] == []


def test_the_driver_is_there_before_docker() -> None:
    assert ("Before", "docker.service") in settings(ROOT / "packaging/isthmus-netplugin.service")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_way_to_install_it_is_told_with_the_path_to_set(unit: Path) -> None:
    page = (ROOT / "docs/operate/install.md").read_text()
    folder = dict(settings(unit))["ExecStart"].partition("/.venv/")[0]
    assert f"s|{folder}|" in page
    assert "packaging/isthmus-netplugin.service packaging/isthmus-netmaster.service" in page
    assert dict(settings(unit))["EnvironmentFile"].removeprefix("-") in page
