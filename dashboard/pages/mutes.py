"""Mutes of zones: for a while nobody is told of P3 and P4 there. They end by themselves, and every page says so.

An order to the hub, as all that people do. P1, P2 and sirens are never muted: hub/speaking/muted.py has no way to.
"""

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dashboard.access.permissions import Permission, allow
from dashboard.gather import gather
from dashboard.journal_view import JournalUnreadable
from dashboard.language.i18n import gettext
from dashboard.office import me, office
from dashboard.ordering import put_from_form
from dashboard.pages.auth import note
from hub.outcome import Mute, OrderState

bp = Blueprint("mutes", __name__, url_prefix="/mutes")
EXPIRES_MS = 60_000
SPANS_S = (15 * 60, 30 * 60, 3600, 2 * 3600, 4 * 3600, 8 * 3600)
LONGEST_REASON = 200
HISTORY = 20
DAY_MS = 24 * 3600 * 1000


def banner() -> list[Mute]:
    """What every page of a signed-in person shows; none while the journal cannot be read, which the page says."""
    if getattr(g, "signed", None) is None:
        return []
    try:
        return office().view.mutes(office().clock.now())
    except JournalUnreadable:
        return []


@bp.get("")
@allow(Permission.SEE)
def page() -> str:
    """What is muted, a form for managers, and what was muted before."""
    now = office().clock.now()
    waiting = office().view.orders_since(["mute", "unmute"], now - DAY_MS)
    return render_template(
        "mutes.html",
        waiting=[order for order in waiting[-5:] if order.state is not OrderState.DONE],
        before=[mute for mute in office().view.mutes_before(HISTORY) if not mute.holds(now)],
        spans=SPANS_S,
        longest=LONGEST_REASON,
        situation=gather(office()),
    )


@bp.post("")
@allow(Permission.MANAGE)
def mute() -> Response:
    """Withhold announcements of a zone for so long."""
    zone, seconds = request.form.get("zone", ""), request.form.get("seconds", 0, type=int)
    why = request.form.get("text", "").strip()[:LONGEST_REASON]
    if zone not in office().site.zones_by_id() or seconds not in SPANS_S:
        abort(400)
    if len(why) < 2:
        flash(gettext("Say why. The reason is kept with the order."))
    else:
        _order("mute", zone, why, float(seconds))
    return redirect(url_for("mutes.page"))


@bp.post("/<zone>/end")
@allow(Permission.MANAGE)
def end(zone: str) -> Response:
    """Tell people again, and what was withheld meanwhile."""
    _order("unmute", zone, "")
    return redirect(url_for("mutes.page"))


def _order(kind: str, zone: str, why: str, seconds: float | None = None) -> None:
    note(kind, me().name, f"{zone} {seconds or 0:g} s: {why}")
    put_from_form(kind, zone, EXPIRES_MS, seconds=seconds, text=why)
