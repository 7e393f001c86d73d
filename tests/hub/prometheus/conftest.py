"""Random cases, what Prometheus makes of them (Debian's `promtool test rules`, as an oracle), and what our machines do.

promtool is asked at every tick for a result that is wrong on purpose; what it says that it got instead is its answer.
"""

import random
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hub.alarms import gate
from hub.alarms.alarm import FilterState, Manners, Truth
from hub.alarms.gate import Status
from hub.calendar.schedule import Hours
from hub.devices.health import OK, UP, DeviceWatch, LinkWatch
from hub.reading import Label, Reading
from hub.rules.kinds.level import Level, Measured
from hub.rules.kinds.measure import Count, Gathered, Measure
from hub.rules.kinds.vote import Vote
from hub.rules.rule import Rule
from hub.rules.truth import Question, Series
from hub.settings.site import Site

GRID = 5  # s: samples lie on this grid, so that a window's buckets and Prometheus' ranges hold the same
LOOKBACK = 300  # s: Prometheus' default; a sample of exactly this age is still seen (2.x), one of ours is not
HIGH, BAND, LEAST, MANY = 5.0, 2.0, 2, 4
Said = tuple[str, int] | None  # pending or firing, and active since (s); None: neither
Series_ = dict[int, float | None]  # second -> sample; None: a stale marker
NAME = Label(zh="例", en="case")


@dataclass(frozen=True)
class Case:
    """One alert: its kind, its times in seconds, and the samples of its devices."""

    number: int
    kind: str
    wait: int
    keep: int
    devices: list[Series_] = field(hash=False)

    @property
    def expression(self) -> str:
        """The rule in PromQL."""
        v = f'v{{case="{self.number}"}}'
        alert = f'ALERTS{{alertname="A{self.number}"'
        return {
            "plain": f"max by (case) ({v} > {HIGH})",
            "deadband": f"max by (case) ({v} > {HIGH} or ({v} > {HIGH - BAND} and on (case) {alert}}}))",
            "vote": f"count by (case) ({v} > {HIGH}) >= {LEAST}",
            # Ours: silence never clears. Prometheus has to be told to hold on while the series is not there.
            "hold": f"max by (case) ({v} > {HIGH}) or"
            f' max by (case) ({alert},alertstate="firing"}} unless on (case) {v})',
            "count": f"max by (case) (count_over_time({v}[5m]) > {MANY})",
            "max": f"max by (case) (max_over_time({v}[5m]) > {HIGH})",
        }[self.kind]


def make_cases(seed: int, kinds: dict[str, int], length: int) -> list[Case]:
    """So many random cases of each kind, `length` seconds long."""
    dice = random.Random(seed)
    cases: list[Case] = []
    for kind, count in kinds.items():
        for _ in range(count):
            wait, keep = dice.choice([0, 0, 15, 40, 90, 333]), dice.choice([0, 0, 20, 60, 200, 600])
            if kind in ("deadband", "hold"):
                keep = 0  # Prometheus' ALERTS stands while it keeps firing; our deadband then stands no more
            wait = 0 if kind == "hold" else wait  # Prometheus knows no frozen `for`
            devices = [_samples(dice, length) for _ in range(3 if kind == "vote" else 1)]
            cases.append(Case(len(cases), kind, wait, keep, devices))
    return cases


def _samples(dice: random.Random, length: int) -> Series_:
    """Samples every so often, with gaps and stale markers."""
    every = dice.choice([10, 15, 30, 60, 150, 420])
    gap, stale = dice.choice([0.0, 0.1, 0.5]), dice.choice([0.0, 0.05])
    value = 4.0
    found: Series_ = {}
    for at in range(dice.randrange(0, 60, GRID), length, every):
        if dice.random() < 0.35:
            value = dice.choice([2.0, 3.0, 3.5, 4.0, HIGH, 5.5, 6.0, 7.0])
        if dice.random() >= gap:
            found[at] = None if dice.random() < stale else value
    return found


def ask_promtool(cases: list[Case], every: int, ticks: int, folder: Path) -> dict[tuple[int, int], Said]:
    """(case, tick) -> what Prometheus says there; nothing where it says nothing."""
    rules = "\n".join(
        f"  - {{alert: A{case.number}, for: {case.wait}s, keep_firing_for: {case.keep}s, expr: '{case.expression}'}}"
        for case in cases
    )
    (folder / "rules.yml").write_text(f"groups:\n- name: g\n  interval: {every}s\n  rules:\n{rules}\n")
    series = "\n".join(
        f"  - {{series: 'v{{case=\"{case.number}\",dev=\"{at}\"}}', values: '{_notation(samples)}'}}"
        for case in cases
        for at, samples in enumerate(case.devices)
        if samples
    )
    query = "ALERTS * on (case) group_left () ALERTS_FOR_STATE"
    asked = "\n".join(
        f"  - {{expr: '{query} or vector(-1)', eval_time: {tick * every}s, exp_samples: []}}" for tick in range(ticks)
    )
    text = f"rule_files: [rules.yml]\nevaluation_interval: {every}s\ntests:\n- interval: {GRID}s\n"
    (folder / "test.yml").write_text(f"{text}  input_series:\n{series}\n  promql_expr_test:\n{asked}\n")
    ran = subprocess.run(
        ["promtool", "test", "rules", "test.yml"], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    return _read(ran.stdout + ran.stderr, every, ticks)


def _notation(samples: Series_) -> str:
    words, last = [], -GRID
    for at, value in samples.items():
        missing = (at - last) // GRID - 1
        words += ([f"_x{missing}"] if missing else []) + ["stale" if value is None else f"{value:g}"]
        last = at
    return " ".join(words)


_TICK = re.compile(r"time: (\w+),\s+exp:\s*\S*\s+got:(.*?)(?=expr:|\Z)", re.DOTALL)
_SAMPLE = re.compile(r"\{(.*?)\} ([-+.\w]+)")
_LABEL = re.compile(r'(\w+)="(.*?)"')
_PART = re.compile(r"(\d+)(h|m(?!s)|s)")


def _read(output: str, every: int, ticks: int) -> dict[tuple[int, int], Said]:
    answers: dict[tuple[int, int], Said] = {}
    heard = set()
    for when, got in _TICK.findall(output):
        seconds = sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in _PART.findall(when))
        heard.add(seconds // every)
        for labels, value in _SAMPLE.findall(got):
            named = dict(_LABEL.findall(labels))
            if "case" in named:
                said = (named["alertstate"], round(float(value)))
                answers[int(named["case"]), seconds // every] = said
    assert heard == set(range(ticks)), f"promtool answered at {len(heard)} of {ticks} ticks: {output[:500]}"
    return answers


class Ours:
    """Our own questions and machines, driven by ticks as Prometheus is."""

    def __init__(self, case: Case, lookback: float = LOOKBACK + 0.001) -> None:
        """`lookback` a millisecond longer than Prometheus': a sample that is as old as that is not seen by ours."""
        link = LinkWatch("link", 0)
        link.state = UP
        self.case = case
        self.watches = [DeviceWatch(f"d{at}", link, lookback, 0) for at, _ in enumerate(case.devices)]
        for watch in self.watches:
            watch.state = OK
        self.series = [Series(watch, gauge=True) for watch in self.watches]
        self.question = self._question()
        unknown = Truth.UNKNOWN if case.kind == "hold" else Truth.FALSE
        self.manners = Manners(on_delay=case.wait * 1000, off_delay=case.keep * 1000, on_unknown=unknown)

    def run(self, every: int, ticks: int) -> list[Said]:
        """What stands at each tick."""
        status, before, since, said = Status(), Truth.UNKNOWN, 0, list[Said]()
        given = [list(samples.items()) for samples in self.case.devices]
        for tick in range(ticks):
            now = tick * every * 1000
            for series, samples in zip(self.series, given, strict=True):
                while samples and samples[0][0] * 1000 <= now:
                    self._give(series, *samples.pop(0))
            was = status.filter
            truth = self.question.ask(now, was.standing)
            status, _ = gate.evaluate(status, before, truth, now, self.manners)
            before = truth
            if was.state is FilterState.OFF and status.filter.state is not FilterState.OFF:
                since = now // 1000
            state = "firing" if status.filter.active else "pending"
            said.append(None if status.filter.state is FilterState.OFF else (state, since))
        return said

    def _give(self, series: Series, at: int, value: float | None) -> None:
        series.known = value is not None
        if value is None:
            return
        series.rx = series.ts = at * 1000
        series.value = value
        item = Reading(device=series.watch.id, quantity="laeq", value=value, ts=at * 1000, rx=at * 1000)
        self.question.take(item, at * 1000)

    def _question(self) -> Question:
        night = Hours("22:00-06:00", Site(id="s", name=NAME, timezone="UTC", zones=(), links=()).tz)
        kind = self.case.kind
        rule = _rule(kind)
        levels = [Level(rule, series, None, "2", night) for series in self.series]
        if kind == "vote":
            return Vote(rule, levels)
        if kind in ("count", "max"):
            series = self.series[0]
            measure: Measure = Count(rule, series, 0) if kind == "count" else Gathered(rule, series)
            return Measured(rule, series, measure, None, "2", night)
        return levels[0]


def _rule(kind: str) -> Rule:
    return Rule(
        id="case",
        kind="vote" if kind == "vote" else "aggregate" if kind in ("count", "max") else "level",
        quantity="laeq",
        above=float(MANY) if kind == "count" else HIGH,
        deadband=BAND if kind == "deadband" else 0.0,
        aggregate="max",
        window=float(LOOKBACK),
        least=LEAST if kind == "vote" else 0,
        severity="P3",
        area="system",
        title=NAME,
        response=NAME,
        story=[],
    )


@dataclass(frozen=True)
class Batch:
    """Cases and what Prometheus says of them."""

    cases: list[Case]
    every: int
    ticks: int
    answers: dict[tuple[int, int], Said]

    def disagreements(self, make: Callable[[Case], Ours] = Ours) -> list[tuple[Case, int, Said, Said]]:
        """Every tick at which ours says something else: the case, the tick, ours, theirs."""
        found = []
        for case in self.cases:
            for tick, mine in enumerate(make(case).run(self.every, self.ticks)):
                theirs = self.answers.get((case.number, tick))
                if mine != theirs:
                    found.append((case, tick, mine, theirs))
        return found


@pytest.fixture(scope="session")
def batches(tmp_path_factory: pytest.TempPathFactory) -> list[Batch]:
    """Three runs of promtool, one for each evaluation interval."""
    made = []
    for seed, every in enumerate((15, 30, 60)):
        kinds = {"plain": 60, "deadband": 30, "vote": 30, "hold": 20, "count": 10, "max": 10}
        ticks = 90
        cases = make_cases(seed, kinds, ticks * every)
        folder = tmp_path_factory.mktemp(f"every-{every}")
        made.append(Batch(cases, every, ticks, ask_promtool(cases, every, ticks, folder)))
    return made
