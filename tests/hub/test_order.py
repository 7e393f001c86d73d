"""Orders: the table is total, a command is sent once, and only a reading proves it done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.orders.order import OPEN, ORDER, OrderEvent, OrderWord, step_order
from hub.outcome import Order, OrderState
from hub.reading import FaultKind, LinkState, Quality, Reading

if TYPE_CHECKING:
    from tests.hub.conftest import Yard


def order_of(yard: Yard, order: Order) -> tuple[OrderState, str]:
    """State and outcome as the journal has them."""
    row = yard.kept.orders.get(order.id, order)
    return row.state, row.outcome


def sent(yard: Yard) -> Order:
    """The gate is told to open, and the order has left."""
    yard.say("gate-1", "gate", "closed")
    order = yard.order("command", "gate-1", command="open")
    yard.now += 100
    yard.keep(yard.core.sent(order.id, yard.now))
    return order


def test_the_table_is_total() -> None:
    """Every state has a cell for every event, and an ended order never moves."""
    assert set(ORDER) == {(state, event) for state in OrderState for event in OrderEvent}
    for (state, _), after in ORDER.items():
        assert state in OPEN or after is state


def test_an_ended_order_is_given_back_as_it_is() -> None:
    """A second end does not overwrite the first."""
    order = Order(id=1, token="t", kind="ack", target="x", actor="a", issued=0, expires=1)
    done = step_order(order, OrderEvent.FINISH, 5, OrderWord.DONE)
    assert (done.state, done.ended) == (OrderState.DONE, 5)
    assert step_order(done, OrderEvent.REFUSE, 9, OrderWord.OVER) is done


def test_a_command_is_dispatched_then_sent_then_confirmed(yard: Yard) -> None:
    """A fresh reading of the device itself, from after the sending, confirms."""
    order = sent(yard)
    assert order_of(yard, order) == (OrderState.SENT, "")
    yard.now += 900
    yard.say("gate-1", "gate", "open")
    assert order_of(yard, order) == (OrderState.CONFIRMED, "confirmed:gate=open")


@pytest.mark.parametrize("quality", [Quality.RETAINED, Quality.LATE])
def test_what_is_not_fresh_confirms_nothing(yard: Yard, quality: Quality) -> None:
    """An old message that says "open" is about another time."""
    order = sent(yard)
    yard.now += 900
    yard.say("gate-1", "gate", "open", quality=quality)
    assert order_of(yard, order)[0] is OrderState.SENT


def test_a_reading_from_before_the_sending_confirms_nothing(yard: Yard) -> None:
    """The gate was open already: that says nothing about this order, also when it is told a moment later."""
    yard.say("gate-1", "gate", "open")
    order = yard.order("command", "gate-1", command="open")
    yard.now += 100
    yard.keep(yard.core.sent(order.id, yard.now))
    early = yard.now - 50
    yard.accept(Reading(device="gate-1", quantity="gate", value="open", ts=early, rx=early))
    yard.wait(7)
    assert order_of(yard, order)[0] is OrderState.SENT


def test_an_unconfirmed_command_ends_as_unconfirmed(yard: Yard) -> None:
    """`within` 8 s: then nobody knows, and the order says so."""
    order = sent(yard)
    yard.wait(9, ("gate-1", "gate", "closed"))
    assert order_of(yard, order) == (OrderState.UNCONFIRMED, "not-confirmed:8")


def test_the_same_command_is_not_given_twice(yard: Yard) -> None:
    """While one is open, another of the same device and command is refused; afterwards it is not."""
    order = sent(yard)
    again = yard.order("command", "gate-1", command="open")
    assert (again.state, again.outcome) == (OrderState.REFUSED, f"already-under-way:{order.id}")
    yard.wait(9)
    assert yard.order("command", "gate-1", command="open").state is OrderState.REQUESTED


def test_the_same_order_given_again_changes_nothing(yard: Yard) -> None:
    """The inbox may show an order twice: it is dispatched once."""
    order = yard.order("command", "gate-1", command="open")
    outcome = yard.keep(yard.core.order(order, yard.now))
    assert (outcome.orders, outcome.dispatch) == ([], [])


@pytest.mark.parametrize(
    ("target", "command", "seconds", "word"),
    [
        ("gate-9", "open", None, "no-such-device:gate-9"),
        ("gate-1", "explode", None, "no-such-command:explode"),
        ("gate-1", "open", 3.0, "seconds-out-of-range:none"),
        ("relay-1", "pulse", 0.1, "seconds-out-of-range:0.5..60"),
    ],
)
def test_what_the_device_cannot_do_is_refused(
    yard: Yard, target: str, command: str, seconds: float | None, word: str
) -> None:
    """The profile says what a device can do, and for how long."""
    order = yard.order("command", target, command=command, seconds=seconds)
    assert (order.state, order.outcome, order.ended) == (OrderState.REFUSED, word, yard.now)


def test_a_command_past_its_time_is_not_sent(yard: Yard) -> None:
    """A gate must not open a minute after somebody pressed the button."""
    order = yard.order("command", "gate-1", command="open", expires=yard.now)
    assert (order.state, yard.last.dispatch) == (OrderState.EXPIRED, [])


def test_a_command_that_no_link_sends_expires(yard: Yard) -> None:
    """Dispatched, and never heard of again."""
    order = yard.order("command", "gate-1", command="open")
    yard.wait(16)
    assert order_of(yard, order) == (OrderState.EXPIRED, "expired")


def test_a_command_over_a_lost_link_fails_at_once(yard: Yard) -> None:
    """With the link's own words."""
    yard.link("mqtt", LinkState.DOWN)
    order = yard.order("command", "gate-1", command="open")
    assert (order.state, order.outcome) == (OrderState.FAILED, "link-down:as the test says")


def test_a_refused_command_fails(yard: Yard) -> None:
    """The device said no: that is known, and ends the order."""
    order = sent(yard)
    yard.keep(yard.core.send_failed(order.id, FaultKind.REFUSED, "illegal address", yard.now))
    assert order_of(yard, order) == (OrderState.FAILED, "not-sent:refused: illegal address")


def test_an_unanswered_command_may_have_acted(yard: Yard) -> None:
    """No echo is no no: the order goes on waiting for the device's own reading."""
    order = sent(yard)
    yard.keep(yard.core.send_failed(order.id, FaultKind.NO_ANSWER, "0.5 s", yard.now))
    assert order_of(yard, order) == (OrderState.SENT, "no-echo:no-answer: 0.5 s")
    yard.now += 900
    yard.say("gate-1", "gate", "open")
    assert order_of(yard, order)[0] is OrderState.CONFIRMED


def test_what_may_have_been_sent_is_never_sent_again(yard: Yard) -> None:
    """The hub stopped between sending and confirmation: unknown, for a person to look at."""
    order = sent(yard)
    outcome = yard.restart(3)
    assert order_of(yard, order) == (OrderState.UNKNOWN, "hub-stopped")
    assert outcome.dispatch == []


def test_an_order_that_was_not_sent_before_the_stop_expires(yard: Yard) -> None:
    """It is past its time when the hub is back."""
    order = yard.order("command", "gate-1", command="open")
    yard.kept.orders[order.id] = order
    yard.restart(60)
    assert order_of(yard, order) == (OrderState.EXPIRED, "expired")


def test_an_unknown_kind_is_refused(yard: Yard) -> None:
    """Nothing is silently done or dropped."""
    assert yard.order("dance", "gate-1").outcome == "no-such-kind:dance"
