"""What a rule says of its source now: true, false or unknown, from the last fresh readings and the source's health.

One class a kind of rule, each with the same methods: the plain kinds here, the others in hub/kinds. No delay, no alarm
and no device's word is known here.
"""

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from hub.alarms.alarm import Truth
from hub.calendar.schedule import Hours
from hub.devices.health import DOWN, OFFLINE, OK, SILENT, DeviceWatch, LinkWatch
from hub.reading import Reading, Value
from hub.rules.rule import Rule, ms

LINK_PATIENCE = 3_000  # ms that a link may be down before what hangs on it counts as not heard: a broker that restarts
_NEVER = 1 << 62
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
    """A rule asked of one source. What it remembers besides its series is its inner state."""

    def ask(self, now: int, standing: bool) -> Truth:
        """The truth at `now` (ms); `standing`: it was true last, so a deadband applies."""

    def until(self, now: int) -> int | None:
        """When the answer may change by the clock alone; None: never."""

    def limit(self, now: int) -> float | None:
        """The limit that the answer leans on, for people to see."""

    def value(self, now: int) -> Value | None:
        """What the answer leans on, for people to see; None: nothing new to show."""

    def take_over(self, old: "Question") -> None:
        """Go on from what the same rule's question had seen before it was edited."""

    def calm(self, now: int) -> Calm | None:
        """What numbers leave a FALSE answer as it is; None: each has to be asked."""

    def worse(self, now: int, standing: bool) -> Truth:
        """Is it past the second limit? `standing`: it was, so the deadband applies."""

    def take(self, item: Reading, now: int) -> None:
        """A fresh reading came (of a quantity that it asked to be told of): before the next `ask`."""

    def ear(self) -> Callable[[Reading, int], None]:
        """What hears as `take` does, by the shortest way."""

    def ordered(self, confirm: Mapping[str, str], within: int, now: int) -> bool:
        """A command leaves for the device, which is to read `confirm` within so many ms. True: it matters here."""

    def settle(self, now: int) -> None:
        """A person says that all is well: what is counted begins anew."""

    def shift(self, gap: int) -> None:
        """The clock was set, or the machine slept: `gap` ms did not pass."""

    def keep(self) -> str:
        """The inner state that has to survive a restart, as text; empty: none."""

    def recall(self, kept: str, now: int) -> None:
        """What `keep` gave before the restart."""

    def remember(self, item: Reading, now: int) -> None:
        """The last reading before the restart, of a quantity that it is told of; before `recall`."""


class Plain:
    """A question without a limit and without an inner state, perhaps asked within certain hours only."""

    __slots__ = ("_hours",)

    def __init__(self, hours: Hours | None) -> None:
        """`hours`: outside of them the answer is false."""
        self._hours = hours

    def _asked(self, now: int) -> bool:
        return self._hours is None or self._hours.inside(now)

    def until(self, now: int) -> int | None:
        """The next edge of the hours."""
        return None if self._hours is None else self._hours.until(now)

    def limit(self, now: int) -> float | None:
        """There is none."""
        return None

    def value(self, now: int) -> Value | None:
        """There is none."""
        return None

    def calm(self, now: int) -> Calm | None:
        """Always ask."""
        return None

    def worse(self, now: int, standing: bool) -> Truth:
        """It has one limit, or none."""
        return _F

    def take(self, item: Reading, now: int) -> None:
        """Nothing is kept of it."""

    def ear(self) -> Callable[[Reading, int], None]:
        """Its own `take`."""
        return self.take

    def ordered(self, confirm: Mapping[str, str], within: int, now: int) -> bool:
        """Orders do not matter."""
        return False

    def settle(self, now: int) -> None:
        """Nothing is counted."""

    def shift(self, gap: int) -> None:
        """No instant is kept."""

    def keep(self) -> str:
        """Nothing has to survive."""
        return ""

    def recall(self, kept: str, now: int) -> None:
        """Nothing was kept."""

    def remember(self, item: Reading, now: int) -> None:
        """What is old says nothing."""

    def take_over(self, old: Question) -> None:
        """Through `keep` and `recall`: enough for whatever survives a restart."""
        if isinstance(old, type(self)) and (kept := old.keep()):
            self.recall(kept, 0)


class State(Plain):
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

    def value(self, now: int) -> Value | None:
        """The state."""
        return self._series.value


class Event(Plain):
    """Did it happen within the last `hold` seconds? Never of what stands in the rule's list, from the moment on."""

    __slots__ = ("_hold", "_listed", "_only", "_states", "_value", "ends")

    def __init__(self, rule: Rule, listed: set[str], hours: Hours | None, only: set[str] | None = None) -> None:
        """`listed`, `only`: the live lists that `unless_in` and `only_in` name (empty, None for none)."""
        super().__init__(hours)
        self._hold, self._states, self._listed, self._only = ms(rule.hold), frozenset(rule.states), listed, only
        self._value = ""
        self.ends = 0

    @property
    def at(self) -> int:
        """When it last happened."""
        return self.ends - self._hold

    def counts(self, value: Value) -> bool:
        """True when this value is one that the rule worries about."""
        return self._wanted(value) and (not self._states or value in self._states)

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
        """It had happened before the rules were loaded anew."""
        if isinstance(old, Event) and old.ends:
            self.restore(old._value, old.at)

    def shift(self, gap: int) -> None:
        """The hold is counted on."""
        self.ends += gap

    def ask(self, now: int, standing: bool) -> Truth:
        """See Question; an event is never unknown."""
        return _T if now < self.ends and self._wanted(self._value) and self._asked(now) else _F

    def until(self, now: int) -> int | None:
        """The end of the hold."""
        edge = super().until(now)
        if now >= self.ends:
            return edge
        return self.ends if edge is None else min(edge, self.ends)

    def _wanted(self, value: Value) -> bool:
        return value not in self._listed and (self._only is None or value in self._only)


class NoData(Plain):
    """Has the device fallen silent, or gone offline? Unknown until it has spoken or had the time to.

    `at_once`: a link that is down for three seconds is silence as well, before the device's own time is over.
    """

    __slots__ = ("_at_once", "_watch")

    def __init__(self, watch: DeviceWatch, hours: Hours | None, *, at_once: bool = False) -> None:
        """Of this device."""
        super().__init__(hours)
        self._watch, self._at_once = watch, at_once

    def ask(self, now: int, standing: bool) -> Truth:
        """See Question."""
        if not self._asked(now):
            return _F
        state = self._watch.state
        if state in (SILENT, OFFLINE) or now >= self._cut_off(now):
            return _T
        return _F if state == OK else _U

    def until(self, now: int) -> int | None:
        """The hours' edge, or when the link has been down for too long."""
        edges = [edge for edge in (super().until(now), self._cut_off(now)) if edge is not None]
        return min((edge for edge in edges if now < edge < _NEVER), default=None)

    def _cut_off(self, now: int) -> int:
        link = self._watch.link
        if not self._at_once or link.state != DOWN or now < link.settled:
            return _NEVER
        return link.since + LINK_PATIENCE


class LinkDown(Plain):
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
