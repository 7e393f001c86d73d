"""For machines: /healthz says in one word whether the system does its work, /metrics has the figures for Prometheus.

/healthz is open and therefore names nothing, but its version to this machine; /metrics answers only to this machine.
"""

import importlib.metadata
import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec
from flask import Blueprint, Response, abort, request

from dashboard.access.permissions import Permission, allow
from dashboard.gather import DAY_MS, MOST_OPEN
from dashboard.journal_view import JournalUnreadable
from dashboard.office import Office, office
from dashboard.situation import HUB_FRESH_MS, why_unwatched

bp = Blueprint("health", __name__)
HISTORY_LATE_MS = 60_000
VERSION = importlib.metadata.version("zhian")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of /healthz. `hub` and `history` are ages in seconds; null when not known.

    `version`: which program answers; /healthz says it on this machine alone, and to others nothing.
    """

    status: str  # ok | degraded | failing
    reasons: list[str]
    hub: float | None = None
    history: float | None = None
    version: str = VERSION


@bp.get("/healthz")
@allow(Permission.OPEN)
def healthz() -> Response:
    """200 while the hub lives, 503 when it does not or its journal cannot be read."""
    report = judge(office())
    if not _is_here():
        report = msgspec.structs.replace(report, version="")
    code = 503 if report.status == "failing" else 200
    return Response(msgspec.json.encode(report), status=code, content_type="application/json")


@bp.get("/metrics")
@allow(Permission.OPEN)
def metrics() -> Response:
    """Prometheus text format, for callers on this machine."""
    if not _is_here():
        abort(403)
    return Response("".join(_lines(office())), content_type="text/plain; version=0.0.4; charset=utf-8")


def judge(desk: Office) -> Report:
    """How the system does."""
    now = desk.clock.now()
    try:
        heartbeat = desk.view.heartbeat()
        lag = desk.view.history_lag_ms(now)
        reasons = list(_troubles(desk, lag))
    except JournalUnreadable:
        return Report(status="failing", reasons=["the journal cannot be read"])
    age = None if heartbeat is None else now - heartbeat
    if age is None or age > HUB_FRESH_MS * max(1.0, desk.clock.speed):
        said = "the hub has never written a heartbeat" if age is None else f"the hub is silent for {age / 1000:.0f} s"
        hub = None if age is None else age / 1000
        return Report(status="failing", reasons=[said, *reasons], hub=hub, history=lag / 1000)
    return Report(status="degraded" if reasons else "ok", reasons=reasons, hub=age / 1000, history=lag / 1000)


def _troubles(desk: Office, lag_ms: int) -> Iterable[str]:
    """Whatever is not as it should be, as counts."""
    health = desk.view.health()
    down = sum(one.kind == "link" and one.state != "up" for one in health.values())
    if down:
        yield f"links down: {down}"
    blind = sum(why_unwatched(device, health) in ("silent", "offline") for device in desk.site.devices().values())
    if blind:
        yield f"devices silent or offline: {blind}"
    failing = desk.view.one("SELECT count(*) FROM voice WHERE failing IS NOT NULL")
    if failing:
        yield f"voices that fail: {failing}"
    if lag_ms > HISTORY_LATE_MS:
        yield f"history is {lag_ms / 1000:.0f} s behind"
    since = desk.clock.now() - DAY_MS
    failed = desk.view.one(
        "SELECT count(*) FROM outbox WHERE status = 'failed' AND coalesce(done, next_try) > ?", (since,)
    )
    if failed:
        yield f"announcements that failed: {failed}"


def _is_here() -> bool:
    """Whether a program on this machine asks."""
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


def _lines(desk: Office) -> Iterable[str]:
    report, view = judge(desk), desk.view
    yield from _gauge("zhian_up", "1 while /healthz does not say failing", {"": float(report.status != "failing")})
    if report.hub is None and report.history is None:
        return
    if report.hub is not None:
        yield from _gauge("zhian_hub_heartbeat_age_seconds", "since the hub's last sign of life", {"": report.hub})
    yield from _gauge("zhian_history_lag_seconds", "of the oldest reading not in history", {"": report.history or 0.0})
    health = view.health()
    out = {row.target for row in view.services()}
    devices = desk.site.devices().values()
    reasons: Counter[str] = Counter(why_unwatched(device, health, out) or "ok" for device in devices)
    yield from _gauge("zhian_devices", "devices by state", _labelled("state", reasons))
    yield from _gauge("zhian_out_of_service", "alarms and devices that nobody is told of", {"": float(len(out))})
    links = Counter(one.state for one in health.values() if one.kind == "link")
    yield from _gauge("zhian_links", "links by state", _labelled("state", links))
    alarms = Counter(happening.severity for happening in view.happenings("o.closed = ''", limit=MOST_OPEN))
    yield from _gauge("zhian_alarms_open", "open alarms by severity", _labelled("severity", alarms))
    said = view.counts("SELECT status, count(*) FROM outbox GROUP BY status")
    yield from _gauge("zhian_announcements", "announcements by status", _labelled("status", said))
    yield from _voices(desk)
    for column, about in (("missing", "lost, by the device's own count"), ("repeated", "that came again")):
        counts = view.counts(f"SELECT device, {column} FROM sequence")  # noqa: S608  # our own two names
        yield from _gauge(f"zhian_messages_{column}_total", f"messages {about}", _labelled("device", counts), "counter")
    readings = view.one("SELECT max(last) FROM batch")
    yield from _gauge("zhian_readings_total", "readings made durable", {"": float(readings or 0)}, "counter")


def _voices(desk: Office) -> Iterable[str]:
    """Whether each voice gets through, and how long ago it last did."""
    now, rows = desk.clock.now(), desk.view.rows("SELECT id, failing, succeeded FROM voice ORDER BY id")
    failing = {f'{{voice="{row["id"]}"}}': float(row["failing"] is not None) for row in rows}
    yield from _gauge("zhian_voice_failing", "1 while nothing gets through", failing)
    ages = {f'{{voice="{row["id"]}"}}': (now - row["succeeded"]) / 1000 for row in rows if row["succeeded"] is not None}
    yield from _gauge("zhian_voice_success_age_seconds", "since a voice last got through", ages)


def _labelled(name: str, counts: Mapping[str, int]) -> dict[str, float]:
    return {f'{{{name}="{key}"}}': float(count) for key, count in sorted(counts.items())}


def _gauge(name: str, about: str, values: dict[str, float], kind: str = "gauge") -> Iterable[str]:
    yield f"# HELP {name} {about}\n# TYPE {name} {kind}\n"
    for label, value in values.items():
        yield f"{name}{label} {value:g}\n"
