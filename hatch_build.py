"""The wheel's build step: compile the BPF programs, so that the wheel carries their objects."""

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_BUILD = Path(__file__).parent / "src" / "isthmus" / "edge" / "kernel" / "build.py"


class BpfBuildHook(BuildHookInterface[Any]):
    """Runs before the files are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Compile everything; a failure ends the build with clang's words."""
        specification = importlib.util.spec_from_file_location("bpf_build", _BUILD)
        assert specification is not None
        assert specification.loader is not None
        build = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(build)
        build.compile_all()
