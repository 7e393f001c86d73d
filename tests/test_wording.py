"""One thing has one name: the words that docs/glossary.md rules out stand in nothing that people read in Chinese."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[1]
CATALOGUES = ROOT / "dashboard/translations/zh/LC_MESSAGES"
PLACES = (
    "hub/rules/*.toml",
    "device_profiles/**/*.toml",
    "firmware_bridge/simulate/*.toml",
    "deploy/*.toml",
    "hub/**/*.py",
    "dashboard/**/*.py",
)
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_QUOTED = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_NARROW = re.compile(r"[\u4e00-\u9fff](?:[,;!?](?!\w)|\.(?:\s|$)|:(?!\S))")  # "地址:" yes, "host:port" no


def glossary(text: str) -> tuple[set[str], set[str]]:
    """(terms, words that are not to be used), from the tables' second and third columns."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|") and "---" not in line]
    cells = [[cell.strip() for cell in row] for row in rows if row[1].strip() != "Chinese"]
    split = [[set(re.split(r"[、；，]", cell)) - {""} for cell in row[1:3]] for row in cells]
    return set().union(*(row[0] for row in split)), set().union(*(row[1] for row in split))


def wrong(text: str, terms: set[str], never: set[str]) -> set[str]:
    """The words of `never` in it that are no part of a term."""
    for term in sorted(terms, key=len, reverse=True):
        if any(word in term for word in never):
            text = text.replace(term, " ")
    return {word for word in never if word in text}


def _catalogue(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for message in read_po(file, locale="zh"):
            yield from [message.string] if isinstance(message.string, str) else message.string or ()


def _quoted(path: Path) -> Iterator[str]:
    yield from _QUOTED.findall(path.read_text())


def _written(path: Path) -> Iterator[str]:
    """The texts of a Python file, without its docstrings."""
    tree = ast.parse(path.read_text())
    told = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in told)
    yield from (node.value for node in constants if isinstance(node.value, str))


def texts() -> Iterator[tuple[str, str]]:
    """(where, text) of all that people read in Chinese: catalogues, rules, profiles, words of hub and dashboard."""
    for name in ("messages.po", "hub.po"):
        yield from ((name, text) for text in _catalogue(CATALOGUES / name))
    for pattern in PLACES:
        for path in sorted(ROOT.glob(pattern)):
            found = _written(path) if path.suffix == ".py" else _quoted(path)
            yield from ((path.name, text) for text in found if _CHINESE.search(text))


def test_no_word_that_the_glossary_rules_out() -> None:
    """In thousands of texts, none says it in a second way."""
    terms, never = glossary((ROOT / "docs/glossary.md").read_text())
    found = [(where, text, sorted(bad)) for where, text in texts() if (bad := wrong(text, terms, never))]
    assert not found


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("告警已确认，声光报警器已启动", set()),
        ("报警已确认", {"报警"}),
        ("保安员到场", set()),
        ("派保安到场", {"保安"}),
    ],
)
def test_a_word_within_a_term_is_fine(text: str, bad: set[str]) -> None:
    """声光报警器 is no 报警 by itself; a word outside of its term is found."""
    assert wrong(text, *glossary((ROOT / "docs/glossary.md").read_text())) == bad


def test_chinese_has_its_own_punctuation() -> None:
    """After a Chinese sign stands a full-width comma, semicolon, colon or full stop."""
    found = [(where, text) for where, text in texts() if _NARROW.search(text) and r"\d" not in text]
    assert not found
    assert _NARROW.search("已确认, 请")
    assert not _NARROW.search("已确认，请")


def test_there_is_enough_to_look_at() -> None:
    """The walk sees the catalogues, the rules and the profiles."""
    seen = [where for where, _ in texts()]
    assert seen.count("messages.po") > 1000
    assert {"hub.po", "water.toml", "wl-134a.toml", "text.py", "zhongshan.toml"} <= set(seen)
