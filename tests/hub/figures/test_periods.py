"""Noise days: without holes in every zone and over every change of the clocks; a night belongs to the day it begins."""

from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from hub.calendar.schedule import Hours, parse_span
from hub.figures.periods import Part, cells, instant, month_before, month_days, noise_day

HOUR = 3_600_000
SHANGHAI = ZoneInfo("Asia/Shanghai")
NIGHT = parse_span("22:00-06:00")
# Clocks change at 01:00 UTC, at 2:00, by half an hour, at midnight, at 22:00 on the wall, and never.
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "America/Nuuk", "Asia/Shanghai"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("night", ["22:00-06:00", "22:30-06:30", "00:00-06:00"])
def test_every_instant_is_in_the_part_that_the_wall_clock_says(zone: str, night: str) -> None:
    """A year of hours, first and last instant, as hub.calendar.schedule reads the wall; no hole, no overlap."""
    tz = ZoneInfo(zone)
    found = cells(date(2026, 1, 1), date(2026, 12, 31), parse_span(night), tz)
    oracle = Hours(night, tz)

    assert all(a.end == b.start for a, b in pairwise(found))
    assert all(0 < cell.end - cell.start <= 2 * HOUR for cell in found)
    for cell in found:
        for at in (cell.start, cell.end - 1):
            begun = oracle.begun(at)
            assert (cell.part is Part.NIGHT) == bool(begun), (cell, datetime.fromtimestamp(at / 1000, tz))
            assert not begun or begun == (cell.day,)


@pytest.mark.parametrize("zone", ZONES)
def test_a_day_has_its_hours(zone: str) -> None:
    """24 hours, and 23 or 25 (by Lord Howe 23.5 or 24.5) where the clocks change: none is double, none is missing."""
    tz = ZoneInfo(zone)
    lengths = set()
    for number in range(365):
        day = date(2026, 1, 1) + timedelta(days=number)
        found = cells(day, day, NIGHT, tz)
        lengths.add((found[-1].end - found[0].start) / HOUR)
    changes = {"Asia/Shanghai": set(), "Australia/Lord_Howe": {23.5, 24.5}}.get(zone, {23.0, 25.0})

    assert lengths == {24.0} | changes


def test_a_night_belongs_to_the_day_on_which_it_starts() -> None:
    """June 3 begins at 06:00 and ends on June 4 at 06:00; at 05:59 it is still yesterday."""
    found = cells(date(2026, 6, 3), date(2026, 6, 3), NIGHT, SHANGHAI)

    assert [cell.hour for cell in found] == [*range(6, 24), *range(6)]
    assert {cell.day for cell in found} == {date(2026, 6, 3)}
    assert [sum(cell.part is part for cell in found) for part in Part] == [16, 8]
    assert found[0].start == instant(date(2026, 6, 3), 6 * 60, SHANGHAI)
    assert noise_day(found[0].start, NIGHT, SHANGHAI) == date(2026, 6, 3)
    assert noise_day(found[-1].end - 1, NIGHT, SHANGHAI) == date(2026, 6, 3)
    assert noise_day(found[-1].end, NIGHT, SHANGHAI) == date(2026, 6, 4)


@pytest.mark.parametrize(("night", "nights", "days"), [("00:00-24:00", 24, 0), ("01:00-05:00", 4, 20), ("", 8, 16)])
def test_odd_nights(night: str, nights: int, days: int) -> None:
    """A night all day long, one that begins after midnight, and the usual one."""
    found = cells(date(2026, 6, 3), date(2026, 6, 3), parse_span(night or "22:00-06:00"), SHANGHAI)

    assert [sum(cell.part is part for cell in found) for part in Part] == [days, nights]
    assert all(a.end == b.start for a, b in pairwise(found))


def test_months() -> None:
    """First and last day, the month before, and what is no month."""
    assert month_days("2026-02") == (date(2026, 2, 1), date(2026, 2, 28))
    assert month_days("2028-02")[1] == date(2028, 2, 29)
    assert month_days("2026-12") == (date(2026, 12, 1), date(2026, 12, 31))
    assert month_before(date(2026, 1, 1)) == "2025-12"
    for text in ("2026-13", "2026-1", "26-10", "2026-10-01", "x"):
        with pytest.raises(ValueError, match=r"."):
            month_days(text)
