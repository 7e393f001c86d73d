"""The audit trail to be read: rows that fit what somebody looks for, a page at a time, and as a file. Reads only."""

from collections.abc import Iterator

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from dashboard.access.tables import AuditRow

PAGE = 100


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody looks for; empty and None: everything. `since` <= at < `until` in ms."""

    actor: str = ""
    event: str = ""
    text: str = ""
    since: int | None = None
    until: int | None = None


class Line(msgspec.Struct, frozen=True):
    """A row of the trail."""

    id: int
    at: int
    actor: str
    address: str
    event: str
    detail: str


def lines(engine: Engine, wanted: Wanted, before: int | None = None, most: int = PAGE) -> list[Line]:
    """The newest rows that fit, below number `before`."""
    asked = _fitting(wanted).order_by(AuditRow.id.desc()).limit(most)
    with Session(engine) as db:
        return [_line(row) for row in db.scalars(asked if before is None else asked.where(AuditRow.id < before))]


def all_lines(engine: Engine, wanted: Wanted) -> Iterator[Line]:
    """Every row that fits, oldest first, however many they are."""
    with Session(engine) as db:
        for row in db.scalars(_fitting(wanted).order_by(AuditRow.id).execution_options(yield_per=500)):
            yield _line(row)


def events(engine: Engine) -> list[str]:
    """Every kind of event that there is."""
    with Session(engine) as db:
        return list(db.scalars(select(AuditRow.event).distinct().order_by(AuditRow.event)))


def _fitting(wanted: Wanted) -> Select[AuditRow]:
    asked = select(AuditRow)
    for column, value in ((AuditRow.actor, wanted.actor), (AuditRow.event, wanted.event)):
        asked = asked.where(column == value) if value else asked
    if wanted.text:
        asked = asked.where(AuditRow.detail.contains(wanted.text, autoescape=True))
    if wanted.since is not None:
        asked = asked.where(AuditRow.at >= wanted.since)
    return asked if wanted.until is None else asked.where(AuditRow.at < wanted.until)


def _line(row: AuditRow) -> Line:
    return Line(row.id, row.at, row.actor, row.address, row.event, row.detail)
