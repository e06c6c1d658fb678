"""Where a lab's record and files lie, and how they are written, read, locked and removed.

The record is on disk before anything that it describes exists, so a `down` after any crash knows what to look for.
"""

import fcntl
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from isthmus.core.errors import NotFoundError
from isthmus.lab.holder import Place
from isthmus.lab.topology import Lab, Machine

RUN = Path("/run/isthmus/lab")
DISK = Path("/var/lib/isthmus/lab")
TMP = Path("/tmp")  # noqa: S108 - named, not used
CGROUPS = Path("/sys/fs/cgroup")
CGROUP_PARENT = "isthmus-lab"

_RECORD = "lab.json"


def place(lab: Lab, machine: Machine) -> Place:
    """Give where a machine of the lab keeps its things."""
    record, disk = RUN / lab.name / f"{machine.name}.holder", DISK / lab.name / machine.name
    programs = (sys.prefix, __file__, lab.dockerd)
    has_own_tmp = not any(Path(each).is_absolute() and Path(each).resolve().is_relative_to(TMP) for each in programs)
    return Place(lab.name, machine.name, machine.hostname, record, disk, has_own_tmp)


def log_file(lab: Lab, machine: Machine, program: str) -> Path:
    """Give the file of a program's output, as seen from outside the machine."""
    return place(lab, machine).disk / "var/log/isthmus" / f"{program}.log"


def cut_file(lab: Lab, port: str) -> Path:
    """Give the file whose existence says that this cable is cut."""
    return RUN / lab.name / f"{port}.cut"


def cgroup_path(lab: Lab, machine: Machine) -> str:
    """Give the parent of a machine's containers in every cgroup hierarchy."""
    return f"/{CGROUP_PARENT}/{lab.name}/{machine.name}"


def find(name: str) -> Lab | None:
    """Read the record of a lab, if there is one."""
    try:
        fields = json.loads((DISK / name / _RECORD).read_text())
    except FileNotFoundError:
        return None
    return Lab(**fields | {"only": tuple(fields["only"])})


def existing(name: str) -> Lab:
    """Read the record of a lab.

    Raises:
        NotFoundError: there is no such lab.
    """
    lab = find(name)
    if lab is None:
        others = ", ".join(names())
        raise NotFoundError(f"there is no lab '{name}'" + (f"; there is: {others}" if others else ""))
    return lab


def names() -> list[str]:
    """Give the names of all labs of this computer."""
    return sorted(record.parent.name for record in DISK.glob(f"*/{_RECORD}"))


def save(lab: Lab) -> None:
    """Write the record: whole or not at all."""
    directory = DISK / lab.name
    directory.mkdir(parents=True, exist_ok=True)
    draft = directory / f"{_RECORD}.new"
    draft.write_text(json.dumps(asdict(lab)))
    draft.rename(directory / _RECORD)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one `isthmus lab` at a time change this lab; the lock ends with the process."""
    directory = RUN / name
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _is_still(directory, fd):  # else a `down` removed it while we waited
                yield
                return
        finally:
            _remove_if_empty(directory, *directory.parents[:2])
            os.close(fd)


def erase(name: str) -> None:
    """Remove every file, directory and cgroup of the lab; the record goes last."""
    for hierarchy in (CGROUPS, *CGROUPS.glob("*/")):
        _remove_cgroups(hierarchy / CGROUP_PARENT / name)
        _remove_if_empty(hierarchy / CGROUP_PARENT)
    for machine in DISK.glob(f"{name}/*/"):
        shutil.rmtree(machine)
    for directory in (DISK / name, RUN / name):
        shutil.rmtree(directory, ignore_errors=True)
        _remove_if_empty(*directory.parents[:2])


def _is_still(directory: Path, fd: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(directory.stat(), os.fstat(fd))
    return False


def _remove_cgroups(top: Path) -> None:
    # A cgroup has no files of its own to remove: the directories go, the deepest first.
    for path, _, _ in os.walk(top, topdown=False):
        _remove_if_empty(Path(path))


def _remove_if_empty(*directories: Path) -> None:
    for directory in directories:
        with suppress(OSError):
            directory.rmdir()
