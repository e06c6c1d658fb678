"""Small pieces: the limits of docs/design/style.md, measured."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path for path in (ROOT / "src").rglob("*.py") if "_etcd" not in path.parts)
C_FILES = sorted((ROOT / "bpf").rglob("*.[ch]"))

LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
USUAL_FUNCTION = 30


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def function_lengths(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{relative(path)}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def c_function_lengths(path: Path) -> Iterator[tuple[str, int]]:
    """Kernel style: a body opens with a brace in the first column, and so it closes."""
    start = 0
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if line == "{":
            start = number
        elif line == "}" and start:
            yield f"{relative(path)}:{start}", number - start + 1
            start = 0


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_fits_in_the_head(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_MODULE


def test_no_function_is_long_and_nine_in_ten_are_short() -> None:
    lengths = dict(each for path in MODULES for each in function_lengths(path))
    assert [where for where, length in lengths.items() if length > LONGEST_FUNCTION] == []
    usual = [where for where, length in lengths.items() if length < USUAL_FUNCTION]
    assert len(usual) >= 0.9 * len(lengths)


def test_no_c_function_is_long() -> None:
    lengths = dict(each for path in C_FILES for each in c_function_lengths(path))
    assert lengths
    assert [where for where, length in lengths.items() if length > LONGEST_FUNCTION] == []


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_nobody_says_manager_or_helper() -> None:
    forbidden = re.compile(r"(Manager|Helper|Util|Handler)\b|\b(handle|process|do)_[a-z]+\s*\(|_(info|data)\s*=")
    names = re.compile(r"^\s*(?:class|def|async def)\s+(\w+)", re.MULTILINE)
    found = [
        f"{relative(path)}: {name}"
        for path in MODULES
        for name in names.findall(path.read_text())
        if forbidden.search(name + "(")
    ]
    assert found == []
