"""The Now page: is all well, and if not, what needs a person, most urgent first."""

from flask import Blueprint, render_template

from dashboard.access.permissions import Permission, allow
from dashboard.gather import first_outs, gather, today
from dashboard.live.together import together
from dashboard.office import office
from dashboard.pages.plan import backdrop

bp = Blueprint("now", __name__)


@bp.get("/")
@allow(Permission.SEE)
@together
def page() -> str:
    """The page."""
    desk = office()
    alarms, mean_ack = today(desk)
    situation = gather(desk)
    return render_template(
        "now.html",
        situation=situation,
        firsts=first_outs(desk, (need.happening for need in situation.needs)),
        **backdrop(desk),
        alarms_today=alarms,
        mean_ack=mean_ack,
    )
