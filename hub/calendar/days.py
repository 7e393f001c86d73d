"""What kind of day a date is: workday, weekend, holiday or adjusted workday, from tables that people can edit.

A year's holidays are announced in the autumn before (State Council of the PRC) and cannot be computed. A year without a
table falls back to Saturday and Sunday, and the alarm `calendar-missing` says so.
"""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path

import msgspec

from device_profiles.door import Refusal, parse, read_toml
from hub.durable import replace_file

FILE = "calendar.toml"
SEED = Path(__file__).with_name("calendar.toml")
_HEAD = "# What kind of day each date is. `zhian calendar` writes this file; it may be edited by hand.\n"


class DayKind(StrEnum):
    """ADJUSTED (调休): a Saturday or Sunday that is worked in exchange for a bridge day."""

    WORKDAY = "workday"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"
    ADJUSTED = "adjusted"


class Year(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One year's table. `complete`: all of it stands here; until then it counts as missing. `source`: who says so."""

    source: str = ""
    complete: bool = True
    holiday: list[date] = []
    adjusted: list[date] = []


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    year: dict[str, Year] = {}


class Calendar:
    """The tables of some years, looked up by date. Never changed: a new table is a new calendar."""

    def __init__(self, years: Mapping[int, Year]) -> None:
        """Tables by year."""
        self.years = dict(sorted(years.items()))
        self._kinds = {day: DayKind.HOLIDAY for year in years.values() for day in year.holiday}
        self._kinds |= {day: DayKind.ADJUSTED for year in years.values() for day in year.adjusted}

    def kind(self, day: date) -> DayKind:
        """By its year's table; a day that is in none is a workday from Monday to Friday, else a weekend."""
        return self._kinds.get(day) or (DayKind.WEEKEND if day.weekday() >= 5 else DayKind.WORKDAY)

    def knows(self, year: int) -> bool:
        """True when the whole year's table is here."""
        return year in self.years and self.years[year].complete

    def missing(self, today: date) -> int | None:
        """The year whose table is wanted by now: this one, and from December 1 on the next; None: all is here."""
        wanted = [today.year] if today.month < 12 else [today.year, today.year + 1]
        return next((year for year in wanted if not self.knows(year)), None)

    def with_year(self, year: int, table: Year) -> "Calendar":
        """With this table in place of what was known of the year."""
        return Calendar({**self.years, year: table})

    def with_days(self, days: Iterable[date], kind: DayKind, *, source: str) -> "Calendar":
        """With these days as `kind`; a year that was not known begins as an incomplete one."""
        years = dict(self.years)
        for day in days:
            known = years.get(day.year, Year(source=source, complete=False))
            sets = {DayKind.HOLIDAY: set(known.holiday) - {day}, DayKind.ADJUSTED: set(known.adjusted) - {day}}
            if kind in sets:
                sets[kind].add(day)
            years[day.year] = msgspec.structs.replace(
                known, holiday=sorted(sets[DayKind.HOLIDAY]), adjusted=sorted(sets[DayKind.ADJUSTED])
            )
        return Calendar(years)


class Days:
    """The calendar that is in force, which may be exchanged while schedules look at it."""

    __slots__ = ("calendar",)

    def __init__(self, calendar: Calendar | None = None) -> None:
        """By default the calendar that comes with Zhian."""
        self.calendar = seed() if calendar is None else calendar


@cache
def seed() -> Calendar:
    """The years that come with Zhian (China): made from chinesecalendar, checked against lunar_python by a test."""
    return read_calendar(SEED)


def load_calendar(data: Path) -> Calendar:
    """The seed, with the years of the data folder's own `calendar.toml` in place of the seed's. Raises Refusal."""
    path = data / FILE
    own = read_calendar(path).years if path.exists() else {}
    return Calendar({**seed().years, **own})


def calendar_or_seed(data: Path) -> Calendar:
    """As `load_calendar`, for a start that must not fail: with a mistake in the site's own file, the seed alone."""
    try:
        return load_calendar(data)
    except Refusal:
        return seed()  # hub.duty.room finds the mistake again, and raises an alarm


def read_calendar(path: Path) -> Calendar:
    """One file of tables. Raises Refusal."""
    years = {}
    for name, table in parse(_File, read_toml(path), file=path).year.items():
        key = f"year.{name}"
        if not (name.isdigit() and len(name) == 4):
            raise Refusal(path, key, "is not a year", value=name, right="as [year.2027]")
        _check(int(name), table, path, key)
        years[int(name)] = table
    return Calendar(years)


def save_calendar(data: Path, calendar: Calendar) -> None:
    """Write the years that differ from the seed into the data folder, whole or not at all. Raises Refusal."""
    path = data / FILE
    own = {year: table for year, table in calendar.years.items() if table != seed().years.get(year)}
    for year, table in own.items():
        _check(year, table, path, f"year.{year}")
    replace_file(path, format_calendar(Calendar(own)))


def format_calendar(calendar: Calendar) -> str:
    """As the text of a file that `read_calendar` reads."""
    parts = [_HEAD]
    for year, table in calendar.years.items():
        source = msgspec.json.encode(table.source).decode()
        parts.append(f"\n[year.{year}]\nsource = {source}\ncomplete = {'true' if table.complete else 'false'}\n")
        parts.append(f"holiday = {_dates(table.holiday)}\nadjusted = {_dates(table.adjusted)}\n")
    return "".join(parts)


def days_between(first: date, last: date) -> list[date]:
    """Both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _dates(days: Iterable[date]) -> str:
    lines: dict[int, list[str]] = {}
    for day in sorted(days):
        lines.setdefault(day.month, []).append(f"{day}")
    return "[" + "".join(f"\n  {', '.join(line)}," for line in lines.values()) + ("\n]" if lines else "]")


def _check(year: int, table: Year, path: Path, key: str) -> None:
    for name, days in (("holiday", table.holiday), ("adjusted", table.adjusted)):
        for day in days:
            if day.year != year:
                raise Refusal(path, f"{key}.{name}", "is a day of another year", value=str(day), right=f"of {year}")
    both = sorted(set(table.holiday) & set(table.adjusted))
    if both:
        raise Refusal(path, key, "is both holiday and adjusted workday", value=str(both[0]), right="one of the two")
    for day in table.adjusted:
        if day.weekday() < 5:
            right = "an adjusted workday is a Saturday or a Sunday"
            raise Refusal(path, f"{key}.adjusted", "is worked anyway", value=str(day), right=right)
