"""Who is on duty: against a minute oracle, with stand-ins and leaves, and where nobody can be reached."""

import tomllib
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from device_profiles.door import Refusal
from hub.calendar.days import Days, seed
from hub.duty.file import FILE, Duty, Escalation, Override, Person, Shift, Step, append_override, load_duty, read_duty
from hub.duty.roster import Roster, rostered
from hub.reading import Label
from hub.settings.site import DayHours, Site
from hub.settings.site_voice import MailSpec, SmsSpec, Voice

NAME = Label(zh="班", en="shift")
VOICES = frozenset({"phone", "robot"})
MINUTE, DAY = 60_000, 86_400_000


def at(text: str, zone: str = "Asia/Shanghai") -> int:
    """A wall-clock time as ms since 1970."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def posts(roster: Roster, when: str) -> list[str]:
    """Who holds which post."""
    return [f"{each.shift}:{each.person}" for each in roster.on_duty(at(when))]


def test_a_night_belongs_to_the_day_on_which_it_starts(roster: Roster) -> None:
    """At 03:00 it is still yesterday's person; the rotation goes on at the shift's start."""
    assert posts(roster, "2026-01-05T19:00") == ["night:p2"]
    assert posts(roster, "2026-01-06T03:00") == ["night:p2"]
    assert posts(roster, "2026-01-06T19:00") == ["night:p3"]
    assert posts(roster, "2026-01-08T06:59") == ["night:p1"]
    assert posts(roster, "2026-01-08T19:00") == ["night:p2"]


def test_a_rotation_runs_backwards_as_well(roster: Roster) -> None:
    """Before `since` the same turns are counted back."""
    assert posts(roster, "2026-01-04T20:00") == ["night:p1"]
    assert [rostered(roster.duty.shift[0], date(2026, 1, day)) for day in range(3, 10)] == [
        ("p2",), ("p2",), ("p1",), ("p1",), ("p2",), ("p2",), ("p1",)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("when", "managers"),
    [
        ("2026-10-09T11:00", ["p3", "p4"]),  # a Friday after the holidays
        ("2026-10-10T11:00", ["p3", "p4"]),  # a Saturday that is worked
        ("2026-10-11T11:00", []),
        ("2026-10-05T11:00", ["p3", "p4"]),  # National Day holidays, two hours only
        ("2026-10-05T12:00", []),
    ],
)
def test_shifts_go_by_the_kind_of_the_day(roster: Roster, when: str, managers: list[str]) -> None:
    """Holidays and adjusted workdays come from the calendar."""
    assert [each.person for each in roster.on_duty(at(when)) if each.role == "manager"] == managers


def test_somebody_stands_in_and_the_last_word_counts(roster: Roster, site: Site) -> None:
    """A swap says who instead, a leave says nobody, and one on leave stands in for nobody."""

    def with_overrides(*overrides: tuple[str, str]) -> list[str]:
        made = tuple(
            Override(person=who, since=datetime(2026, 1, 5, 19), until=datetime(2026, 1, 6, 7), instead=instead)  # noqa: DTZ001
            for who, instead in overrides
        )
        changed = Roster(replace(roster.duty, override=made), site.tz, Days(seed()))
        return posts(changed, "2026-01-05T22:00")

    assert with_overrides(("p2", "p3")) == ["night:p3"]
    assert with_overrides(("p2", "")) == []
    assert with_overrides(("p2", "p3"), ("p2", "p1")) == ["night:p1"]
    assert with_overrides(("p2", "p3"), ("p3", "")) == []
    assert with_overrides(("p2", "p3"), ("p3", "p2")) == ["night:p3"], "two that swap at once do not swap back"


people = st.sampled_from(["p1", "p2", "p3"])
spans = st.tuples(st.integers(0, 23), st.sampled_from([0, 30]), st.integers(0, 24), st.sampled_from([0, 30])).map(
    lambda t: f"{t[0]:02}:{t[1]:02}-{t[2]:02}:{0 if t[2] == 24 else t[3]:02}"
)
shifts = st.builds(
    Shift,
    id=st.uuids().map(lambda u: f"s{u.hex}"),
    name=st.just(NAME),
    role=st.just("guard"),
    hours=st.one_of(spans, st.builds(DayHours, workday=spans, weekend=st.one_of(st.just(""), spans))),
    days=st.sets(st.sampled_from(["mon", "wed", "fri", "sun"]), min_size=1).map(tuple),
    people=st.lists(people, min_size=1, max_size=3, unique=True).map(tuple),
    rotate_days=st.integers(0, 3),
    since=st.just(date(2026, 10, 1)),
)
moments = st.integers(0, 14 * 24).map(lambda h: datetime(2026, 10, 25) + timedelta(hours=h))  # noqa: DTZ001
overrides = st.builds(
    lambda who, start, hours, instead: Override(
        person=who, since=start, until=start + timedelta(hours=hours), instead=instead
    ),
    people, moments, st.integers(1, 80), st.sampled_from(["", "p1", "p2", "p3"]),
)  # fmt: skip


def oracle(duty: Duty, wall: datetime) -> set[tuple[str, str]]:
    """(shift, person) on duty at a minute of the wall clock, day by day and window by window, without any roster."""
    found = set()
    for shift in duty.shift:
        for back in (0, 1):
            day = wall.date() - timedelta(days=back)
            span = shift.hours
            if isinstance(span, DayHours):
                kind = str(seed().kind(day))
                span = {"workday": span.workday, "adjusted": span.workday}.get(kind, span.weekend)
            if not span or f"{day:%a}".lower() not in shift.days:
                continue
            assert isinstance(span, str)
            start, end = (timedelta(hours=int(text[:2]), minutes=int(text[3:])) for text in span.split("-"))
            end += timedelta(days=1) if end <= start else timedelta()
            midnight = datetime.combine(day, datetime.min.time())
            if not midnight + start <= wall < midnight + end:
                continue
            turn = (day - date(2026, 10, 1)).days // shift.rotate_days if shift.rotate_days else 0
            chosen = [shift.people[turn % len(shift.people)]] if shift.rotate_days else list(shift.people)
            now = [each for each in duty.override if each.since <= wall < each.until]
            for person in chosen:
                mine = [each.instead for each in now if each.person == person]
                stands = mine[-1] if mine else person
                theirs = [each.instead for each in now if each.person == stands]
                if mine and theirs and theirs[-1] == "":
                    stands = ""
                if stands:
                    found.add((shift.id, stands))
    return found


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "Australia/Lord_Howe"])
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.lists(shifts, min_size=1, max_size=3), changes=st.lists(overrides, max_size=4))
def test_every_minute_is_as_the_oracle_has_it(zone: str, made: list[Shift], changes: list[Override]) -> None:
    """Ten days around a change of the clocks: on duty is who the wall clock says, and nothing changes unannounced."""
    duty = Duty(
        person=tuple(Person(id=f"p{n}", name="x") for n in (1, 2, 3)), shift=tuple(made), override=tuple(changes)
    )
    roster, tz = Roster(duty, ZoneInfo(zone), Days(seed())), ZoneInfo(zone)
    now = at("2026-10-28T00:00", zone)
    end, stands = now + 10 * DAY, now
    here: Any = None
    while now < end:
        found = roster.on_duty(now)
        wall = datetime.fromtimestamp(now / 1000, tz).replace(tzinfo=None)
        assert {(each.shift, each.person) for each in found} == oracle(duty, wall), wall
        assert now >= stands or found == here, f"changed before it said: {wall}"
        if now >= stands:
            here, stands = found, roster.next_change(now)
        now += 30 * MINUTE


def test_the_first_hole_is_found_to_the_minute(duty: Duty, site: Site) -> None:
    """A leave without a stand-in is a hole from its first minute to its last; the minute oracle agrees."""
    leave = Override(person="p2", since=datetime(2026, 1, 14, 21, 17), until=datetime(2026, 1, 15, 2, 5))  # noqa: DTZ001
    roster = Roster(replace(duty, override=(leave,)), site.tz, Days(seed()))
    start = at("2026-01-10T12:00")
    hole = roster.first_hole(start, start + 30 * DAY, VOICES)
    assert hole is not None
    policy = duty.policy("P1")
    assert policy is not None
    first = next(m for m in range(start, start + 30 * DAY, MINUTE) if not roster.covered(policy, m, VOICES))
    assert first == hole.at == at("2026-01-14T21:17")
    assert hole.until == at("2026-01-15T02:05")


def test_a_roster_without_holes_has_none_at_any_minute(duty: Duty, site: Site) -> None:
    """The property that `zhian duty check` promises: every P1 reaches somebody on duty at every minute of 30 days."""
    reachable = tuple(replace(person, address={"phone": "1"}) for person in duty.person)
    roster = Roster(replace(duty, person=reachable), site.tz, Days(seed()))
    start, policy = at("2026-01-10T12:00"), duty.policy("P1")
    assert policy is not None
    assert roster.first_hole(start, start + 30 * DAY, VOICES) is None
    assert all(roster.covered(policy, now, VOICES) for now in range(start, start + 30 * DAY, 7 * MINUTE))


def test_one_without_an_address_does_not_cover(roster: Roster) -> None:
    """p3 has no telephone; the first step calls by telephone, and the second reaches p3 by the robot."""
    start = at("2026-01-06T19:00")
    assert roster.first_hole(start, start + DAY // 2, VOICES) is None
    hole = roster.first_hole(start, start + DAY, frozenset({"phone"}))
    assert hole is not None
    assert (hole.at, hole.until) == (start, at("2026-01-07T07:00"))


def test_a_default_policy_calls_who_is_on_duty_and_then_all(duty: Duty) -> None:
    """Without [[escalation]] P1 and P2 still go somewhere; P1 ends with everybody, and again and again."""
    plain = replace(duty, escalation=())
    first, last = plain.policy("P1"), plain.policy("P2")
    assert first is not None
    assert last is not None
    assert first.step[0].to == ("on-duty",)
    assert first.step[-1].to == last.step[-1].to == ("all",)
    assert first.again
    assert plain.policy("P3") is plain.policy("P4") is None


def test_a_step_calls_each_person_once(roster: Roster) -> None:
    """A person who holds two posts, or is named besides, is one person."""
    step = Step(after=0.0, to=("p1", "guard", "on-duty", "manager"))
    assert [each.id for each in roster.called(step, at("2026-01-05T10:00"))] == ["p1", "p3", "p4"]


def test_a_swap_leaves_the_rest_of_the_file_alone(data: Path, site: Site, text: str) -> None:
    """`zhian duty swap` appends: comments and order stay, and what cannot be is written nowhere."""
    path = data / FILE
    path.write_text("# ours\n" + text, encoding="utf-8")
    change = Override(person="p1", since=datetime(2026, 2, 3, 19), until=datetime(2026, 2, 4, 7), instead="p2", reason='a "trip"')  # noqa: DTZ001, E501  # fmt: skip
    assert append_override(data, site, change).override == (change,)
    assert path.read_text(encoding="utf-8").startswith("# ours\n" + text.rstrip())
    assert load_duty(data, site) == read_duty(path, site)
    before = path.read_text(encoding="utf-8")
    with pytest.raises(Refusal, match="is not known here"):
        append_override(data, site, replace(change, instead="p9"))
    assert path.read_text(encoding="utf-8") == before
    assert path.stat().st_mode & 0o777 == 0o600


AWAY = '[[override]]\nperson = "p1"\n'
MISTAKES: list[tuple[str, str, str, str]] = [
    ('phone = "1002"', 'fone = "1002"', "person[1].address.fone", 'did you mean "phone"'),
    ('phone = "1002"', 'phone = " "', "person[1].address.phone", "leave it out"),
    ('id = "p2"', 'id = "p1"', "person[1].id", "taken"),
    ('id = "p2"', 'id = "P 2"', "person[1].id", "lower case"),
    ('people = ["p1", "p2"]', 'people = ["p1", "p9"]', "shift[0].people", "p1"),
    ('people = ["p1", "p2"]', "people = []", "shift[0].people", "ids of people"),
    ('hours = "07:00-19:00"', 'hours = "7-19"', "shift[0].hours", "22:00-06:00"),
    ('hours = "07:00-19:00"', 'hours = ""', "shift[0].hours", "19:00-07:00"),
    ('role = "guard"', 'role = "all"', "shift[0].role", "an id"),
    ("rotate_days = 2\nsince = 2026-01-05", "rotate_days = 2", "shift[0].since", "since = 2026-01-05"),
    ('to = ["guard"]', 'to = ["gard"]', "escalation[0].step[0].to", 'did you mean "guard"'),
    ('to = ["all"]', 'to = ["guard"]', "escalation[0].step[2]", 'to = ["all"]'),
    ("again = 300.0\n", "", "escalation[0].again", "300.0"),
    ('voices = ["phone"]', 'voices = ["phon"]', "escalation[0].step[0].voices", 'did you mean "phone"'),
    ('\n[[person]]\nid = "p1"', 'link_hour = 2\n[[person]]\nid = "p1"', "link_hour", 'did you mean "link_hours"'),
    ("", AWAY + "from = 2026-01-02T00:00:00Z\nuntil = 2026-01-03T00:00:00\n", "override[0].from", "wall"),
    ("", AWAY + "from = 2026-01-02T00:00:00\nuntil = 2026-01-01T00:00:00\n", "override[0].until", "later"),
    ("", '[incident]\nP5 = {}\n', "incident", ""),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "key", "hint"), MISTAKES, ids=[mistake[2] for mistake in MISTAKES])
def test_a_mistake_is_named(data: Path, site: Site, text: str, right: str, wrong: str, key: str, hint: str) -> None:
    """File, key and what would be right."""
    assert right in text
    changed = text.replace(right, wrong, 1) if right else text + wrong
    tomllib.loads(changed)
    (data / FILE).write_text(changed, encoding="utf-8")
    with pytest.raises(Refusal) as refusal:
        load_duty(data, site)
    assert str(refusal.value).startswith(f"{data / FILE}: {key}")
    assert hint in str(refusal.value)


@pytest.mark.parametrize(
    ("voice", "address", "hint"),
    [(SmsSpec(id="phone"), "jia@example.org", "13800138000"), (MailSpec(id="phone"), "13800138000", "@")],
)
def test_an_address_that_its_voice_cannot_use_is_named(
    data: Path, site: Site, text: str, voice: Voice, address: str, hint: str
) -> None:
    """A person who is called at an address that is none would be called by nobody."""
    text = text.replace("1001", address).replace(', robot = "@p1"', "").replace('phone = "1002"', "")
    text = text.replace('robot = "@p3"', "")
    (data / FILE).write_text(text, encoding="utf-8")
    with pytest.raises(Refusal, match=r"person\[0\]\.address\.phone") as refusal:
        load_duty(data, replace(site, voices=(voice,)))
    assert hint in str(refusal.value)


def test_the_policy_of_the_file_wins(duty: Duty) -> None:
    """And only for its severity."""
    policy: Callable[[str], Escalation | None] = duty.policy
    assert policy("P1") == duty.escalation[0]
    assert policy("P2") is not None
