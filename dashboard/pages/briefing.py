"""What somebody who is called sees on the telephone: one alarm, what to do, and one button. Opened by a signed link.

The link's signature stands in for a login and for a form token: it says which occurrence and which person, and only a
POST acknowledges, so that whatever opens links by itself (previews, scanners) acknowledges nothing.
"""

import msgspec
from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from dashboard.access.permissions import Permission, allow
from dashboard.journal_view import Happening
from dashboard.language.i18n import gettext
from dashboard.office import office
from dashboard.ordering import order_of, put
from dashboard.pages.auth import note
from device_profiles.door import Refusal
from hub.durable import secret_key
from hub.duty.brieflink import KEY_FILE, Pass, Wrong, open_link
from hub.duty.casebook import ORDER as INCIDENT
from hub.duty.file import Person, load_duty
from hub.outcome import Order
from hub.rows import to_struct

bp = Blueprint("briefing", __name__, url_prefix="/b/<token>")
ACT_EXPIRES_MS = 60_000
_INCIDENT = "SELECT id, state FROM incident WHERE key = ? ORDER BY id DESC LIMIT 1"


class Brief(msgspec.Struct, frozen=True):
    """A link that opened: what it carries, the occurrence, the person, and what it was used for already."""

    carried: Pass
    happening: Happening
    person: Person
    ack: Order | None
    incident: int | None  # to be accepted
    taken: Order | None  # its acceptance by this link

    @property
    def once(self) -> str:
        """The token of its acknowledgement: one for an occurrence's run, whoever of those called is first."""
        return _once(self.carried)


@bp.get("")
@allow(Permission.OPEN)
def page(token: str) -> tuple[str, int]:
    """The briefing; or why the link opens nothing."""
    found = _open(token)
    if isinstance(found, tuple):
        return render_template("briefing.html", brief=None, message=found[0]), found[1]
    words, happening = office().words, found.happening
    return render_template(
        "briefing.html",
        brief=found,
        token=token,
        title=words.rule(happening.rule),
        response=words.response(happening.rule),
        mine=happening.acked_by == found.person.actor,
    ), 200


@bp.post("/ack")
@allow(Permission.OPEN)
def ack(token: str) -> Response | tuple[str, int]:
    """ "I have seen it", as the person of the link; the second time changes nothing."""
    found = _open(token)
    if isinstance(found, tuple):
        return render_template("briefing.html", brief=None, message=found[0]), found[1]
    if found.ack is None and found.happening.acked is None and not found.happening.closed:
        _put(found, "ack", found.happening.key, found.once, occurrence=found.happening.occurrence)
    return redirect(url_for("briefing.page", token=token), 303)


@bp.post("/accept")
@allow(Permission.OPEN)
def accept(token: str) -> Response | tuple[str, int]:
    """ "I am dealing with it": the incident of this alarm is accepted."""
    found = _open(token)
    if isinstance(found, tuple):
        return render_template("briefing.html", brief=None, message=found[0]), found[1]
    if found.incident is not None and found.happening.acked_by == found.person.actor:
        _put(found, INCIDENT, str(found.incident), _accepts(found.incident, found.carried), command="accept")
    return redirect(url_for("briefing.page", token=token), 303)


def _open(token: str) -> Brief | tuple[str, int]:
    """The brief, or words for the person and the status of the answer."""
    key = secret_key(office().data / KEY_FILE)
    carried = open_link(key, office().site.id, token, office().clock.now())
    if carried is Wrong.EXPIRED:
        return gettext("This link has expired. Open the newest call, or sign in."), 410
    if isinstance(carried, Wrong):
        return gettext("This link is not valid. Open the newest call, or sign in."), 403
    person = _person(carried.person)
    if person is None:
        return gettext("This link is of somebody who is not in the roster any more."), 403
    happenings = office().view.happenings("o.id = ?", (carried.number,), limit=1)
    if not happenings:
        return gettext("The alarm of this link is not kept any more."), 410
    row = next(iter(office().view.rows(_INCIDENT, (happenings[0].key,))), None)
    return Brief(
        carried=carried,
        happening=happenings[0],
        person=person,
        ack=_order(_once(carried)),
        incident=row["id"] if row is not None and row["state"] == "dispatched" else None,
        taken=_order(_accepts(row["id"], carried)) if row is not None else None,
    )


def _once(carried: Pass) -> str:
    return f"brief/{carried.number}/{carried.run}"


def _accepts(incident: int, carried: Pass) -> str:
    return f"brief-accept/{incident}/{carried.number}/{carried.run}"


def _order(token: str) -> Order | None:
    rows = office().view.rows("SELECT * FROM orders WHERE token = ?", (token,))
    return to_struct(Order, rows[0]) if rows else None


def _person(name: str) -> Person | None:
    """By the roster as it is now. One with a mistake in it locks nobody out: the signature says who it is."""
    try:
        duty = load_duty(office().data, office().site)
    except Refusal:
        return Person(id=name, name=name)
    return duty.people().get(name) if duty is not None else None


def _put(brief: Brief, kind: str, target: str, once: str, *, occurrence: int | None = None, command: str = "") -> None:
    note(command or kind, brief.person.actor, f"{brief.happening.key} #{brief.happening.occurrence} by link")
    actor = brief.person.actor
    put(order_of(once, kind, target, ACT_EXPIRES_MS, command=command, occurrence=occurrence, actor=actor))
