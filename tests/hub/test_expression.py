"""Expressions of rules: what they say in three-valued logic, and that nothing else can be said in them."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.rules.kinds.expression import Expression, ExpressionError, Known, compiled

NAMES = ("laeq", "lafmax", "battery")


def run(expression: Expression, values: dict[str, Known]) -> Known:
    """With these values."""
    return expression.run([values.get(name) for name in expression.names])


@pytest.mark.parametrize(
    ("text", "values", "answer"),
    [
        ('gate == "open" and (hour >= 22 or hour < 6)', {"gate": "open", "hour": 23.0}, True),
        ('gate == "open" and (hour >= 22 or hour < 6)', {"gate": "open", "hour": 12.0}, False),
        ('gate == "open" and (hour >= 22 or hour < 6)', {"gate": "closed", "hour": None}, False),
        ('gate == "open" and (hour >= 22 or hour < 6)', {"gate": "open", "hour": None}, None),
        ("laeq > 60 or closed", {"laeq": None, "closed": True}, True),
        ("laeq > 60 or closed", {"laeq": None, "closed": False}, None),
        ("not laeq > 60", {"laeq": 70.0}, False),
        ("not laeq > 60", {"laeq": None}, None),
        ("50 < laeq <= 60", {"laeq": 60.0}, True),
        ("50 < laeq <= 60", {"laeq": 61.0}, False),
        ("lafmax - laeq > 2 * 10", {"lafmax": 80.0, "laeq": 59.0}, True),
        ("lafmax - laeq > 20", {"lafmax": None, "laeq": 59.0}, None),
        ("temperature < -5", {"temperature": -6.0}, True),
        ("-temperature > 5", {"temperature": -6.0}, True),
        ('gate in ("open", "stuck")', {"gate": "stuck"}, True),
        ('gate not in ("open", "stuck")', {"gate": "stuck"}, False),
        ('gate in ("open",)', {"gate": None}, None),
        ('relay_1 == "on" and siren == "off"', {"relay_1": "on", "siren": "off"}, True),
    ],
)
def test_what_an_expression_says(text: str, values: dict[str, Known], answer: Known) -> None:
    """Kleene: unknown only where the rest does not decide."""
    assert run(compiled(text), values) is answer


@pytest.mark.parametrize(
    ("text", "problem", "right"),
    [
        ("__import__('os').system('ls')", "call", "comparisons"),
        ("laeq.real > 1", "attribute", ""),
        ("laeq[0] > 1", "subscript", ""),
        ("[x for x in laeq] == 1", "listcomp", ""),
        ("(lambda: 1)() == 1", "call", ""),
        ("laeq ** 9 > 1", "not allowed", "+ - *"),
        ("laeq / 2 > 1", "not allowed", "+ - *"),
        ("laeq % 2 > 1", "not allowed", ""),
        ("'a' * 10 == 'aaaaaaaaaa'", "not allowed", ""),
        ("laeg > 60", "no quantity", "laeq"),
        ('gate == "opened"', "no state", "open"),
        ('gate in ("opened",)', "no state", "open"),
        ("gate > 3", "compares a text with a number", ""),
        ('gate > "closed"', "not allowed", "== and !="),
        ("laeq", "not a condition", "laeq > 60"),
        ("laeq and gate", "joins values", ""),
        ("laeq > 60 and 1", "joins values", ""),
        ("not laeq", "sign", ""),
        ("closed == night", "compares a truth", ""),
        ('passage == "denied"', "event", "event rule"),
        ("laeq is 3", "not allowed", ""),
        ("laeq > True", "True", "numbers"),
        ("laeq > None", "None", ""),
        ("laeq > 1" + "0" * 400, "too large", ""),
        ("laeq > 60 if closed else night", "ifexp", ""),
        ("(laeq := 3) > 2", "namedexpr", ""),
        ("laeq > ", "cannot be read", ""),
        ("", "cannot be read", ""),
        ("laeq in gate", "without a list", ""),
        ("laeq in (60, 'a')", "without a list", ""),
        ("not " * 30 + "closed", "too deep", "20"),
        ("(" * 300 + "closed" + ")" * 300, "", ""),
        ("closed or " * 60 + "closed", "too long", "500"),
    ],
)
def test_what_cannot_be_said(text: str, problem: str, right: str) -> None:
    """Refused when it is compiled, in words, with what would be right."""
    with pytest.raises(ExpressionError) as caught:
        compiled(text)
    assert problem in str(caught.value)
    assert right in caught.value.right


@given(st.text(alphabet='laeqgatorn()<>=+-*.,"1 9', max_size=60))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    """Nothing else is ever raised."""
    with contextlib.suppress(ExpressionError):
        assert compiled(text).names is not None


LEAF = st.sampled_from([f"{name} > {limit}" for name in NAMES for limit in (0, 1)])
TREE = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda part: f"({' '.join(part)})"),
        inner.map(lambda part: f"(not {part})"),
    ),
    max_leaves=6,
)


@given(text=TREE, values=st.tuples(*[st.sampled_from([0.0, 1.0, 2.0, None])] * 3))
def test_unknown_only_where_it_matters(text: str, values: tuple[Known, ...]) -> None:
    """A definite answer is what every filling of the unknown names gives; and Python agrees where all are known."""
    given_ = dict(zip(NAMES, values, strict=True))
    answer = run(compiled(text), given_)
    unknown = [name for name in NAMES if given_[name] is None]
    fillings = [
        given_ | dict(zip(unknown, filling, strict=True))
        for filling in itertools.product([0.0, 1.0, 2.0], repeat=len(unknown))
    ]
    python: set[Any] = {eval(text, {}, filling) for filling in fillings}  # made of the leaves above
    if answer is not None:
        assert python == {answer}
    if not unknown:
        assert answer in python
