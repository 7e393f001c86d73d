"""What is done to a device: a calibrator on its meter, what was found, an exchange; with its history.

Orders to the hub, as all that people do: who, when and what is in the journal and in the audit trail.
"""

import math

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dashboard.access.permissions import Permission, allow
from dashboard.gather import gather
from dashboard.language.i18n import gettext
from dashboard.office import office
from dashboard.ordering import put_from_form
from dashboard.pages.devices import find
from dashboard.places.care import care_of
from hub.care.upkeep import (
    ABANDON,
    BEGIN,
    EXCHANGE,
    FINISH,
    KINDS,
    LEVELS,
    LONGEST_S,
    MOST_DAYS,
    MOST_DB,
    SHORTEST_S,
    USUAL_DAYS,
    USUAL_S,
    is_meter,
    written,
)
from hub.outcome import OrderState
from hub.settings.site import Device

bp = Blueprint("upkeep", __name__, url_prefix="/devices")
EXPIRES_MS = 60_000
LONGEST = 200


@bp.get("/<name>/upkeep")
@allow(Permission.SEE)
def page(name: str) -> str:
    """All that was done to it, newest first; for managers the forms."""
    device = find(name)
    care = care_of(device) or abort(404)
    orders = [order for order in office().view.orders_about(device.id) if order.kind in KINDS]
    return render_template(
        "upkeep.html",
        device=device,
        care=care,
        rows=office().view.upkeep(device.id)[::-1],
        waiting=[order for order in orders[:5] if order.state is not OrderState.DONE],
        minutes=(SHORTEST_S / 60, USUAL_S / 60, LONGEST_S / 60),
        levels=LEVELS,
        days=(USUAL_DAYS, MOST_DAYS),
        most_db=MOST_DB,
        longest=LONGEST,
        situation=gather(office()),
    )


@bp.post("/<name>/upkeep/begin")
@allow(Permission.MANAGE)
def begin(name: str) -> Response:
    """A calibrator sits on it from now on."""
    device, text = _meter(name), _text()
    if not text:
        return _again(device, gettext("Say which calibrator it is: maker, type, class, serial number."))
    minutes = _number("minutes", USUAL_S / 60)
    put_from_form(BEGIN, device.id, EXPIRES_MS, seconds=60 * minutes, text=text)
    return _back(device)


@bp.post("/<name>/upkeep/finish")
@allow(Permission.MANAGE)
def finish(name: str) -> Response:
    """What was found; the calibrator is off it again."""
    device = _meter(name)
    level, reading, days = _number("level"), _number("reading"), _number("days", USUAL_DAYS)
    if any(map(math.isnan, (level, reading, days))):
        return _again(device, gettext("Give both levels as numbers, in dB."))
    put_from_form(FINISH, device.id, EXPIRES_MS, command=written(level, reading, round(days)), text=_text())
    return _back(device)


@bp.post("/<name>/upkeep/stop")
@allow(Permission.MANAGE)
def stop(name: str) -> Response:
    """The calibrator is off it again, and nothing was found out."""
    device = _meter(name)
    put_from_form(ABANDON, device.id, EXPIRES_MS)
    return _back(device)


@bp.post("/<name>/upkeep/exchange")
@allow(Permission.MANAGE)
def exchange(name: str) -> Response:
    """It is another device from now on."""
    device, text = find(name), _text()
    if len(text) < 2:
        return _again(device, gettext("Say why. The reason is kept with the order."))
    put_from_form(EXCHANGE, device.id, EXPIRES_MS, text=text)
    return _back(device)


def _meter(name: str) -> Device:
    device = find(name)
    if not is_meter(device.profile):
        abort(404)
    return device


def _text() -> str:
    return request.form.get("text", "").strip()[:LONGEST]


def _number(field: str, otherwise: float = math.nan) -> float:
    """What the form says; NaN for what is no number. The hub judges whether it may be."""
    text = request.form.get(field, "").strip().replace(",", ".")
    try:
        return float(text) if text else float(otherwise)
    except ValueError:
        return math.nan


def _again(device: Device, why: str) -> Response:
    flash(why)
    return _back(device)


def _back(device: Device) -> Response:
    return redirect(url_for("upkeep.page", name=device.id))
