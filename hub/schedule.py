"""Hours of the day in a time zone: "22:00-06:00" as instants, over midnight and over a change of the clocks.

Whose hours they are (a zone's, the noise night's) is the rules' business. Pure: the time is an argument.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hub.settings import parse_span


class Hours:
    """A daily span of wall-clock time, start inclusive, end exclusive; it belongs to the day on which it starts."""

    __slots__ = ("_first", "_from", "_inside", "_last", "_tz", "_until")

    def __init__(self, span: str, tz: ZoneInfo) -> None:
        """`span` as in the site file; ValueError when it is none."""
        self._first, self._last = parse_span(span)
        self._tz = tz
        self._from, self._until, self._inside = 0, 0, False

    def inside(self, now: int) -> bool:
        """True when `now` (ms since 1970) is within the hours."""
        if not self._from <= now < self._until:
            self._from, self._until, self._inside = self._look(now)
        return self._inside

    def until(self, now: int) -> int:
        """The instant (ms) up to which the answer for `now` stands."""
        self.inside(now)
        return self._until

    def _look(self, now: int) -> tuple[int, int, bool]:
        """The stretch around `now` with one answer, built from the spans of the days around it."""
        today = datetime.fromtimestamp(now / 1000, self._tz).replace(hour=0, minute=0, second=0, microsecond=0)
        edges: list[tuple[int, bool]] = []
        for day in (-2, -1, 0, 1, 2):
            start, end = self._span_of(today, day)
            if start < end:  # a change of the clocks can swallow a short span
                edges += [(start, True), (end, False)]
        before = max(((at, opens) for at, opens in edges if at <= now), default=(now, False))
        after = min((at for at, _ in edges if at > now), default=now + 3_600_000)
        return before[0], after, before[1]

    def _span_of(self, today: datetime, day: int) -> tuple[int, int]:
        start = self._wall(today, day, self._first)
        over = 1 if self._last <= self._first else 0
        return start, self._wall(today, day + over, self._last)

    def _wall(self, today: datetime, day: int, minutes: int) -> int:
        """That wall-clock minute as an instant: days are added on the calendar, never as 24 hours."""
        days, minute = divmod(minutes, 24 * 60)
        wall = today.replace(tzinfo=None) + timedelta(days=day + days, minutes=minute)
        return round(wall.replace(tzinfo=self._tz).timestamp() * 1000)
