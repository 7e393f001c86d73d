"""Escalations and calls on a real journal: who is called when, and what stops it."""

from typing import Any

import pytest
from msgspec.structs import replace

from hub.duty import callbook, casebook
from hub.duty.brieflink import Pass, open_link
from hub.duty.file import Duty
from hub.duty.roster import Roster
from hub.settings.site import Site
from hub.speaking.speaker import GIVE_UP_TRIES
from hub.voices import VoiceError, Why
from tests.hub.duty.conftest import CALLS, EVERYBODY, KEY, T0, Opened


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
