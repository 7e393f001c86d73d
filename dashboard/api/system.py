"""The API's view of the system itself: clock, what is going on now, health, who asks, the stream, and this document."""

from typing import Annotated, Any

import msgspec
from flask import Response
from flask_wtf.csrf import generate_csrf
from msgspec import Meta

from dashboard.access.permissions import Permission
from dashboard.api.contract import OPERATIONS, Query, declare, get
from dashboard.api.document import document
from dashboard.gather import gather
from dashboard.office import me, office
from dashboard.pages.health import Report, judge
from dashboard.situation import Situation
from hub.outcome import Health

LAST = "the id of the last event that was heard: what came since is sent first, or `resync` where that is not known"


class ClockAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The hub's now (ms since 1970), and how fast its clock runs (1 but in a demo)."""

    now: int
    speed: float


class NowAnswer(Situation, frozen=True, kw_only=True):
    """What the Now page says. `all_well` only where everything is watched and nothing needs anybody."""

    unacked: int
    all_well: bool


class HealthAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How the system does (as /healthz), and every link and device by id."""

    report: Report
    links: list[Health]
    devices: list[Health]


class StreamQuery(Query, frozen=True, kw_only=True):
    """Whose values are sent."""

    series: Annotated[str, Meta(description="device/quantity, by commas: 200 at most")] = ""


class MeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and what they may. `csrf_token`: for the X-CSRFToken header of a session's writes."""

    name: str
    permissions: list[str]
    csrf_token: str


@get("/clock", ClockAnswer, Permission.SEE)
def clock() -> ClockAnswer:
    """The hub's now and how fast its clock runs: ages tick from here."""
    return ClockAnswer(now=office().clock.now(), speed=office().clock.speed)


@get("/now", NowAnswer, Permission.SEE)
def now() -> NowAnswer:
    """What is going on now, as on the page of that name."""
    found = gather(office())
    return NowAnswer(**msgspec.structs.asdict(found), unacked=found.unacked, all_well=found.all_well)


@get("/health", HealthAnswer, Permission.SEE)
def health() -> HealthAnswer:
    """How the system itself does."""
    rows = office().view.health().values()
    return HealthAnswer(
        report=judge(office()),
        links=[row for row in rows if row.kind == "link"],
        devices=[row for row in rows if row.kind == "device"],
    )


@get("/me", MeAnswer, Permission.SEE)
def whoami() -> MeAnswer:
    """Who asks, what they may, and the token that a session's writes need beside its cookie."""
    return MeAnswer(name=me().name, permissions=sorted(me().grants), csrf_token=generate_csrf())


@get("/openapi.json", dict[str, Any], Permission.SEE)
def openapi() -> Response:
    """This document: OpenAPI 3.1, made from the code that answers."""
    return Response(msgspec.json.encode(document(OPERATIONS)), content_type="application/json; charset=utf-8")


def stream() -> None:
    """What changes, as it changes: server-sent events.

    Events with JSON as `data`: `beat` {now, speed} after five quiet seconds; `change` {now, what} names what is to be
    read again (alarms, orders, health, states, hub); `values` {now, values} has [ts, value] by "device/quantity" of
    those that `series` names; `resync` {now} wants everything read again; `ended` {why} is the last one (signed-out,
    stopping). A token that is taken back ends its streams within a second.
    """


declare(
    stream,
    "/stream",
    Permission.SEE,
    query=StreamQuery,
    media="text/event-stream",
    answer=str,
    headers={"Last-Event-ID": LAST},
)
