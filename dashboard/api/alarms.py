"""The API's alarms: the list page by page, one with its timeline, and what people do to one.

What they do becomes an order to the hub, which may refuse it: the answer says that it was put in, not that it is done.
"""

from typing import Annotated, Any, Literal

import msgspec
from flask import request, url_for
from msgspec import Meta

from dashboard.access.permissions import Permission
from dashboard.api.contract import Input, Query, get, post
from dashboard.api.orders import OrderAnswer, put
from dashboard.api.place import Instant
from dashboard.api.problem import Problem
from dashboard.journal_view import Happening, Told, Word
from dashboard.office import office
from dashboard.pages.acts import ACT_EXPIRES_MS, COMMENT_EXPIRES_MS
from dashboard.pages.alarms import LONGEST_COMMENT, Filters, condition
from hub.reading import Label
from hub.rules.door import MAX_SHELF_S

Text = Annotated[str, Meta(max_length=LONGEST_COMMENT, description="a word for the timeline")]
Reason = Annotated[str, Meta(min_length=2, max_length=LONGEST_COMMENT, pattern=r"\S\s*\S", description="why")]
_CURSOR = r"^[0-9]{1,15}-[0-9]{1,15}$"  # raised (ms) and number of the last alarm of the page before


class AlarmAnswer(Happening, frozen=True, kw_only=True):
    """One occurrence of an alarm; `id` is its number here. `closed`: why it ended, empty while it is open."""

    title: Label


class AlarmList(msgspec.Struct, frozen=True, kw_only=True):
    """A page, newest first. `next`: the address of the following page; null on the last one."""

    total: int
    alarms: list[AlarmAnswer]
    next: str | None = None


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """One occurrence, everything that happened to it (oldest first), and who was told."""

    alarm: AlarmAnswer
    response: Label | None
    timeline: list[Word]
    told: list[Told]


class AlarmQuery(Query, frozen=True, kw_only=True):
    """Which alarms. What is left out does not matter."""

    state: Literal["", "open", "closed"] = ""
    severity: Annotated[str, Meta(max_length=100, description="P1, P2, P3 or P4")] = ""
    zone: Annotated[str, Meta(max_length=100, description="a zone's id")] = ""
    rule: Annotated[str, Meta(max_length=100, description="a rule's id")] = ""
    text: Annotated[str, Meta(max_length=100, description="in names (both languages), ids, and what people wrote")] = ""
    since: Instant | msgspec.UnsetType = msgspec.UNSET
    until: Instant | msgspec.UnsetType = msgspec.UNSET
    limit: Annotated[int, Meta(ge=1, le=200, description="how many a page, 1 to 200")] = 50
    cursor: Annotated[str, Meta(pattern=_CURSOR, description="as it stands in `next`")] | msgspec.UnsetType = (
        msgspec.UNSET
    )


class Remark(Input, frozen=True, kw_only=True):
    """What a person or program says about it."""

    text: Text = ""


class Comment(Input, frozen=True, kw_only=True):
    """A word for the timeline."""

    text: Annotated[str, Meta(min_length=1, max_length=LONGEST_COMMENT, pattern=r"\S", description="a word")]


class Shelve(Input, frozen=True, kw_only=True):
    """For how long nobody is told of it, and why. P1 cannot be shelved."""

    seconds: Annotated[float, Meta(ge=60, le=86_400, description="60 to what the alarm's priority allows")]
    text: Reason


@get("/alarms", AlarmList, Permission.SEE, query=AlarmQuery)
def alarms(query: AlarmQuery) -> AlarmList:
    """Alarms, newest first, a page at a time.

    Follow `next` until it is null: what is raised meanwhile moves nothing.
    """
    where, parameters = condition(
        Filters(state=query.state, severity=query.severity, zone=query.zone, rule=query.rule, text=query.text)
    )
    for sign, name in ((">=", "since"), ("<", "until")):
        if (at := getattr(query, name)) is not msgspec.UNSET:
            where, parameters = f"{where} AND o.raised {sign} ?", [*parameters, at]
    total = office().view.count(where, parameters)
    if query.cursor is not msgspec.UNSET:
        last = [int(part) for part in query.cursor.split("-")]
        where, parameters = f"{where} AND (o.raised, o.id) < (?, ?)", [*parameters, *last]
    found = office().view.happenings(where, parameters, limit=query.limit + 1)
    page = found[: query.limit]
    return AlarmList(
        total=total, alarms=[_alarm(one) for one in page], next=_next(page[-1]) if len(found) > len(page) else None
    )


@get("/alarms/<int:number>", Timeline, Permission.SEE)
def alarm(number: int) -> Timeline:
    """One alarm with its timeline."""
    found, view = known_alarm(number), office().view
    return Timeline(
        alarm=_alarm(found),
        response=office().words.response(found.rule),
        timeline=view.words(found.key, found.occurrence),
        told=view.told(found.key, found.occurrence),
    )


@post("/alarms/<int:number>/ack", Remark, OrderAnswer, Permission.ACKNOWLEDGE)
def acknowledge_alarm(number: int, body: Remark) -> Any:
    """Acknowledge: "I have seen it".

    It speaks of this occurrence alone: one that comes later stays unacknowledged.
    """
    return _order(number, "ack", body.text)


@post("/alarms/<int:number>/comment", Comment, OrderAnswer, Permission.ACKNOWLEDGE)
def comment_alarm(number: int, body: Comment) -> Any:
    """Put a word into the timeline, also after the alarm has closed."""
    return _order(number, "comment", body.text, expires_ms=COMMENT_EXPIRES_MS)


@post("/alarms/<int:number>/reset", Remark, OrderAnswer, Permission.ACKNOWLEDGE)
def reset_alarm(number: int, body: Remark) -> Any:
    """Let go of an alarm that stays until somebody has looked."""
    return _order(number, "reset", body.text)


@post("/alarms/<int:number>/shelve", Shelve, OrderAnswer, Permission.COMMAND)
def shelve_alarm(number: int, body: Shelve) -> Any:
    """Tell nobody of it for a while; it comes back by itself, and its zone counts as unwatched meanwhile."""
    found = known_alarm(number)
    most = MAX_SHELF_S.get(found.severity, 0)
    if body.seconds > most:
        right = f"{most:g} at most for {found.severity}" if most else f"{found.severity} cannot be shelved"
        raise Problem(409, "seconds: longer than this priority allows", at=("body", "seconds"), right=right)
    return _order(number, "shelve", body.text, seconds=body.seconds)


@post("/alarms/<int:number>/unshelve", Remark, OrderAnswer, Permission.COMMAND)
def unshelve_alarm(number: int, body: Remark) -> Any:
    """Tell people of it again."""
    return _order(number, "unshelve", body.text)


def known_alarm(number: int) -> Happening:
    """The occurrence. Raises Problem."""
    found = office().view.happenings("o.id = ?", (number,), limit=1)
    if not found:
        raise Problem(404, "there is no such alarm", at=("path", "number"), right="an `id` of /api/v1/alarms")
    return found[0]


def _order(number: int, kind: str, text: str, *, seconds: float | None = None, expires_ms: int = ACT_EXPIRES_MS) -> Any:
    found = known_alarm(number)
    return put(kind, found.key, expires_ms, occurrence=found.occurrence, seconds=seconds, text=text.strip())


def _alarm(found: Happening) -> AlarmAnswer:
    return AlarmAnswer(**msgspec.structs.asdict(found), title=office().words.rule(found.rule))


def _next(last: Happening) -> str:
    arguments: dict[str, Any] = {**request.args.to_dict(), "cursor": f"{last.raised}-{last.id}"}
    return url_for("api.alarms", **arguments)
