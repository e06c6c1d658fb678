"""The BPF programs of this build, loaded with one set of settings."""

import errno
import hashlib
import importlib.resources
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from isthmus.core.errors import KernelRefusedError
from isthmus.edge.kernel.libbpf import Library, LoadedObject, Map, load
from isthmus.wire.maps import Settings, pack_settings

FROM_CONTAINER = "from_container"
FROM_OVERLAY = "from_overlay"
FROM_UNDERLAY = "from_underlay"
FROM_UPLINK = "from_uplink"
TO_UNDERLAY = "to_underlay"
NAMES = (FROM_CONTAINER, FROM_OVERLAY, FROM_UNDERLAY, FROM_UPLINK, TO_UNDERLAY)


@dataclass(frozen=True, slots=True)
class Program:
    """A program in the kernel. `label` tells this build with these settings and tables from every other."""

    fd: int
    label: str


class Programs:
    """All our programs, and the maps that they share."""

    def __init__(self, settings: Settings, objects: dict[str, LoadedObject]) -> None:
        self.settings = settings
        self._objects = objects
        tables = [each.id for each in self.maps.values()]
        self._programs = {
            name: Program(each.programs[name], label_of(name, settings, tables)) for name, each in objects.items()
        }

    def __getitem__(self, name: str) -> Program:
        return self._programs[name]

    @property
    def maps(self) -> dict[str, Map]:
        """Every map by name; from_container's object declares them all."""
        return self._objects[FROM_CONTAINER].maps

    def close(self) -> None:
        """Let go; what is attached and pinned stays."""
        for each in self._objects.values():
            each.close()


def load_programs(library: Library, settings: Settings, pins: Path) -> Programs:
    """Load all programs, their maps pinned by name under `pins` or found there.

    Raises:
        KernelRefusedError: an object is missing, or the kernel refuses one.
    """
    objects: dict[str, LoadedObject] = {}
    try:
        for name in NAMES:
            objects[name] = load(library, object_path(name), pack_settings(settings), pins)
    except BaseException:
        for each in objects.values():
            each.close()
        raise
    return Programs(settings, objects)


def object_path(name: str) -> Path:
    """Where the compiled program is.

    Raises:
        KernelRefusedError: it has not been compiled.
    """
    path = Path(str(importlib.resources.files("isthmus") / "_bpf" / f"{name}.bpf.o"))
    if not path.is_file():
        raise KernelRefusedError(errno.ENOENT, f"{path} is missing: `make bpf` compiles it")
    return path


def label_of(name: str, settings: Settings, tables: Iterable[int]) -> str:
    """The filter's name in the kernel: the program's, a digest of its code and settings, one of its maps' ids.

    All builds must agree on its form: it is all that one knows of another's programs.
    """
    code = _digest(object_path(name).read_bytes() + pack_settings(settings))
    return f"{name}-{code}-t{_digest(repr(sorted(tables)).encode())}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def has_same_tables(label: str, other: str) -> bool:
    """Whether two filters' programs read the same maps: then one may replace the other at any time."""
    return label.rpartition("-")[2] == other.rpartition("-")[2]
