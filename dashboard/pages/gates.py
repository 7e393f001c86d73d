"""Gates: how each stands, what was ordered and what became of it, who passed (without names), and when it is closed.

The orders themselves are those of the device page: one way to move a gate, with its reason and its password.
"""

import msgspec
from flask import Blueprint, current_app, render_template

from dashboard.access.permissions import Permission, allow
from dashboard.gather import gather
from dashboard.journal_view import Happening
from dashboard.language.place_words import closed_hours
from dashboard.live.together import together
from dashboard.office import Office, office
from dashboard.pages.limits import known, value_of
from dashboard.places.traces import Trace, Traces, local_day, mark, traces
from dashboard.rulebook import plain
from dashboard.situation import why_blind
from hub.calendar.days import Days, calendar_or_seed
from hub.calendar.schedule import Hours
from hub.outcome import Health, Order
from hub.reading import Reading
from hub.rules.door import covers
from hub.settings.site import Device

bp = Blueprint("gates", __name__, url_prefix="/gates")
DAY_MS = 24 * 3600 * 1000
MOST = 500  # passages of a day that are counted
LISTED = 50
ORDER_MS = 12 * 3600 * 1000
HELD, CLOSED_HOURS = "gate-held", "gate-closed-hours"
ORDINARY = {"release": "normal", "tamper": "normal"}


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """One passage as it is shown: no name, no card, a mark that holds for this gate and this day."""

    ts: int
    value: str
    direction: str
    mark: str


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One gate with all that its part of the page says."""

    device: Device
    state: Reading | None
    others: list[Reading]  # tamper, release: only where they are not as they should be
    why: str | None
    health: Health | None
    alarms: list[Happening]
    orders: list[Order]
    passages: list[Passage]
    granted: int
    denied: int
    whole: bool
    reads_passages: bool
    closed: list[tuple[str, str]]
    closed_now: bool
    watched_hours: bool
    held_s: float | None
    locked_with: list[Device]


@bp.get("")
@allow(Permission.SEE)
@together
def page() -> str:
    """All gates, those with an alarm or without word first."""
    desk, situation = office(), gather(office())
    health, latest = desk.view.health(), desk.view.latest()
    devices = [device for device in desk.site.devices().values() if "gate" in device.profile.reading]
    passed = traces(
        desk, [d.id for d in devices if "passage" in d.profile.reading], "passage", desk.clock.now() - DAY_MS, MOST
    )
    days = Days(calendar_or_seed(desk.data))
    gates = [
        _gate(desk, device, passed.get(device.id), health, latest, days, hub_fresh=situation.hub_fresh)
        for device in devices
    ]
    gates.sort(key=lambda gate: (not gate.alarms, gate.why is None))
    return render_template("gates.html", gates=gates, listed=LISTED, most=MOST, situation=situation)


def _gate(
    desk: Office,
    device: Device,
    passed: Traces | None,
    health: dict[str, Health],
    latest: dict[tuple[str, str], Reading],
    days: Days,
    *,
    hub_fresh: bool,
) -> Gate:
    found = passed.found if passed is not None else []
    zone, now = desk.site.zones_by_id().get(device.zone), desk.clock.now()
    hours = zone.closed if zone is not None else ""
    orders = desk.view.orders_about(device.id, 5)
    return Gate(
        device=device,
        state=latest.get((device.id, "gate")),
        others=[
            reading
            for name, usual in ORDINARY.items()
            if (reading := latest.get((device.id, name))) is not None and reading.value != usual
        ],
        why=why_blind(device, health, hub_fresh=hub_fresh),
        health=health.get(device.id),
        alarms=desk.view.happenings("o.source = ? AND o.closed = ''", (device.id,), limit=10),
        orders=[order for order in orders if now - order.issued < ORDER_MS],
        passages=[_passage(desk, device.id, trace) for trace in found[:LISTED]],
        granted=sum(trace.value == "granted" for trace in found),
        denied=sum(trace.value == "denied" for trace in found),
        whole=passed is None or passed.whole,
        reads_passages=passed is not None,
        closed=closed_hours(hours),
        closed_now=bool(hours) and Hours(hours, desk.site.tz, days).inside(now),
        watched_hours=_watched(desk, CLOSED_HOURS, device),
        held_s=_held(desk, device),
        locked_with=_locked_with(desk, device),
    )


def _locked_with(desk: Office, device: Device) -> list[Device]:
    """The gates that are never opened by order while this one is open."""
    devices, found = desk.site.devices(), [lock.gates for lock in desk.site.interlocks if device.id in lock.gates]
    return [devices[name] for name in dict.fromkeys(each for gates in found for each in gates) if name != device.id]


def _passage(desk: Office, gate: str, trace: Trace) -> Passage:
    key, credential = current_app.config["SECRET_KEY"], trace.detail.get("credential", "")
    return Passage(
        ts=trace.ts,
        value=str(trace.value),
        direction=trace.detail.get("direction", ""),
        mark=mark(key, gate, credential, local_day(desk, trace.ts)) if credential else "",
    )


def _held(desk: Office, device: Device) -> float | None:
    """After how many seconds of standing open it alarms; None where nobody would notice."""
    if not _watched(desk, HELD, device):
        return None
    seconds = value_of(HELD, device.zone, "on_delay")
    return seconds if isinstance(seconds, float) else None


def _watched(desk: Office, rule: str, device: Device) -> bool:
    zone = desk.site.zones_by_id().get(device.zone)
    return known(rule) and plain()[rule].use == "on" and covers(plain()[rule], device, zone)
