"""The audit trail: who did what from where, and whether it is as it was written. Nobody can change it."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from flask import Blueprint, Response, render_template, request, url_for
from sqlalchemy.engine import Engine

from dashboard.access import audit_book
from dashboard.access.asking import note
from dashboard.access.audit_book import PAGE, Wanted
from dashboard.access.permissions import Permission, allow
from dashboard.csv_cell import cell
from dashboard.gather import glance
from dashboard.office import me, office

bp = Blueprint("audit", __name__, url_prefix="/audit")
SOON_MS = 10_000  # what somebody looks at should be verified up to its newest rows
BOM = "\ufeff"  # without it a spreadsheet takes the Chinese for something else


@bp.get("")
@allow(Permission.AUDIT)
def page() -> str:
    """The newest rows first, a page at a time."""
    wanted, before = _wanted(), request.args.get("before", type=int)
    lines = audit_book.lines(office().users, wanted, before, PAGE + 1)
    kept = {name: value for name, value in request.args.items() if name != "before" and value}
    return render_template(
        "audit.html",
        lines=lines[:PAGE],
        older=_link("audit.page", {**kept, "before": str(lines[PAGE - 1].id)}) if len(lines) > PAGE else "",
        events=audit_book.events(office().users),
        filters=request.args,
        file=_link("audit.file", kept),
        verdict=office().watchman.verdict(within_ms=SOON_MS),
        situation=glance(office()),
    )


@bp.get("/audit.csv")
@allow(Permission.AUDIT)
def file() -> Response:
    """All rows that fit, oldest first, for a spreadsheet; that somebody took them is a row of its own."""
    wanted = _wanted()
    note("audit-export", me().name, request.query_string.decode("latin-1"))
    headers = {"Content-Disposition": "attachment; filename=audit.csv"}
    return Response(_csv(office().users, wanted), mimetype="text/csv; charset=utf-8", headers=headers)


def _link(endpoint: str, query: dict[str, str]) -> str:
    return f"{url_for(endpoint)}?{urlencode(query)}" if query else url_for(endpoint)


def _csv(engine: Engine, wanted: Wanted) -> Iterator[str]:
    yield BOM + _row(["number", "time (UTC)", "who", "from", "what", "detail"])
    for line in audit_book.all_lines(engine, wanted):
        at = datetime.fromtimestamp(line.at / 1000, UTC).isoformat(timespec="milliseconds")
        yield _row([line.id, at, line.actor, line.address, line.event, line.detail])


def _row(values: list[object]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([cell(value) for value in values])
    return out.getvalue()


def _wanted() -> Wanted:
    until = _day(request.args.get("until", ""))
    return Wanted(
        actor=request.args.get("actor", "").strip(),
        event=request.args.get("event", ""),
        text=request.args.get("text", "").strip(),
        since=_start(_day(request.args.get("since", ""))),
        until=_start(until + timedelta(days=1) if until and until < date.max else None),
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _start(day: date | None) -> int | None:
    """When a day of the site begins; None where there is none that a clock can say."""
    if day is None or day.year < 1970:
        return None
    return int(datetime.combine(day, time(), office().site.tz).timestamp() * 1000)
