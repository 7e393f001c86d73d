"""Whose turn it is on one line: cadences kept in turn, dead units asked seldom and briefly, busy ones later.

Pure: `now` in seconds is an argument, nothing waits. It knows units by their place in the site file and decides when
one is asked and how long its answer is waited for; questions, answers and commands are the bus's.
"""

import math
from collections.abc import Sequence

import msgspec

from firmware_bridge.wire.load import first_due, next_due

RATE = 0.042  # the part of the time that goes into questions to units that do not answer ...
BURST_S = 0.5  # ... and what of it is saved up while all answer: together 5 % of any two minutes
REACH_S = 24.0  # the longest pause of a dead unit: one that returns is read within 30 s, its turn's delay included
_FIRST_S = 1.0  # the pause after the first failure, doubled by each further one
_BUSY_FIRST_S, _BUSY_MOST_S = 0.5, 5.0
_PATIENT = 16  # each so many-th question to a dead unit waits as long as it was promised to
_GRACE, _IN_A_ROW, _EARNED_BY = 3, 2, 3  # failures forgiven at most, and in a row; good polls that earn one
_MARGIN_S = 0.04  # for adapters (USB: 16 ms), gateways, and ourselves


class Habits(msgspec.Struct, frozen=True):
    """A unit as the site has it, in s: cadence, longest wait for an answer, usual latency, time of its frames."""

    every: float
    timeout: float
    latency: float
    wire: float = 0.0


class Turn(msgspec.Struct, frozen=True):
    """Ask the unit at `place` now, each of its questions with `timeout`; with no place: nobody is due before `at`."""

    place: int | None
    at: float = 0.0
    timeout: float = 0.0


class Turns:
    """The turns of one line. The longest due is next; who fails is doubted, and its silence is paid from a budget.

    The budget is the line's, not the unit's: RATE of the time, however many are dead. A dead unit is waited for twice
    as long as it needs, not as long as it was promised. Where that does not reach all of them every REACH_S (from about
    ten on), they are asked more seldom: the budget is kept, not the 30 s. On a line where nobody answers there is none.
    """

    def __init__(self, units: Sequence[Habits]) -> None:
        """`begin` before the first turn."""
        self._saved, self._saved_at = 0.0, 0.0
        self._units: list[_Unit] = []
        self._doubted: list[int] = []
        self.carry([(habits, None) for habits in units], 0.0)

    def carry(self, units: Sequence[tuple[Habits, int | None]], now: float) -> None:
        """Other units from now on: who had a place on this line keeps its turn and its name, who is new is due soon."""
        before, self._units = self._units, []
        for place, (habits, old) in enumerate(units):
            unit = _Unit(habits) if old is None else before[old]
            if old is None:
                unit.start(now + first_due(habits.every, place, len(units)))
            self._units.append(unit)
        self._most_saved = max((BURST_S, *(unit.price(unit.habits.timeout) for unit in self._units)))
        self._doubted = [place for place, unit in enumerate(self._units) if unit.doubted]

    def begin(self, now: float) -> None:
        """The line is open: starts are spread, and whoever was dead may be alive."""
        for place, unit in enumerate(self._units):
            unit.start(now + first_due(unit.habits.every, place, len(self._units)))
        self._saved, self._saved_at, self._doubted = 0.0, now, []

    def next(self, now: float) -> Turn:
        """Whose turn it is, or when somebody's will be. The same until a turn is taken or something is reported."""
        chosen, at = None, math.inf
        for place, unit in enumerate(self._units):
            if unit.due < at and not unit.doubted:
                chosen, at = place, unit.due
        if self._doubted:  # the one that waits longest, dear or cheap: none is overtaken for ever
            place = min(self._doubted, key=lambda place: self._units[place].due)
            due = max(self._units[place].due, self._affordable(self._units[place]))
            if due < at:
                chosen, at = place, due
        if chosen is None or at > now:
            return Turn(None, at)
        return Turn(chosen, at, self._patience(self._units[chosen]))

    def take(self, place: int, now: float) -> None:
        """It is asked now, and is due again at its next beat; beats that were missed are skipped."""
        unit = self._units[place]
        unit.due = next_due(unit.due, unit.habits.every, now)

    def answered(self, place: int, took: float = 0.0) -> None:
        """All was answered (a refusal is an answer); an answer took so many seconds, its time on the wire included."""
        self._units[place].answered(took)
        self._judge(place)

    def failed(self, place: int, now: float, cost: float) -> None:
        """No answer, or none that was one; `cost` = seconds for which nobody else could be asked."""
        unit = self._units[place]
        forgiven = unit.failed(now)
        if not forgiven and not self._alone:
            self._saved = min(self._most_saved, self._saved + RATE * (now - self._saved_at)) - cost
            self._saved_at = now
        self._judge(place)
        if self._alone:  # nobody was kept waiting
            self._saved, self._saved_at = max(self._saved, 0.0), now

    def busy(self, place: int, now: float, least: float = 0.0) -> None:
        """It said itself that it is busy (exception 05 or 06): alive, and left in peace for `least` s, growing."""
        self._units[place].rest(now, least)
        self._judge(place)

    def urgent(self, place: int, now: float, *, alive: bool) -> None:
        """It was told to do something, and that shows in its next reading: it is next, however late others are."""
        unit = self._units[place]
        unit.due = min(now, *(each.due for each in self._units)) - 0.001
        if alive:
            unit.fails, unit.doubted = 0, False
            self._judge(place)

    @property
    def _alone(self) -> bool:
        return len(self._doubted) == len(self._units)

    def _judge(self, place: int) -> None:
        """Keep the list of the doubted: it is short, and asked for at each turn."""
        if self._units[place].doubted != (place in self._doubted):
            self._doubted = [place for place, unit in enumerate(self._units) if unit.doubted]

    def _affordable(self, unit: "_Unit") -> float:
        """When what is saved covers the unit's silence; does not move while time passes."""
        missing = unit.price(self._patience(unit)) - self._saved
        return -math.inf if self._alone or missing <= 0 else self._saved_at + missing / RATE

    def _patience(self, unit: "_Unit") -> float:
        """How long its answer is waited for: as promised; by one that fails, mostly as it is known to need."""
        promised = unit.habits.timeout
        return promised if unit.fails % _PATIENT == 0 else min(promised, unit.needs)


class _Unit:
    """When one unit is due, and how far it is trusted."""

    def __init__(self, habits: Habits) -> None:
        self.habits = habits
        self.due = 0.0
        self.fails = 0  # since its last answer
        self.grace = 1  # failures that are still forgiven: not paid for, and no reason for a doubt
        self.doubted = False  # its questions have to be covered by the budget
        self._proven = False  # it has answered since the line was opened
        self._good = 0
        self._busy = 0
        self._slowest = 0.0

    @property
    def needs(self) -> float:
        """The least time in which it can be expected to answer."""
        return 2 * max(self.habits.latency, self._slowest) + _MARGIN_S

    def price(self, timeout: float) -> float:
        """What its silence costs."""
        return timeout + self.habits.wire

    def start(self, due: float) -> None:
        self.due = due
        self.fails, self.grace, self._good, self._busy = 0, 1, 0, 0
        self.doubted = self._proven = False

    def answered(self, took: float) -> None:
        self.fails = self._busy = 0
        self.doubted, self._proven = False, True
        if took - self.habits.wire <= self.habits.timeout:  # else the line was waited for as well
            self._slowest = max(0.99 * self._slowest, took - self.habits.wire)
        self._good += 1
        if self._good >= _EARNED_BY:
            self._good, self.grace = 0, min(_GRACE, self.grace + 1)

    def failed(self, now: float) -> bool:
        """True when that was forgiven: it is not paid for."""
        forgiven = self.grace > 0 and self.fails < _IN_A_ROW
        pause = min(REACH_S, _FIRST_S * 2 ** min(self.fails, 10))
        self.due = now + max(self.habits.every, pause)
        self.doubted = not (forgiven and self._proven)
        self.grace, self._good = self.grace - forgiven, 0
        self.fails += 1
        return forgiven

    def rest(self, now: float, least: float) -> None:
        pause = max(least, min(_BUSY_MOST_S, _BUSY_FIRST_S * 2 ** min(self._busy, 10)))
        self._busy += 1
        self.fails, self.doubted, self._proven = 0, False, True
        self.due = max(self.due, now + pause)
