"""Who is on duty at an instant, who a step of an escalation calls, and when for the first time nobody can be reached.

Pure: worked out from the structs of hub.duty.file, a calendar and an instant (ms). It remembers nothing.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import msgspec

from hub.calendar.days import Days
from hub.calendar.schedule import Hours
from hub.duty.file import ALL, ON_DUTY, WEEKDAYS, Duty, Escalation, Override, Person, Shift, Step


class OnDuty(msgspec.Struct, frozen=True, order=True):
    """One person on one post. `stands_for`: who is rostered, where somebody else stands in."""

    shift: str
    role: str
    person: str
    stands_for: str = ""


class Hole(msgspec.Struct, frozen=True):
    """From `at` (ms) to `until` nobody is on duty who can be reached for this severity."""

    at: int
    until: int
    severity: str


class Turn(msgspec.Struct, frozen=True):
    """From `since` (ms) to `until` the same people are on duty; none: nobody is."""

    since: int
    until: int
    people: tuple[OnDuty, ...]


class Roster:
    """One duty file in one time zone, with the calendar that is in force."""

    def __init__(self, duty: Duty, tz: ZoneInfo, days: Days | None = None) -> None:
        """`days`: what kind of day a date is."""
        self.duty = duty
        self._tz = tz
        self._people = duty.people()
        self._shifts = [(shift, Hours(shift.hours, tz, days)) for shift in duty.shift]

    def on_duty(self, now: int) -> tuple[OnDuty, ...]:
        """Everybody on duty at `now`, each post once, in the order of the file."""
        wall = datetime.fromtimestamp(now // 1000, UTC).astimezone(self._tz).replace(tzinfo=None)
        overrides = [each for each in self.duty.override if each.since <= wall < each.until]
        found: dict[OnDuty, None] = {}
        for shift, hours in self._shifts:
            for day in hours.begun(now):
                for person in rostered(shift, day):
                    stands = _stand_in(person, shift.id, overrides)
                    if stands:
                        instead = person if stands != person else ""
                        found[OnDuty(shift.id, shift.role, stands, instead)] = None
        return tuple(found)

    def next_change(self, now: int) -> int:
        """An instant after `now` up to which `on_duty` stays as it is; at most two days ahead."""
        edges = [hours.edge(now) for _, hours in self._shifts]
        for each in self.duty.override:
            for moment in (each.since, each.until):
                edges += [round(moment.replace(tzinfo=self._tz, fold=fold).timestamp() * 1000) for fold in (0, 1)]
        return min((edge for edge in edges if edge > now), default=now + 86_400_000)

    def called(self, step: Step, now: int) -> list[Person]:
        """Whom the step calls at `now`, each once. A role that nobody holds calls nobody."""
        on_duty = self.on_duty(now)
        found: dict[str, None] = {}
        for target in step.to:
            if target == ALL:
                found |= dict.fromkeys(self._people)
            elif target in self._people:
                found[target] = None
            else:
                found |= {each.person: None for each in on_duty if target in (ON_DUTY, each.role)}
        return [self._people[person] for person in found]

    def covered(self, policy: Escalation, now: int, voices: frozenset[str]) -> bool:
        """True when one of the people whom the policy calls before everybody can be reached at `now`."""
        steps = [step for step in policy.step if ALL not in step.to] or list(policy.step)
        return any(reached(person, step, voices) for step in steps for person in self.called(step, now))

    def turns(self, start: int, end: int) -> Iterator[Turn]:
        """Who is on duty when in [start, end), in stretches with the same people."""
        now = start
        while now < end:
            since, here = now, self.on_duty(now)
            while now < end and self.on_duty(now) == here:
                now = self.next_change(now)
            yield Turn(since, now, here)

    def holes(self, start: int, end: int, voices: frozenset[str], severity: str = "P1") -> Iterator[Hole]:
        """Each stretch in [start, end) in which the severity reaches nobody on duty."""
        policy = self.duty.policy(severity)
        now, hole = start, None
        while policy is not None and now < end:
            covered = self.covered(policy, now, voices)
            if covered and hole is not None:
                yield Hole(hole, now, severity)
                hole = None
            elif not covered and hole is None:
                hole = now
            now = self.next_change(now)
        if hole is not None:
            yield Hole(hole, end, severity)

    def first_hole(self, start: int, end: int, voices: frozenset[str], severity: str = "P1") -> Hole | None:
        """The first of `holes`; None: there is none."""
        return next(self.holes(start, end, voices, severity), None)


def rostered(shift: Shift, day: date) -> tuple[str, ...]:
    """Who the shift that starts on `day` belongs to, before anybody stands in."""
    if WEEKDAYS[day.weekday()] not in shift.days:
        return ()
    if not shift.rotate_days or shift.since is None:
        return shift.people
    turn = (day - shift.since).days // shift.rotate_days
    return (shift.people[turn % len(shift.people)],)


def reached(person: Person, step: Step, voices: frozenset[str]) -> list[str]:
    """The voices of the site by which this step reaches the person."""
    return [voice for voice in person.address if voice in voices and (not step.voices or voice in step.voices)]


def _stand_in(person: str, shift: str, overrides: list[Override]) -> str:
    """Who is there for the person: the last word counts. One who is on leave stands in for nobody."""
    fitting = [each for each in overrides if each.shift in ("", shift)]
    own = [each for each in fitting if each.person == person]
    if not own:
        return person
    instead = own[-1].instead
    theirs = [each for each in fitting if each.person == instead]
    away = bool(theirs) and not theirs[-1].instead
    return "" if away else instead
