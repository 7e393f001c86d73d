"""Hands an order to whom it concerns: a device's desk, an alarm, what is out of service, or one of the lists.

Pure. What an alarm makes of it stands in hub.alarms.people, how a command goes on in hub.orders.desk; `hub.core` writes
what is told.
"""

from collections.abc import Sequence
from typing import NamedTuple

from hub.alarms.bind import Bound
from hub.alarms.instance import Instance
from hub.alarms.people import ALARM_ORDERS, do
from hub.care import upkeep
from hub.care.service import BACK, OUT, put_back, take_out
from hub.care.tester import ORDERS as TESTS
from hub.care.tester import take
from hub.orders.desk import Desk
from hub.orders.interlock import against_interlock
from hub.orders.order import OrderEvent, OrderWord, step_order
from hub.outcome import Entry, Flip, Order, Outcome


class Done(NamedTuple):
    """The order as it is now (REQUESTED: to be dispatched), what it did to alarms, and the other rows that it made."""

    order: Order
    moved: Sequence[tuple[Instance, Sequence[Flip]]] = ()
    rows: Outcome = Outcome()  # read only
    stirred: Sequence[Instance] = ()  # to be asked again


def carry_out(order: Order, bound: Bound, desk: Desk, now: int) -> Done:
    """What somebody wants done, as far as it can be done at once."""
    if order.kind == "command":
        if _against_fire(order, bound):
            return Done(step_order(order, OrderEvent.REFUSE, now, OrderWord.FIRE, order.target))
        if (locked := against_interlock(order, bound, desk, now)) is not None:
            return Done(step_order(order, OrderEvent.REFUSE, now, *locked))
        return Done(desk.take(order, now))
    if order.kind in ("list-add", "list-remove"):
        return _list(order, bound, now)
    if order.kind in TESTS:
        done, stirred = take(order, bound, now)
        return Done(done, stirred=stirred)
    if order.kind in (OUT, BACK):
        done, services, moved = (take_out if order.kind == OUT else put_back)(order, bound, now)
        return Done(done, moved, Outcome(services=services))
    if order.kind in upkeep.KINDS:
        done, rows = upkeep.take(order, bound, now)
        return Done(done, rows=Outcome(upkeep=rows))
    if order.kind in ALARM_ORDERS:
        return _on_alarm(order, bound, now)
    return Done(step_order(order, OrderEvent.REFUSE, now, OrderWord.NO_KIND, order.kind))


def _against_fire(order: Order, bound: Bound) -> bool:
    """It would shut a gate of a place whose gates the fire system has released: that is never done from here."""
    device = bound.profiles.get(order.target)
    command = device.profile.command.get(order.command) if device is not None else None
    if device is None or command is None or command.confirm.get("gate") not in ("closed", "locked"):
        return False
    near = [each for each in bound.profiles.values() if each is device or (each.zone and each.zone == device.zone)]
    released = (bound.series(each.id, "release") for each in near)
    return any(series is not None and series.value == "released" for series in released)


def _on_alarm(order: Order, bound: Bound, now: int) -> Done:
    instance = bound.instances.get(order.target)
    if instance is None:
        return Done(step_order(order, OrderEvent.REFUSE, now, OrderWord.NO_ALARM, order.target))
    done, flips = do(order, instance, now)
    return Done(done, [(instance, flips)])


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
        rows=Outcome(entries=[Entry(list=order.target, id=entry, note=note.strip(), present=present)]),
        stirred=bound.looking_in(order.target),
    )
