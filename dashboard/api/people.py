"""The API's incidents and duty: what people are dealing with, and who is on duty now.

No telephone numbers and no addresses: a person is an id and a name.
"""

from typing import Annotated, Any, Literal

import msgspec
from flask import request, url_for
from msgspec import Meta

from dashboard.access.permissions import Permission
from dashboard.api.contract import LARGEST, Query, get
from dashboard.api.problem import Problem
from dashboard.office import office
from device_profiles.door import Refusal
from hub.calendar.days import Days, load_calendar
from hub.duty.file import Duty, load_duty
from hub.duty.incident import Incident
from hub.duty.roster import OnDuty, Roster
from hub.reading import Label
from hub.rows import to_struct

_OPEN = "state NOT IN ('archived', 'void')"


class IncidentList(msgspec.Struct, frozen=True, kw_only=True):
    """A page, newest first. `next`: the address of the following page; null on the last one."""

    total: int
    incidents: list[Incident]
    next: str | None = None


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to an incident."""

    at: int
    event: str
    state: str
    actor: str
    text: str


class IncidentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One incident and its log, oldest first."""

    incident: Incident
    log: list[LogLine]


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """One person on one post. `stands_for`: whose turn it is, where somebody else stands in."""

    shift: str
    shift_name: Label
    role: str
    person: str
    name: str
    stands_for: str


class DutyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Who is on duty at `now`. `roster` false: the site has none. `until`: so long nothing changes."""

    now: int
    roster: bool
    posts: list[Post]
    until: int | None = None


class IncidentQuery(Query, frozen=True, kw_only=True):
    """Which incidents."""

    state: Literal["", "open", "ended"] = ""
    limit: Annotated[int, Meta(ge=1, le=200, description="how many a page, 1 to 200")] = 50
    cursor: Annotated[int, Meta(ge=0, le=LARGEST, description="as it stands in `next`")] | msgspec.UnsetType = (
        msgspec.UNSET
    )


@get("/incidents", IncidentList, Permission.SEE, query=IncidentQuery)
def incidents(query: IncidentQuery) -> IncidentList:
    """Matters that people have to deal with, newest first, a page at a time."""
    where = {"": "1", "open": _OPEN, "ended": f"NOT ({_OPEN})"}[query.state]
    view = office().view
    total = int(view.one(f"SELECT count(*) FROM incident WHERE {where}"))  # noqa: S608  # our own words
    before = query.cursor if query.cursor is not msgspec.UNSET else LARGEST
    sql = f"SELECT * FROM incident WHERE {where} AND id < ? ORDER BY id DESC LIMIT ?"  # noqa: S608  # as above
    found = [to_struct(Incident, row) for row in view.rows(sql, (before, query.limit + 1))]
    page = found[: query.limit]
    more = len(found) > len(page)
    arguments: dict[str, Any] = {**request.args.to_dict(), "cursor": page[-1].id} if more else {}
    return IncidentList(total=total, incidents=page, next=url_for("api.incidents", **arguments) if more else None)


@get("/incidents/<int:number>", IncidentAnswer, Permission.SEE)
def incident(number: int) -> IncidentAnswer:
    """One incident with its log."""
    rows = office().view.rows("SELECT * FROM incident WHERE id = ?", (number,))
    if not rows:
        raise Problem(404, "there is no such incident", at=("path", "number"), right="an `id` of /api/v1/incidents")
    lines = office().view.rows("SELECT * FROM incident_log WHERE incident = ? ORDER BY seq", (number,))
    return IncidentAnswer(incident=to_struct(Incident, rows[0]), log=[to_struct(LogLine, line) for line in lines])


@get("/duty/now", DutyAnswer, Permission.SEE, errors=(409,))
def duty_now() -> DutyAnswer:
    """Who is on duty now."""
    now = office().clock.now()
    try:
        duty = load_duty(office().data, office().site)
        days = Days(load_calendar(office().data))
    except Refusal as error:
        raise Problem(409, f"the roster cannot be read: {error.key}: {error.problem}", right=error.right) from None
    if duty is None:
        return DutyAnswer(now=now, roster=False, posts=[])
    roster = Roster(duty, office().site.tz, days)
    posts = [_post(duty, each) for each in roster.on_duty(now)]
    return DutyAnswer(now=now, roster=True, posts=posts, until=roster.next_change(now))


def _post(duty: Duty, each: OnDuty) -> Post:
    shift = next(shift for shift in duty.shift if shift.id == each.shift)
    return Post(
        shift=each.shift,
        shift_name=shift.name,
        role=each.role,
        person=each.person,
        name=duty.people()[each.person].name,
        stands_for=each.stands_for,
    )
