"""Small expressions for rules: `gate == "open" and (hour >= 22 or hour < 6)`, compiled once, three-valued.

Allowed: comparisons, `in`, and, or, not, + - *, parentheses, numbers, texts, names. A name that is not known now makes
what leans on it unknown (Kleene); no call, no attribute, no index exists. Nothing of the text is ever run by Python.
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from device_profiles import vocabulary
from device_profiles.door import nearest
from hub.reading import Kind, Value

LONGEST, DEEPEST = 500, 20
Known: TypeAlias = Value | bool | None  # None: unknown
Run: TypeAlias = Callable[[Sequence[Known]], Known]

NUMBER, TEXT, TRUTH = "number", "text", "truth"
SPECIAL = {"hour": NUMBER, "weekday": NUMBER, "night": TRUTH, "closed": TRUTH}  # weekday: Monday is 1
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {  # Any: both sides were checked to be of one type
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_SUMS: dict[type[ast.operator], Callable[[Any, Any], float]] = {  # Any: numbers, as checked
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}


class ExpressionError(ValueError):
    """An expression that cannot be used; `right` says what would be."""

    def __init__(self, problem: str, right: str = "") -> None:
        """Both in words."""
        super().__init__(problem)
        self.right = right


class Expression(NamedTuple):
    """`run(values)` gives True, False or None (unknown); `values` stand in the order of `names`."""

    names: tuple[str, ...]
    run: Run

    @property
    def quantities(self) -> list[str]:
        """The names that a device has to read."""
        return [name for name in self.names if name not in SPECIAL]


class _Part(NamedTuple):
    """A piece: its type, how it runs, and which texts it may be (of a state; empty: any)."""

    type: str
    run: Run
    states: Mapping[str, object] = {}
    constant: Known = None


@lru_cache(maxsize=1024)
def compiled(text: str) -> Expression:
    """The expression, checked. Raises ExpressionError."""
    if len(text) > LONGEST:
        raise ExpressionError("is too long", f"at most {LONGEST} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError(f"cannot be read: {error}", 'as gate == "open" and hour >= 22') from None
    names: dict[str, int] = {}
    part = _part(tree.body, names, 0)
    if part.type is not TRUTH:
        raise ExpressionError("is a value, not a condition", "compare it, as laeq > 60")
    return Expression(tuple(names), part.run)


def _part(node: ast.expr, names: dict[str, int], depth: int) -> _Part:
    if depth > DEEPEST:
        raise ExpressionError("is nested too deep", f"at most {DEEPEST} levels")
    for kind, make in _MAKERS.items():
        if isinstance(node, kind):
            return make(node, names, depth + 1)
    what = type(node).__name__.lower()
    raise ExpressionError(f"has a {what} in it", "comparisons, in, and, or, not, + - *, parentheses, names, numbers")


def _name(node: ast.Name, names: dict[str, int], depth: int) -> _Part:
    word = vocabulary.find(node.id)
    if node.id not in SPECIAL and word is None:
        known = [*SPECIAL, *vocabulary.quantities()]
        raise ExpressionError(f"speaks of {node.id!r}, which is no quantity", nearest(node.id, known))
    at = names.setdefault(node.id, len(names))
    run = operator.itemgetter(at)
    if word is None:
        return _Part(SPECIAL[node.id], run)
    if word.quantity.kind is Kind.EVENT:
        raise ExpressionError(f"speaks of the event {node.id!r}, which has no value now", "write an event rule")
    number = word.quantity.kind in (Kind.GAUGE, Kind.COUNTER)
    return _Part(NUMBER if number else TEXT, run, word.quantity.states)


def _constant(node: ast.Constant, names: dict[str, int], depth: int) -> _Part:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ExpressionError(f"has {value!r} in it", "numbers and texts")
    if isinstance(value, str):
        return _Part(TEXT, lambda _: value, constant=value)
    try:
        number = float(value)
    except OverflowError:
        raise ExpressionError("has a number in it that is too large") from None
    return _Part(NUMBER, lambda _: number, constant=number)


def _compare(node: ast.Compare, names: dict[str, int], depth: int) -> _Part:
    left = _part(node.left, names, depth)
    links: list[Run] = []
    for how, right_node in zip(node.ops, node.comparators, strict=True):
        if isinstance(how, ast.In | ast.NotIn):
            links.append(_member(left, how, right_node, names, depth))
            break
        right = _part(right_node, names, depth)
        links.append(_pair(left, how, right))
        left = right
    return _Part(TRUTH, links[0] if len(links) == 1 else _both(links, stop=False))


def _pair(left: _Part, how: ast.cmpop, right: _Part) -> Run:
    if left.type != right.type or TRUTH in (left.type, right.type):
        raise ExpressionError(f"compares a {left.type} with a {right.type}", "numbers with numbers, states with texts")
    if type(how) not in _COMPARE or (left.type is TEXT and not isinstance(how, ast.Eq | ast.NotEq)):
        raise ExpressionError("compares in a way that is not allowed", "texts with == and !=")
    for one, other in ((left, right), (right, left)):
        _check_state(one, other.constant)
    compare, one_run, other_run = _COMPARE[type(how)], left.run, right.run
    if right.constant is not None:
        fixed = right.constant
        return lambda env: None if (value := one_run(env)) is None else compare(value, fixed)

    def run(env: Sequence[Known]) -> Known:
        one, other = one_run(env), other_run(env)
        return None if one is None or other is None else compare(one, other)

    return run


def _member(left: _Part, how: ast.cmpop, node: ast.expr, names: dict[str, int], depth: int) -> Run:
    parts = [_part(each, names, depth) for each in node.elts] if isinstance(node, ast.Tuple | ast.List) else []
    if not parts or any(part.constant is None or part.type != left.type for part in parts):
        raise ExpressionError("has an `in` without a list of values", 'as gate in ("open", "stuck")')
    for part in parts:
        _check_state(left, part.constant)
    members, inside, left_run = frozenset(part.constant for part in parts), isinstance(how, ast.In), left.run
    return lambda env: None if (value := left_run(env)) is None else (value in members) is inside


def _check_state(part: _Part, constant: Known) -> None:
    if part.states and isinstance(constant, str) and constant not in part.states:
        raise ExpressionError(f"has {constant!r}, which is no state of it", nearest(constant, part.states))


def _boolean(node: ast.BoolOp, names: dict[str, int], depth: int) -> _Part:
    parts = [_part(value, names, depth) for value in node.values]
    if any(part.type is not TRUTH for part in parts):
        raise ExpressionError("joins values with and / or", "compare them first, as laeq > 60")
    return _Part(TRUTH, _both([part.run for part in parts], stop=isinstance(node.op, ast.Or)))


def _both(runs: list[Run], *, stop: bool) -> Run:
    """`and` (`or`): false (true) if any is; unknown if one is unknown."""

    def run(env: Sequence[Known]) -> Known:
        answer: Known = not stop
        for each in runs:
            value = each(env)
            if value is stop:
                return stop
            if value is None:
                answer = None
        return answer

    return run


def _unary(node: ast.UnaryOp, names: dict[str, int], depth: int) -> _Part:
    part = _part(node.operand, names, depth)
    inner = part.run
    if isinstance(node.op, ast.Not) and part.type is TRUTH:
        return _Part(TRUTH, lambda env: None if (value := inner(env)) is None else not value)
    if isinstance(node.op, ast.USub) and part.type is NUMBER:
        if isinstance(part.constant, float | int):
            less = -part.constant
            return _Part(NUMBER, lambda _: less, constant=less)
        return _Part(NUMBER, lambda env: -value if isinstance(value := inner(env), float | int) else None)
    raise ExpressionError(f"has a sign before a {part.type}", "not before conditions, - before numbers")


def _sum(node: ast.BinOp, names: dict[str, int], depth: int) -> _Part:
    left, right = _part(node.left, names, depth), _part(node.right, names, depth)
    if type(node.op) not in _SUMS or left.type is not NUMBER or right.type is not NUMBER:
        raise ExpressionError("calculates in a way that is not allowed", "+ - * of numbers")
    calculate, one_run, other_run = _SUMS[type(node.op)], left.run, right.run

    def run(env: Sequence[Known]) -> Known:
        one, other = one_run(env), other_run(env)
        return None if one is None or other is None else calculate(one, other)

    return _Part(NUMBER, run)


_MAKERS: dict[type[ast.expr], Callable[[Any, dict[str, int], int], _Part]] = {  # Any: the node of its key
    ast.Name: _name,
    ast.Constant: _constant,
    ast.Compare: _compare,
    ast.BoolOp: _boolean,
    ast.UnaryOp: _unary,
    ast.BinOp: _sum,
}
