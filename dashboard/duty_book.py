"""Who is on duty, as pages show it: the data folder's roster, read again when it changes, in the words of a page.

Reads `duty.toml` and the calendar; writes neither. What a page may show of it (telephone numbers) its template decides.
"""

from pathlib import Path

import msgspec
from flask import Flask, current_app, g

from dashboard.office import EXTENSION, Office, office
from device_profiles.door import Refusal
from hub.calendar import days
from hub.calendar.days import Days, load_calendar
from hub.duty.file import FILE, PHONE, Person, load_duty
from hub.duty.incident import Incident, limit_of
from hub.duty.roster import OnDuty, Roster
from hub.reading import Label
from hub.settings.site_voice import MailSpec

DAY_MS = 86_400_000
_BOOK = "zhian-duty-book"
_Stamp = tuple[int, int] | None


class Guardian(msgspec.Struct, frozen=True, kw_only=True):
    """One person on one post. `number`: for a telephone, empty where the roster has none; `reached`: by a voice."""

    shift: str
    post: Label
    person: str
    name: str
    user: str
    number: str
    reached: bool
    stands_for: str = ""


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """The roster, or None; `mistake`: what is wrong with the file that is there."""

    roster: Roster | None = None
    mistake: str = ""


class DutyBook:
    """Reads the files when they change. From any thread: what was read is put in place whole."""

    def __init__(self, office: Office) -> None:
        """Nothing is read before it is asked for."""
        self._office = office
        self._read: tuple[tuple[_Stamp, _Stamp], Book] | None = None

    def book(self) -> Book:
        """As the files are now."""
        data = self._office.data
        stamps = (_stamp(data / FILE), _stamp(data / days.FILE))
        known = self._read
        if known is None or known[0] != stamps:
            known = self._read = stamps, self._load()
        return known[1]

    def _load(self) -> Book:
        try:
            duty = load_duty(self._office.data, self._office.site)
            calendar = load_calendar(self._office.data)
        except (Refusal, OSError) as error:
            return Book(mistake=str(error))
        return Book() if duty is None else Book(roster=Roster(duty, self._office.site.tz, Days(calendar)))


def init(app: Flask) -> None:
    """Give the office its roster, and the templates who is on duty."""
    app.extensions[_BOOK] = DutyBook(app.extensions[EXTENSION])
    app.jinja_env.globals.update(duty_now=duty_now, duty_book=book, to_call=to_call, person_name=person_name)


def book() -> Book:
    """The roster at this request."""
    if "duty_book" not in g:
        found: DutyBook = current_app.extensions[_BOOK]
        g.duty_book = found.book()
    made: Book = g.duty_book
    return made


def duty_now() -> list[Guardian]:
    """Who is on duty now; nobody where there is no roster, which `book()` tells apart."""
    if "duty_now" not in g:
        roster = book().roster
        g.duty_now = [] if roster is None else guardians(roster, roster.on_duty(office().clock.now()))
    found: list[Guardian] = g.duty_now
    return found


def to_call() -> Guardian | None:
    """Whom to call now: the first on duty who has a number, for every reader; None: nobody."""
    return next((each for each in duty_now() if each.number), None)


def guardians(roster: Roster, posts: tuple[OnDuty, ...]) -> list[Guardian]:
    """The posts in words."""
    people, shifts = roster.duty.people(), {shift.id: shift.name for shift in roster.duty.shift}
    voices = {voice.id for voice in office().site.voices}
    return [
        Guardian(
            shift=each.shift,
            post=shifts[each.shift],
            person=each.person,
            name=people[each.person].name,
            user=people[each.person].user,
            number=number(people[each.person]),
            reached=bool(voices & people[each.person].address.keys()),
            stands_for=people[each.stands_for].name if each.stands_for else "",
        )
        for each in posts
    ]


def number(person: Person) -> str:
    """The person's own, else the first address that can be one; empty: there is none."""
    mails = {voice.id for voice in office().site.voices if isinstance(voice, MailSpec)}
    known = [address for voice, address in person.address.items() if voice not in mails and PHONE.fullmatch(address)]
    return person.phone or (known[0] if known else "")


def person_name(person: str) -> str:
    """By the roster, else the id."""
    roster = book().roster
    known = roster.duty.people() if roster is not None else {}
    return known[person].name if person in known else person


def overdue_ms(incident: Incident, now: int) -> int:
    """For how long it has been in its state beyond what the roster allows; 0: it is in time."""
    roster = book().roster
    if roster is None or not (allowed := limit_of(incident.state, roster.duty.limits(incident.severity))):
        return 0
    return max(0, now - incident.since - round(allowed * 1000))


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino
