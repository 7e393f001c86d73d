"""What rules cost: microseconds of one reading with one and with a hundred rules on its device, and of one question.

In one process, without cables and without a journal: only the deciding core.
"""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from hub.core import Core
from hub.outcome import Memory
from hub.reading import LinkChange, LinkState, Reading, Value
from hub.rules.door import PACKS, load_pack
from hub.rules.kinds.expression import compiled
from hub.rules.rule import Rule, Story
from hub.rules.story import stage

SECONDS = 2.0
MANY = 100
START = 1_767_600_000_000
_STORY = Story(name="bench", series="1", expect={"0": "normal"})
_EXPRESSION = 'laeq > 60 and (hour >= 22 or hour < 6) and gate == "open"'


class Figures(msgspec.Struct, frozen=True):
    """Microseconds, the quickest of many runs: other work on the machine is not the rules'.

    `calm`: a number far from every limit, which needs no question. `asked`: a state, which every rule is asked about.
    `window`: a reading of a meter with one rule of ten minutes. `expression`: one evaluation of `expression_text`.
    """

    calm_us_1_rule: float
    calm_us_100_rules: float
    asked_us_1_rule: float
    asked_us_100_rules: float
    window_us: float
    expression_us: float
    expression_text: str


def measure(seconds: float, seed: int) -> Figures:
    """`seed` changes nothing: nothing here is random."""
    each = seconds / 6
    level, state, window = (_pack_rule(name) for name in ("noise-limit", "gate-held", "noise-laeq"))
    return Figures(
        calm_us_1_rule=_reading_us(level, 1, [40.0, 41.0], each),
        calm_us_100_rules=_reading_us(level, MANY, [40.0, 41.0], each),
        asked_us_1_rule=_reading_us(state, 1, ["closed", "moving"], each),
        asked_us_100_rules=_reading_us(state, MANY, ["closed", "moving"], each),
        window_us=_reading_us(window, 1, [40.0, 41.0], each),
        expression_us=_expression_us(each),
        expression_text=_EXPRESSION,
    )


def _pack_rule(name: str) -> Rule:
    return next(rule for file in PACKS.glob("*.toml") for rule in load_pack(Path(file)) if rule.id == name)


def _reading_us(rule: Rule, many: int, values: list[Value], seconds: float) -> float:
    """One reading of a device with so many rules of this kind."""
    rules = tuple(replace(rule, id=f"{rule.id}-{at}", yields_to=[]) for at in range(many))
    core = Core(stage(rule, _STORY), rules, Memory(), START)
    core.accept([LinkChange(link="link", state=LinkState.UP, detail="", rx=START)], START)
    now = START

    def batch() -> int:
        nonlocal now
        now += 1000
        news = [
            Reading(device="a", quantity=rule.quantity, value=values[at % len(values)], ts=now + at, rx=now)
            for at in range(100)
        ]
        began = time.perf_counter_ns()
        core.accept(list(news), now)
        return (time.perf_counter_ns() - began) // len(news)

    return _quickest(batch, seconds)


def _expression_us(seconds: float) -> float:
    expression = compiled(_EXPRESSION)
    values: list[Value | bool | None] = [70.0, 23.0, "open"]

    def batch() -> int:
        began = time.perf_counter_ns()
        for _ in range(1000):
            expression.run(values)
        return (time.perf_counter_ns() - began) // 1000

    return _quickest(batch, seconds)


def _quickest(batch: Callable[[], int], seconds: float) -> float:
    """Microseconds of the quickest batch within so many seconds."""
    until, best = time.monotonic() + seconds, batch()
    while time.monotonic() < until:
        best = min(best, batch())
    return round(best / 1000, 3)
