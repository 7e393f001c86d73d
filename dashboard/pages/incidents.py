"""Incidents: the board by state, one incident with its log and who was called, and the steps that people take.

A step is an order to the hub, as `zhian incidents step` gives it; the hub may refuse it. Guards do the work, managers
assess and end it.
"""

import msgspec
from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dashboard.access.asking import note
from dashboard.access.permissions import Permission, allow, may
from dashboard.duty_book import book, duty_now, overdue_ms
from dashboard.gather import gather
from dashboard.journal_view import Happening, Told
from dashboard.language import duty_words
from dashboard.language.i18n import gettext, say
from dashboard.office import me, office
from dashboard.ordering import put_from_form
from hub.duty.casebook import ORDER
from hub.duty.file import Person
from hub.duty.incident import Event, Incident, State, possible
from hub.outcome import OrderState
from hub.rows import to_struct

bp = Blueprint("incidents", __name__, url_prefix="/incidents")
EXPIRES_MS = 60_000
LONGEST_TEXT = 1000
MOST = 200  # of each list: more than these nobody overlooks
SPANS_S = (4 * 3600, 24 * 3600, 3 * 24 * 3600, 7 * 24 * 3600)
_OPEN = "state NOT IN ('archived', 'void')"


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """An incident on the board: its alarm, for how long it is overdue (ms), and the step that comes next."""

    incident: Incident
    happening: Happening | None
    overdue: int
    next: Event | None

    @property
    def assignees(self) -> list[str]:
        """Ids of whom it was given to."""
        return [person for person in self.incident.assignee.split(",") if person]


class Line(msgspec.Struct, frozen=True):
    """One line of an incident's log."""

    seq: int
    at: int
    event: str
    state: str
    actor: str
    text: str


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """One call of one person by one voice, and what the person did: `acked` and `accepted` (ms)."""

    told: Told
    at: int
    name: str
    acked: int | None
    accepted: int | None


@bp.get("")
@allow(Permission.SEE)
def page() -> str:
    """The board; under it what was put off and what ended last."""
    view = office().view
    rows = view.rows(f"SELECT * FROM incident WHERE {_OPEN} ORDER BY severity, since LIMIT ?", (MOST,))  # noqa: S608
    cards = [_card(to_struct(Incident, row)) for row in rows]
    ended = view.rows(f"SELECT * FROM incident WHERE NOT ({_OPEN}) ORDER BY since DESC LIMIT 20")  # noqa: S608
    return render_template(
        "incidents.html",
        board={state: [card for card in cards if card.incident.state is state] for state in duty_words.BOARD},
        deferred=[card for card in cards if card.incident.state is State.DEFERRED],
        ended=[_card(to_struct(Incident, row)) for row in ended],
        total=view.one(f"SELECT count(*) FROM incident WHERE {_OPEN}"),  # noqa: S608
        most=MOST,
        late=sum(card.overdue > 0 for card in cards),
        **_words(),
    )


@bp.get("/<int:number>")
@allow(Permission.SEE)
def one(number: int) -> str:
    """One incident: its alarm, what was done by whom, who was called and what they answered, and what can be done."""
    incident = _find(number)
    card, view = _card(incident), office().view
    log = [to_struct(Line, row) for row in view.rows("SELECT * FROM incident_log WHERE incident = ?", (number,))]
    orders = [order for order in view.orders_about(str(number), 10) if order.kind == ORDER]
    return render_template(
        "incident.html",
        card=card,
        log=sorted(log, key=lambda line: line.seq),
        called=_called(card.happening, log) if card.happening is not None else [],
        waiting=[order for order in reversed(orders[:3]) if order.state is not OrderState.DONE],
        others=[event for event in possible(incident.state) if event is not card.next and _may(event)],
        people=_people(),
        spans=SPANS_S,
        longest=LONGEST_TEXT,
        **_words(),
    )


@bp.post("/<int:number>/work/<command>")
@allow(Permission.ACKNOWLEDGE)
def work(number: int, command: str) -> Response:
    """A step of those who do the work: classify, dispatch, accept, give back, feed back, note."""
    return _step(number, command, leads=False)


@bp.post("/<int:number>/lead/<command>")
@allow(Permission.MANAGE)
def lead(number: int, command: str) -> Response:
    """A step of those who answer for it: assess, have it done again, put off, resume, archive, void."""
    return _step(number, command, leads=True)


def of_alarm(key: str) -> Incident | None:
    """The incident of an alarm that is not over."""
    rows = office().view.rows(f"SELECT * FROM incident WHERE key = ? AND {_OPEN}", (key,))  # noqa: S608
    return to_struct(Incident, rows[0]) if rows else None


def _step(number: int, command: str, *, leads: bool) -> Response:
    incident = _find(number)
    if command not in duty_words.EVENTS or (command in duty_words.LEADS) is not leads:
        abort(400)
    event = Event(command)
    text = request.form.get("text", "").strip()[:LONGEST_TEXT]
    to = [person for person in request.form.getlist("to") if person in _known()]
    seconds = request.form.get("seconds", 0, type=int)
    wrong = _wrong(incident, event, text, to, seconds)
    if wrong:
        flash(wrong)
        return redirect(url_for("incidents.one", number=number))
    words = f"{','.join(to)} {text}".strip() if event is Event.DISPATCH else text
    note(f"incident-{event}", me().name, f"#{number} {words}".strip())
    span = float(seconds) if event is Event.DEFER else None
    put_from_form(ORDER, str(number), EXPIRES_MS, command=event, seconds=span, text=words)
    back = "incidents.page" if request.form.get("from") == "board" else "incidents.one"
    return redirect(url_for(back, number=None if back.endswith("page") else number))


def _wrong(incident: Incident, event: Event, text: str, to: list[str], seconds: int) -> str:
    """Why the hub would refuse it, in the reader's words; empty: nothing is known."""
    if book().roster is None and not book().mistake:
        return gettext("Without a roster the hub keeps no incidents.")
    if event not in possible(incident.state):
        return gettext("Meanwhile it is %(state)s: that step is not possible any more.", state=_state(incident))
    if event in duty_words.WANTS and len(text) < 2:
        return gettext("Say it in a few words: they are kept with the incident.")
    if event is Event.DISPATCH and not to:
        return gettext("Choose somebody to send.")
    if event is Event.DEFER and seconds not in SPANS_S:
        return gettext("Choose until when.")
    return ""


def _card(incident: Incident) -> Card:
    found = office().view.happenings("o.key = ? AND o.occurrence = ?", (incident.key, incident.occurrence), limit=1)
    return Card(
        incident=incident,
        happening=found[0] if found else None,
        overdue=overdue_ms(incident, office().clock.now()),
        next=duty_words.NEXT.get(incident.state),
    )


def _called(happening: Happening, log: list[Line]) -> list[Called]:
    known, view = _known(), office().view
    rows = view.rows(
        "SELECT b.*, f.at AS at FROM outbox b JOIN flip f ON f.seq = b.flip"
        " WHERE f.key = ? AND f.occurrence = ? AND b.person <> '' ORDER BY b.id LIMIT ?",
        (happening.key, happening.occurrence, MOST),
    )
    accepted = {line.actor: line.at for line in log if line.event == Event.ACCEPT}
    calls = []
    for row in rows:
        told = to_struct(Told, row)
        person = known.get(told.person)
        actor = person.actor if person is not None else told.person
        calls.append(
            Called(
                told=told,
                at=row["at"],
                name=person.name if person is not None else told.person,
                acked=happening.acked if happening.acked_by == actor else None,
                accepted=accepted.get(actor),
            )
        )
    return calls


def _find(number: int) -> Incident:
    rows = office().view.rows("SELECT * FROM incident WHERE id = ?", (number,))
    if not rows:
        abort(404)
    return to_struct(Incident, rows[0])


def _known() -> dict[str, Person]:
    roster = book().roster
    return roster.duty.people() if roster is not None else {}


def _people() -> list[tuple[Person, bool]]:
    """Whom it can go to, who is on duty first and marked."""
    on = [each.person for each in duty_now()]
    return sorted(((person, person.id in on) for person in _known().values()), key=lambda pair: not pair[1])


def _may(event: Event) -> bool:
    return may(Permission.MANAGE if event in duty_words.LEADS else Permission.ACKNOWLEDGE)


def _state(incident: Incident) -> str:
    return say(duty_words.STATES[incident.state])


def _words() -> dict[str, object]:
    return {
        "state_words": duty_words.STATES,
        "step_words": duty_words.EVENTS,
        "wants": duty_words.WANTS,
        "leads": duty_words.LEADS,
        "log_words": duty_words.LOG,
        "may_step": _may,
        "situation": gather(office()),
    }
