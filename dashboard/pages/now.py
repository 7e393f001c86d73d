"""The Now page: is all well, and if not, what needs a person, most urgent first."""

from pathlib import Path

from flask import Blueprint, Response, abort, render_template, send_file

from dashboard.gather import first_outs, gather, today
from dashboard.office import office
from dashboard.permissions import Permission, allow
from dashboard.plan import HEIGHT, WIDTH, anchor, spot

bp = Blueprint("now", __name__)
PICTURES = {".svg", ".png", ".jpg", ".jpeg", ".webp"}


@bp.get("/")
@allow(Permission.SEE)
def page() -> str:
    """The page."""
    desk = office()
    alarms, mean_ack = today(desk)
    situation = gather(desk)
    return render_template(
        "now.html",
        situation=situation,
        firsts=first_outs(desk, (need.happening for need in situation.needs)),
        drawing=None if desk.site.plan else desk.drawing,
        spot=spot,
        anchor=anchor,
        width=WIDTH,
        height=HEIGHT,
        alarms_today=alarms,
        mean_ack=mean_ack,
    )


@bp.get("/plan")
@allow(Permission.SEE)
def plan() -> Response:
    """The site's own picture, where the site file names one (relative to the data folder, or absolute)."""
    path = office().data / Path(office().site.plan)
    if not office().site.plan or path.suffix.lower() not in PICTURES or not path.is_file():
        abort(404)
    return send_file(path.resolve())
