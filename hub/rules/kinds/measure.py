"""Figures that are made of more than one reading: a difference, a rise, and what a window holds. Never a judgement.

A figure is given as bounds. What was not seen makes them wide: a mean of half a window is no mean, but a window that
already holds enough noise for the whole of it is loud whatever the rest was.
"""

import math
import zlib
from collections.abc import Callable
from typing import Protocol

from hub.devices.counter import step
from hub.devices.health import DOWN, OFFLINE, SILENT
from hub.reading import Reading
from hub.rules.kinds.window import Sums, Window
from hub.rules.rule import Aggregate, Rule, ms
from hub.rules.truth import Series

Bounds = tuple[float, float]
SumOf = Callable[[float, int], float]
_INF = math.inf


class Measure(Protocol):
    """One figure."""

    def bounds(self, now: int) -> Bounds | None:
        """At least, at most; None: nothing is known."""

    def until(self, now: int) -> int | None:
        """When it may change by the clock alone."""

    def take(self, item: Reading, now: int) -> None:
        """A fresh reading."""

    def renew(self) -> None:
        """What came so far belongs to another time of the day."""

    def shift(self, gap: int) -> None:
        """The clock was set by `gap` ms."""

    def take_over(self, old: "Measure") -> None:
        """Take over what the same alarm's figure knew."""


class Deviation:
    """One quantity minus another of the same device: a second sensor, or a set point."""

    __slots__ = ("_against", "_series")

    def __init__(self, series: Series, against: Series) -> None:
        """Both must be visible."""
        self._series, self._against = series, against

    def bounds(self, now: int) -> Bounds | None:
        """The difference."""
        if not self._series.visible(now) or not self._against.visible(now):
            return None
        one, other = self._series.value, self._against.value
        if not isinstance(one, float | int) or not isinstance(other, float | int):
            return None
        return one - other, one - other

    def until(self, now: int) -> int | None:
        """It changes with readings only."""
        return None

    def take(self, item: Reading, now: int) -> None:
        """The series know already."""

    def renew(self) -> None:
        """Nothing is kept."""

    def shift(self, gap: int) -> None:
        """No instant is kept."""

    def take_over(self, old: Measure) -> None:
        """Nothing is kept."""


class Windowed:
    """What came of one series within the rule's window, and how much of the window was seen.

    It is asked once a sixtieth of the window, not at every reading: a figure of ten minutes may wait ten seconds.
    """

    __slots__ = ("_cap", "_last", "_phase", "_rx", "_series", "_sum_of", "_ts", "_valid", "_window")

    def __init__(self, rule: Rule, series: Series) -> None:
        """A reading stands for the time since the one before it, if that is no longer than `silent_after`."""
        self._series, self._valid = series, rule.valid
        self._window = Window(ms(rule.window))
        self._cap = series.watch.silent_after or self._window.span
        self._phase = zlib.crc32(series.watch.id.encode()) % self._window.edge(0)  # not all devices in one second
        self._last: float | str | None = None
        self._ts = self._rx = 0
        self._sum_of: SumOf | None = None  # what is added up of a number that stood for so many ms

    def until(self, now: int) -> int | None:
        """Once a sixtieth, each device at its own moment."""
        return self._window.edge(now - self._phase) + self._phase

    def take(self, item: Reading, now: int) -> None:
        """Into the window, at the hub's time; how long it stands for is told by the device's, where it has one."""
        since = item.ts - self._ts
        if since <= 0:
            since = now - self._rx
        if self._last is None or since > self._cap or since < 0:
            since = 0
        value = item.value
        if isinstance(value, str):
            self._window.add(now, 0.0, since, self._text(value))
        else:
            self._window.add(now, value, since, self._sum_of(value, since) if self._sum_of is not None else 0.0)
        self._last, self._ts, self._rx = value, item.ts, now

    def renew(self) -> None:
        """The window begins anew."""
        self._window.clear()

    def shift(self, gap: int) -> None:
        """The window moves; the stretch over the step stands for nothing."""
        self._window.shift(gap)
        self._last = None

    def take_over(self, old: Measure) -> None:
        """The same window goes on."""
        if isinstance(old, Windowed) and old._window.span == self._window.span:
            self._window, self._last = old._window, old._last
            self._ts, self._rx = old._ts, old._rx

    def _text(self, value: str) -> float:
        """What is added up of a text."""
        return 0.0

    def _enough(self, sums: Sums) -> bool:
        return sums.weight >= self._valid * self._window.span


class Rise(Windowed):
    """How far the last reading is above the lowest (`fall`: below the highest, and negative) of the window."""

    __slots__ = ("_fall",)

    def __init__(self, rule: Rule, series: Series) -> None:
        """A rule with `below` asks for the fall."""
        super().__init__(rule, series)
        self._fall = rule.below is not None

    def bounds(self, now: int) -> Bounds | None:
        """What was not seen may have been lower still."""
        value = self._series.value
        sums = self._window.sums(now)
        if not self._series.visible(now) or not isinstance(value, float | int) or sums.n == 0:
            return None
        step = value - (sums.high if self._fall else sums.low)
        if self._enough(sums):
            return step, step
        return (-_INF, step) if self._fall else (step, _INF)


class Gathered(Windowed):
    """One of the aggregates of a window."""

    __slots__ = ("_aggregate", "_end")

    def __init__(self, rule: Rule, series: Series, end: float | None = None) -> None:
        """`rule.aggregate` says which; `end`: where a counter is at nought again, where that is known."""
        super().__init__(rule, series)
        self._end = end
        self._aggregate: Aggregate = rule.aggregate or "mean"
        sums: dict[str, SumOf] = {"energy-mean": _energy, "mean": _product, "changes": self._change}
        if self._aggregate not in ("min", "max", "spread"):
            self._sum_of = sums.get(self._aggregate, self._step)

    def bounds(self, now: int) -> Bounds | None:
        """See the module; LAeq is the level of the mean energy, never a mean of levels."""
        sums = self._window.sums(now)
        enough = self._enough(sums)
        if self._aggregate == "energy-mean":
            mean = _level(sums.total / sums.weight) if enough else 0.0
            return (mean, mean) if enough else (_level(sums.total / max(self._window.span, sums.weight)), _INF)
        if self._aggregate == "mean":
            mean = sums.total / sums.weight if enough else 0.0
            return (mean, mean) if enough else None
        if sums.n == 0:
            return None
        low, high = {
            "min": (sums.low, sums.low),
            "max": (sums.high, sums.high),
            "spread": (sums.high - sums.low, sums.high - sums.low),
        }.get(self._aggregate, (sums.total, sums.total))
        if enough:
            return low, high
        return (-_INF, high) if self._aggregate == "min" else (low, _INF)

    def _text(self, value: str) -> float:
        return self._change(value, 0) if self._aggregate == "changes" else 0.0

    def _change(self, value: float | str, weight: int) -> float:
        return float(self._last is not None and value != self._last)

    def _step(self, value: float, weight: int) -> float:
        """What a counter counted since its last reading."""
        return step(self._last, value, self._end).by if isinstance(self._last, float | int) else 0.0


class Count(Windowed):
    """How many events of these values came within the window, asked at each. Without its device, more may have come."""

    __slots__ = ("_began", "_blind", "_states")

    def __init__(self, rule: Rule, series: Series, now: int) -> None:
        """From `now` on it is seen what comes."""
        super().__init__(rule, series)
        self._states = frozenset(rule.states)
        self._began, self._blind = now, False

    def bounds(self, now: int) -> Bounds | None:
        """Exact when the device was there for the whole window."""
        watch = self._series.watch
        if watch.state in (SILENT, OFFLINE) or watch.link.state == DOWN:
            self._blind = True
        elif self._blind:
            self._blind, self._began = False, now
        n = float(self._window.sums(now).n)
        whole = not self._blind and now - self._began >= self._window.span
        return n, n if whole else _INF

    def until(self, now: int) -> int | None:
        """When one leaves the window, or the first whole window is over."""
        whole = self._began + self._window.span
        edges = [edge for edge in (self._window.leaves(now), whole) if edge is not None and edge > now]
        return min(edges, default=None)

    def take(self, item: Reading, now: int) -> None:
        """One more, if it is one that counts."""
        if not self._states or item.value in self._states:
            self._window.add(now, 0.0)

    def shift(self, gap: int) -> None:
        """The window moves."""
        self._window.shift(gap)
        self._began += gap

    def take_over(self, old: Measure) -> None:
        """The same window goes on."""
        super().take_over(old)
        if isinstance(old, Count):
            self._began, self._blind = old._began, old._blind


def _energy(value: float, weight: int) -> float:
    """Relative energy x ms of a level in dB (IEC 61672-1)."""
    return weight * math.pow(10.0, value / 10.0)


def _product(value: float, weight: int) -> float:
    return weight * value


def _level(energy: float) -> float:
    return 10.0 * math.log10(energy) if energy > 0.0 else -_INF
