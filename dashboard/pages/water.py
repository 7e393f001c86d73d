"""Water edges: is each watched, its daily test, drills, mutes, false alarms and response times of the week.

A test is an order to the hub, which may refuse it; what it marks and never hides is decided in hub/care/tester.py.
"""

from flask import Blueprint, abort, render_template, request, url_for
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from dashboard.access.asking import note
from dashboard.access.permissions import Permission, allow
from dashboard.gather import gather
from dashboard.journal_view import Happening, JournalView
from dashboard.live.together import together
from dashboard.office import me, office
from dashboard.ordering import put_from_form
from dashboard.places.shore import WATCHING, WEEK_MS, Edge, Rows, edge, edges
from dashboard.rulebook import plain
from dashboard.situation import Situation
from hub.care.drill import SOUNDS, WITHHELD, shortened
from hub.outcome import Drill, OrderState
from hub.rows import to_struct
from hub.settings.site import Zone

bp = Blueprint("water", __name__, url_prefix="/water")
EXPIRES_MS = 30_000
SPANS_S = (120, 300, 600, 900)
DETECTS = ("state", "balance", "vote", "expression")  # kinds of rules that see people; the others watch the sensor
MOST, LISTED = 500, 8
LATELY_MS = 15 * 60_000


@bp.get("")
@allow(Permission.SEE)
@together
def page() -> str:
    """All edges, unwatched ones first."""
    situation = gather(office())
    found = [_edge(zone, situation) for zone in edges(office().site)]
    found.sort(key=lambda each: each.watched)
    return render_template("water.html", edges=found, verdicts_of=_verdicts, situation=situation)


@bp.get("/<zone>/test")
@allow(Permission.ACKNOWLEDGE)
def ask(zone: str) -> str:
    """What will happen, and shall the siren sound?"""
    place = _find(zone)
    siren = place.siren
    return render_template(
        "water_test.html",
        zone=place,
        spans=SPANS_S,
        siren=siren,
        shortened=None if siren is None else shortened(siren, office().site),
        situation=gather(office()),
    )


@bp.post("/<zone>/test")
@allow(Permission.ACKNOWLEDGE)
def begin(zone: str) -> Response:
    """Begin it."""
    place, seconds = _find(zone), request.form.get("seconds", 0, type=int)
    siren = request.form.get("siren", "")
    if seconds not in SPANS_S or siren not in (SOUNDS, WITHHELD):
        abort(400)
    note("drill", me().name, f"{place.id} {seconds} s, siren {siren}")
    put_from_form("drill", place.id, EXPIRES_MS, command=siren, seconds=float(seconds))
    return redirect(url_for("water.page", _anchor=f"edge-{place.id}"))


@bp.post("/<zone>/test/end")
@allow(Permission.ACKNOWLEDGE)
def end(zone: str) -> Response:
    """From now on everything there is real."""
    place = _find(zone)
    note("drill-end", me().name, place.id)
    put_from_form("drill-end", place.id, EXPIRES_MS)
    return redirect(url_for("water.page", _anchor=f"edge-{place.id}"))


def _find(zone: str) -> Zone:
    if zone not in edges(office().site):
        abort(404)
    return office().site.zones_by_id()[zone]


def _edge(zone: str, situation: Situation) -> Edge:
    view, now, site = office().view, office().clock.now(), office().site
    orders = [order for order in view.orders_about(zone, 5) if order.kind.startswith("drill")]
    rows = Rows(
        open=view.happenings("o.zone = ? AND o.closed = ''", (zone,), limit=50),
        week=_week(view, zone, now - WEEK_MS),
        drills=_drills(view, "zone = ? AND state <> 'begun'", zone, LISTED),
        passed=next(iter(_drills(view, "zone = ? AND state = 'passed'", zone, 1)), None),
        verdicts=_verdicts(zone),
        acks=_acks(view, zone, now),
        latest=view.latest(),
        orders=[each for each in orders if each.state is not OrderState.DONE and now - each.issued < LATELY_MS],
    )
    return edge(site.zones_by_id()[zone], edges(site)[zone], rows, situation)


def _week(view: JournalView, zone: str, since: int) -> list[Happening]:
    rules = [rule.id for rule in plain().values() if rule.quantity in WATCHING and rule.kind in DETECTS]
    marks = ", ".join("?" * len(rules))
    where = f"o.zone = ? AND o.raised >= ? AND o.rule IN ({marks}) AND o.rule <> 'water-stuck'"
    return view.happenings(where, (zone, since, *rules), limit=MOST)


def _drills(view: JournalView, where: str, zone: str, limit: int) -> list[Drill]:
    rows = view.rows(f"SELECT * FROM drill WHERE {where} ORDER BY at DESC LIMIT ?", (zone, limit))  # noqa: S608
    return [to_struct(Drill, row) for row in rows]


def _verdicts(zone: str) -> dict[tuple[str, int], str]:
    """What each occurrence of the last seven days turned out to be, as was said last."""
    since = office().clock.now() - WEEK_MS
    return {
        (row[0], row[1]): row[2] for row in office().view.rows(_OF_FLIPS.format("f.note", "verdict"), (zone, since))
    }


def _acks(view: JournalView, zone: str, now: int) -> dict[tuple[str, int], int]:
    """How long each occurrence of the last seven days stood before it was first acknowledged."""
    found: dict[tuple[str, int], int] = {}
    for row in view.rows(_OF_FLIPS.format("f.at - o.raised", "acked"), (zone, now - WEEK_MS)):
        found.setdefault((row[0], row[1]), row[2])
    return found


_OF_FLIPS = """
SELECT o.key, o.occurrence, {} FROM occurrence o JOIN flip f ON f.key = o.key AND f.occurrence = o.occurrence
WHERE o.zone = ? AND o.raised >= ? AND f.event = '{}' ORDER BY f.seq
"""
