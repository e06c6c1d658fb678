"""Another build of ours: a copy of the tree whose maps have another layout, to be run beside this one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from isthmus.edge.kernel.build import OBJECTS, SOURCES
from isthmus.wire.maps import LAYOUT

PACKAGE = OBJECTS.parent
PRESENT = PACKAGE.parent  # what PYTHONPATH names for this build
OTHER_LAYOUT = LAYOUT + 1

# A row of `directory` gets a field in front of all others: read by the wrong build, every place is elsewhere.
_CHANGES = {
    "bpf/abi.h": ("struct place {\n", "struct place {\n\t__u32 not_in_the_older_layout;\n"),
    "src/isthmus/wire/maps.py": ('_PLACE = struct.Struct("<I4s6s2x")', '_PLACE = struct.Struct("<4xI4s6s2x")'),
}


def build_other(destination: Path) -> Path:
    """Make the tree of the next layout below `destination`, compiled; return what PYTHONPATH names for it."""
    shutil.copytree(PACKAGE, destination / "src" / "isthmus", ignore=shutil.ignore_patterns("__pycache__", "_bpf"))
    shutil.copytree(SOURCES, destination / "bpf")
    for name, (before, after) in _CHANGES.items():
        _replace(destination / name, before, after)
    _replace(destination / "src/isthmus/wire/maps.py", f"LAYOUT = {LAYOUT} ", f"LAYOUT = {OTHER_LAYOUT} ")
    source = destination / "src"
    subprocess.run([sys.executable, "-P", "-m", "isthmus.edge.kernel.build"], check=True, env=environment(source))
    return source


def environment(source: Path) -> dict[str, str]:
    """The environment in which Python runs a build's programs."""
    return {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}


def _replace(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert text.count(before) == 1, (path, before)
    path.write_text(text.replace(before, after))
