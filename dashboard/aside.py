"""The notice about a history file that was damaged: what was set aside, and what is back. Shown on the Now page.

It ends when the file set aside goes, after a week.
"""

from flask import Blueprint

from dashboard.office import office
from hub.history import aside

bp = Blueprint("aside", __name__)


@bp.app_context_processor
def notices() -> dict[str, object]:
    """`history_asides()` for the page: the notes of the data folder, newest first."""
    return {"history_asides": _notes}


def _notes() -> list[aside.Aside]:
    return aside.found(office().data)
