"""`duty.toml` of the data folder as frozen structs: people, shifts, who stands in for whom, and who is called when.

Operations data: `zhian duty` installs and changes the file, the field process reads it. Who is on duty when is worked
out in hub.duty.roster, what is said to whom in hub.duty.escalate.
"""

import re
import tomllib
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from device_profiles.door import Refusal, nearest, parse, read_toml
from hub.durable import replace_file
from hub.reading import Label
from hub.settings.door import check_hours
from hub.settings.site import DayHours, Severity, Site, Strict, Windows
from hub.settings.voices import check_address

FILE = "duty.toml"
ALL, ON_DUTY = "all", "on-duty"  # whom a step may call besides a role and a person
Weekday: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
SEVERITIES = ("P1", "P2", "P3", "P4")
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Seconds: TypeAlias = Annotated[float, Meta(ge=0.0, le=86_400.0)]
PHONE = re.compile(r"\+?\d{3,15}")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Person(Strict, frozen=True, kw_only=True):
    """Somebody who can be called: an opaque id, the one place of the name, and an address for each voice.

    `user`: the dashboard's login of the same person, under which what they do by a link is kept.
    """

    id: str
    name: str
    user: str = ""
    address: dict[str, str] = {}  # voice of the site -> telephone number, account ...
    phone: str = ""  # the number by which people call each other from the page

    @property
    def actor(self) -> str:
        """As who this person's deeds are kept."""
        return self.user or f"duty:{self.id}"


class Shift(Strict, frozen=True, kw_only=True):
    """A post that is held at certain hours: by all of `people`, or by one after another for `rotate_days` each.

    `hours` as a zone's `closed`; `days` are those on which it starts; `since`: the first day of the first person.
    """

    id: str
    name: Label
    role: str
    hours: Windows | DayHours
    days: tuple[Weekday, ...] = WEEKDAYS
    people: tuple[str, ...]
    rotate_days: Annotated[int, Meta(ge=0, le=366)] = 0
    since: date | None = None


class Override(Strict, frozen=True, kw_only=True):
    """From one time of the wall clock to another, `instead` stands for `person`; without `instead` it is a leave."""

    person: str
    since: datetime = msgspec.field(name="from")
    until: datetime
    instead: str = ""
    shift: str = ""  # of one shift only
    reason: str = ""


class Step(Strict, frozen=True, kw_only=True):
    """`after` seconds after the step before: who is called (roles, persons, "on-duty", "all"), by which voices."""

    after: Seconds
    to: tuple[str, ...]
    voices: tuple[str, ...] = ()  # none: by every address


class Escalation(Strict, frozen=True, kw_only=True):
    """Who is called for alarms of one severity, for as long as nobody has acknowledged.

    All steps are taken `rounds` times, then the last one each `again` seconds (0: no more). `act_within`
    seconds after an acknowledgement (0: never) an alarm that stands is raised again, unless its incident was accepted.
    """

    severity: Severity
    rounds: Annotated[int, Meta(ge=1, le=10)] = 1
    again: Seconds = 0.0
    act_within: Seconds = 0.0
    step: tuple[Step, ...]


class Limits(Strict, frozen=True, kw_only=True):
    """Within how many seconds an incident has to leave each state, before its supervision (督办) rises by one."""

    new: Seconds = 600.0
    dispatched: Seconds = 600.0
    working: Seconds = 14_400.0
    done: Seconds = 86_400.0


class Duty(Strict, frozen=True, kw_only=True):
    """The whole file. Links last `link_hours`; where they lead is `page` of the site file."""

    link_hours: Annotated[int, Meta(ge=1, le=72)] = 12
    person: tuple[Person, ...] = ()
    shift: tuple[Shift, ...] = ()
    override: tuple[Override, ...] = ()
    escalation: tuple[Escalation, ...] = ()
    incident: dict[str, Limits] = msgspec.field(
        default_factory=lambda: {"P1": Limits(new=60.0, dispatched=300.0), "P2": Limits()}
    )

    def people(self) -> dict[str, Person]:
        """By id."""
        return {person.id: person for person in self.person}

    def limits(self, severity: str) -> Limits:
        """The time limits of incidents of this severity."""
        return self.incident.get(severity, Limits())

    def policy(self, severity: str) -> Escalation | None:
        """The file's own, else the default: P1 and P2 call who is on duty and then everybody; P3 and P4 call nobody."""
        own = next((each for each in self.escalation if each.severity == severity), None)
        return own or DEFAULTS.get(severity)


DEFAULTS = {
    "P1": Escalation(
        severity="P1",
        again=300.0,
        act_within=900.0,
        step=(Step(after=0.0, to=(ON_DUTY,)), Step(after=60.0, to=(ON_DUTY,)), Step(after=120.0, to=(ALL,))),
    ),
    "P2": Escalation(
        severity="P2",
        step=(Step(after=0.0, to=(ON_DUTY,)), Step(after=300.0, to=(ON_DUTY,)), Step(after=900.0, to=(ALL,))),
    ),
}


def load_duty(data: Path, site: Site) -> Duty | None:
    """The data folder's roster; None when none was ever set. Raises Refusal."""
    path = data / FILE
    return read_duty(path, site) if path.exists() else None


def read_duty(path: Path, site: Site) -> Duty:
    """One file, checked against the site's voices. Raises Refusal, which names file, key, value and what is right."""
    return _checked(read_toml(path), site, path)


def _checked(table: dict[str, object], site: Site, path: Path) -> Duty:
    duty = parse(Duty, table, file=path)
    _known(duty.incident, SEVERITIES, path, "incident")
    _check_people(duty, site, path)
    _check_shifts(duty, path)
    _check_overrides(duty, path)
    _check_escalations(duty, site, path)
    return duty


def append_override(data: Path, site: Site, override: Override) -> Duty:
    """Add it at the end of `duty.toml`, whose other lines stay as they are. Raises Refusal, and writes nothing then."""
    path = data / FILE
    fields = [("person", override.person), ("instead", override.instead), ("shift", override.shift)]
    lines = [f"{name} = {_quoted(value)}" for name, value in [*fields, ("reason", override.reason)] if value]
    lines += [f"from = {override.since.isoformat()}", f"until = {override.until.isoformat()}"]
    if not path.exists():
        raise Refusal(path, "", "there is no roster yet", right="install one: zhian duty set FILE")
    text = path.read_text(encoding="utf-8").rstrip("\n") + "\n\n[[override]]\n" + "\n".join(lines) + "\n"
    duty = _checked(tomllib.loads(text), site, path)
    replace_file(path, text)
    return duty


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()  # a JSON string is a TOML string


def _check_people(duty: Duty, site: Site, path: Path) -> None:
    voices = {voice.id: voice for voice in site.voices}
    _unique([person.id for person in duty.person], path, "person")
    for at, person in enumerate(duty.person):
        if person.id in (ALL, ON_DUTY):
            raise Refusal(path, f"person[{at}].id", "is a word for several people", value=person.id, right="another id")
        if person.phone and not PHONE.fullmatch(person.phone):
            right = "digits alone, as 13800000000"
            raise Refusal(path, f"person[{at}].phone", "is no telephone number", value=person.phone, right=right)
        for voice, address in person.address.items():
            key = f"person[{at}].address.{voice}"
            if voice not in voices:
                right = nearest(voice, voices) if voices else "the site file has no [[voice]]"
                raise Refusal(path, key, "the site has no such voice", value=voice, right=right)
            check_address(voices[voice], address, path, key)


def _check_shifts(duty: Duty, path: Path) -> None:
    _unique([shift.id for shift in duty.shift], path, "shift")
    for at, shift in enumerate(duty.shift):
        key = f"shift[{at}]"
        check_hours(shift.hours, path, f"{key}.hours")
        if not shift.hours:
            raise Refusal(path, f"{key}.hours", "has no hours", right='as "19:00-07:00"')
        if not _ID.fullmatch(shift.role) or shift.role in (ALL, ON_DUTY) or shift.role in duty.people():
            right = f"an id as `guard`, not {ALL}, {ON_DUTY} or a person's id"
            raise Refusal(path, f"{key}.role", "cannot be a role", value=shift.role, right=right)
        if not shift.people:
            raise Refusal(path, f"{key}.people", "nobody holds it", right="ids of people")
        _known(shift.people, duty.people(), path, f"{key}.people")
        if shift.rotate_days and shift.since is None:
            right = "the first person's first day, as since = 2026-01-05"
            raise Refusal(path, f"{key}.since", "a rotation begins on a day", right=right)


def _check_overrides(duty: Duty, path: Path) -> None:
    for at, override in enumerate(duty.override):
        key = f"override[{at}]"
        _known([override.person], duty.people(), path, f"{key}.person")
        _known([override.instead] if override.instead else [], duty.people(), path, f"{key}.instead")
        _known([override.shift] if override.shift else [], [s.id for s in duty.shift], path, f"{key}.shift")
        for name, moment in (("from", override.since), ("until", override.until)):
            if moment.tzinfo is not None:
                right = "the time of the wall clock, as 2026-02-03T19:00:00"
                raise Refusal(path, f"{key}.{name}", "has a time zone", value=str(moment), right=right)
        if override.until <= override.since:
            raise Refusal(path, f"{key}.until", "is not after `from`", value=str(override.until), right="a later time")


def _check_escalations(duty: Duty, site: Site, path: Path) -> None:
    _unique([each.severity for each in duty.escalation], path, "escalation", "severity")
    targets = [ALL, ON_DUTY, *(shift.role for shift in duty.shift), *duty.people()]
    for at, each in enumerate(duty.escalation):
        key = f"escalation[{at}]"
        if not each.step:
            raise Refusal(path, f"{key}.step", "has no step", right="at least one [[escalation.step]]")
        for number, step in enumerate(each.step):
            _known(step.to, targets, path, f"{key}.step[{number}].to")
            _known(step.voices, [voice.id for voice in site.voices], path, f"{key}.step[{number}].voices")
            if not step.to:
                raise Refusal(path, f"{key}.step[{number}].to", "calls nobody", right=f'as to = ["{ON_DUTY}"]')
        if each.severity == "P1" and (ALL not in each.step[-1].to or each.step[-1].voices):
            right = f'end with to = ["{ALL}"] and no `voices`'
            raise Refusal(
                path, f"{key}.step[{len(each.step) - 1}]", "a P1 ends with everybody, by every voice", right=right
            )
        if each.severity == "P1" and not each.again:
            raise Refusal(path, f"{key}.again", "a P1 is not given up", right="as again = 300.0")


def _known(names: Iterable[str], known: Iterable[str], path: Path, key: str) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            raise Refusal(path, key, "is not known here", value=name, right=nearest(name, known))


def _unique(names: list[str], path: Path, table: str, field: str = "id") -> None:
    for at, name in enumerate(names):
        key = f"{table}[{at}].{field}"
        if field == "id" and not _ID.fullmatch(name):
            right = "lower case letters, digits and single hyphens"
            raise Refusal(path, key, "not an id", value=name, right=right)
        if name in names[:at]:
            raise Refusal(path, key, "is taken", value=name)
