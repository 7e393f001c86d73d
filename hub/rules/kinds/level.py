"""Is a figure above or below its limits? It is a reading (Level), or made of readings (Measured, by measure.py).

Figures come as bounds (at least, at most): what is missing makes them wide, and a wide one may decide nothing.
"""

import math
import sys
from collections.abc import Callable

from hub.alarms.alarm import Truth
from hub.calendar.schedule import Hours
from hub.reading import Reading, Value
from hub.rules.kinds.measure import Measure
from hub.rules.noise import BOUNDARY_DB, LIMITS_DB
from hub.rules.rule import Rule
from hub.rules.truth import Calm, Plain, Question, Series
from hub.settings.site import NoiseClass

_T, _F, _U = Truth
Pair = tuple[float, float]  # by day, by night


class Level(Plain):
    """Is the last reading past a limit? True ends only a deadband's width further on."""

    __slots__ = ("_above", "_below", "_deadband", "_far", "_night", "_series")

    def __init__(self, rule: Rule, series: Series, hours: Hours | None, noise_class: NoiseClass, night: Hours) -> None:
        """`night`: the site's noise night, which decides between the two limits of a noise class."""
        super().__init__(hours)
        self._series = series
        self._deadband = rule.deadband
        self._night = night if isinstance(rule.above, str) else None
        self._above: Pair = upper(rule, noise_class)
        self._below = -math.inf if rule.below is None else rule.below - rule.plus
        self._far = (
            math.inf if rule.hihi is None else rule.hihi,
            -math.inf if rule.lolo is None else rule.lolo,
        )

    def ask(self, now: int, standing: bool) -> Truth:
        """See Question."""
        if self._hours is not None and not self._hours.inside(now):
            return _F
        series = self._series
        value = series.value
        if not series.visible(now) or not isinstance(value, float | int):
            return _U
        band = self._deadband if standing else 0.0
        above = self._above[self._night is not None and self._night.inside(now)]
        return _T if value > above - band or value < self._below + band else _F

    def worse(self, now: int, standing: bool) -> Truth:
        """Past `hihi` or `lolo`."""
        bounds = self._bounds(now)
        return _U if bounds is None else self._judge(bounds, self._far[0], self._far[1], standing)

    def until(self, now: int) -> int | None:
        """The next edge of the hours or of the noise night."""
        edges = [hours.until(now) for hours in (self._hours, self._night) if hours is not None]
        return min(edges, default=None)

    def limit(self, now: int) -> float | None:
        """The limit at this hour; of two, the one that the figure is nearer to."""
        above = self._above[self._night is not None and self._night.inside(now)]
        if math.isinf(above) or math.isinf(self._below):
            return self._below if math.isinf(above) else above
        value = self.value(now)
        low = isinstance(value, float | int) and value < (above + self._below) / 2
        return self._below if low else above

    def calm(self, now: int) -> Calm | None:
        """All between the limits, until the next edge; anything outside its hours."""
        edge = self.until(now)
        until = sys.maxsize if edge is None else edge
        if not self._asked(now):
            return Calm(-math.inf, math.inf, until)
        return Calm(self._below, self._above[self._night is not None and self._night.inside(now)], until)

    def value(self, now: int) -> Value | None:
        """The reading."""
        return self._series.value

    def _bounds(self, now: int) -> Pair | None:
        value = self._series.value
        if not self._series.visible(now) or not isinstance(value, float | int):
            return None
        return value, value

    def _judge(self, bounds: Pair, above: float, below: float, standing: bool) -> Truth:
        """True and false only where every figure within the bounds says so."""
        least, most = bounds
        band = self._deadband if standing else 0.0
        if least > above - band or most < below + band:
            return _T
        return _F if most <= above - band and least >= below + band else _U


class Measured(Level):
    """The same of a figure that is made of readings: a difference, a rise, what a window holds."""

    __slots__ = ("_edge", "_measure")

    def __init__(
        self,
        rule: Rule,
        series: Series,
        measure: Measure,
        hours: Hours | None,
        noise_class: NoiseClass,
        night: Hours,
    ) -> None:
        """`measure` is told of every reading that the channel brings."""
        super().__init__(rule, series, hours, noise_class, night)
        self._measure = measure
        self._edge = 0  # until when the noise night, or day, lasts

    def ask(self, now: int, standing: bool) -> Truth:
        """See Question."""
        if self._night is not None and now >= self._edge:
            if self._edge:
                self._measure.renew()  # the noise of the evening does not count as noise of the night
            self._edge = self._night.until(now)
        if not self._asked(now):
            return _F
        bounds = self._measure.bounds(now)
        if bounds is None:
            return _U
        return self._judge(
            bounds, self._above[self._night is not None and self._night.inside(now)], self._below, standing
        )

    def calm(self, now: int) -> Calm | None:
        """One reading says nothing of it."""
        return None

    def until(self, now: int) -> int | None:
        """The edges of the hours, and when readings leave the window."""
        edges = [edge for edge in (super().until(now), self._measure.until(now)) if edge is not None]
        return min(edges, default=None)

    def value(self, now: int) -> Value | None:
        """The figure, as far as it is certain."""
        bounds = self._measure.bounds(now)
        if bounds is None or all(math.isinf(bound) for bound in bounds):
            return None
        return round(bounds[0] if math.isfinite(bounds[0]) else bounds[1], 3)

    def take(self, item: Reading, now: int) -> None:
        """Into the window."""
        self._measure.take(item, now)

    def ear(self) -> Callable[[Reading, int], None]:
        """The window's own."""
        return self._measure.take

    def shift(self, gap: int) -> None:
        """The window moves."""
        self._measure.shift(gap)

    def take_over(self, old: Question) -> None:
        """The window, where it is as long as old."""
        if isinstance(old, Measured):
            self._measure.take_over(old._measure)
            self._edge = old._edge

    def _bounds(self, now: int) -> Pair | None:
        return self._measure.bounds(now)


def upper(rule: Rule, noise_class: NoiseClass) -> Pair:
    """The upper limit by day and by night, in the quantity's unit; infinite where there is none."""
    if isinstance(rule.above, str):
        day, night = (LIMITS_DB if rule.above == "noise" else BOUNDARY_DB)[noise_class]
        return day + rule.plus, night + rule.plus
    above = math.inf if rule.above is None else rule.above + rule.plus
    return above, above
