"""The door for rules: which keys a kind of rule has, and what may stand in them. A mistake is a Refusal, never a guess.

What the keys mean is told in docs/alarms.md; what a rule makes of readings is in the other files of this room.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from device_profiles import vocabulary
from device_profiles.door import Refusal, nearest
from hub.alarms.alarm import OperatorState
from hub.reading import Kind
from hub.rules.kinds.expression import ExpressionError, compiled
from hub.rules.rule import ZONED, Rule, RuleKind, Story

_TIMES = frozenset({"on_delay", "off_delay"})
_LIMITS = frozenset({"above", "below", "plus", "deadband", "hihi", "lolo"})
PARAMETERS: dict[RuleKind, frozenset[str]] = {  # the numbers that a site may set
    "level": _LIMITS | _TIMES,
    "deviation": _LIMITS | _TIMES,
    "rate": _LIMITS | _TIMES | {"window", "valid"},
    "aggregate": _LIMITS | _TIMES | {"window", "valid"},
    "state": _TIMES,
    "event": _TIMES | {"hold"},
    "discrepancy": _TIMES | {"hold", "within"},
    "no-data": _TIMES,
    "link-down": _TIMES,
    "self": _TIMES,
    "vote": _LIMITS | _TIMES | {"least"},
    "balance": _TIMES | {"within"},
    "sequence": _TIMES | {"within"},
    "expression": _TIMES,
    "test-overdue": _TIMES | {"within"},
    "test-failed": _TIMES,
}
_OWN: dict[RuleKind, set[str]] = {  # the other keys that only some kinds have
    "level": {"worst"},
    "deviation": {"worst", "against"},
    "rate": {"worst"},
    "aggregate": {"worst", "aggregate", "is"},
    "event": {"is", "unless_in", "only_in", "per"},
    "vote": {"is", "degraded"},
    "balance": {"entered", "left", "degraded"},
    "sequence": {"is", "cause", "cause_is", "judges"},
    "expression": {"expression"},
    "state": {"is", "drill"},
}
_SOME = frozenset(set().union(*PARAMETERS.values(), *_OWN.values()) - _TIMES)
_GAUGES, _ALL = {Kind.GAUGE, Kind.COUNTER}, set(Kind)
_QUANTITY: dict[RuleKind, set[Kind]] = {  # what kind of quantity it asks about; none: it names none
    "level": _GAUGES,
    "deviation": {Kind.GAUGE},
    "rate": {Kind.GAUGE},
    "aggregate": _ALL,
    "state": {Kind.STATE},
    "event": {Kind.EVENT},
    "discrepancy": set(),
    "no-data": _ALL,
    "link-down": set(),
    "self": set(),
    "vote": {Kind.GAUGE, Kind.STATE},
    "balance": {Kind.GAUGE},
    "sequence": {Kind.STATE},
    "expression": set(),
    "test-overdue": {Kind.STATE},
    "test-failed": {Kind.STATE},
}
_AGGREGATES: dict[str, set[Kind]] = {
    "energy-mean": {Kind.GAUGE},
    "mean": {Kind.GAUGE},
    "min": {Kind.GAUGE},
    "max": {Kind.GAUGE},
    "spread": {Kind.GAUGE},
    "count": {Kind.EVENT},
    "changes": {Kind.STATE},
    "increase": {Kind.COUNTER},
}
_ACTS = ("ack", "reset", "command", "drill")


def check(rule: Rule, file: Path, key: str) -> None:
    """Raise a Refusal that names file, key, value and what would be right, if there is a mistake."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.id):
        raise Refusal(file, f"{key}.id", "not an id", value=rule.id, right="lower case letters and single hyphens")
    _check_keys(rule, file, key)
    _check_quantity(rule, file, key)
    _check_limits(rule, file, key)
    _check_needs(rule, file, key)
    if rule.aggregate and rule.kind == "aggregate":
        _check_aggregate(rule, file, key)
    if rule.kind == "expression":
        _check_expression(rule, file, key)
    if not rule.story:
        raise Refusal(file, f"{key}.story", "a rule comes with a story that shows it", value=rule.id)
    for at, story in enumerate(rule.story):
        _check_story(story, file, f"{key}.story[{at}]")


def _check_keys(rule: Rule, file: Path, key: str) -> None:
    """A key that this kind of rule would silently ignore is refused."""
    mine = PARAMETERS[rule.kind] | _OWN.get(rule.kind, set())
    for name in sorted(_SOME - mine):
        if not _is_default(rule, name):
            kinds = [kind for kind in PARAMETERS if name in PARAMETERS[kind] | _OWN.get(kind, set())]
            right = f"belongs to {', '.join(sorted(kinds))} rules"
            raise Refusal(file, f"{key}.{name}", f"means nothing in a {rule.kind} rule", right=right)


def _is_default(rule: Rule, name: str) -> bool:
    field = next(each for each in msgspec.structs.fields(Rule) if each.encode_name == name)
    if field.default_factory is not msgspec.NODEFAULT:
        return bool(getattr(rule, field.name) == field.default_factory())
    return bool(getattr(rule, field.name) == field.default)


def _check_quantity(rule: Rule, file: Path, key: str) -> None:
    allowed = _QUANTITY[rule.kind]
    if not rule.quantity and (not allowed or rule.kind == "no-data"):
        return
    if not allowed:
        raise Refusal(file, f"{key}.quantity", f"means nothing in a {rule.kind} rule", value=rule.quantity)
    _require(rule.quantity, allowed, rule.kind, file, f"{key}.quantity")
    for name, kinds in (("against", _GAUGES), ("entered", {Kind.COUNTER}), ("left", {Kind.COUNTER})):
        if text := getattr(rule, name):
            _require(text, kinds, rule.kind, file, f"{key}.{name}")
    if rule.kind in ("state", "sequence") and not rule.states:
        states = vocabulary.require(rule.quantity, file=file, key=key).quantity.states
        raise Refusal(file, f"{key}.is", "says in which states to worry", right=f"of {', '.join(states)}")
    _check_states(rule.states, rule.quantity, file, f"{key}.is")
    if rule.cause:
        _require(rule.cause, {Kind.STATE, Kind.EVENT}, rule.kind, file, f"{key}.cause")
        _check_states(rule.cause_is, rule.cause, file, f"{key}.cause_is")


def _require(name: str, kinds: set[Kind], kind: str, file: Path, key: str) -> None:
    quantity = vocabulary.require(name, file=file, key=key).quantity
    if quantity.kind not in kinds:
        raise Refusal(file, key, f"is a {quantity.kind}, in a {kind} rule", value=name)


def _check_states(states: Iterable[str], quantity: str, file: Path, key: str) -> None:
    word = vocabulary.require(quantity, file=file, key=key).quantity
    for state in states:
        if word.states and state not in word.states:
            raise Refusal(file, key, f"not a state of {quantity}", value=state, right=nearest(state, word.states))
        if word.pattern and not re.fullmatch(word.pattern, state):
            raise Refusal(file, key, f"not a value of {quantity}", value=state, right=f"as {word.pattern}")


def _check_limits(rule: Rule, file: Path, key: str) -> None:
    above, below = rule.above, rule.below
    limited = "above" in PARAMETERS[rule.kind] and not (rule.kind == "vote" and rule.states)
    if limited and above is None and below is None:
        raise Refusal(file, key, f"a {rule.kind} has a limit", value=rule.id, right="write `above` or `below`")
    if rule.kind == "rate" and above is not None and below is not None:
        raise Refusal(file, key, "a rate has one limit", value=rule.id, right="one rule for the rise, one for the fall")
    if rule.kind == "vote" and rule.states and (above is not None or below is not None):
        raise Refusal(file, key, "has states and limits", value=rule.id, right="write `is`, or a limit")
    if isinstance(above, float | int) and below is not None and above <= below:
        raise Refusal(file, f"{key}.above", "is not over `below`", value=above, right=f"more than {below:g}")
    _check_worst(rule, file, key)


def _check_worst(rule: Rule, file: Path, key: str) -> None:
    """The second pair of limits lies outside of the first, and is really worse."""
    above, below = rule.above, rule.below
    for name, far, near in (("hihi", rule.hihi, above), ("lolo", rule.lolo, below)):
        if far is not None and near is None:
            right = f"write `{'above' if name == 'hihi' else 'below'}`"
            raise Refusal(file, f"{key}.{name}", "is worse than a limit that is not there", value=far, right=right)
    if isinstance(above, float | int) and rule.hihi is not None and rule.hihi <= above:
        raise Refusal(file, f"{key}.hihi", "is not over `above`", value=rule.hihi, right=f"more than {above:g}")
    if below is not None and rule.lolo is not None and rule.lolo >= below:
        raise Refusal(file, f"{key}.lolo", "is not under `below`", value=rule.lolo, right=f"less than {below:g}")
    if (rule.hihi is not None or rule.lolo is not None) is not bool(rule.worst):
        raise Refusal(file, f"{key}.worst", "goes with `hihi` or `lolo`", value=rule.worst, right='as worst = "P1"')
    if rule.worst and rule.worst >= rule.severity:
        raise Refusal(file, f"{key}.worst", f"is not worse than {rule.severity}", value=rule.worst)


def _check_needs(rule: Rule, file: Path, key: str) -> None:
    """What a kind cannot do without."""
    needs: dict[RuleKind, dict[str, str]] = {
        "event": {"hold": "as hold = 60.0: an event is true for some seconds"},
        "deviation": {"against": "the quantity to compare with, as temperature"},
        "rate": {"window": "as window = 600.0"},
        "aggregate": {"window": "as window = 600.0", "aggregate": "as energy-mean, mean, spread, count or changes"},
        "vote": {"least": "as least = 2"},
        "balance": {"entered": "as count_in", "left": "as count_out", "within": "as within = 10.0"},
        "sequence": {"cause": "as passage", "within": "as within = 10.0"},
        "test-overdue": {"within": "as within = 108000.0"},
        "expression": {"expression": 'as gate == "open" and hour >= 22'},
    }
    for name, right in needs.get(rule.kind, {}).items():
        if not getattr(rule, name):
            raise Refusal(file, f"{key}.{name}", f"is needed in a {rule.kind} rule", right=right)
    if rule.kind in ZONED and rule.when != "always":
        raise Refusal(file, f"{key}.when", f"means nothing in a {rule.kind} rule", value=rule.when)


def _check_aggregate(rule: Rule, file: Path, key: str) -> None:
    kind = vocabulary.require(rule.quantity, file=file, key=f"{key}.quantity").quantity.kind
    if kind not in _AGGREGATES[rule.aggregate]:
        fitting = [name for name, kinds in _AGGREGATES.items() if kind in kinds]
        right = f"of {rule.quantity}: {', '.join(fitting)}"
        raise Refusal(file, f"{key}.aggregate", f"cannot be made of a {kind}", value=rule.aggregate, right=right)
    if rule.states and rule.aggregate != "count":
        raise Refusal(file, f"{key}.is", "says which events count", right='goes with aggregate = "count"')


def _check_expression(rule: Rule, file: Path, key: str) -> None:
    try:
        expression = compiled(rule.expression)
    except ExpressionError as error:
        where = f"{key}.expression"
        raise Refusal(file, where, str(error), value=rule.expression, right=error.right) from None
    if not expression.quantities:
        right = "as gate, laeq or presence"
        raise Refusal(file, f"{key}.expression", "speaks of no quantity", value=rule.expression, right=right)


def _check_story(story: Story, file: Path, key: str) -> None:
    for second in (*story.expect, *story.acts):
        if not second.isdigit():
            raise Refusal(file, key, "is not a second", value=second, right='as expect = { 29 = "normal" }')
    for second, state in story.expect.items():
        if state not in list(OperatorState):
            right = nearest(state, OperatorState)
            raise Refusal(file, f"{key}.expect.{second}", "not a state of an alarm", value=state, right=right)
    for second, act in story.acts.items():
        if act.partition(" ")[0] not in _ACTS:
            right = 'ack, reset, drill, or as "command gate=open"'
            raise Refusal(file, f"{key}.acts.{second}", "nobody can do that", value=act, right=right)
    if not story.expect:
        raise Refusal(file, f"{key}.expect", "a story expects something", value=story.name)
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", story.at):
        raise Refusal(file, f"{key}.at", "not a time of the day", value=story.at, right='as "22:30"')
    for name in story.also:
        vocabulary.require(name.rpartition("/")[2], file=file, key=f"{key}.also.{name}")
