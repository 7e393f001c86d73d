"""What people do to an alarm: acknowledge, comment, reset, mute. Each is an order to the hub, which may refuse it.

An order names the occurrence that the person saw, so that it can never silence a later one.
"""

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dashboard.access.asking import note
from dashboard.access.permissions import Permission, allow
from dashboard.gather import gather
from dashboard.journal_view import Happening
from dashboard.language.i18n import gettext
from dashboard.office import me, office
from dashboard.ordering import put_from_form
from dashboard.pages.alarms import LONGEST_COMMENT, find
from hub.alarms.people import VERDICTS
from hub.rules.door import MAX_SHELF_S

bp = Blueprint("acts", __name__, url_prefix="/alarms/<int:number>")
ACT_EXPIRES_MS = 60_000
COMMENT_EXPIRES_MS = 24 * 3600 * 1000
MUTES_S = (30 * 60, 2 * 3600, 8 * 3600)


@bp.post("/ack")
@allow(Permission.ACKNOWLEDGE)
def ack(number: int) -> Response:
    """ "I have seen it"."""
    _order(find(number), "ack", _text())
    return redirect(_back(number))


@bp.post("/comment")
@allow(Permission.ACKNOWLEDGE)
def comment(number: int) -> Response:
    """A word for the timeline, also after the alarm has closed."""
    happening = find(number)
    if text := _text():
        _order(happening, "comment", text, expires_ms=COMMENT_EXPIRES_MS)
    return redirect(_back(number))


@bp.post("/verdict")
@allow(Permission.ACKNOWLEDGE)
def verdict(number: int) -> Response:
    """What it turned out to be, also after the alarm has closed; the last word counts."""
    word = request.form.get("verdict", "")
    if word not in VERDICTS:
        abort(400)
    _order(find(number), "verdict", _text(), command=word, expires_ms=COMMENT_EXPIRES_MS)
    return redirect(_back(number))


@bp.post("/reset")
@allow(Permission.ACKNOWLEDGE)
def reset(number: int) -> Response:
    """Let go of an alarm that stays until somebody has looked."""
    _order(find(number), "reset", _text())
    return redirect(_back(number))


@bp.get("/mute")
@allow(Permission.COMMAND)
def ask(number: int) -> str:
    """For how long, and why?"""
    happening = find(number)
    return render_template(
        "mute.html", happening=happening, spans=spans(happening), situation=gather(office()), longest=LONGEST_COMMENT
    )


@bp.post("/mute")
@allow(Permission.COMMAND)
def mute(number: int) -> Response:
    """Tell nobody of this alarm until then; it stays on the page, and its zone counts as unwatched."""
    happening = find(number)
    seconds = request.form.get("seconds", 0, type=int)
    if seconds not in spans(happening):
        abort(400)
    if len(_text()) < 2:
        flash(gettext("Say why. The reason is kept with the order."))
        return redirect(url_for("acts.ask", number=number))
    _order(happening, "shelve", _text(), seconds=float(seconds))
    return redirect(_back(number))


@bp.post("/unmute")
@allow(Permission.COMMAND)
def unmute(number: int) -> Response:
    """Watch it again."""
    _order(find(number), "unshelve", _text())
    return redirect(_back(number))


def spans(happening: Happening) -> list[int]:
    """For how many seconds an alarm of this priority may be muted; none for P1."""
    return [seconds for seconds in MUTES_S if seconds <= MAX_SHELF_S.get(happening.severity, 0)]


def _text() -> str:
    return request.form.get("text", "").strip()[:LONGEST_COMMENT]


def _order(
    happening: Happening,
    kind: str,
    text: str,
    *,
    command: str = "",
    seconds: float | None = None,
    expires_ms: int = ACT_EXPIRES_MS,
) -> None:
    note(kind, me().name, f"{happening.key} #{happening.occurrence}")
    put_from_form(
        kind, happening.key, expires_ms, command=command, occurrence=happening.occurrence, seconds=seconds, text=text
    )


def _back(number: int) -> str:
    """Where the form stood: the Now page or the alarm's own."""
    return url_for("now.page") if request.form.get("from") == "now" else url_for("alarms.one", number=number)
