"""The same as the pages, as JSON under /api/v1, for the page's script and for other programs with a session.

Instants are ms since 1970; labels come in both languages.
"""

from collections.abc import Callable

import msgspec
from flask import Blueprint, Response, abort, request

from dashboard import bars, series, series_csv, stretches
from dashboard.gather import gather
from dashboard.office import Office, office
from dashboard.pages.alarms import PAGE, Filters, condition
from dashboard.pages.devices import device_rows, find
from dashboard.permissions import Permission, allow
from dashboard.window import Window, asked_for
from dashboard.words import kind
from hub.reading import Kind
from hub.site import Device

bp = Blueprint("api", __name__, url_prefix="/api/v1")


@bp.get("/clock")
@allow(Permission.SEE)
def clock() -> Response:
    """The hub's now and how fast its clock runs: ages tick in the browser from here."""
    return _json({"now": office().clock.now(), "speed": office().clock.speed})


@bp.get("/now")
@allow(Permission.SEE)
def now() -> Response:
    """What the Now page says."""
    found = gather(office())
    return _json({**msgspec.structs.asdict(found), "unacked": found.unacked, "all_well": found.all_well})


@bp.get("/alarms")
@allow(Permission.SEE)
def alarms() -> Response:
    """A page of the alarm list, with the same filters."""
    filters = Filters.from_request()
    where, parameters = condition(filters)
    found = office().view.happenings(where, parameters, limit=PAGE, offset=(filters.page - 1) * PAGE)
    return _json({"total": office().view.count(where, parameters), "page": filters.page, "alarms": found})


@bp.get("/devices")
@allow(Permission.SEE)
def devices() -> Response:
    """Every device with its state and last readings."""
    rows = [
        {
            "id": row.device.id,
            "name": row.device.name,
            "zone": row.device.zone,
            "link": row.device.link,
            "profile": row.device.profile.id,
            "watched": row.why is None,
            "why": row.why,
            "health": row.health,
            "readings": [msgspec.structs.replace(reading, detail=None) for reading in row.readings],  # who passed
            "open_alarms": row.alarms,
        }
        for row in device_rows(hub_fresh=gather(office()).hub_fresh)
    ]
    return _json({"now": office().clock.now(), "devices": rows})


@bp.get("/devices/<name>/series")
@allow(Permission.SEE)
def device_series(name: str) -> Response:
    """One chart: ?quantity=laeq&range=1h|24h|7d|30d|90d|1y, or &since=&until= (ms), or &from=&to= (dates of the site).

    `format=csv`: the same as a table.
    """
    device = find(name)
    quantity = request.args.get("quantity", "")
    if quantity not in device.profile.reading:
        abort(404)
    window = asked_for(request.args, office().clock.now(), office().site.tz)
    wanted = request.args.get("format", "json")
    if window is None or wanted not in ("json", "csv"):
        abort(400)
    found = _READ[kind(quantity)](office(), device, quantity, window)
    return series_csv.answer(found, office().site) if wanted == "csv" else _json(found)


_READ: dict[Kind, Callable[[Office, Device, str, Window], series_csv.Shown]] = {
    Kind.GAUGE: series.read,
    Kind.STATE: stretches.read,
    Kind.COUNTER: bars.read,
    Kind.EVENT: bars.read,
}


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), content_type="application/json")
