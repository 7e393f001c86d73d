"""`zhian calendar`: what kind of day each date is, shown, set by hand and imported from an announcement's table."""

from datetime import date
from pathlib import Path

import click
import msgspec

from device_profiles.door import Refusal
from hub.calendar.days import FILE, Calendar, DayKind, Year, days_between, load_calendar, read_calendar, save_calendar
from hub.commands.options import DATA, JSON, print_lines

KINDS = [str(kind) for kind in DayKind]


@click.group("calendar")
def calendar_command() -> None:
    """Holidays and adjusted workdays (调休), which schedules by kind of day lean on."""


class DayLine(msgspec.Struct, frozen=True):
    """One day that is not plainly a workday or a weekend."""

    date: str
    kind: str
    weekday: str
    source: str


class YearLine(msgspec.Struct, frozen=True):
    """One year's table."""

    year: int
    complete: bool
    holidays: int
    adjusted: int
    source: str


@calendar_command.command("show")
@click.argument("year", type=int, required=False)
@DATA
@JSON
def calendar_show(year: int | None, data: Path, as_json: bool) -> None:
    """Print which years are known, or the days of YEAR that are no plain workday or weekend."""
    calendar = load_calendar(data)
    if year is None:
        lines = [
            YearLine(each, table.complete, len(table.holiday), len(table.adjusted), table.source)
            for each, table in calendar.years.items()
        ]
        print_lines(lines, as_json=as_json)
        return
    table = calendar.years.get(year)
    if table is None:
        right = f"import it (zhian calendar import FILE); known: {', '.join(map(str, calendar.years))}"
        raise Refusal(data / FILE, f"year.{year}", "is not known: weekends are all that counts", right=right)
    days = sorted({*table.holiday, *table.adjusted})
    print_lines((_line(calendar, day, table.source) for day in days), as_json=as_json)


@calendar_command.command("set")
@click.argument("days")
@click.argument("kind", type=click.Choice([*KINDS, "plain"]))
@click.option("--complete", is_flag=True, help="With this the whole year is there.")
@DATA
def calendar_set(days: str, kind: str, complete: bool, data: Path) -> None:
    """Make DAYS (2027-01-01, or 2027-02-05..2027-02-11) a KIND; `plain` takes them out of the table."""
    chosen = _days(days)
    calendar = load_calendar(data)
    calendar = calendar.with_days(chosen, DayKind.WORKDAY if kind == "plain" else DayKind(kind), source="by hand")
    if complete:
        for year in {day.year for day in chosen}:
            calendar = calendar.with_year(year, msgspec.structs.replace(calendar.years[year], complete=True))
    _save(data, calendar)
    for year in sorted({day.year for day in chosen}):
        if not calendar.knows(year):
            click.echo(f"{year} is not complete yet: say --complete with the last of its days")


@calendar_command.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@DATA
def calendar_import(file: Path, data: Path) -> None:
    """Take over the years of FILE: the form of calendar.toml, or the JSON of holiday-cn (year, days, isOffDay)."""
    years = _holiday_cn(file) if file.suffix == ".json" else read_calendar(file).years
    if not years:
        raise Refusal(file, "year", "has no year", right="[year.2027] with holiday and adjusted")
    calendar = load_calendar(data)
    for year, table in years.items():
        calendar = calendar.with_year(year, table)
    _save(data, calendar)
    for year, table in years.items():
        click.echo(f"{year}: {len(table.holiday)} holidays, {len(table.adjusted)} adjusted workdays")


class _Day(msgspec.Struct):
    date: date
    isOffDay: bool  # the file's own word


class _Announced(msgspec.Struct):
    year: int
    days: list[_Day]


def _holiday_cn(file: Path) -> dict[int, Year]:
    """A year's file of github.com/NateScarlet/holiday-cn; days of the years beside it are left to their own files."""
    try:
        read = msgspec.json.decode(file.read_bytes(), type=_Announced)
    except OSError as error:
        raise Refusal(file, "", f"cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(file, "", f"is not such a table: {error}", right='{"year": 2027, "days": [...]}') from None
    days = [day for day in read.days if day.date.year == read.year]
    if not days:
        raise Refusal(file, "days", "is empty", right="the days of an announced year")
    return {
        read.year: Year(
            source=file.name,
            holiday=sorted({day.date for day in days if day.isOffDay}),
            adjusted=sorted({day.date for day in days if not day.isOffDay}),
        )
    }


def _save(data: Path, calendar: Calendar) -> None:
    if not data.is_dir():
        raise Refusal(data, "--data", "there is no such folder", right="the data folder of `zhian run`")
    save_calendar(data, calendar)


def _days(text: str) -> list[date]:
    first, dots, last = text.partition("..")
    try:
        found = days_between(date.fromisoformat(first), date.fromisoformat(last if dots else first))
    except ValueError:
        found = []
    if not 0 < len(found) <= 366:
        raise click.UsageError(f"{text!r} is no day; write 2027-01-01, or 2027-02-05..2027-02-11")
    return found


def _line(calendar: Calendar, day: date, source: str) -> DayLine:
    return DayLine(str(day), str(calendar.kind(day)), f"{day:%a}", source)
