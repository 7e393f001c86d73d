"""What a rule says of its source now: true, false or unknown, from the last fresh readings and the source's health.

One class a kind of rule, each with the same three methods; no delay, no alarm and no device's word is known here.
"""

import math
import sys
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from hub.alarm import Truth
from hub.health import DOWN, OFFLINE, OK, SILENT, DeviceWatch, LinkWatch
from hub.noise import LIMITS_DB
from hub.reading import Value
from hub.rules import Rule, ms
from hub.schedule import Hours
from hub.site import NoiseClass

_T, _F, _U = Truth


class Calm(NamedTuple):
    """A fresh number from `low` to `high` (both included) leaves the answer FALSE while now < `until`."""

    low: float
    high: float
    until: int


class Series:
    """The last fresh reading of one quantity of one device. `known`: read since the start of the hub."""

    __slots__ = ("ages", "calm", "calm_until", "known", "rx", "ts", "value", "watch")

    def __init__(self, watch: DeviceWatch, *, gauge: bool) -> None:
        """A gauge's value is believed for `silent_after`; a state until the device says another or falls silent."""
        self.watch = watch
        self.ages = watch.silent_after if gauge else 0
        self.ts = self.rx = -1
        self.value: Value = 0.0
        self.known = False
        self.calm = (0.0, 0.0)  # a number from here to there makes no question true ...
        self.calm_until = 0  # ... before this instant

    def be_calm(self, spans: Iterable[Calm | None]) -> None:
        """Remember what is nothing new to all questions that hang on it: most readings are, and cost no question."""
        low, high, until = -math.inf, math.inf, sys.maxsize
        for span in spans:
            if span is None:
                return
            low, high, until = max(low, span.low), min(high, span.high), min(until, span.until)
        self.calm, self.calm_until = (low, high), until

    def visible(self, now: int) -> bool:
        """True while the value may be believed."""
        return self.known and self.watch.state == OK and not (self.ages and now - self.rx >= self.ages)


class Question(Protocol):
    """A rule asked of one source."""

    def ask(self, now: int, standing: bool) -> Truth:
        """The truth at `now` (ms); `standing`: it was true last, so a deadband applies."""

    def until(self, now: int) -> int | None:
        """When the answer may change by the clock alone; None: never."""

    def limit(self, now: int) -> float | None:
        """The limit that the answer leans on, for people to see."""

    def take_over(self, old: "Question") -> None:
        """Go on from what the same rule's question had seen before it was edited."""

    def calm(self, now: int) -> Calm | None:
        """What numbers leave a FALSE answer as it is; None: each has to be asked."""


class _Plain:
    """A question without a limit, perhaps asked within certain hours only."""

    __slots__ = ("_hours",)

    def __init__(self, hours: Hours | None) -> None:
        self._hours = hours

    def _asked(self, now: int) -> bool:
        return self._hours is None or self._hours.inside(now)

    def until(self, now: int) -> int | None:
        """The next edge of the hours."""
        return None if self._hours is None else self._hours.until(now)

    def limit(self, now: int) -> float | None:
        """There is none."""
        return None

    def take_over(self, old: Question) -> None:
        """It has seen nothing that its series and watches do not hold."""

    def calm(self, now: int) -> Calm | None:
        """Always ask."""
        return None


class Level(_Plain):
    """Is the value above (below) its limit, by the hour for noise? True ends only a deadband's width further on."""

    __slots__ = ("_above", "_deadband", "_limits", "_night", "_series")

    def __init__(self, rule: Rule, series: Series, hours: Hours | None, noise_class: NoiseClass, night: Hours) -> None:
        """`night`: the site's noise night, which decides between the two limits of a noise class."""
        super().__init__(hours)
        self._series = series
        self._above = rule.above is not None
        self._deadband = rule.deadband
        bound = rule.above if rule.above is not None else rule.below
        if bound == "noise":
            day_limit, night_limit = LIMITS_DB[noise_class]
            self._night: Hours | None = night
            self._limits = (day_limit + rule.plus, night_limit + rule.plus)
        else:
            self._night = None
            self._limits = (float(bound or 0.0) + rule.plus, 0.0)

    def ask(self, now: int, standing: bool) -> Truth:
        """See Question."""
        if not self._asked(now):
            return _F
        if not self._series.visible(now):
            return _U
        value = self._series.value
        if not isinstance(value, float | int):
            return _U
        band = self._deadband if standing else 0.0
        limit = self._limits[self._night is not None and self._night.inside(now)]
        return _T if (value > limit - band if self._above else value < limit + band) else _F

    def until(self, now: int) -> int | None:
        """The next edge of the hours or of the noise night."""
        edges = [hours.until(now) for hours in (self._hours, self._night) if hours is not None]
        return min(edges, default=None)

    def limit(self, now: int) -> float:
        """The limit at this hour."""
        return self._limits[self._night is not None and self._night.inside(now)]

    def calm(self, now: int) -> Calm:
        """All on the right side of the limit, until the next edge; anything outside its hours."""
        edge = self.until(now)
        until = sys.maxsize if edge is None else edge
        if not self._asked(now):
            return Calm(-math.inf, math.inf, until)
        limit = self.limit(now)
        return Calm(-math.inf, limit, until) if self._above else Calm(limit, math.inf, until)


class State(_Plain):
    """Is the device in one of the rule's states?"""

    __slots__ = ("_series", "_states")

    def __init__(self, rule: Rule, series: Series, hours: Hours | None) -> None:
        """Within `hours` only, where given."""
        super().__init__(hours)
        self._series, self._states = series, frozenset(rule.states)

    def ask(self, now: int, standing: bool) -> Truth:
        """See Question."""
        if not self._asked(now):
            return _F
        if not self._series.visible(now):
            return _U
        return _T if self._series.value in self._states else _F


class Event(_Plain):
    """Did it happen within the last `hold` seconds? Never of what stands in the rule's list, from the moment on."""

    __slots__ = ("_hold", "_listed", "_states", "_value", "ends")

    def __init__(self, rule: Rule, listed: set[str], hours: Hours | None) -> None:
        """`listed` is the live list that `unless_in` names (empty for none)."""
        super().__init__(hours)
        self._hold, self._states, self._listed = ms(rule.hold), frozenset(rule.states), listed
        self._value = ""
        self.ends = 0

    @property
    def at(self) -> int:
        """When it last happened."""
        return self.ends - self._hold

    def counts(self, value: Value) -> bool:
        """True when this value is one that the rule worries about."""
        return value not in self._listed and (not self._states or value in self._states)

    def happen(self, value: Value, at: int) -> bool:
        """It happened with this value; True when it counts."""
        if not self.counts(value):
            return False
        self._value, self.ends = str(value), at + self._hold
        return True

    def restore(self, value: Value, at: int) -> None:
        """It had happened before the start."""
        self._value, self.ends = str(value), at + self._hold

    def take_over(self, old: Question) -> None:
        """The event that it had seen is held for as long as the rule says now."""
        if isinstance(old, Event) and old.ends:
            self.restore(old._value, old.at)

    def ask(self, now: int, standing: bool) -> Truth:
        """See Question; an event is never unknown."""
        return _T if now < self.ends and self._value not in self._listed and self._asked(now) else _F

    def until(self, now: int) -> int | None:
        """The end of the hold."""
        edge = super().until(now)
        if now >= self.ends:
            return edge
        return self.ends if edge is None else min(edge, self.ends)


class NoData(_Plain):
    """Has the device fallen silent, or gone offline? Unknown until it has spoken or had the time to."""

    __slots__ = ("_watch",)

    def __init__(self, watch: DeviceWatch, hours: Hours | None) -> None:
        """Of this device."""
        super().__init__(hours)
        self._watch = watch

    def ask(self, now: int, standing: bool) -> Truth:
        """See Question."""
        if not self._asked(now):
            return _F
        state = self._watch.state
        return _F if state == OK else _T if state in (SILENT, OFFLINE) else _U


class LinkDown(_Plain):
    """Is the link down? Unknown while it has said nothing yet, for as long as a start may take."""

    __slots__ = ("_watch",)

    def __init__(self, watch: LinkWatch) -> None:
        """Of this link."""
        super().__init__(None)
        self._watch = watch

    def ask(self, now: int, standing: bool) -> Truth:
        """See Question."""
        if self._watch.state != DOWN:
            return _F
        return _T if now >= self._watch.settled else _U

    def until(self, now: int) -> int | None:
        """The end of the start's grace."""
        return self._watch.settled if now < self._watch.settled else None
