"""The house style that a linter cannot see: sizes, and tests that say what they pin and can fail."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("device_profiles", "firmware_bridge", "hub", "dashboard", "tests")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 400, 50
RAISING = {"raises", "fail", "expect", "timeout"}  # pytest's, Playwright's and asyncio's
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


@pytest.mark.parametrize("path", [path for path in FILES if path.name.startswith("test_")], ids=name)
def test_every_test_can_fail(path: Path) -> None:
    """A test asserts, expects a refusal, waits with an end, or calls a function of its file that does."""
    there, proving = functions(path), set[str]()
    for _ in there:  # a helper's helper, too
        proving |= {each.name for each in there if not each.name.startswith("test_") and proves(each, proving)}

    assert [each.name for each in there if each.name.startswith("test_") and not proves(each, proving)] == []


def proves(function: Function, helpers: set[str]) -> bool:
    """By an `assert`, or by a call that raises when something is not so."""
    nodes = list(ast.walk(function))
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    bare = {each.id for each in called if isinstance(each, ast.Name)}
    names = bare | {each.attr for each in called if isinstance(each, ast.Attribute)}
    return any(isinstance(node, ast.Assert) for node in nodes) or bool(
        bare & helpers or names & RAISING or any(each.lstrip("_").startswith(("until", "wait_for")) for each in names)
    )


@pytest.mark.parametrize(
    ("body", "right"),
    [
        ("hub.run()", False),
        ("assertions(hub)", False),
        ("assert hub", True),
        ("with pytest.raises(ValueError): hub.run()", True),
        ("page.wait_for_selector('b')", True),
        ("helper()", True),
        ("hub.helper()", False),
    ],
)
def test_what_can_fail_is_told_from_what_cannot(body: str, right: bool) -> None:
    """The control of the rule above."""
    (function,) = ast.parse(f"def test_x():\n    {body}").body
    assert isinstance(function, Function)
    assert proves(function, {"helper"}) == right


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_file_says_what_it_is(path: Path) -> None:
    """The module's docstring is its sign on the door."""
    text = path.read_text(encoding="utf-8")

    assert not text.strip() or ast.get_docstring(ast.parse(text))
