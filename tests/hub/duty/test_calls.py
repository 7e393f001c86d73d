"""Escalations and calls on a real journal: who is called when, what stops it, and a kill at any write."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from msgspec.structs import replace

from hub import callbook, casebook
from hub.announce import Announcer
from hub.brieflink import Pass, open_link
from hub.callees import Callees
from hub.clock import Clock
from hub.commit import Committer
from hub.duty import Duty
from hub.duty_room import look
from hub.journal import FILE, Journal
from hub.outbox import let_go
from hub.outcome import Alarm, Flip, Occurrence, Outcome
from hub.roster import Roster
from hub.site import Site
from hub.speaker import GIVE_UP_TRIES
from hub.voices import Announcement, Person, Said, Unlimited, VoiceError, Why
from tests.hub.kill import Killed, Wire

T0 = 1_767_610_800_000  # 2026-01-05 19:00 in Shanghai: p2 has the night
KEY = b"k" * 32
CALLS = "FROM outbox JOIN flip ON seq = flip WHERE person <> ''"
VOICES = frozenset({"phone", "robot"})
EVERYBODY = [("phone", "1001"), ("phone", "1002"), ("robot", "@p1"), ("robot", "@p3")]
T = TypeVar("T")


class Still(Clock):
    """A clock that the test sets."""

    def __init__(self) -> None:
        """At T0."""
        super().__init__()
        self.at = T0

    def now(self) -> int:
        """What the test says."""
        return self.at


class Mouth(Unlimited):
    """A voice that can be told to fail."""

    def __init__(self, name: str, room: "Room") -> None:
        """Of this room."""
        self._name, self._room = name, room

    async def say(self, announcement: Announcement, person: Person | None = None) -> Said:
        """To one person who is called; what everybody is told is not noted."""
        if person is None:
            return Said("heard")
        if self._room.error is not None:
            raise self._room.error
        assert announcement.to == person.phone
        self._room.said.append(((self._room.clock.at - T0) // 1000, self._name, announcement.to))
        self._room.links.append(announcement.page)
        self._room.ids.append((self._name, announcement.id))
        return Said("heard")


class Room:
    """A journal with its duty, without loops: `tick` is a look and all announcements that are due."""

    def __init__(self, folder: Path, site: Site, roster: Roster, cut: int | None = None) -> None:
        """`cut`: the statement at which the process dies, once; it starts again from what was written."""
        self._path, self._site, self._cut = folder / FILE, site, cut
        self.clock = Still()
        self.said: list[tuple[int, str, str]] = []
        self.links: list[str] = []
        self.ids: list[tuple[str, str]] = []
        self.error: VoiceError | None = None
        self.deaths = self.statements = 0
        self._open(cut)
        self.become(roster)

    def become(self, roster: Roster) -> None:
        """Another roster."""
        self.roster, self.callees.duty = roster, roster.duty

    def _open(self, cut: int | None) -> None:
        self.journal = Journal(self._path, self._site)
        self.journal.db.execute("PRAGMA synchronous = OFF")  # a process dies here, not a disk
        self.wire = Wire(self.journal.db, cut)
        self.journal.db = cast("sqlite3.Connection", self.wire)
        self.callees = Callees(self._site, KEY, self.clock)
        committer = cast("Committer", self)
        announcer = Announcer(self._site, {}, committer, {}, self.clock, people=self.callees)
        self.speakers = [announcer.speaker(voice) for voice in sorted(VOICES)]
        for speaker, voice in zip(self.speakers, sorted(VOICES), strict=True):
            speaker.renew(Mouth(voice, self))

    async def call(self, work: Callable[[Journal], T]) -> T:
        """As the committer does."""
        return work(self.journal)

    def tick(self, second: int) -> None:
        """One second of the field process; where it dies, it starts again and goes on."""
        self.clock.at = T0 + second * 1000
        while True:
            try:
                look(self.journal, self.roster, VOICES, self.clock.at)
                for speaker in self.speakers:
                    for urgent in (True, False):
                        asyncio.run(speaker.once(urgent))
                return
            except Killed:
                self.deaths += 1
                self.statements += self.wire.count
                self.journal.close()
                self._open(None)
                self.become(self.roster)
                let_go(self.journal)

    def alarm(self, state: str = "unacked", *, severity: str = "P1", key: str = "sos/s1", **more: Any) -> None:
        """The alarm as the core has written it; `more`: columns."""
        rule, _, source = key.partition("/")
        both: dict[str, Any] = {"key": key, "rule": rule, "source": source, "zone": "", "severity": severity}
        both |= {"occurrence": 1, **more}
        row = Alarm(**both, filter="on", since=T0, last=T0, state=state, announced=True)
        fields = {name: value for name, value in both.items() if name in Occurrence.__struct_fields__}
        fields |= {"raised": T0, "quantity": ""}
        fields |= {"closed": "cleared", "ended": self.clock.at} if state == "normal" else {}
        flip = Flip(at=self.clock.at, key=key, occurrence=1, event="raised", before="normal", after=state)
        self.journal.db = self.wire.whole  # the core's own writes are not what is cut here
        self.journal.write([Outcome(alarms=[row], occurrences=[Occurrence(**fields)], flips=[flip])])
        self.journal.db = cast("sqlite3.Connection", self.wire)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:  # Any: the columns of any question
        """Rows of the journal."""
        return [tuple(row) for row in self.wire.whole.execute(sql)]


Opened = Callable[..., Room]


@pytest.fixture
def opened(tmp_path: Path, site: Site, roster: Roster) -> Opened:
    """Opens the room in a folder of its own."""

    def make(name: str = "room", cut: int | None = None) -> Room:
        (tmp_path / name).mkdir()
        return Room(tmp_path / name, site, roster, cut)

    return make


def story(room: Room) -> None:
    """Nobody sees an alarm for 9 minutes, then one does and does nothing; it is raised again, and then it is over."""
    room.tick(0)
    room.alarm()
    for second in (1, 2, 61, 62, 181, 182, 481, 500):
        room.tick(second)
    room.alarm("acked", acked=room.clock.at, acked_by="p1")
    for second in (501, 800, 1100, 1101):
        room.tick(second)
    room.alarm()  # the core has raised it again
    for second in (1102, 1103, 1163):
        room.tick(second)
    room.alarm("normal", acked=room.clock.at)
    for second in (1164, 1300):
        room.tick(second)
    room.journal.close()


def test_an_alarm_goes_from_one_to_the_next(opened: Opened) -> None:
    """The guard by telephone at once, then who is on duty by everything, then all, then all again; each link opens."""
    room = opened()
    room.alarm()
    for second in (0, 59, 60, 179, 180, 479, 480):
        room.tick(second)
    assert room.said == [(0, "phone", "1002"), (60, "phone", "1002")] + [
        (second, *each) for second in (180, 480) for each in EVERYBODY
    ]
    token = room.links[0].removeprefix("https://duty.example.org/b/")
    assert open_link(KEY, "court", token, T0) == Pass(1, 1, "p2", T0 // 1000 + 12 * 3600)
    assert len(set(room.ids)) == len(room.ids), "a receiver that drops repeats by their id drops no other call"
    room.journal.close()


def test_an_acknowledgement_stops_the_calls(opened: Opened) -> None:
    """Also those that were still to be tried again; it is not raised again while somebody is at work on it."""
    room = opened()
    room.alarm()
    room.error = VoiceError("busy")
    room.tick(0)
    room.error = None
    room.alarm("acked", acked=T0 + 1000, acked_by="guard")
    room.tick(1)
    assert room.rows(f"SELECT status {CALLS}") == [("dropped",)]
    room.journal.db.execute("UPDATE incident SET state = 'working'")
    for second in (60, 700, 3600):
        room.tick(second)
    assert room.said == []
    assert room.rows("SELECT kind FROM orders") == []
    room.journal.close()


def test_an_acknowledgement_that_nothing_follows_raises_again(opened: Opened) -> None:
    """After `act_within`: one order, however often it is looked at."""
    room = opened()
    room.alarm()
    room.tick(0)
    room.alarm("acked", acked=T0 + 1000, acked_by="guard")
    for second in (1, 600, 601, 602):
        room.tick(second)
    orders = room.rows("SELECT kind, target, occurrence, actor FROM orders")
    assert orders == [("realarm", "sos/s1", 1, "hub")]
    room.journal.close()


@pytest.mark.parametrize("state", ["returned", "latched-unacked"])
def test_what_is_over_and_unseen_goes_on(opened: Opened, state: str) -> None:
    """A button that was pressed and let go still wants somebody."""
    room = opened()
    room.alarm(state)
    for second in (0, 60):
        room.tick(second)
    assert [second for second, *_ in room.said] == [0, 60]
    room.journal.close()


@pytest.mark.parametrize("why", [{"shelved_until": T0 + 10**9}, {"suppressed": ("link:x",)}, {"out_of_service": True}])
def test_what_is_hidden_calls_nobody(opened: Opened, why: dict[str, Any]) -> None:  # Any: columns
    """And calling begins when it is shown again."""
    room = opened()
    room.alarm(**why)
    room.tick(0)
    assert room.said == []
    room.alarm()
    room.tick(10)
    assert [second for second, *_ in room.said] == [10]
    room.journal.close()


def test_low_severities_call_nobody(opened: Opened) -> None:
    """P3 and P4 without an [[escalation]] are for the list."""
    room = opened()
    room.alarm(severity="P3")
    room.tick(0)
    assert (room.said, room.rows("SELECT * FROM escalation")) == ([], [])
    room.journal.close()


def test_a_flood_does_not_hold_up_what_is_grave(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many are begun in one look, the gravest first, and all of them in the end."""
    for module in (callbook, casebook):
        monkeypatch.setattr(module, "MOST_BEGUN" if module is callbook else "MOST_OPENED", 20)
    room = opened()
    for number in range(50):
        room.alarm(severity="P2", key=f"gate-held/g{number}")
    room.alarm()
    room.tick(0)
    assert ("sos/s1",) in room.rows("SELECT key FROM escalation")
    assert room.rows("SELECT count(*) FROM escalation UNION ALL SELECT count(*) FROM incident") == [(20,), (20,)]
    for second in (1, 2):
        room.tick(second)
    assert room.rows("SELECT count(*) FROM escalation UNION ALL SELECT count(*) FROM incident") == [(51,), (51,)]
    room.journal.close()


def test_nobody_to_reach_is_written_down_and_not_waited_for(opened: Opened, duty: Duty, site: Site) -> None:
    """The step after one that reached nobody follows in the same look."""
    room = opened()
    mute = tuple(replace(p, address={}) if p.id == "p2" else p for p in duty.person)
    room.become(Roster(replace(duty, person=mute), site.tz))
    room.alarm()
    room.tick(0)
    assert ("unreached", "guard") in room.rows("SELECT event, note FROM flip")
    assert {address for _, _, address in room.said} == {"1001", "@p1", "@p3"}, "all, at once"
    room.journal.close()


def test_a_voice_that_fails_is_tried_again_and_given_up(opened: Opened) -> None:
    """With growing pauses; a permanent refusal ends at once."""
    room = opened()
    room.alarm()
    room.error = VoiceError("busy")
    for second in range(0, 50):
        room.tick(second)
    assert room.rows(f"SELECT attempts, status {CALLS}") == [(5, "pending")]  # at 0, 2, 6, 14, 30 s
    room.journal.db.execute("UPDATE outbox SET attempts = ?, next_try = 0", (GIVE_UP_TRIES - 1,))
    room.tick(50)
    assert room.rows(f"SELECT status, detail {CALLS}") == [("failed", "busy")]
    room.error = VoiceError("no such number", Why.REFUSED)
    room.tick(60)
    assert ("failed", 1) in room.rows(f"SELECT status, attempts {CALLS}")
    room.journal.close()


def test_a_call_that_could_not_be_made_gives_way_to_the_next(opened: Opened) -> None:
    """A telephone that is dead for ten minutes does not ring once for each of them afterwards."""
    room = opened()
    room.alarm()
    room.error = VoiceError("no line")
    for second in range(0, 800, 10):
        room.tick(second)
    room.error = None
    room.tick(1100)
    assert sorted(room.said) == [(1100, *each) for each in EVERYBODY]
    assert room.rows(f"SELECT DISTINCT status {CALLS} ORDER BY 1") == [("accepted",), ("failed",)]
    room.journal.close()


def test_a_try_that_fails_after_the_acknowledgement_is_the_last(opened: Opened) -> None:
    """What was being said while somebody acknowledged is not said again."""
    room = opened()
    room.alarm()
    room.error = VoiceError("busy")
    room.tick(0)
    room.journal.db.execute("UPDATE outbox SET status = 'sending'")
    room.alarm("acked", acked=T0 + 1000, acked_by="guard")
    room.tick(1)
    room.journal.db.execute("UPDATE outbox SET status = 'pending', next_try = 0 WHERE status = 'sending'")
    room.error = None
    room.tick(2)
    assert (room.said, room.rows(f"SELECT status {CALLS}")) == ([], [("dropped",)])
    room.journal.close()


def result(room: Room, path: Path, site: Site) -> tuple[list[tuple[Any, ...]], set[tuple[int, str, str]]]:  # Any: rows
    """Every call that was to be made, with its time, and everything that was said."""
    journal = Journal(path / FILE, site)
    rows = [
        tuple(row)
        for sql in (
            "SELECT key, occurrence, at, event, before, after, note FROM flip WHERE actor = 'hub' ORDER BY seq",
            f"SELECT key, occurrence, at, person, voice, status, outbox.note {CALLS} ORDER BY at, person, voice",
            "SELECT state, run, turn, step, due_at FROM escalation",
            "SELECT kind, target FROM orders",
            "SELECT incident, at, event, state FROM incident_log ORDER BY seq",
        )
        for row in journal.db.execute(sql)
    ]
    journal.close()
    return rows, set(room.said)


def kills(opened: Opened, folder: Path, site: Site, stride: int, offset: int) -> int:
    """Die at every `stride`-th statement of the story, each in a run of its own; returns how many deaths there were."""
    whole = opened("whole")
    story(whole)
    want, total, deaths = result(whole, folder / "whole", site), whole.wire.count, 0
    for cut in range(offset, total, stride):
        room = opened(f"cut-{cut}", cut)
        story(room)
        assert result(room, folder / f"cut-{cut}", site) == want, f"killed at statement {cut}"
        deaths += room.deaths
    return deaths


def test_a_kill_at_any_write_announces_the_same(opened: Opened, tmp_path: Path, site: Site) -> None:
    """The same rows at the same times, the same people told (perhaps twice), wherever the process dies."""
    assert kills(opened, tmp_path, site, 29, 4) > 5


@pytest.mark.soak
def test_a_kill_at_every_write_announces_the_same(opened: Opened, tmp_path: Path, site: Site) -> None:
    """The same, at each statement."""
    assert kills(opened, tmp_path, site, 1, 0) > 200


def test_the_kill_test_can_fail(opened: Opened, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with every statement a transaction of its own, a kill loses calls."""

    def careless(room: Room) -> None:
        execute = room.wire.execute

        def loose(sql: str, parameters: Any = ()) -> sqlite3.Cursor:  # Any: SQLite's
            return execute("SELECT 1" if sql in ("BEGIN IMMEDIATE", "COMMIT") else sql, parameters)

        monkeypatch.setattr(room.wire, "execute", loose)

    whole = opened("whole")
    story(whole)
    want = result(whole, tmp_path / "whole", site)
    for cut in range(115, whole.wire.count):
        room = opened(f"loose-{cut}", cut)
        careless(room)
        story(room)
        if result(room, tmp_path / f"loose-{cut}", site) != want:
            return
    pytest.fail("no kill did any harm")
