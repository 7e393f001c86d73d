"""A rule's expression asked of one device: its names filled with what the device says now, and with the local time.

What an expression may say stands in hub.rules.kinds.expression.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from hub.alarms.alarm import Truth
from hub.calendar.schedule import Hours
from hub.reading import Value
from hub.rules.kinds.expression import SPECIAL, Known, compiled
from hub.rules.rule import Rule
from hub.rules.truth import Plain, Series

_T, _F, _U = Truth
_QUARTER = 900_000  # ms: zones are quarters of an hour apart, so that an hour never changes within one


class Condition(Plain):
    """Is the expression true? Unknown when what it leans on is."""

    __slots__ = ("_names", "_run", "_series", "_special", "_value")

    def __init__(self, rule: Rule, series: dict[str, Series], hours: Hours | None, local: "Local") -> None:
        """`series`: those of the device by quantity."""
        super().__init__(hours)
        self._names, self._run = compiled(rule.expression)
        self._series = [series.get(name) for name in self._names]
        self._special = local if set(self._names) & set(SPECIAL) else None
        self._value = next((each for each in self._series if each is not None), None)

    def ask(self, now: int, standing: bool) -> Truth:
        """See Question."""
        if not self._asked(now):
            return _F
        known: list[Known] = [None if each is None or not each.visible(now) else each.value for each in self._series]
        if self._special is not None:
            for at, name in enumerate(self._names):
                if name in SPECIAL:
                    known[at] = self._special.of(name, now)
        answer = self._run(known)
        return _U if answer is None else _T if answer else _F

    def until(self, now: int) -> int | None:
        """The next edge of the hours, or quarter of an hour where it asks for the time."""
        edges = [super().until(now), None if self._special is None else self._special.until(now)]
        return min((edge for edge in edges if edge is not None), default=None)

    def value(self, now: int) -> Value | None:
        """The first quantity that it names."""
        return None if self._value is None else self._value.value


class Local:
    """The local time of one zone of the site, as expressions ask for it."""

    __slots__ = ("_at", "_closed", "_night", "_tz", "_when")

    def __init__(self, tz: ZoneInfo, night: Hours, closed: Hours | None) -> None:
        """`closed`: when nobody should be there; None: never."""
        self._tz, self._night, self._closed = tz, night, closed
        self._at = -1
        self._when = datetime.fromtimestamp(0, tz)

    def of(self, name: str, now: int) -> Known:
        """One of SPECIAL."""
        if name == "night":
            return self._night.inside(now)
        if name == "closed":
            return self._closed is not None and self._closed.inside(now)
        if now // _QUARTER != self._at:
            self._at, self._when = now // _QUARTER, datetime.fromtimestamp(now / 1000, self._tz)
        return float(self._when.hour) if name == "hour" else float(self._when.isoweekday())

    def until(self, now: int) -> int:
        """When one of them may change."""
        edges = [(now // _QUARTER + 1) * _QUARTER, self._night.until(now)]
        return min(edges if self._closed is None else [*edges, self._closed.until(now)])
