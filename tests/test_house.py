"""The house style that a linter cannot see: sizes, and tests that say what they pin."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("device_profiles", "firmware_bridge", "hub", "dashboard", "tests")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 400, 50
Function = ast.FunctionDef | ast.AsyncFunctionDef


def name(path: Path) -> str:
    """A file's path inside the project."""
    return str(path.relative_to(ROOT))


def functions(path: Path) -> list[Function]:
    """All functions of a file."""
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, Function)]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_and_functions_stay_small(path: Path) -> None:
    """400 lines are the wall of a file, 50 that of a function."""
    long = [f"{each.name} {_lines(each)}" for each in functions(path) if _lines(each) > LONGEST_FUNCTION]

    assert path.read_text(encoding="utf-8").count("\n") <= LONGEST_FILE
    assert long == []


def _lines(function: Function) -> int:
    return (function.end_lineno or 0) - function.lineno + 1


@pytest.mark.parametrize("path", [path for path in FILES if path.name.startswith("test_")], ids=name)
def test_every_test_says_what_it_pins(path: Path) -> None:
    """A test's docstring is the rule that would be broken."""
    silent = [each.name for each in functions(path) if each.name.startswith("test_") and not ast.get_docstring(each)]

    assert silent == []


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_file_says_what_it_is(path: Path) -> None:
    """The module's docstring is its sign on the door."""
    text = path.read_text(encoding="utf-8")

    assert not text.strip() or ast.get_docstring(ast.parse(text))
