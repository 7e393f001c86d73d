"""What is done to an alarm by orders: people acknowledge, reset, comment, shelve, unshelve; the hub itself realarms.

Pure. Whether the person may is the dashboard's business (users, roles); whether the alarm can take it is decided here.
"""

from collections.abc import Callable

from hub.alarms.alarm import Deed, OperatorEvent
from hub.alarms.instance import Instance
from hub.orders.order import OrderEvent, OrderWord, step_order
from hub.outcome import Flip, Order
from hub.rules.door import ms

VERDICTS = ("real", "harmless", "animal", "weather", "fault", "test")  # what an alarm turned out to be
FALSE = frozenset({"animal", "weather", "fault"})  # nobody was there: these count as false alarms
Done = tuple[Order, list[Flip]]


def do(order: Order, instance: Instance, now: int) -> Done:
    """The ended order, and the flips that it made. `order.kind` is one of ALARM_ORDERS."""
    return _DOERS[order.kind](order, instance, now)


def _acknowledge(order: Order, instance: Instance, now: int) -> Done:
    """Only the occurrence that the person saw: an old button must not acknowledge a new alarm."""
    return _operate(order, instance, now, OperatorEvent.ACK)


def _reset(order: Order, instance: Instance, now: int) -> Done:
    """Let go of a latched alarm, again of the occurrence that the person saw."""
    return _operate(order, instance, now, OperatorEvent.RESET)


def _realarm(order: Order, instance: Instance, now: int) -> Done:
    """Nobody has dealt with what was acknowledged: say it again. Only the hub itself orders that."""
    return _operate(order, instance, now, OperatorEvent.REALARM)


def _operate(order: Order, instance: Instance, now: int, event: OperatorEvent) -> Done:
    if instance.chapter is None or order.occurrence != instance.chapter.occurrence:
        return step_order(order, OrderEvent.REFUSE, now, OrderWord.OVER), []
    return _ended(order, instance.operate(event, now, order.actor, order.text), now)


def _comment(order: Order, instance: Instance, now: int) -> Done:
    """A word about an occurrence, also after it has closed."""
    latest = instance.chapter.occurrence if instance.chapter is not None else 0
    if order.occurrence is not None and not 1 <= order.occurrence <= latest:
        return step_order(order, OrderEvent.REFUSE, now, OrderWord.OVER), []
    if not order.text.strip():
        return step_order(order, OrderEvent.REFUSE, now, OrderWord.NO_REASON), []
    flip = instance.flip("comment", instance.status.state, now, order.actor, order.text, of=order.occurrence)
    return step_order(order, OrderEvent.FINISH, now, OrderWord.DONE), [flip]


def _judge(order: Order, instance: Instance, now: int) -> Done:
    """What it was, in the end: a word of VERDICTS, which the timeline keeps. The last one counts."""
    latest = instance.chapter.occurrence if instance.chapter is not None else 0
    if order.occurrence is None or not 1 <= order.occurrence <= latest:
        return step_order(order, OrderEvent.REFUSE, now, OrderWord.OVER), []
    if order.command not in VERDICTS:
        return step_order(order, OrderEvent.REFUSE, now, OrderWord.NO_COMMAND, order.command), []
    words = f"{order.command} {order.text.strip()}".strip()
    flip = instance.flip("verdict", instance.status.state, now, order.actor, words, of=order.occurrence)
    return step_order(order, OrderEvent.FINISH, now, OrderWord.DONE), [flip]


def _shelve(order: Order, instance: Instance, now: int) -> Done:
    """For `seconds`, or without: until it next clears, and no longer than the severity allows."""
    if not order.text.strip():
        return step_order(order, OrderEvent.REFUSE, now, OrderWord.NO_REASON), []
    until = None if order.seconds is None else now + ms(order.seconds)
    return _ended(order, instance.shelve(until, now, order.actor, order.text), now)


def _unshelve(order: Order, instance: Instance, now: int) -> Done:
    return _ended(order, instance.unshelve(now, order.actor, order.text), now)


def _ended(order: Order, flips: list[Flip], now: int) -> Done:
    rejected = next((flip for flip in flips if flip.event == Deed.REJECTED), None)
    if rejected is None:
        return step_order(order, OrderEvent.FINISH, now, OrderWord.DONE), flips
    return step_order(order, OrderEvent.REFUSE, now, OrderWord.REJECTED, rejected.note), flips


_DOERS: dict[str, Callable[[Order, Instance, int], Done]] = {
    "ack": _acknowledge,
    "reset": _reset,
    "comment": _comment,
    "verdict": _judge,
    "shelve": _shelve,
    "unshelve": _unshelve,
    "realarm": _realarm,
}
ALARM_ORDERS = frozenset(_DOERS)
