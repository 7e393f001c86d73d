"""History: whether every reading is kept for good, how far behind it is, what that means, and what was refused.

A view of the journal and of the shipper, which runs in the same process. It decides nothing and sends nothing.
"""

import shutil
from typing import Protocol

import msgspec
from flask import Blueprint, current_app, render_template

from dashboard.access.permissions import Permission, allow, may
from dashboard.gather import gather
from dashboard.journal_view import JournalUnreadable
from dashboard.office import Office, office
from hub.history.progress import Backlog
from hub.history.shipper import Shipping

bp = Blueprint("history", __name__, url_prefix="/history")
CARRIER = "zhian.history"
LATE_MS = 60_000
_THINNED = "SELECT sum(readings) FROM thinned WHERE until >= ?"
REFUSED = 20


class Carrier(Protocol):
    """The shipper, as the page asks it."""

    state: Shipping

    def pace(self) -> float:
        """Readings a second that went over in the last minute."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How the history stands, for the page. `room_ms`, `done_ms`: from now; None where nobody can say."""

    backlog: Backlog
    late: bool
    behind_ms: int
    trouble: Shipping | None
    pace: float = 0.0
    room_ms: int | None = None
    done_ms: int | None = None
    thinned: int = 0  # readings that went since the oldest that waits came, since the journal was near its budget


def standing(desk: Office, carrier: Carrier | None) -> Standing:
    """From the journal, the disk and the shipper. Raises JournalUnreadable."""
    now = desk.clock.now()
    found = desk.view.backlog(now)
    behind = 0 if found.oldest is None else max(0, now - found.oldest)
    pace = carrier.pace() if carrier else 0.0
    room, done = found.room_s(shutil.disk_usage(desk.data).free), found.caught_up_s(pace)
    return Standing(
        backlog=found,
        late=behind > LATE_MS,
        behind_ms=behind,
        trouble=carrier.state if carrier and not carrier.state.well else None,
        pace=pace,
        room_ms=None if room is None else int(room * 1000),
        done_ms=None if done is None or not found.readings else int(done * 1000),
        thinned=0 if found.oldest is None else desk.view.one(_THINNED, (found.oldest,)) or 0,
    )


@bp.get("")
@allow(Permission.SEE)
def page() -> str:
    """The page."""
    refused = (
        "SELECT rx, source, detail FROM quarantine WHERE detail LIKE 'history: %' ORDER BY seq DESC LIMIT ?",
        (REFUSED,),
    )
    return render_template(
        "history.html",
        standing=standing(office(), _carrier()),
        refused=office().view.rows(*refused) if may(Permission.COMMAND) else [],
        store=office().site.history,
        situation=gather(office()),
    )


@bp.app_context_processor
def figure() -> dict[str, object]:
    """`history_figure()` for the Now page: a Standing where there is something to say, else None."""
    return {"history_figure": _late}


def _late() -> Standing | None:
    try:
        found = standing(office(), _carrier())
    except JournalUnreadable:
        return None
    return found if found.late or found.trouble else None


def _carrier() -> Carrier | None:
    found: Carrier | None = current_app.extensions.get(CARRIER)
    return found
