"""What a user can say or meet stands in the documentation, and the documentation speaks of nothing else."""

import re
from pathlib import Path

import pytest

from isthmus.core import model
from isthmus.netmaster.options import FLAGS as MASTER_FLAGS
from isthmus.netmaster.options import IGNORED as MASTER_IGNORED
from isthmus.netplugin.options import FLAGS as AGENT_FLAGS
from isthmus.netplugin.options import IGNORED as AGENT_IGNORED
from isthmus.netplugin.plugin import CALLS, CONSTANTS
from isthmus.wire import keys

DOCS = Path(__file__).parents[2] / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text()


@pytest.mark.parametrize(
    ("heading", "flags"),
    [("netmaster", (*MASTER_FLAGS, *MASTER_IGNORED)), ("netplugin", (*AGENT_FLAGS, *AGENT_IGNORED))],
)
def test_every_setting_is_documented_and_nothing_else(heading: str, flags: tuple[object, ...]) -> None:
    section = page("reference/settings.md").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    said = set(re.findall(r"`-([a-z0-9-]+)`", section))
    known = {name for flag in flags for name in flag.names}  # type: ignore[attr-defined]
    assert said == known


def test_every_key_in_etcd_is_documented() -> None:
    table = page("design/state.md")
    kinds = {kind.__name__ for kind in model.Record.__args__}
    assert kinds == {kind.__name__ for kind in keys.KINDS}
    assert [kind for kind in sorted(kinds) if f"`{kind}`" not in table] == []


def test_every_call_of_docker_is_documented() -> None:
    table = page("design/docker.md")
    assert [name for name in (*CONSTANTS, *CALLS) if f"`{name}`" not in table] == []


def test_every_failure_is_backed_by_a_test_that_is_there() -> None:
    lines = page("operate/failures.md").splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| failure ")]
    named = {row: re.search(r"\| `(tests/[\w/.]+)::(test_\w+)` \|$", row) for row in rows}
    assert len(named) > 30
    assert [row for row, name in named.items() if name is None] == []
    missing = [
        f"{name[1]}::{name[2]}"
        for name in named.values()
        if name and f"def {name[2]}(" not in (DOCS.parent / name[1]).read_text()
    ]
    assert missing == []


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{source.relative_to(DOCS.parent)}: {target}"
        for source in [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", source.read_text())
        if "://" not in target and not (source.parent / target).exists()
    ]
    assert broken == []
