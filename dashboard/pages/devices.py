"""Devices: the list, one device with its values, charts, alarms and quarantine, and its commands.

A command is two steps: a page that says what will happen and asks why, then the order, whose outcome shows itself.
"""

from typing import Any

import msgspec
from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dashboard.access.asking import note, stale, unproved
from dashboard.access.permissions import Permission, allow
from dashboard.charts.window import SPANS_MS
from dashboard.gather import gather
from dashboard.language import words
from dashboard.language.i18n import gettext
from dashboard.live.together import together
from dashboard.office import me, office
from dashboard.ordering import put_from_form
from dashboard.places.care import care_of
from dashboard.situation import why_blind
from device_profiles import vocabulary
from device_profiles.types import Duration, ModbusCommand, MqttCommand, SerialCommand
from hub.care.upkeep import MOST_DB
from hub.outcome import Health
from hub.reading import Kind, Reading
from hub.settings.site import Device

bp = Blueprint("devices", __name__, url_prefix="/devices")
LONGEST_REASON = 500


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A device in the list."""

    device: Device
    health: Health | None
    why: str | None
    readings: list[Reading]
    alarms: int


@bp.get("")
@allow(Permission.SEE)
@together
def page() -> str:
    """All devices by zone, those without word first."""
    situation = gather(office())
    rows = device_rows(hub_fresh=situation.hub_fresh)
    zones = {zone.id: zone.name for zone in office().site.zones}
    links = {name: health for name, health in office().view.health().items() if health.kind == "link"}
    return render_template(
        "devices.html",
        rows=sorted(rows, key=lambda row: row.why is None),
        zones=zones,
        links=links,
        used=used,
        situation=situation,
    )


@bp.get("/<name>")
@allow(Permission.SEE)
@together
def one(name: str) -> str:
    """One device: is it alive and right?"""
    device, situation = find(name), gather(office())
    health = office().view.health()
    readings = office().view.latest(device.id)
    return render_template(
        "device.html",
        device=device,
        health=health.get(device.id),
        link=health.get(device.link),
        why=why_blind(device, health, _out(), hub_fresh=situation.hub_fresh),
        readings=[(q, readings.get((device.id, q))) for q in device.profile.reading if used(device, q)],
        charts={q: words.kind(q).value for q in device.profile.reading if used(device, q)},
        spans=list(SPANS_MS),
        today=office().words.moment(situation.now)[:10],
        events={q: office().view.recent(device.id, q) for q in device.profile.reading if words.kind(q) is Kind.EVENT},
        groups=[group for group in command_groups(device) if used(device, group[0])],
        care=care_of(device),
        most_db=MOST_DB,
        orders=office().view.orders_about(device.id),
        happenings=office().view.happenings("o.source = ?", (device.id,), limit=8),
        faults=_faults(device.id),
        quarantine=_quarantine(device.id),
        zone=office().words.zone(device.zone) if device.zone else None,
        situation=situation,
    )


@bp.get("/<name>/do/<command>")
@allow(Permission.COMMAND)
def ask(name: str, command: str) -> str:
    """What will happen, and why is it wanted?"""
    device = find(name)
    wanted = find_command(device, command)
    return render_template(
        "order.html",
        device=device,
        command=command,
        wanted=wanted,
        label=office().words.command(device.id, command),
        proof=stale(),
        situation=gather(office()),
        longest=LONGEST_REASON,
        back=_back(device),
    )


@bp.post("/<name>/do/<command>")
@allow(Permission.COMMAND)
def do(name: str, command: str) -> Response:
    """Put the order in. The same form sent twice is one order; the hub sends it at most once."""
    device = find(name)
    wanted = find_command(device, command)
    reason = request.form.get("reason", "").strip()[:LONGEST_REASON]
    if wanted.caution == "ask" and (problem := _not_yet(reason)):
        flash(problem)
        came = {"from": "gates"} if request.form.get("from") == "gates" else {}
        return redirect(url_for("devices.ask", name=device.id, command=command, **came))  # type: ignore[arg-type]  # more arguments of the address
    expires_ms = int(wanted.expires * 1000)
    note("command", me().name, f"{device.id} {command}; {reason}")
    put_from_form("command", device.id, expires_ms, command=command, seconds=_seconds(wanted.seconds), text=reason)
    return redirect(_back(device))


def _back(device: Device) -> str:
    """Where the order was asked for, and where its outcome shows."""
    if request.values.get("from") == "gates":
        return url_for("gates.page", _anchor=f"gate-{device.id}")
    return url_for("devices.one", name=device.id, _anchor="orders")


def find(name: str) -> Device:
    """The device, or 404."""
    device = office().site.devices().get(name)
    if device is None:
        abort(404)
    return device


def find_command(device: Device, command: str) -> ModbusCommand | SerialCommand | MqttCommand:
    """The device's command, or 404."""
    wanted = device.profile.command.get(command)
    if wanted is None:
        abort(404)
    return wanted


def device_rows(*, hub_fresh: bool) -> list[Row]:
    """Every device with its state; nobody watches while the hub is silent."""
    view, out = office().view, _out()
    health, latest = view.health(), view.latest()
    alarms = view.counts("SELECT source, count(*) FROM occurrence WHERE closed = '' GROUP BY source")
    return [
        Row(
            device=device,
            health=health.get(device.id),
            why=why_blind(device, health, out, hub_fresh=hub_fresh),
            readings=[found for q in device.profile.reading if (found := latest.get((device.id, q))) is not None],
            alarms=alarms.get(device.id, 0),
        )
        for device in office().site.devices().values()
    ]


def _out() -> set[str]:
    return {row.target for row in office().view.services()}


def used(device: Device, quantity: str) -> bool:
    """False for a channel that the site has not named, on a device where it has named others."""
    word = vocabulary.find(quantity)
    return not device.names or quantity in device.names or word is None or not word.channel


def command_groups(device: Device) -> list[tuple[str, list[str]]]:
    """Commands by the channel that they move; channels that the site has named come first."""
    groups: dict[str, list[str]] = {}
    for name, command in device.profile.command.items():
        groups.setdefault(next(iter(command.confirm), ""), []).append(name)
    return sorted(groups.items(), key=lambda group: group[0] not in device.names)


def _not_yet(reason: str) -> str:
    """What is still missing before a dangerous order may go, in words; empty when nothing is."""
    if len(reason) < 2:
        return gettext("Say why. The reason is kept with the order.")
    return unproved()


def _seconds(duration: Duration | None) -> float | None:
    """The wanted duration, within what the command takes."""
    if duration is None:
        return None
    wanted = request.form.get("seconds", duration.default, type=float)
    return min(duration.max, max(duration.min, wanted)) if wanted == wanted else duration.default  # NaN is not itself


def _faults(source: str) -> list[Any]:  # Any: SQLite's rows
    sql = "SELECT kind, sum(count) AS count, max(minute) AS minute, detail FROM fault WHERE source = ? GROUP BY kind ORDER BY minute DESC LIMIT 10"  # noqa: E501  # fmt: skip
    return office().view.rows(sql, (source,))


def _quarantine(source: str) -> list[dict[str, Any]]:
    rows = office().view.rows("SELECT * FROM quarantine WHERE source = ? ORDER BY seq DESC LIMIT 10", (source,))
    return [{**dict(row), "payload": _shown(row["payload"])} for row in rows]


def _shown(payload: bytes) -> str:
    """Text as text, everything else in hexadecimal."""
    head = payload[:200]
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        return head.hex(" ")
    return text if text.isprintable() else head.hex(" ")
