"""Incidents: a total table, every end reachable, and what alarms, limits and orders do to the rows."""

import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.duty import casebook
from hub.duty.file import Limits
from hub.duty.incident import ENDED, TABLE, Effect, Event, Incident, Move, Refused, State, possible, step
from hub.duty.roster import Roster
from hub.journal.writer import FILE, Journal, put_order
from hub.outcome import Alarm, Order, Outcome
from hub.settings.site import Site

T0 = 1_767_610_800_000  # 2026-01-05 19:00 in Shanghai: p2 has the night
LIMITS = Limits(new=10.0, dispatched=20.0, working=30.0, done=40.0)


def incident(state: State) -> Incident:
    """One in this state."""
    return Incident(id=1, key="sos/s1", occurrence=1, severity="P1", opened=T0, state=state, since=T0, assignee="p1")


def test_the_table_is_total_and_every_state_leads_to_an_end() -> None:
    """Each state answers each event; each is reached from NEW, and reaches the archive or the void."""
    assert set(TABLE) == {(state, event) for state in State for event in Event}
    moves = {(state, cell.next) for (state, _), cell in TABLE.items() if cell.effect is Effect.MOVE}
    reached = {State.NEW}
    for _ in State:
        reached |= {after for before, after in moves if before in reached}
    assert reached == set(State)
    for state in State:
        here = {state}
        for _ in State:
            here |= {after for before, after in moves if before in here}
        assert here & ENDED
    assert all(TABLE[state, event].next is state for state in ENDED for event in Event), "an end is an end"


def test_a_matter_cannot_be_archived_before_it_was_assessed() -> None:
    """The order of the words: classify, dispatch, accept, feed back, assess, archive."""
    assert [state for state in State if TABLE[state, Event.ARCHIVE].effect is Effect.MOVE] == [State.ASSESSED]
    assert [state for state in State if TABLE[state, Event.PASS].effect is Effect.MOVE] == [State.DONE]
    assert possible(State.WORKING) == [
        Event.DISPATCH, Event.ACCEPT, Event.RETURN, Event.FEEDBACK, Event.DEFER, Event.NOTE
    ]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(list(Event)), st.integers(0, 60_000)), max_size=30))
def test_any_history_is_orderly(history: list[tuple[Event, int]]) -> None:
    """A refused move changes nothing, supervision only rises, an ended one has no timer, an open one always has."""
    found, now = step(incident(State.NEW), Move(event=Event.CLASSIFY, text="x"), T0, LIMITS), T0
    for event, wait in history:
        now += wait
        was = found
        move = Move(event=event, actor="x", text="word", to="p1", until=now + 1000)
        if TABLE[was.state, event].effect is Effect.REJECT:
            with pytest.raises(Refused, match="possible:"):
                step(was, move, now, LIMITS)
            continue
        found = step(was, move, now, LIMITS)
        assert was.supervision <= found.supervision <= 3
        assert found.state is TABLE[was.state, event].next
        if found.state in ENDED:
            assert found.due_at is None
        elif found.supervision < 3:
            assert found.due_at is not None


@pytest.mark.parametrize(
    ("state", "move", "words"),
    [
        (State.DISPATCHED, Move(event=Event.RETURN), "a word why"),
        (State.CLASSIFIED, Move(event=Event.DISPATCH), "somebody"),
        (State.WORKING, Move(event=Event.DEFER, text="parts", until=T0), "in the future"),
        (State.NEW, Move(event=Event.ACCEPT), "possible: classify, dispatch, void"),
    ],
)
def test_a_refusal_says_what_would_be_right(state: State, move: Move, words: str) -> None:
    """What a move needs, or which moves there are."""
    with pytest.raises(Refused, match=words):
        step(incident(state), move, T0, LIMITS)


def test_three_limits_are_the_most(roster: Roster) -> None:
    """Each limit that passes raises supervision by one, up to three; then nobody is pressed further."""
    found, now = incident(State.DISPATCHED), T0
    for level in (1, 2, 3):
        found = step(found, Move(event=Event.LIMIT), now, LIMITS)
        assert found.supervision == level
    assert found.due_at is None


class Books:
    """The journal with its incidents."""

    def __init__(self, path: Path, site: Site, roster: Roster) -> None:
        """Empty."""
        self.journal = Journal(path, site)
        self.db: sqlite3.Connection = self.journal.db
        self.roster, self.now = roster, T0

    def alarm(self, state: str = "unacked", severity: str = "P1", **more: Any) -> None:  # Any: columns
        """The alarm as the core has it."""
        row = Alarm(key="sos/s1", rule="sos", source="s1", zone="", severity=severity, filter="on", since=T0, last=T0,
                    state=state, announced=True, **{"occurrence": 1, "activations": 1, **more})  # fmt: skip
        self.journal.write([Outcome(alarms=[row])])

    def look(self, seconds: float = 0.0) -> None:
        """So much later."""
        self.now += round(seconds * 1000)
        self.db.execute("BEGIN IMMEDIATE")
        casebook.obey(self.db, self.roster, self.now)
        casebook.look(self.db, self.roster, self.now)
        self.db.execute("COMMIT")

    def order(self, event: str, text: str = "", target: str = "1", seconds: float | None = None) -> str:
        """What became of it."""
        order = Order(id=0, token=f"{event}{self.now}", kind="incident", target=target, command=event, text=text,
                      actor="lin", seconds=seconds, issued=self.now, expires=self.now + 60_000)  # fmt: skip
        put_order(self.db, order)
        self.look(1)
        return ":".join(self.db.execute("SELECT state, outcome FROM orders ORDER BY id DESC").fetchone())

    def rows(self) -> list[tuple[Any, ...]]:  # Any: columns
        """State, assignee, supervision of each."""
        return [tuple(row) for row in self.db.execute("SELECT state, assignee, supervision FROM incident ORDER BY id")]

    def log(self) -> list[str]:
        """All events, oldest first."""
        return [str(row[0]) for row in self.db.execute("SELECT event FROM incident_log ORDER BY seq")]


@pytest.fixture
def books(tmp_path: Path, site: Site, roster: Roster) -> Any:  # Any: a generator
    """Open, and closed at the end."""
    made = Books(tmp_path / FILE, site, roster)
    yield made
    made.journal.close()


def test_p1_goes_to_who_is_on_duty_by_itself(books: Books) -> None:
    """Nobody classifies while somebody is in the water; one look opens it, a second one changes nothing."""
    books.alarm()
    books.look()
    books.look(1)
    assert books.rows() == [("dispatched", "p2", 0)]
    assert books.log() == ["opened", "classify", "dispatch"]


def test_p2_waits_for_a_person_and_p3_is_none(books: Books) -> None:
    """Only severities with limits become incidents."""
    books.alarm(severity="P3")
    books.look()
    assert books.rows() == []
    books.alarm(severity="P2")
    books.look()
    assert books.rows() == [("new", "", 0)]


def test_a_whole_life(books: Books) -> None:
    """From the alarm to the archive, each step kept with who did it; the next alarm opens one that follows."""
    books.alarm()
    books.look()
    assert books.order("accept") == "done:done"
    books.alarm("normal", cleared=T0)
    books.look(1)
    assert books.order("archive").startswith("refused:rejected:archive is not possible while it is working")
    assert books.order("feedback", "battery changed") == "done:done"
    assert books.order("pass") == "done:done"
    assert books.order("archive") == "done:done"
    assert books.rows() == [("archived", "p2", 0)]
    assert books.log() == ["opened", "classify", "dispatch", "accept", "alarm-cleared", "feedback", "pass", "archive"]
    books.alarm(occurrence=2)
    books.look(1)
    assert [row[0] for row in books.rows()] == ["archived", "dispatched"]
    assert books.db.execute("SELECT follows FROM incident WHERE id = 2").fetchone()[0] == 1


def test_what_ended_is_not_opened_again_by_the_same_occurrence(books: Books) -> None:
    """A void stays void while its alarm stands."""
    books.alarm()
    books.look()
    assert books.order("void", "a test of the button") == "done:done"
    books.look(1)
    assert books.rows() == [("void", "p2", 0)]


def test_an_alarm_that_comes_back_reopens_what_was_done(books: Books) -> None:
    """Dealt with, and again: back to who had it."""
    books.alarm()
    books.look()
    books.order("feedback", "looked")
    books.alarm(activations=2)
    books.look(1)
    assert books.rows() == [("dispatched", "p2", 0)]
    assert books.log()[-1] == "alarm-again"


def test_nobody_accepts_and_supervision_rises(books: Books) -> None:
    """By the limits of the roster's file: 300 s for a dispatched P1."""
    books.alarm()
    books.look()
    books.look(299)
    assert books.rows()[0][2] == 0
    for level in (1, 2, 3, 3):
        books.look(300)
        assert books.rows()[0][2] == level


def test_deferred_comes_back_by_itself(books: Books) -> None:
    """At its time it is dispatched again, to the same person."""
    books.alarm()
    books.look()
    assert books.order("defer", "the part comes tomorrow", seconds=86_400.0) == "done:done"
    books.look(86_000)
    assert books.rows()[0][0] == "deferred"
    books.look(500)
    assert books.rows()[0][:2] == ("dispatched", "p2")


@pytest.mark.parametrize(
    ("event", "text", "target", "words"),
    [
        ("dispatch", "p9 quickly", "1", "'p9' is nobody in the roster"),
        ("accept", "", "7", "there is no incident 7"),
        ("limit", "", "1", "nothing that people do"),
        ("void", "", "1", "needs a word why"),
    ],
)
def test_a_wrong_order_says_why(books: Books, event: str, text: str, target: str, words: str) -> None:
    """And changes nothing."""
    books.alarm()
    books.look()
    assert words in books.order(event, text, target)
    assert books.rows() == [("dispatched", "p2", 0)]


def test_a_row_is_the_struct(books: Books) -> None:
    """Every field of the struct is a column."""
    names = {str(row[1]) for row in books.db.execute("PRAGMA table_info(incident)")}
    assert names == set(msgspec.structs.asdict(incident(State.NEW)))
