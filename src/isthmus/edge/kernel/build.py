"""Compile every bpf/*.bpf.c into src/isthmus/_bpf/*.bpf.o, from where the loader takes it.

Run by `make bpf`, and by the wheel's build (hatch_build.py), which has nothing but the standard library.
"""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2]
SOURCES = _PACKAGE.parents[1] / "bpf"  # of the repository; an installed package has the objects only
OBJECTS = _PACKAGE / "_bpf"
FLAGS = ["-O2", "-g", "-Wall", "-Wextra", "-Werror", "-target", "bpf", "-mcpu=v3"]


def compile_all(destination: Path = OBJECTS) -> list[Path]:
    """Compile each program; return the objects' paths.

    Raises:
        RuntimeError: clang is missing, or refuses a source; the text is clang's own.
    """
    if shutil.which("clang") is None:
        raise RuntimeError("the BPF programs need clang: apt-get install clang libbpf-dev")
    destination.mkdir(exist_ok=True)
    return [compile_one(source, destination) for source in sorted(SOURCES.glob("*.bpf.c"))]


def compile_one(source: Path, destination: Path) -> Path:
    """Compile one source; the object appears whole or not at all."""
    target = destination / source.with_suffix(".o").name
    draft = target.with_suffix(".tmp")
    # Equal sources give equal objects, wherever they lie.
    places = [f"-I{_multiarch_headers()}", f"-ffile-prefix-map={SOURCES.parent}=."]
    command = ["clang", *FLAGS, *places, "-c", str(source), "-o", str(draft)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{source.name}: {result.stderr}")
    draft.replace(target)
    return target


def _multiarch_headers() -> str:
    """Where Debian keeps asm/types.h; clang's bpf target does not look there by itself."""
    return f"/usr/include/{sysconfig.get_config_var('MULTIARCH')}"


if __name__ == "__main__":
    try:
        objects = compile_all()
    except RuntimeError as error:
        sys.exit(str(error))
    for each in objects:
        print(each.relative_to(SOURCES.parent))
