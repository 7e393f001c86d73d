"""Turns on a simulated line in made-up time: nobody starves, the dead are cheap, and who returns is heard of."""

import math
import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.wire.turns import BURST_S, RATE, Habits, Turns

METER = Habits(every=1.0, timeout=0.5, latency=0.02, wire=0.013)
PROMISED_S = 30.0
Alive = Callable[[int, float], bool]


class Line:
    """A line on which a good answer takes `wire` + `latency`, and none the time-out; keeps who was asked when."""

    def __init__(self, units: Sequence[Habits], alive: Alive) -> None:
        self.units, self.alive = units, alive
        self.turns = Turns(units)
        self.asked: list[list[float]] = [[] for _ in units]
        self.heard: list[list[float]] = [[] for _ in units]
        self.wasted: list[tuple[float, float, int]] = []  # when, how long, who
        self.now = 0.0
        self.turns.begin(0.0)

    def run(self, until: float) -> "Line":
        while self.now < until:
            turn = self.turns.next(self.now)
            if turn.place is None:
                assert turn.at > self.now
                self.now = min(turn.at, until)
                continue
            self._ask(turn.place, turn.timeout)
        return self

    def _ask(self, place: int, patience: float) -> None:
        unit = self.units[place]
        assert 0 < patience <= unit.timeout
        self.turns.take(place, self.now)
        self.asked[place].append(self.now)
        if self.alive(place, self.now) and unit.latency <= patience:
            self.now += unit.wire + unit.latency
            self.heard[place].append(self.now)
            self.turns.answered(place, unit.wire + unit.latency)
        else:
            cost = patience + unit.wire
            self.now += cost
            self.wasted.append((self.now, cost, place))
            self.turns.failed(place, self.now, cost)

    def wasted_between(self, start: float, end: float) -> float:
        return sum(cost for at, cost, _ in self.wasted if start < at <= end)

    def cadence(self, place: int, start: float, end: float) -> float:
        """Answered polls / polls due."""
        return sum(start < at <= end for at in self.heard[place]) / ((end - start) / self.units[place].every)


def dead(*places: int, since: float = 0.0, until: float = math.inf) -> Alive:
    return lambda place, now: place not in places or not since <= now < until


def test_a_healthy_line_keeps_every_beat() -> None:
    """30 units at 1 s, 99 % of the time used: each is asked at its own beat, never more than a turn late."""
    line = Line([METER] * 30, dead()).run(60.0)

    for asked in line.asked:
        gaps = [after - before for before, after in pairwise(asked)]
        assert len(asked) in (59, 60)
        assert max(gaps) < 1.0 + 2 * 0.033 + 1e-9


def test_five_dead_of_thirty() -> None:
    """The promise: healthy units keep 95 % of their polls, and the dead cost 5 % of the time at most, from 10 s on."""
    gone = (3, 9, 10, 17, 29)
    line = Line([METER] * 30, dead(*gone)).run(310.0)

    assert all(line.cadence(place, 10.0, 310.0) >= 0.95 for place in range(30) if place not in gone)
    assert line.wasted_between(10.0, 310.0) <= 0.05 * 300
    for place in gone:
        assert len(line.asked[place]) >= 300 / PROMISED_S


def test_without_turns_the_dead_eat_the_line() -> None:
    """Negative control: asked at their cadence, five dead units of 0.5 s would take all there is."""
    assert 5 * (METER.timeout + METER.wire) / METER.every > 1


@settings(max_examples=60)
@given(
    healthy=st.integers(1, 40),
    gone=st.integers(1, 9),
    dies=st.sampled_from([0.0, 7.0, 100.0]),
    lasts=st.floats(1.0, 200.0),
    timeout=st.floats(0.1, 0.6),
)
def test_who_returns_is_read_within_30_s(healthy: int, gone: int, dies: float, lasts: float, timeout: float) -> None:
    """However long they were dead, from the start or later, one or nine of them."""
    meter = Habits(every=2.0, timeout=timeout, latency=0.02, wire=0.013)
    places, returns = range(healthy, healthy + gone), dies + lasts
    line = Line([meter] * (healthy + gone), dead(*places, since=dies, until=returns)).run(returns + PROMISED_S)

    assert all(line.heard[place][-1:] and line.heard[place][-1] >= returns for place in places)


@settings(max_examples=60)
@given(
    healthy=st.integers(1, 40),
    gone=st.integers(1, 60),
    dies=st.sampled_from([0.0, 60.0]),
    later=st.floats(0.0, 100.0),
    seconds=st.floats(60.0, 200.0),
)
def test_the_budget_is_kept_whatever_is_dead(
    healthy: int, gone: int, dies: float, later: float, seconds: float
) -> None:
    """In any two minutes 5 %, once each has been missed three times: a budget of the line, not of each unit."""
    meter = Habits(every=4.0, timeout=0.5, latency=0.02, wire=0.013)
    places = range(healthy, healthy + gone)
    line = Line([meter] * (healthy + gone), dead(*places, since=dies)).run(dies + 400.0)
    misses = [[at for at, _, place in line.wasted if place == each] for each in places]
    start = max(missed[min(2, len(missed) - 1)] for missed in misses if missed) if dies else 4.0 + gone * 0.6
    start += later

    wasted = line.wasted_between(start, start + seconds)
    assert wasted <= RATE * seconds + max(BURST_S, 0.513) + 1e-6
    assert wasted <= 0.05 * seconds or seconds < 120


def test_a_sudden_death_costs_little() -> None:
    """Five of thirty die at once: each is waited for once as promised, then briefly; the others miss few beats."""
    gone = (3, 9, 10, 17, 29)
    line = Line([METER] * 30, dead(*gone, since=60.0)).run(90.0)

    assert line.wasted_between(60.0, 75.0) <= 5 * (0.513 + 4 * 0.1)
    assert all(line.cadence(place, 60.0, 75.0) >= 0.6 for place in range(30) if place not in gone)
    assert all(line.cadence(place, 70.0, 90.0) >= 0.95 for place in range(30) if place not in gone)


units = st.builds(
    Habits,
    every=st.floats(0.05, 20.0),
    timeout=st.floats(0.1, 2.0),
    latency=st.floats(0.001, 0.09),
    wire=st.floats(0.0, 0.3),
)


@settings(max_examples=30)
@given(st.lists(units, min_size=1, max_size=8), st.floats(0.0, 1.0), st.integers(0, 1000))
def test_nobody_starves(units: list[Habits], part: float, seed: int) -> None:
    """Any mixture, fitting or not, with any part of losses: everybody is asked again and again."""
    chance = random.Random(seed)
    line = Line(units, lambda place, now: chance.random() >= part).run(1200.0)

    cycle = sum(unit.timeout + unit.wire for unit in units)
    for asked, unit in zip(line.asked, units, strict=True):
        longest = 2 * max(unit.every, 24.0, cycle) + 2 * cycle / RATE  # all in debt, and all before it
        gaps = [after - before for before, after in pairwise([0.0, *asked, 1200.0])]
        assert max(gaps) <= longest


def test_a_lost_answer_is_forgiven() -> None:
    """One answer in six lost to noise: the unit is asked again after a second, however poor the line is."""
    asked: list[float] = []

    def alive(place: int, now: float) -> bool:
        if place == 0:
            asked.append(now)
        return place > 5 or (place == 0 and len(asked) % 6 != 5)

    line = Line([METER] * 20, alive).run(300.0)
    gaps = [after - before for before, after in pairwise(line.asked[0]) if before > 5]
    assert max(gaps) <= 2.5


def test_a_flapping_unit_is_paid_from_the_budget() -> None:
    """Every second question unanswered: no trick around the 5 %."""
    count = [0] * 10

    def alive(place: int, now: float) -> bool:
        count[place] += 1
        return place >= 3 or count[place] % 2 == 0

    line = Line([METER] * 10, alive).run(400.0)
    assert line.wasted_between(10.0, 400.0) <= 0.05 * 390


def test_slow_units_are_found_too() -> None:
    """A unit that needs most of its time-out, without saying so, is heard of by the patient questions."""
    slow = Habits(every=1.0, timeout=0.5, latency=0.45, wire=0.013)

    class Forgetful(Line):
        """Turns that were told a latency of 20 ms."""

    line = Forgetful([slow] * 6 + [METER] * 10, dead(*range(6), until=100.0))
    line.turns = Turns([METER] * 16)
    line.turns.begin(0.0)
    line.run(100.0 + 16 * PROMISED_S)
    assert all(line.heard[place] for place in range(6))


def test_where_nobody_answers_nobody_waits() -> None:
    """A line that lost its power: all are asked every 30 s, however many, for there is nobody to protect."""
    line = Line([METER] * 30, dead(*range(30))).run(200.0)

    for asked in line.asked:
        assert max(after - before for before, after in pairwise(asked[5:])) <= PROMISED_S


def test_growing_pauses() -> None:
    """1, 2, 4, 8, 16 and then 24 s, where the budget allows it."""
    line = Line([Habits(every=0.1, timeout=0.01, latency=0.001)] * 2, dead(1)).run(120.0)

    gaps = [after - before for before, after in pairwise(line.asked[1])]
    assert gaps == pytest.approx([1, 2, 4, 8, 16, 24, 24, 24], abs=0.05)


def test_busy_units_are_left_in_peace() -> None:
    """0.5, 1, 2, 4 and then 5 s beyond which no device is called busy; one answer ends it, and it costs no trust."""
    turns = Turns([Habits(every=0.1, timeout=0.5, latency=0.02)])
    turns.begin(0.0)
    now, pauses = 0.0, []
    for _ in range(6):
        turns.take(0, now)
        turns.busy(0, now)
        assert turns.next(now).place is None
        pauses.append(turns.next(now).at - now)
        now = turns.next(now).at
    assert pauses == pytest.approx([0.5, 1, 2, 4, 5, 5])
    turns.take(0, now)
    turns.answered(0)
    assert turns.next(now).at == pytest.approx(now + 0.1)


def test_a_command_is_followed_by_a_reading() -> None:
    """Whoever obeyed is asked next, before those who have waited longer; one that did not answer stays doubted."""
    turns = Turns([METER, METER, METER])
    turns.begin(0.0)
    assert turns.next(5.0).place == 0
    turns.urgent(2, 5.0, alive=True)
    assert turns.next(5.0).place == 2
    for _ in range(3):
        turns.failed(2, 5.0, 0.5)
    turns.urgent(2, 5.0, alive=False)
    assert turns.next(5.0).place == 0
    turns.urgent(2, 5.0, alive=True)
    assert turns.next(5.0).place == 2


def test_another_list_of_units() -> None:
    """Who stays keeps its beat and what is known of it, at another place; who is new is due soon."""
    turns = Turns([METER, METER, METER])
    turns.begin(0.0)
    for place in range(3):
        turns.take(place, 0.7)
    for _ in range(3):
        turns.failed(2, 0.7, 0.5)
    turns.carry([(METER, 2), (METER, None), (METER, 0)], 0.8)

    assert turns.next(0.8).at == pytest.approx(1.0)  # the one that was the first, at its own beat
    assert turns.next(1.0).place == 2
    turns.take(2, 1.0)
    assert turns.next(2.0).place == 1  # the new one
    turns.take(1, 2.0)
    turns.take(2, 2.0)
    assert turns.next(2.0).at > 2.0  # the dead one still rests, wherever it stands now


def test_an_empty_line() -> None:
    """Nobody is ever due."""
    turns = Turns([])
    turns.begin(0.0)
    assert turns.next(9.0).place is None
    assert turns.next(9.0).at == math.inf
