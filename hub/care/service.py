"""What is out of service for maintenance: an alarm by its key, or a device by its id with all its alarms.

Pure. It ends by a person's word alone, and is therefore told again once a day: hub/care/reminder.py.
Whether the person may is the dashboard's business; who is told is hub.speaking.route's.
"""

from msgspec.structs import replace

from hub.alarms.bind import Bound
from hub.alarms.instance import Instance
from hub.care.reminder import is_due, reminded
from hub.orders.order import OrderEvent, OrderWord, step_order
from hub.outcome import Flip, Order, Service

OUT, BACK = "out-of-service", "in-service"  # the two kinds of orders
HUB = "hub"
Moved = list[tuple[Instance, list[Flip]]]


def take_out(order: Order, bound: Bound, now: int) -> tuple[Order, list[Service], Moved]:
    """Nobody is told of it from now on, no siren sounds. The ended order, its row, and what it did to alarms."""
    known = bound.services.get(order.target)
    if now >= order.expires:
        return step_order(order, OrderEvent.EXPIRE, now, OrderWord.EXPIRED), [], []
    if not order.text.strip():
        return _refused(order, now, OrderWord.NO_REASON)
    if not _exists(order.target, bound):
        return _refused(order, now, OrderWord.NO_ALARM if "/" in order.target else OrderWord.NO_DEVICE, order.target)
    if known is not None:
        return _refused(order, now, OrderWord.ALREADY_OUT, known.actor)
    row = Service(target=order.target, at=now, actor=order.actor, reason=order.text.strip())
    bound.services[order.target] = row
    return step_order(order, OrderEvent.FINISH, now, OrderWord.DONE), [row], _serve(bound, now, order)


def put_back(order: Order, bound: Bound, now: int) -> tuple[Order, list[Service], Moved]:
    """Its rule is asked, and what is active is told as if it were new."""
    known = bound.services.get(order.target)
    if now >= order.expires:
        return step_order(order, OrderEvent.EXPIRE, now, OrderWord.EXPIRED), [], []
    if known is None:
        device = order.target.split("/")[1] if "/" in order.target else ""
        return _refused(order, now, OrderWord.NOT_OUT, device if device in bound.services else "")
    del bound.services[order.target]
    row = replace(known, ended=now, ended_by=order.actor)
    return step_order(order, OrderEvent.FINISH, now, OrderWord.DONE), [row], _serve(bound, now, order)


def settle(bound: Bound, now: int) -> tuple[list[Service], Moved]:
    """After a start or a reload: what is gone is out of service no longer; what is new at a device that is, is too."""
    gone = [row for row in bound.services.values() if not _exists(row.target, bound)]
    for row in gone:
        del bound.services[row.target]
    return [replace(row, ended=now, ended_by=HUB) for row in gone], _serve(bound, now)


def _serve(bound: Bound, now: int, order: Order | None = None) -> Moved:
    """Each alarm as the rows say; those that are so already are not touched."""
    actor, why = (order.actor, order.text.strip()) if order is not None else (HUB, "")
    moved: Moved = []
    for instance in bound.instances.values():
        out = bound.out_of_service(instance)
        if instance.status.overlay.out_of_service is not out:
            flips = [] if out else instance.evaluate(now)
            moved.append((instance, flips + instance.serve(now, actor, why, in_service=not out)))
    return moved


def _exists(target: str, bound: Bound) -> bool:
    """A device, or an alarm that there is or may be (one of a family is made when its value first comes)."""
    rule, _, rest = target.partition("/")
    return bound.instance(target, rule, rest.partition("/")[0]) is not None if rest else target in bound.devices


def _refused(order: Order, now: int, word: OrderWord, detail: str = "") -> tuple[Order, list[Service], Moved]:
    return step_order(order, OrderEvent.REFUSE, now, word, detail), [], []


def reminder(bound: Bound, last: int, now: int) -> Flip | None:
    """The flip that tells of all that is out of service; None where nothing is, or it was told today (`last`, ms)."""
    rows = list(bound.services.values())
    if not rows or not is_due(rows, last, now, bound.site.tz):
        return None
    hidden = (each.severity for each in bound.instances.values() if bound.out_of_service(each))
    return reminded(rows, min(hidden, default="P4"), now)
