"""A gate that opened while nobody looked: forced where the hub was away for seconds, found open where for longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.rules.kinds.sequence import AWAY_MS

if TYPE_CHECKING:
    from tests.hub.conftest import Yard

FORCED, FOUND = "gate-forced/gate-1", "gate-found-open/gate-1"
CLOSED, OPEN = ("gate-1", "gate", "closed"), ("gate-1", "gate", "open")
AWAY_S = AWAY_MS / 1000


def states(yard: Yard) -> tuple[str, str]:
    """Of both alarms."""
    return yard.state(FORCED), yard.state(FOUND)


def returned(yard: Yard, down: float) -> Yard:
    """Closed; the hub is gone for `down` seconds, and up again."""
    yard.wait(3, CLOSED)
    yard.restart(down)
    yard.link_up()
    return yard


@pytest.mark.parametrize(
    ("down", "found"),
    [(0.0, ("unacked", "normal")), (5.0, ("unacked", "normal")), (AWAY_S - 1.001, ("unacked", "normal")),
     (AWAY_S, ("normal", "unacked")), (3600.0, ("normal", "unacked")), (40 * 86400.0, ("normal", "unacked"))],
)  # fmt: skip
def test_closed_before_and_open_after(yard: Yard, down: float, found: tuple[str, str]) -> None:
    """A hub that was killed and is back within seconds calls it forced; one that was away says that nobody saw it."""
    returned(yard, down).wait(8, OPEN)
    assert states(yard) == found
    assert yard.kept.alarms[FOUND if down >= AWAY_S else FORCED].severity == ("P3" if down >= AWAY_S else "P2")


@pytest.mark.parametrize("down", [5.0, 600.0])
def test_what_the_broker_kept_for_the_hub_is_a_cause(yard: Yard, down: float) -> None:
    """A card that was read meanwhile arrives first, or within the delay: nobody is blamed."""
    returned(yard, down).say("gate-1", "passage", "granted")
    yard.wait(10, OPEN)
    assert states(yard) == ("normal", "normal")


def test_the_gate_then_the_card(yard: Yard) -> None:
    """The order in which a broker hands out what it kept is not that of life."""
    returned(yard, 600.0).wait(3, OPEN)
    yard.say("gate-1", "passage", "granted")
    yard.wait(10, OPEN)
    assert states(yard) == ("normal", "normal")


def test_a_card_or_an_order_before_the_stop_still_counts(yard: Yard) -> None:
    """A cause survives the restart as long as it would have counted."""
    yard.wait(3, CLOSED)
    yard.say("gate-1", "passage", "granted")
    yard.restart(5.0)
    yard.link_up()
    yard.wait(8, OPEN)
    assert states(yard) == ("normal", "normal")


@pytest.mark.parametrize("down", [2.0, 600.0])
def test_open_before_and_after_is_no_change(yard: Yard, down: float) -> None:
    """What was open with a cause, or judged already, is not judged anew."""
    yard.wait(3, CLOSED)
    yard.say("gate-1", "passage", "granted")
    yard.wait(3, OPEN)
    yard.restart(down)
    yard.link_up()
    yard.wait(10, OPEN)
    assert states(yard) == ("normal", "normal")


def test_a_gate_that_was_never_heard_is_not_judged(yard: Yard) -> None:
    """The first word of a new gate is where it begins."""
    yard.wait(10, OPEN)
    assert states(yard) == ("normal", "normal")


def test_what_was_found_open_stays_so_through_a_restart_and_ends_when_it_closes(yard: Yard) -> None:
    """The judgement is kept; closed, it waits for somebody to have seen it."""
    returned(yard, 600.0).wait(8, OPEN)
    yard.restart(2.0)
    yard.link_up()
    yard.wait(8, OPEN)
    assert states(yard) == ("normal", "unacked")
    assert yard.told(FOUND) == ["raised"]
    yard.wait(2, CLOSED)
    assert states(yard) == ("normal", "returned")
