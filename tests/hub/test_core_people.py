"""What people do to alarms: acknowledge, reset, comment, shelve; and that no button speaks of another occurrence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.outcome import OrderState

if TYPE_CHECKING:
    from tests.hub.conftest import Yard

LAKE = "water-presence/radar-1"
NOISE = "noise-limit/noise-1"
PRESENT = ("radar-1", "presence", "present")
ABSENT = ("radar-1", "presence", "absent")
LOUD = ("noise-1", "laeq", 70.0)
QUIET = ("noise-1", "laeq", 40.0)


def test_an_ack_while_it_lasts_and_then_the_end(night: Yard) -> None:
    """Unacked, acked by somebody, normal; the occurrence says who and when."""
    night.wait(5, PRESENT)
    order = night.order("ack", LAKE, occurrence=1, text="guard is there")
    assert (order.state, night.state(LAKE)) == (OrderState.DONE, "acked")
    night.wait(10, ABSENT)
    row = night.kept.occurrences[LAKE, 1]
    assert (row.acked_by, row.closed, row.ended is not None) == ("keeper", "cleared", True)
    assert night.told(LAKE) == ["raised", "cleared"]


def test_an_ack_after_the_end_closes(night: Yard) -> None:
    """Returned waits for somebody who has seen it."""
    night.wait(5, PRESENT)
    night.wait(60, ABSENT)
    assert night.state(LAKE) == "returned"
    night.order("ack", LAKE, occurrence=1)
    assert (night.state(LAKE), night.kept.occurrences[LAKE, 1].closed) == ("normal", "acked")


@pytest.mark.parametrize("occurrence", [None, 0, 1, 3])
def test_an_old_button_acknowledges_nothing(night: Yard, occurrence: int | None) -> None:
    """The ack of another occurrence than the present one is refused."""
    night.wait(5, PRESENT)
    night.order("ack", LAKE, occurrence=1)
    night.wait(10, ABSENT)
    night.wait(5, PRESENT)
    order = night.order("ack", LAKE, occurrence=occurrence)
    assert (order.outcome, night.state(LAKE)) == ("occurrence-over", "unacked")


def test_what_is_not_active_cannot_be_acknowledged(yard: Yard) -> None:
    """The refusal is in the timeline, too."""
    yard.wait(31, LOUD)
    yard.wait(61, QUIET)
    order = yard.order("ack", NOISE, occurrence=1)
    assert (order.state, order.outcome) == (OrderState.REFUSED, "rejected:not-active")
    assert yard.events(NOISE)[-1] == "rejected"


def test_an_alarm_nobody_knows_is_refused(yard: Yard) -> None:
    """A key that no rule of the site can have."""
    assert yard.order("ack", "nonsense/x", occurrence=1).outcome == "no-such-alarm:nonsense/x"


def test_a_comment_is_kept_also_after_the_end(yard: Yard) -> None:
    """Of the occurrence that it names; not of one that never was."""
    yard.wait(31, LOUD)
    yard.wait(61, QUIET)
    assert yard.order("comment", NOISE, occurrence=1, text="a wedding").state is OrderState.DONE
    flip = yard.kept.flips[-1]
    assert (flip.event, flip.note, flip.actor, flip.occurrence) == ("comment", "a wedding", "keeper", 1)
    assert yard.order("comment", NOISE, occurrence=2, text="?").state is OrderState.REFUSED
    assert yard.order("comment", NOISE, occurrence=1, text=" ").outcome == "no-reason"


def test_a_latched_alarm_waits_for_its_reset(yard: Yard) -> None:
    """SOS: over is not over until acknowledged and reset."""
    yard.say("sos-1", "sos", "pressed")
    yard.wait(3, ("sos-1", "sos", "idle"))
    assert yard.state("sos/sos-1") == "latched-unacked"
    yard.order("reset", "sos/sos-1", occurrence=1)
    assert yard.state("sos/sos-1") == "returned"
    yard.order("ack", "sos/sos-1", occurrence=1)
    assert yard.state("sos/sos-1") == "normal"


def test_a_shelved_alarm_is_not_said_and_ends_by_itself(yard: Yard) -> None:
    """The shelf has an end, and what is still true is said then."""
    yard.order("shelve", NOISE, seconds=120.0, text="fair on the square")
    yard.wait(119, LOUD)
    assert (yard.state(NOISE), yard.told(NOISE)) == ("unacked", [])
    yard.wait(1, LOUD)
    assert (yard.told(NOISE), yard.kept.alarms[NOISE].shelved_until) == (["raised"], None)


def test_what_came_and_went_on_the_shelf_is_not_said(yard: Yard) -> None:
    """Neither raised nor cleared: never the one without the other."""
    yard.order("shelve", NOISE, seconds=300.0, text="fair on the square")
    yard.wait(40, LOUD)
    yard.wait(300, QUIET)
    assert (yard.told(NOISE), yard.state(NOISE), yard.kept.occurrences[NOISE, 1].closed) == ([], "normal", "auto")


def test_what_nobody_was_told_nobody_has_to_acknowledge(yard: Yard) -> None:
    """gate-held asks for an ack, came and went on the shelf: closed as unannounced when the shelf ends."""
    key = "gate-held/gate-1"
    yard.order("shelve", key, seconds=120.0, text="moving house")
    yard.wait(70, ("gate-1", "gate", "open"))
    yard.wait(40, ("gate-1", "gate", "closed"))
    assert yard.state(key) == "returned"
    yard.wait(10, ("gate-1", "gate", "closed"))
    assert (yard.state(key), yard.told(key)) == ("normal", [])
    assert yard.kept.occurrences[key, 1].closed == "unannounced"


def test_who_was_told_raised_is_told_cleared_also_from_the_shelf(yard: Yard) -> None:
    """Shelving in the middle does not leave people with half of the story."""
    yard.wait(31, LOUD)
    yard.order("shelve", NOISE, seconds=600.0, text="known")
    yard.wait(70, QUIET)
    assert yard.told(NOISE) == ["raised", "cleared"]


def test_a_one_shot_shelf_ends_with_the_alarm(yard: Yard) -> None:
    """Without seconds: until it next clears."""
    yard.wait(31, LOUD)
    yard.order("shelve", NOISE, text="known")
    yard.wait(70, QUIET)
    assert yard.kept.alarms[NOISE].shelved_until is None
    yard.wait(31, LOUD)
    assert yard.told(NOISE) == ["raised", "cleared", "raised"]


def test_unshelving_says_what_is_true(yard: Yard) -> None:
    """At once."""
    yard.order("shelve", NOISE, seconds=600.0, text="fair")
    yard.wait(40, LOUD)
    yard.order("unshelve", NOISE)
    assert yard.told(NOISE) == ["raised"]


@pytest.mark.parametrize(
    ("key", "seconds", "text", "outcome"),
    [
        (LAKE, 60.0, "annoying", "rejected:not-shelvable"),
        (NOISE, 8 * 3600.0 + 1, "for long", "rejected:too-long"),
        (NOISE, 0.0, "for nothing", "rejected:no-end"),
        (NOISE, 60.0, "", "no-reason"),
    ],
)
def test_a_shelf_has_limits(yard: Yard, key: str, seconds: float, text: str, outcome: str) -> None:
    """P1 never, eight hours at most, with a reason."""
    order = yard.order("shelve", key, seconds=seconds, text=text)
    assert (order.state, order.outcome) == (OrderState.REFUSED, outcome)
