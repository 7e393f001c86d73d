"""The calendar's page: which days are holidays and which weekends are worked (调休), for people to correct.

A year is announced in the autumn before, not computed. The tables are those of `zhian calendar` (hub/calendar/days.py).
"""

from collections.abc import Callable
from datetime import date, datetime

import msgspec
from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dashboard.access.asking import note
from dashboard.access.permissions import Permission, allow
from dashboard.gather import gather
from dashboard.language.hub_words import said
from dashboard.language.i18n import gettext
from dashboard.language.kept_words import DAY_KINDS, WEEKDAYS
from dashboard.office import me, office
from device_profiles.door import Refusal
from hub.calendar.days import Calendar, DayKind, days_between, load_calendar, save_calendar, seed

bp = Blueprint("calendar", __name__, url_prefix="/settings/calendar")
MOST_DAYS = 62
YEARS = range(2000, 2101)


class Month(msgspec.Struct, frozen=True):
    """The days of one month that are no plain workday or weekend."""

    number: int
    days: list[tuple[date, DayKind]]


@bp.get("")
@allow(Permission.REVIEW)
def page() -> str:
    """One year's days by month, the years there are, and a form for managers."""
    calendar, problem = _calendar()
    now = today()
    year = request.args.get("year", now.year, type=int)
    table = calendar.years.get(year)
    return render_template(
        "calendar.html",
        year=year,
        years=sorted({*calendar.years, now.year, now.year + 1}),
        table=table,
        missing=calendar.missing(now),
        months=_months(calendar, year),
        kinds=DAY_KINDS,
        weekdays=WEEKDAYS,
        most=MOST_DAYS,
        problem=problem,
        situation=gather(office()),
    )


@bp.post("")
@allow(Permission.MANAGE)
def change() -> Response:
    """Make some days holidays or worked weekends, or plain again; or say that a year is all there."""
    first, last = _day("first"), _day("last") or _day("first")
    year = request.form.get("year", 0, type=int)
    if request.form.get("complete"):
        problem = _save(f"{year} complete", lambda calendar: _complete(calendar, year))
    else:
        problem = _wrong(first, last) or _set(first, last)
        year = first.year if first else year
    flash(problem or gettext("The calendar is kept; schedules follow it at once."))
    return redirect(url_for("calendar.page", year=year if year in YEARS else None))


def today() -> date:
    """The date at the site."""
    return datetime.fromtimestamp(office().clock.now() / 1000, office().site.tz).date()


def _set(first: date | None, last: date | None) -> str:
    kind = request.form.get("kind", "")
    if first is None or last is None:
        return ""
    days = days_between(first, last)
    wanted = DayKind.WORKDAY if kind == "plain" else DayKind(kind)
    return _save(f"{first} – {last}: {kind}", lambda calendar: calendar.with_days(days, wanted, source=me().name))


def _save(what: str, change: Callable[[Calendar], Calendar]) -> str:
    """Keep the changed calendar; what is wrong in words, or nothing."""
    try:
        calendar = change(load_calendar(office().data))
        note("calendar", me().name, what)
        save_calendar(office().data, calendar)
    except Refusal as error:
        return gettext("Not changed: %(why)s", why=said(str(error)))
    except OSError as error:
        return gettext("Not changed: %(why)s", why=said(error.strerror or str(error)))
    return ""


def _complete(calendar: Calendar, year: int) -> Calendar:
    known = calendar.years.get(year)
    return calendar if known is None else calendar.with_year(year, msgspec.structs.replace(known, complete=True))


def _wrong(first: date | None, last: date | None) -> str:
    """What is wrong with the form, in words; empty when nothing is."""
    kind = request.form.get("kind", "")
    if first is None or last is None or first.year not in YEARS:
        return gettext("Say which day, or the first and the last of several.")
    if last < first or (last - first).days >= MOST_DAYS:
        return gettext("The last day must not be before the first, and at most %(n)s days go at once.", n=MOST_DAYS)
    if kind not in DAY_KINDS:
        return gettext("Say what kind of day it is.")
    weekday = next((day for day in days_between(first, last) if day.weekday() < 5), None)
    if kind == DayKind.ADJUSTED and weekday is not None:
        return gettext("%(day)s is worked anyway: an adjusted workday is a Saturday or a Sunday.", day=weekday)
    return ""


def _months(calendar: Calendar, year: int) -> list[Month]:
    table = calendar.years.get(year)
    found: dict[int, list[tuple[date, DayKind]]] = {}
    for day in sorted({*table.holiday, *table.adjusted}) if table else ():
        found.setdefault(day.month, []).append((day, calendar.kind(day)))
    return [Month(number, days) for number, days in found.items()]


def _calendar() -> tuple[Calendar, str]:
    """The one in force, and what is wrong with the site's own file."""
    try:
        return load_calendar(office().data), ""
    except Refusal as error:
        return seed(), str(error)  # it holds meanwhile


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(request.form.get(name, ""))
    except ValueError:
        return None
