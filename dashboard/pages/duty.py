"""Duty: who is on now and next, who can be reached, which minutes nobody covers; stand-ins, taking over, handover.

Stand-ins and a shift that was taken over are orders to the hub, which alone writes the roster.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import msgspec
from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dashboard.access.asking import note
from dashboard.access.permissions import Permission, allow
from dashboard.duty_book import DAY_MS, Guardian, book, duty_now, guardians, number
from dashboard.gather import gather
from dashboard.language.i18n import gettext, language
from dashboard.language.reasons import trouble
from dashboard.office import me, office
from dashboard.ordering import put_from_form
from dashboard.rulebook import plain
from hub.duty.desk import ORDER, Ask
from hub.duty.file import FILE, Override, Person
from hub.duty.handover import sheet
from hub.duty.roster import Hole, Roster
from hub.journal.file import FILE as JOURNAL
from hub.journal.file import connect
from hub.outcome import Order, OrderState
from hub.rows import to_struct

bp = Blueprint("duty", __name__, url_prefix="/duty")
EXPIRES_MS = 60_000
LONGEST_REASON = 200
LONGEST_CHANGE_MS = 366 * DAY_MS
AHEAD_DAYS, HOLES_DAYS = 7, 30
MOST_HOLES = 50
HOURS = (8, 12, 24)
_TAKEN = (
    "SELECT * FROM orders WHERE kind = 'duty' AND command = 'take-over' AND state = 'done' AND issued >= ? ORDER BY id"
)


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """From `since` to `until` (ms) these are on duty; none: nobody is."""

    since: int
    until: int
    people: list[Guardian]


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody on duty now, since when (at most a day back), and the word that the shift was taken over."""

    guardian: Guardian
    since: int
    taken: Order | None

    @property
    def mine(self) -> bool:
        """Whether the reader may say that the shift is taken over."""
        return self.guardian.user in ("", me().name)


@bp.get("")
@allow(Permission.SEE)
def page() -> str:
    """Everything about duty; where there is no roster, what that means and how to make one."""
    found, now = book(), office().clock.now()
    shown: dict[str, object] = {"book": found, "file": office().data / FILE, "situation": gather(office())}
    if found.roster is None:
        return render_template("duty.html", **shown)
    roster, voices = found.roster, frozenset(voice.id for voice in office().site.voices)
    holes = list(_some(roster.holes(now, now + HOLES_DAYS * DAY_MS, voices)))
    stretches = [
        Stretch(since=turn.since, until=turn.until, people=guardians(roster, turn.people))
        for turn in roster.turns(now, now + AHEAD_DAYS * DAY_MS)
    ]
    orders = [order for order in office().view.orders_since([ORDER], now - DAY_MS) if order.state != OrderState.DONE]
    return render_template(
        "duty.html",
        **shown,
        watches=_watches(roster, now),
        stretches=stretches,
        holes=holes[:MOST_HOLES],
        more_holes=len(holes) > MOST_HOLES,
        people=[(person, number(person), voices & person.address.keys()) for person in roster.duty.person],
        changes=_changes(roster, now),
        waiting=orders[-5:],
        wall=_wall(now),
        longest=LONGEST_REASON,
    )


@bp.post("/stand-in")
@allow(Permission.MANAGE)
def stand_in() -> Response:
    """Somebody stands in for somebody, is away, or is there after all."""
    roster = book().roster
    if roster is None:
        abort(400)
    person, instead = request.form.get("person", ""), request.form.get("instead", "")
    known = roster.duty.people()
    if person not in known or (instead and instead not in known):
        abort(400)
    since, until = _moment("from"), _moment("until")
    why = request.form.get("text", "").strip()[:LONGEST_REASON]
    wrong = _wrong(since, until, why)
    if wrong or since is None or until is None:
        flash(wrong)
        return redirect(url_for("duty.page", _anchor="stand-in"))
    change = Override(person=person, since=since, until=until, instead=instead, reason=f"{why} ({me().name})")
    note(
        "duty-stand-in",
        me().name,
        f"{person} -> {instead or '-'} {since:%Y-%m-%dT%H:%M}..{until:%Y-%m-%dT%H:%M}: {why}",
    )
    put_from_form(ORDER, person, EXPIRES_MS, command=Ask.STAND_IN, text=msgspec.json.encode(change).decode())
    return redirect(url_for("duty.page"))


@bp.post("/take-over")
@allow(Permission.ACKNOWLEDGE)
def take_over() -> Response:
    """The person on duty says that the shift is taken over."""
    shift, person = request.form.get("shift", ""), request.form.get("person", "")
    if not any((each.shift, each.person) == (shift, person) for each in duty_now()):
        abort(400)
    note("duty-take-over", me().name, f"{shift} {person}")
    put_from_form(ORDER, shift, EXPIRES_MS, command=Ask.TAKE_OVER, text=person)
    return redirect(url_for("duty.page"))


@bp.get("/handover")
@allow(Permission.SEE)
def handover() -> str:
    """The sheet of the last hours in the reader's language, for the screen and for paper."""
    hours = request.args.get("hours", 12, type=int)
    hours = hours if hours in HOURS else 12
    now, rules = office().clock.now(), {rule.id: rule.title for rule in plain().values()}
    with closing(connect(office().data / JOURNAL, read_only=True)) as db:
        made = sheet(db, office().site, rules, book().roster, now - hours * 3_600_000, now, (language(),), trouble)
    return render_template("handover.html", sheet=made, hours=hours, spans=HOURS, situation=gather(office()))


def _watches(roster: Roster, now: int) -> list[Watch]:
    begun: dict[tuple[str, str], int] = {}
    for turn in roster.turns(now - DAY_MS, now + 1):
        here = {(each.shift, each.person) for each in turn.people}
        begun = {post: begun.get(post, turn.since) for post in here}  # who left in between begins anew
    taken = {(row["target"], row["text"]): to_struct(Order, row) for row in office().view.rows(_TAKEN, (now - DAY_MS,))}
    found = []
    for each in duty_now():
        post = (each.shift, each.person)
        since, order = begun.get(post, now), taken.get(post)
        found.append(Watch(guardian=each, since=since, taken=order if order and order.issued >= since else None))
    return found


def _changes(roster: Roster, now: int) -> list[tuple[Override, str, str]]:
    """Stand-ins and leaves that are not over, with the names."""
    people: dict[str, Person] = roster.duty.people()
    return [
        (each, people[each.person].name, people[each.instead].name if each.instead else "")
        for each in roster.duty.override
        if each.until > _wall(now)
    ]


def _wall(now: int) -> datetime:
    """The site's wall clock."""
    return datetime.fromtimestamp(now // 1000, UTC).astimezone(office().site.tz).replace(tzinfo=None)


def _moment(name: str) -> datetime | None:
    """A field of the form, as the site's wall clock."""
    try:
        return datetime.fromisoformat(request.form.get(name, "")).replace(tzinfo=None, second=0, microsecond=0)
    except ValueError:
        return None


def _wrong(since: datetime | None, until: datetime | None, why: str) -> str:
    if since is None or until is None:
        return gettext("Say from when until when.")
    if until <= since or until <= _wall(office().clock.now()):
        return gettext("The end must be after the beginning, and in the future.")
    if (until - since).total_seconds() * 1000 > LONGEST_CHANGE_MS:
        return gettext("Longer than a year: change the roster itself.")
    return "" if len(why) > 1 else gettext("Say why. The reason is kept with the order.")


def _some(holes: Iterator[Hole]) -> Iterator[Hole]:
    """One more than are shown, so that it is known that there are more."""
    for at, hole in enumerate(holes):
        if at > MOST_HOLES:
            return
        yield hole
