"""The noise days of a month, cut into hours: which stretch of time is day, which is night, and whose.

A night belongs to the day on which it starts: the day of June 3 ends when the night that follows it does, on June 4.
Pure: time zone and night are arguments. Hours are those of the wall clock, so that one may be missing or twice as long.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec

from hub.calendar.schedule import Window

_DAY_MIN = 24 * 60


class Part(StrEnum):
    """Of a noise day."""

    DAY = "day"
    NIGHT = "night"


class Cell(msgspec.Struct, frozen=True):
    """One hour, or what a change of part left of it; instants in ms since 1970. `hour` = that of the wall clock."""

    start: int
    end: int
    day: date
    part: Part
    hour: int


def cells(first: date, last: date, night: Window, tz: ZoneInfo) -> list[Cell]:
    """The hours of the noise days from `first` to `last` (included), in order and without holes."""
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [cell for day in days for cell in _day(day, night, tz)]


def month_days(month: str) -> tuple[date, date]:
    """The first and the last day of "2026-10". ValueError when it is no month."""
    first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).date()
    if f"{first:%Y-%m}" != month:
        raise ValueError(month)
    return first, (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def month_before(day: date) -> str:
    """The month that was over when the day's month began, as "2026-10"."""
    return f"{day.replace(day=1) - timedelta(days=1):%Y-%m}"


def noise_day(now: int, night: Window, tz: ZoneInfo) -> date:
    """The noise day to which an instant belongs: before the night's end it is still yesterday's."""
    today = datetime.fromtimestamp(now // 1000, tz).date()
    begins = instant(today, night.last if night.overnight else 0, tz)
    return today if now >= begins else today - timedelta(days=1)


def instant(day: date, minute: int, tz: ZoneInfo) -> int:
    """When the wall clock first shows so many minutes after the day's midnight, in ms since 1970.

    A time that the clocks leave out is where they jump.
    """
    wall = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minute)
    early = int(wall.replace(tzinfo=tz, fold=0).timestamp())
    if datetime.fromtimestamp(early, tz).replace(tzinfo=None) == wall:
        return early * 1000
    low, high = int(wall.replace(tzinfo=tz, fold=1).timestamp()), early
    after = datetime.fromtimestamp(high, tz).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if datetime.fromtimestamp(middle, tz).utcoffset() == after else (middle, high)
    return high * 1000


def _day(day: date, night: Window, tz: ZoneInfo) -> Iterator[Cell]:
    for part, first, last in _parts(night):
        edges = [first, *range((first // 60 + 1) * 60, last, 60), last]
        for start, end in pairwise(edges):
            begin, over = instant(day, start, tz), instant(day, end, tz)
            if begin < over:  # an hour that the clocks leave out has no length
                yield Cell(begin, over, day, part, start // 60 % 24)


def _parts(night: Window) -> list[tuple[Part, int, int]]:
    """In minutes after the midnight with which the date begins."""
    if night.overnight:
        return [(Part.DAY, night.last, night.first), (Part.NIGHT, night.first, _DAY_MIN + night.last)]
    whole = [(Part.DAY, 0, night.first), (Part.NIGHT, night.first, night.last), (Part.DAY, night.last, _DAY_MIN)]
    return [each for each in whole if each[1] < each[2]]
