"""First-out: of alarms that come together exactly one came first, however they are read, also after a restart."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hub.alarms.firstout import FEW, WINDOW_MS, Came, grouped, groups, look
from hub.journal.query import alarm_lines
from hub.journal.writer import FILE, Journal
from hub.outcome import Flip, Occurrence, Outcome
from hub.settings.site_voice import LogSpec
from hub.speaking import outbox
from hub.speaking.outbox import Claim
from tests.hub.conftest import NOON

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from hub.settings.site import Site
    from tests.hub.conftest import Yard

LINKS = {"gate-1": "bus", "gate-2": "bus", "radar-1": "bus", "noise-1": "mqtt"}
ZONES = {"gate-1": "east", "gate-2": "west", "radar-1": "lake", "noise-1": "east", "bus": "", "hub": "", "east": "east"}


def came(number: int, source: str, at: int, rule: str = "rule") -> Came:
    """One occurrence; `at` in seconds after noon."""
    return Came(
        id=number, key=f"{rule}/{source}", rule=rule, source=source, zone=ZONES[source], raised=NOON + at * 1000
    )


def firsts(*some: Came) -> dict[int, int]:
    """Number -> number of the first of its group."""
    return {number: group.first.id for number, group in groups(some, LINKS).items()}


def test_the_same_zone_within_a_minute() -> None:
    """The window is counted from the first, not from one to the next, and its end belongs to it."""
    assert firsts(came(1, "gate-1", 0), came(2, "noise-1", 60)) == {1: 1, 2: 1}
    assert firsts(came(1, "gate-1", 0), came(2, "noise-1", 61)) == {}
    chain = [came(1, "gate-1", 0), came(2, "noise-1", 40), came(3, "east", 80), came(4, "gate-1", 90)]
    assert firsts(*chain) == {1: 1, 2: 1, 3: 3, 4: 3}


def test_other_zones_are_other_groups() -> None:
    """Two things on one cable are not one event because of that."""
    assert firsts(came(1, "gate-1", 0), came(2, "gate-2", 5), came(3, "radar-1", 6)) == {}


def test_a_link_and_what_hangs_on_it() -> None:
    """Its alarm is the first of those of its devices that follow, wherever they are; not of another cable's."""
    some = [came(1, "bus", 0), came(2, "radar-1", 4), came(3, "gate-2", 9), came(4, "noise-1", 10)]
    assert firsts(*some) == {1: 1, 2: 1, 3: 1}


def test_of_two_possible_groups_the_earlier() -> None:
    """One alarm is in one group only."""
    assert firsts(came(1, "noise-1", 0), came(2, "bus", 5), came(3, "gate-1", 9), came(4, "gate-2", 10)) == {
        1: 1, 3: 1, 2: 2, 4: 2,
    }  # fmt: skip


def test_one_alarm_again_and_again_is_alone() -> None:
    """What chatters has nobody that it came before; two alarms of the hub itself are two."""
    assert firsts(came(1, "gate-1", 0), came(2, "gate-1", 9), came(3, "hub", 9)) == {}
    assert firsts(came(3, "hub", 9), came(4, "hub", 10, "other")) == {3: 3, 4: 3}


SOME = st.lists(
    st.tuples(st.sampled_from(sorted(ZONES)), st.integers(0, 300), st.sampled_from(["a", "b"])), max_size=40
)  # fmt: skip


@settings(max_examples=300)
@given(made=SOME, random=st.randoms(use_true_random=False))
def test_exactly_one_first_a_group_in_whatever_order(made: list[tuple[str, int, str]], random: Random) -> None:
    """Each is in one group, whose first came before all others and shares a place with each."""
    some = [came(number, source, at, rule) for number, (source, at, rule) in enumerate(made, 1)]
    found = grouped(some, LINKS)
    assert sorted(one.id for group in found for one in group) == [one.id for one in some]
    for first, *others in found:
        for one in others:
            assert (first.raised, first.id) < (one.raised, one.id)
            assert one.raised - first.raised <= WINDOW_MS
            assert (first.zone and one.zone == first.zone) or first.source in (one.source, LINKS.get(one.source))
    shuffled = list(some)
    random.shuffle(shuffled)
    assert grouped(shuffled, LINKS) == found


@settings(max_examples=60)
@given(made=SOME, at=st.integers(0, 300))
def test_a_look_at_one_instant_sees_what_a_look_at_all_sees(made: list[tuple[str, int, str]], at: int) -> None:
    """However little of the journal is read, the groups are those of the whole."""
    db = sqlite3.connect(":memory:")
    db.row_factory = sqlite3.Row
    db.execute("CREATE TABLE occurrence (id INTEGER PRIMARY KEY, key, rule, source, zone, raised)")
    some = [came(number, source, second, rule) for number, (source, second, rule) in enumerate(made, 1)]
    db.executemany(
        "INSERT INTO occurrence VALUES (?, ?, ?, ?, ?, ?)",
        [(one.id, one.key, one.rule, one.source, one.zone, one.raised) for one in some],
    )
    whole = groups(some, LINKS)
    seen = look(lambda sql, values: db.execute(sql, values).fetchall(), [NOON + at * 1000], LINKS)
    db.close()
    for one in some:
        if one.raised == NOON + at * 1000:
            assert seen.get(one.id) == whole.get(one.id)


def test_it_comes_from_the_journal(yard: Yard, tmp_path: Path) -> None:
    """What the core wrote is grouped alike by whoever opens the file next, with the numbers that people see."""
    site = yard.site
    journal = Journal(tmp_path / FILE, site)
    write = yard.keep

    def both(outcome: Outcome) -> Outcome:
        journal.write([outcome])
        return write(outcome)

    yard.keep = both  # type: ignore[method-assign]  # every outcome goes into the file too
    yard.wait(5, ("gate-1", "gate", "closed"))
    yard.say("gate-1", "tamper", "tampered")
    yard.wait(6, ("gate-1", "gate", "open"))
    yard.wait(2, ("sos-1", "sos", "pressed"))
    links = journal.links
    before = [(line.rule, line.number, line.first_out) for line in alarm_lines(journal.db, links=links)]
    journal.close()
    again = Journal(tmp_path / FILE, site)
    after = [(line.rule, line.number, line.first_out) for line in alarm_lines(again.db, links=links)]
    again.close()
    numbers = {rule: number for rule, number, _ in before}
    assert {rule: first for rule, _, first in before} == {
        "tamper": numbers["tamper"], "gate-forced": numbers["tamper"],
        "device-silent": numbers["device-silent"], "sos": numbers["device-silent"],  # the relay of the same zone
    }  # fmt: skip
    assert after == before


def test_who_is_told_is_told_which_came_first(tmp_path: Path, site: Site) -> None:
    """The row that a voice is given carries the group; in a flood nobody looks through all of it."""
    journal = Journal(tmp_path / FILE, replace(site, voices=(LogSpec(id="v"),)))

    def raised(number: int) -> Outcome:
        key, at = f"noise-limit/n{number}", NOON + number
        chapter = Occurrence(key=key, occurrence=1, rule="noise-limit", source=f"n{number}", zone="square",
                             severity="P2", quantity="", raised=at)  # fmt: skip
        flip = Flip(at=at, key=key, occurrence=1, event="raised", before="a", after="b", announce="raised",
                    severity="P2")  # fmt: skip
        return Outcome(flips=[flip], occurrences=[chapter])

    def due() -> list[int | None]:
        rows = outbox.claim(journal, "test", Claim(voice="v", urgent=False, most=FEW * 2), NOON + 1_000)
        return [row.group.first.id if row.group else None for row in rows]

    journal.write([raised(1)])
    assert due() == [None]
    journal.write([raised(2), raised(3)])
    assert due() == [1, 1]
    journal.write([raised(number) for number in range(4, FEW + 10)])
    assert set(due()) == {None}
    journal.close()


def test_a_flood_is_one_group_a_zone() -> None:
    """Ten thousand at once."""
    many = [came(number, "gate-1" if number % 2 else "gate-2", 0, f"r{number}") for number in range(1, 10_001)]
    assert {len(group.members) for group in groups(many, LINKS).values()} == {5_000}
