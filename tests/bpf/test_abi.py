"""The structs of bpf/abi.h as the compiler laid them out, against those that wire.maps packs."""

import json
import subprocess
from typing import Any

import pytest

from isthmus.edge.kernel.programs import object_path
from isthmus.wire.maps import SIZES

pytestmark = [pytest.mark.root, pytest.mark.bpf]


def structs() -> dict[str, dict[str, Any]]:
    types: list[dict[str, Any]] = []
    for name in ("from_container", "from_underlay"):
        command = ["bpftool", "--json", "btf", "dump", "file", str(object_path(name))]
        dumped = subprocess.run(command, check=True, capture_output=True).stdout
        types += json.loads(dumped)["types"]
    return {each["name"]: each for each in types if each["kind"] == "STRUCT"}


@pytest.mark.parametrize("name", SIZES)
def test_a_struct_is_as_large_in_c_as_in_python(name: str) -> None:
    assert structs()[name]["size"] == SIZES[name]


@pytest.mark.parametrize(
    ("map_name", "key", "value"),
    [
        ("endpoints", 4, "endpoint"),
        ("networks", 4, "network"),
        ("directory", "place_key", "place"),
        ("vteps", 4, "vtep"),
        ("uplinks", 4, 4),
        ("floods", 4, "flood"),
        ("traffic", 4, "traffic"),
        ("drops", "drop_key", 8),
        ("verdicts", 4, "verdict"),
    ],
)
def test_a_map_has_the_rows_that_python_packs(rig: Any, map_name: str, key: str | int, value: str | int) -> None:
    found = rig.maps[map_name]
    assert found.key_bytes == (SIZES[key] if isinstance(key, str) else key)
    # A per-CPU map's value is one a CPU.
    assert found.value_bytes % (SIZES[value] if isinstance(value, str) else value) == 0
