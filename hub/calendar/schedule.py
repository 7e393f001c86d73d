"""Hours of the day in a time zone, by the kind of the day, over midnight and over a change of the clocks.

Whose hours they are (a zone's, a shift's, the noise night's) is not known here. Pure: the time is an argument.

A time is within a span exactly when the clock on the wall reads so. A doubled hour is therefore within it twice, and an
edge that falls into a skipped hour lies at the hour's end.
"""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from hub.calendar.days import DayKind, Days
from hub.settings.site import DayHours, Windows

_SPAN = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_DAY = timedelta(days=1)
_FAR = 2 * 86_400_000  # ms: further than this an answer is not looked ahead


class Window(msgspec.Struct, frozen=True):
    """A stretch of the wall clock, in minutes of the day: start inclusive, end exclusive."""

    first: int
    last: int

    @property
    def overnight(self) -> bool:
        """True when it ends on the day after."""
        return self.last <= self.first


def parse_span(span: str) -> Window:
    """`"22:00-06:00"`; ValueError when it is none."""
    match = _SPAN.fullmatch(span)
    if match is None:
        raise ValueError(span)
    first, last = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if first >= 24 * 60 or last > 24 * 60:
        raise ValueError(span)
    return Window(first, last)


def windows_of(spans: Windows) -> tuple[Window, ...]:
    """One span, several, or (the empty text) none."""
    return tuple(parse_span(span) for span in ([spans] if isinstance(spans, str) else spans) if span)


class Hours:
    """Spans of wall-clock time by the kind of the day. A span belongs to the day on which it starts."""

    __slots__ = ("_by_kind", "_calendar", "_days", "_from", "_inside", "_tz", "_until")

    def __init__(self, spans: Windows | DayHours, tz: ZoneInfo, days: Days | None = None) -> None:
        """`spans` as in the site file; ValueError when they are none. `days`: what kind of day a date is."""
        self._by_kind = _by_kind(spans)
        self._tz = tz
        self._days = days or Days()
        self._calendar = self._days.calendar
        self._from, self._until, self._inside = 0, 0, False

    @property
    def days(self) -> Days:
        """The calendar that they lean on."""
        return self._days

    def inside(self, now: int) -> bool:
        """True when `now` (ms since 1970) is within the hours."""
        if not self._from <= now < self._until or self._calendar is not self._days.calendar:
            self._calendar = self._days.calendar
            self._inside = bool(self.begun(now))
            self._from, self._until = now, self._stands(now)
        return self._inside

    def until(self, now: int) -> int:
        """The instant (ms) up to which the answer for `now` stands."""
        self.inside(now)
        return self._until

    def begun(self, now: int) -> tuple[date, ...]:
        """The days whose spans hold `now`: none outside of the hours; rarely two, where spans overlap."""
        wall = self._wall(now)
        today, yesterday = wall.date(), wall.date() - _DAY
        minute = (wall - datetime.combine(today, datetime.min.time())) / timedelta(minutes=1)
        old = any(window.overnight and minute < window.last for window in self._windows(yesterday))
        new = any(w.first <= minute and (w.overnight or minute < w.last) for w in self._windows(today))
        return (*((yesterday,) if old else ()), *((today,) if new else ()))

    def edge(self, now: int) -> int:
        """The next instant (ms) at which `begun` may change: a span's end, midnight, or a change of the clocks."""
        wall = self._wall(now)
        midnight = datetime.combine(wall.date(), datetime.min.time())
        minutes = {24 * 60, *(window.last for window in self._windows(wall.date() - _DAY))}
        for window in self._windows(wall.date()):
            minutes |= {window.first, window.last}
        walls = (midnight + timedelta(minutes=minute) for minute in minutes)
        ahead = min(at for at in walls if at > wall) - wall
        there = now + -(-ahead // timedelta(milliseconds=1))
        return there if self._offset(there) == self._offset(now) else self._change(now, there)

    def _stands(self, now: int) -> int:
        at = self.edge(now)
        while at - now < _FAR and bool(self.begun(at)) == self._inside:
            at = self.edge(at)
        return at

    def _change(self, low: int, high: int) -> int:
        """The instant in (low, high] at which the clocks change."""
        old = self._offset(low)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._offset(middle) == old else (low, middle)
        return high

    def _offset(self, at: int) -> timedelta | None:
        return datetime.fromtimestamp(at // 1000, self._tz).utcoffset()

    def _wall(self, now: int) -> datetime:
        seconds, rest = divmod(now, 1000)
        return datetime.fromtimestamp(seconds, UTC).astimezone(self._tz).replace(tzinfo=None, microsecond=rest * 1000)

    def _windows(self, day: date) -> tuple[Window, ...]:
        return self._by_kind[self._days.calendar.kind(day)]


def _by_kind(spans: Windows | DayHours) -> dict[DayKind, tuple[Window, ...]]:
    """An adjusted workday is a workday, and a holiday a weekend, where the table says nothing else."""
    if not isinstance(spans, DayHours):
        return dict.fromkeys(DayKind, windows_of(spans))
    workday, weekend = windows_of(spans.workday), windows_of(spans.weekend)
    return {
        DayKind.WORKDAY: workday,
        DayKind.WEEKEND: weekend,
        DayKind.HOLIDAY: weekend if spans.holiday is None else windows_of(spans.holiday),
        DayKind.ADJUSTED: workday if spans.adjusted is None else windows_of(spans.adjusted),
    }
