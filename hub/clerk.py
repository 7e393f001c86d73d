"""Hands an order to whom it concerns: a device's desk, an alarm, or one of the lists.

Pure. What an alarm makes of it stands in hub.people, how a command goes on in hub.desk; `hub.core` writes what is told.
"""

from collections.abc import Sequence
from typing import NamedTuple

from hub.bind import Bound
from hub.desk import Desk
from hub.instance import Instance
from hub.order import OrderEvent, OrderWord, step_order
from hub.outcome import Entry, Flip, Order
from hub.people import ALARM_ORDERS, do
from hub.tester import ORDERS as TESTS
from hub.tester import take


class Done(NamedTuple):
    """The order as it is now (REQUESTED: to be dispatched), and what it did: to one alarm, to a list, to many."""

    order: Order
    instance: Instance | None = None
    flips: Sequence[Flip] = ()
    entries: Sequence[Entry] = ()
    stirred: Sequence[Instance] = ()  # to be asked again


def carry_out(order: Order, bound: Bound, desk: Desk, now: int) -> Done:
    """What somebody wants done, as far as it can be done at once."""
    if order.kind == "command":
        return Done(desk.take(order, now))
    if order.kind in ("list-add", "list-remove"):
        return _list(order, bound, now)
    if order.kind in TESTS:
        done, stirred = take(order, bound, now)
        return Done(done, stirred=stirred)
    if order.kind in ALARM_ORDERS:
        return _on_alarm(order, bound, now)
    return Done(step_order(order, OrderEvent.REFUSE, now, OrderWord.NO_KIND, order.kind))


def _on_alarm(order: Order, bound: Bound, now: int) -> Done:
    instance = bound.instances.get(order.target)
    if instance is None:
        return Done(step_order(order, OrderEvent.REFUSE, now, OrderWord.NO_ALARM, order.target))
    done, flips = do(order, instance, now)
    return Done(done, instance, flips)


def _list(order: Order, bound: Bound, now: int) -> Done:
    """`text` is the entry, and after the first blank what is to be noted with it."""
    entry, _, note = order.text.strip().partition(" ")
    if not entry:
        return Done(step_order(order, OrderEvent.REFUSE, now, OrderWord.NO_REASON))
    present = order.kind == "list-add"
    entries = bound.lists.setdefault(order.target, set())
    (entries.add if present else entries.discard)(entry)
    return Done(
        step_order(order, OrderEvent.FINISH, now, OrderWord.DONE),
        entries=[Entry(list=order.target, id=entry, note=note.strip(), present=present)],
        stirred=bound.looking_in(order.target),
    )
