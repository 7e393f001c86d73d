"""No sentence that the hub may show to a person is without Chinese, and each is found again by what was filled in."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from babel.messages.pofile import read_po

from dashboard.language import hub_words, reasons
from dashboard.language.i18n import FOLDER
from device_profiles.door import Refusal
from hub.duty.incident import Event, State

if TYPE_CHECKING:
    from flask import Flask

ROOT = Path(__file__).parents[2]
ROOMS = ("hub", "dashboard", "device_profiles", "firmware_bridge/links", "firmware_bridge/wire")
# The command line and what only it calls; programs, not people, read the API's refusals.
ASIDE = {
    "bench",
    "commands",
    "api",
    "capture.py",
    "encode.py",
    "survey.py",
    "sweep.py",
    "guess.py",
    "story.py",
    "update",
}
# Who carries a sentence to people, and the places of sentences among its arguments, by number or name.
CARRIERS: dict[str, tuple[int | str, ...]] = {
    "Refusal": (2, "right"),
    "BackupError": (2, "right"),
    "SecretError": (1, 2),
    "ExpressionError": (0, 1),
    "SendError": (1,),
    "Flaw": (1,),
    "Trouble": (1,),
    "Wrong": (1,),
    "tampered": (2,),
    "step_order": (4,),
    "LinkChange": ("detail",),
    "Fault": ("detail",),
    **dict.fromkeys(
        [
            *("Refused", "Unfit", "NotRunning", "NoPlace", "StoreError", "Unavailable", "Unusable", "Unspeakable"),
            *("VoiceError", "ClockDoubt", "Missed", "PortError", "ConnectionLost", "JournalUnreadable"),
            *("JournalError", "ValueError", "OSError"),
        ],
        (0,),
    ),
}
# Here sentences are kept and returned rather than raised: each one that is written in the file counts.
SPEAKERS = (
    "firmware_bridge/links/ports.py",
    "firmware_bridge/links/mqtt_wire.py",
    "firmware_bridge/links/modbus_lines.py",
    "firmware_bridge/links/modbus_tcp.py",
    "firmware_bridge/wire/modbus_answer.py",
    "firmware_bridge/wire/modbus_ascii.py",
    "firmware_bridge/wire/modbus_rtu.py",
    "firmware_bridge/wire/modbus_tcp.py",
    "firmware_bridge/wire/multidrop.py",
    "firmware_bridge/wire/serials.py",
    "firmware_bridge/wire/orders.py",
    "firmware_bridge/wire/fdxb.py",
    "firmware_bridge/wire/framing.py",
    "hub/processes/repeats.py",
    "hub/history/verdict.py",
    "hub/control/bus_load.py",
    "hub/devices/debounce.py",
    "hub/control/lending.py",
)
# Pieces that the code puts together: hub.po has the whole.
PIECES = {"is {0}", "right would be ", "{0}: {1} = {2}: is {3}; {4}", "exception {0}: "}
_SENTENCE = re.compile(r"[a-z]{2,} [a-z{(]")
_WORD = re.compile(r"[A-Za-z]{2,}")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _frame(node: ast.JoinedStr) -> str:
    """An f-string with {0}, {1} for what is filled in."""
    blanks = iter(range(len(node.values)))
    return "".join(str(part.value) if isinstance(part, ast.Constant) else f"{{{next(blanks)}}}" for part in node.values)


def _texts(node: ast.AST, scope: ast.AST | None) -> Iterator[str]:
    """What an argument may say: a text, a frame, either of two, or what the name was given in the same function."""
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.JoinedStr():
            yield _frame(node)
        case ast.IfExp():
            yield from (text for part in (node.body, node.orelse) for text in _texts(part, scope))
        case ast.BoolOp():
            yield from (text for part in node.values for text in _texts(part, scope))
        case ast.Name() if scope is not None:
            for given in _given(scope, node.id):
                yield from _texts(given, None)


def _given(scope: ast.AST, name: str) -> Iterator[ast.AST]:
    for node in ast.walk(scope):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id == name:
                yield node.value
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = zip(target.elts, node.value.elts, strict=False)
                yield from (value for at, value in pairs if isinstance(at, ast.Name) and at.id == name)


def _carried(node: ast.AST, scope: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        scope = node
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        for at in CARRIERS.get(name, ()):
            found = {keyword.arg: keyword.value for keyword in node.keywords}.get(str(at))
            if isinstance(at, int) and at < len(node.args):
                found = node.args[at]
            if found is not None:
                yield from _texts(found, scope)
    for child in ast.iter_child_nodes(node):
        yield from _carried(child, scope)


def _spoken(tree: ast.Module) -> Iterator[str]:
    """Every sentence in the file that is no docstring and no part of another one."""
    aside: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            aside.add(node.value)
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("LOG.", "re.", "TypeError", "contextlib")):
            aside.update(ast.walk(node))
        if isinstance(node, ast.JoinedStr):
            aside.update(part for part in node.values if isinstance(part, ast.Constant))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and node not in aside:
            yield from (text for text in _texts(node, None) if _SENTENCE.search(text))


def _said_by(name: str, tree: ast.Module) -> Iterator[str]:
    yield from _carried(tree, tree)
    if name in SPEAKERS:
        yield from _spoken(tree)


def sentences(root: Path = ROOT) -> dict[str, str]:
    """Every sentence of the hub with a word in it, and a file that says it."""
    found: dict[str, str] = {}
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            if ASIDE.isdisjoint(path.parts):
                name = path.relative_to(root).as_posix()
                for text in _said_by(name, _tree(path)):
                    if _WORD.search(re.sub(r"\{\d+\}", "", text)):
                        found.setdefault(text, name)
    return found


def _anything() -> set[str]:
    """Every text of the code, sentence or not."""
    paths = (path for room in (*ROOMS, "firmware_bridge") for path in (ROOT / room).rglob("*.py"))
    nodes = (node for path in set(paths) for node in ast.walk(_tree(path)))
    return {text for node in nodes if isinstance(node, ast.Constant | ast.JoinedStr) for text in _texts(node, None)}


def _catalogue() -> dict[str, str]:
    with (FOLDER / "zh/LC_MESSAGES/hub.po").open("rb") as file:
        return {str(entry.id): str(entry.string) for entry in read_po(file, locale="zh") if entry.id}


def test_every_sentence_of_the_hub_has_its_chinese() -> None:
    """Each refusal, fault and trouble that the code can say stands in hub.po, with the same blanks."""
    known = _catalogue()
    missing = {text: name for text, name in sentences().items() if text not in known | dict.fromkeys(PIECES)}
    assert not missing
    for english, chinese in known.items():
        assert set(re.findall(r"\{(\d+)", chinese)) == set(re.findall(r"\{(\d+)\}", english)), english


def test_no_sentence_is_kept_that_nobody_says() -> None:
    """What stands in hub.po is said somewhere, but for what is marked there as another program's or put together."""
    with (FOLDER / "zh/LC_MESSAGES/hub.po").open("rb") as file:
        ours = {str(entry.id) for entry in read_po(file, locale="zh") if entry.id and not entry.auto_comments}
    unsaid = ours - _anything()
    assert not unsaid


def _refusal(problem: str, **more: object) -> str:
    return str(Refusal("site.toml", "link[0].device[1].unit", problem, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        (
            _refusal("is the unit of gate-2 on the same line", value=3, right="4 is free"),
            "site.toml：link[0].device[1].unit = 3：是同一线路 gate-2 的站号；4 空闲",
        ),
        (
            _refusal("there is no such key", right='did you mean "unit"?'),
            "site.toml：link[0].device[1].unit：没有这个键；是否应为“unit”？",
        ),
        ("'li' does not have the shift 'night' now", "“li” 现在不当 “night” 班"),
        ("/dev/ttyUSB0: there is no such port (unplugged?)", "/dev/ttyUSB0：没有这个串口（是否被拔出？）"),
        ("cannot be packed: No space left on device", "无法打包：磁盘已满"),
        ("exception 02: illegal data address", "异常码 02：数据地址无效"),
        ("laeq: 999.0 dB is not in the sane range 0 to 150", "laeq：999.0 dB 超出合理范围 0 至 150"),
        (
            "http://127.0.0.1: no whole answer within 5 s (3 s to connect)",
            "http://127.0.0.1：5 秒内没有完整应答（连接限 3 秒）",
        ),
        ("what another program says to us: 17", "what another program says to us: 17"),
        ("", ""),
    ],
)
def test_a_sentence_is_found_again(english: str, chinese: str) -> None:
    """Values stay as they are, sentences within sentences are said in Chinese too, and what is not ours stays."""
    assert hub_words.in_chinese(english) == chinese


def test_a_step_that_is_not_possible_is_named_as_on_its_button(app: "Flask") -> None:
    """The incident's own words for states and steps, not their ids."""
    text = f"{Event.ACCEPT} is not possible while it is {State.NEW}; possible: {Event.CLASSIFY}, {Event.VOID}"
    with app.test_request_context("/?lang=zh"):
        assert hub_words.said(text) == "事件“待分类”时不能“我来处理”；可以：分类、作废：并无此事"
        assert reasons.reason(f"rejected:{text}").startswith("不允许：事件")
    with app.test_request_context("/?lang=en"):
        assert hub_words.said(text) == text


def test_a_long_text_costs_little() -> None:
    """A hostile sentence is given back as it is, at once."""
    text = "is taken by " * 200
    assert hub_words.in_chinese(text) == text


def test_a_new_sentence_is_noticed(tmp_path: Path) -> None:
    """The walk itself: a refusal, one by a variable, and a fault with a value in it are found."""
    (tmp_path / "hub").mkdir()
    code = "def f(x):\n    right = 'as nine'\n    raise Refusal(p, k, f'has {x} ears', right=right)\n"
    (tmp_path / "hub/new.py").write_text(code + "def g():\n    return Flaw(K, 'is no cat' if x else y)\n")
    assert sentences(tmp_path).keys() == {"as nine", "has {0} ears", "is no cat"}
