"""The house style that a linter cannot see: sizes, and tests that say what they pin and can fail."""

import ast
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("device_profiles", "firmware_bridge", "hub", "dashboard", "tests")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 400, 50
RAISING = {"raises", "fail", "expect", "timeout", "AssertionError"}  # pytest's, Playwright's, asyncio's and Python's
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def parsed(path: Path) -> ast.Module:
    """A file, read once."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def functions(path: Path) -> list[Function]:
    """All functions of a file."""
    return [node for node in ast.walk(parsed(path)) if isinstance(node, Function)]


def cases(path: Path) -> list[Function]:
    """All tests of a file."""
    found = functions(path) if path.name.startswith("test_") else []
    return [each for each in found if each.name.startswith("test_")]


def told(wrong: Callable[[Path], Iterable[object]]) -> list[str]:
    """What is wrong with which file."""
    return [f"{path.relative_to(ROOT)}: {each}" for path in FILES for each in wrong(path)]


def test_files_and_functions_stay_small() -> None:
    """400 lines are the wall of a file, 50 that of a function."""
    long = {path: path.read_text(encoding="utf-8").count("\n") for path in FILES}

    assert told(lambda path: [long[path]] if long[path] > LONGEST_FILE else []) == []
    assert told(lambda path: [each.name for each in functions(path) if _lines(each) > LONGEST_FUNCTION]) == []


def _lines(function: Function) -> int:
    return (function.end_lineno or 0) - function.lineno + 1


def test_every_file_and_every_test_says_what_it_is() -> None:
    """The module's docstring is its sign on the door; a test's is the rule that would be broken."""
    assert told(lambda path: ["silent"] if parsed(path).body and not ast.get_docstring(parsed(path)) else []) == []
    assert told(lambda path: [each.name for each in cases(path) if not ast.get_docstring(each)]) == []


def test_every_test_can_fail() -> None:
    """A test asserts, expects a refusal, waits with an end, or calls what does so in its file."""
    assert told(lambda path: [each.name for each in cases(path) if not proves(each, _proving(path))]) == []


@cache
def _proving(path: Path) -> set[str]:
    helpers, proving = [each for each in functions(path) if not each.name.startswith("test_")], set[str]()
    for _ in helpers:  # a helper's helper, too
        more = {each.name for each in helpers if proves(each, proving)}
        if more == proving:
            break
        proving = more
    return proving


def proves(function: Function, helpers: set[str]) -> bool:
    """By an `assert`, by a call that raises when something is not so, or by one of these helpers of its file."""
    nodes = list(ast.walk(function))
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    names = {each.id for each in called if isinstance(each, ast.Name)}
    names |= {each.attr for each in called if isinstance(each, ast.Attribute)}
    waits = any(each.lstrip("_").startswith(("until", "wait_for")) for each in names)
    return waits or bool(names & (RAISING | helpers)) or any(isinstance(node, ast.Assert) for node in nodes)


@pytest.mark.parametrize(
    ("body", "right"),
    [
        ("hub.run()", False),
        ("assertions(hub)", False),
        ("assert hub", True),
        ("with pytest.raises(ValueError): hub.run()", True),
        ("page.wait_for_selector('b')", True),
        ("helper()", True),
        ("hub.helper()", True),
        ("raise AssertionError('so')", True),
    ],
)
def test_what_can_fail_is_told_from_what_cannot(body: str, right: bool) -> None:
    """The control of the rule above."""
    (function,) = ast.parse(f"def test_x():\n    {body}").body
    assert isinstance(function, Function)
    assert proves(function, {"helper"}) == right
