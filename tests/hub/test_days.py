"""Kinds of days: the tables that come with Zhian against two libraries, a site's own tables, and what is missing."""

from datetime import date, timedelta
from pathlib import Path

import chinese_calendar
import pytest
from lunar_python.util import HolidayUtil

from device_profiles.door import Refusal
from hub.calendar.days import (
    FILE,
    Calendar,
    DayKind,
    Year,
    days_between,
    format_calendar,
    load_calendar,
    read_calendar,
    save_calendar,
    seed,
)

# "June 10 is a holiday, joined to the weekend" (State Council, for 2024): lunar_python calls that weekend holidays too.
JOINED = {date(2024, 6, 8), date(2024, 6, 9)}
PLAIN = {DayKind.WORKDAY, DayKind.WEEKEND}


def by_chinesecalendar(day: date) -> DayKind:
    """What chinesecalendar says; it raises for years that it does not know."""
    off, name = chinese_calendar.get_holiday_detail(day)
    if name:
        return DayKind.HOLIDAY if off else DayKind.ADJUSTED
    return DayKind.WEEKEND if off else DayKind.WORKDAY


def by_lunar_python(day: date) -> DayKind:
    """What lunar_python says."""
    found = HolidayUtil.getHoliday(day.year, day.month, day.day)
    if found is not None:
        return DayKind.ADJUSTED if found.isWork() else DayKind.HOLIDAY
    return DayKind.WEEKEND if day.weekday() >= 5 else DayKind.WORKDAY


@pytest.mark.parametrize("year", list(seed().years))
def test_the_seed_is_as_two_libraries_have_it(year: int) -> None:
    """Every day of every year that comes with Zhian, by two independent tables of the announcements."""
    for day in days_between(date(year, 1, 1), date(year, 12, 31)):
        assert seed().kind(day) == by_chinesecalendar(day), day
        if day not in JOINED:
            assert seed().kind(day) == by_lunar_python(day), day


def test_every_kind_is_in_the_seed() -> None:
    """The comparison above compares something: each year has holidays and worked weekends."""
    for year, table in seed().years.items():
        assert 25 <= len(table.holiday) <= 35, year
        assert 3 <= len(table.adjusted) <= 10, year


def test_a_day_in_no_table_is_by_its_weekday() -> None:
    """The fallback of a year that nobody has announced."""
    assert seed().kind(date(2031, 10, 1)) is DayKind.WORKDAY  # a Wednesday
    assert seed().kind(date(2031, 10, 4)) is DayKind.WEEKEND


@pytest.mark.parametrize(
    ("today", "missing"),
    [
        (date(2026, 11, 30), None),
        (date(2026, 12, 1), 2027),
        (date(2026, 12, 31), 2027),
        (date(2027, 1, 1), 2027),
        (date(2027, 6, 1), 2027),
    ],
)
def test_next_year_is_wanted_from_december_on(today: date, missing: int | None) -> None:
    """And a year without its table stays missing all year long."""
    years = {year: table for year, table in seed().years.items() if year <= 2026}
    calendar = Calendar(years)
    assert calendar.missing(today) == missing
    assert calendar.with_year(2027, Year(complete=False)).missing(today) == missing
    assert calendar.with_year(2027, Year()).missing(today) is None


def test_a_sites_own_year_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    """Only what differs from the seed is kept in the data folder, and it wins over the seed."""
    mended = seed().with_days([date(2026, 3, 2)], DayKind.HOLIDAY, source="zhian calendar set")
    grown = mended.with_days(days_between(date(2027, 2, 5), date(2027, 2, 11)), DayKind.HOLIDAY, source="a hand")
    save_calendar(tmp_path, grown)

    loaded = load_calendar(tmp_path)
    assert loaded.years == grown.years
    assert list(read_calendar(tmp_path / FILE).years) == [2026, 2027]
    assert loaded.kind(date(2026, 3, 2)) is DayKind.HOLIDAY
    assert not loaded.knows(2027)
    back = loaded.with_days([date(2026, 3, 2)], DayKind.WORKDAY, source="")
    assert back.kind(date(2026, 3, 2)) is DayKind.WORKDAY


def test_a_calendar_survives_its_own_text(tmp_path: Path) -> None:
    """What is written is what is read."""
    (tmp_path / "c.toml").write_text(format_calendar(seed()), encoding="utf-8")
    assert read_calendar(tmp_path / "c.toml").years == seed().years


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ("[year.27]", "year.27", "[year.2027]"),
        ("[year.2027]\nholiday = [2026-12-31]", "year.2027.holiday", "2027"),
        ("[year.2027]\nholiday = [2027-01-02]\nadjusted = [2027-01-02]", "year.2027", "one of the two"),
        ("[year.2027]\nadjusted = [2027-01-04]", "year.2027.adjusted", "Saturday or a Sunday"),
        ("[year.2027]\nhollyday = []", "year.2027.hollyday", "holiday"),
        ('[year.2027]\nholiday = ["soon"]', "year.2027.holiday", ""),
    ],
)
def test_a_mistake_in_a_table_is_named(tmp_path: Path, text: str, key: str, hint: str) -> None:
    """File, key, value and what would be right."""
    path = tmp_path / FILE
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Refusal) as refusal:
        load_calendar(tmp_path)
    assert str(refusal.value).startswith(f"{path}: {key}")
    assert hint in str(refusal.value)


def test_holidays_may_lie_on_weekends() -> None:
    """A Saturday inside of the national holidays is a holiday, not a weekend."""
    saturdays = [day for day in seed().years[2026].holiday if day.weekday() == 5]
    assert saturdays
    assert all(seed().kind(day) is DayKind.HOLIDAY for day in saturdays)
    assert seed().kind(saturdays[0] + timedelta(days=70)) in PLAIN
