"""A siren made quiet by whoever may acknowledge: at night a guard is alone with it. The alarm stays as it is.

Which command makes which siren quiet is dashboard/places/siren.py's; what becomes of it shows on the device's page.
"""

from flask import Blueprint, abort, redirect, url_for
from werkzeug.wrappers import Response

from dashboard.access.permissions import Permission, allow
from dashboard.office import office
from dashboard.pages.devices import find, give, order_page
from dashboard.places.siren import siren_off
from hub.settings.site import Device

bp = Blueprint("sirens", __name__, url_prefix="/sirens")


@bp.get("/<zone>")
@allow(Permission.ACKNOWLEDGE)
def ask(zone: str) -> str:
    """What will happen, and why is it wanted?"""
    device, command = _siren(zone)
    return order_page(device, command, action=url_for("sirens.do", zone=zone), back=url_for("now.page"))


@bp.post("/<zone>")
@allow(Permission.ACKNOWLEDGE)
def do(zone: str) -> Response:
    """Put the order in: this siren's channel, and nothing else."""
    device, command = _siren(zone)
    if give(device, command):
        return redirect(url_for("devices.one", name=device.id, _anchor="orders"))
    return redirect(url_for("sirens.ask", zone=zone))


def _siren(name: str) -> tuple[Device, str]:
    zone = office().site.zones_by_id().get(name)
    command = siren_off(zone)
    if zone is None or zone.siren is None or command is None:
        abort(404)
    return find(zone.siren.device), command
