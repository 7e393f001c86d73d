"""The page "More": every page that the reader may open, for screens that are too narrow for the whole menu."""

from flask import Blueprint, render_template

from dashboard.access.permissions import Permission, allow
from dashboard.gather import gather
from dashboard.office import office

bp = Blueprint("more", __name__)


@bp.get("/more")
@allow(Permission.SEE)
def page() -> str:
    """The page."""
    return render_template("more.html", situation=gather(office()))
