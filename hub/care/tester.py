"""What people do with daily tests, and what tests do to alarms: begin, mark, end. hub.care.drill remembers them.

Pure. Nothing here makes an alarm silent: a test withholds or shortens the zone's siren for what it was begun for, and
says so; whoever stands at the edge when it is over is announced again, as real.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from hub.alarms.alarm import OperatorEvent, Rejected, Truth
from hub.alarms.bind import Bound
from hub.alarms.instance import Instance
from hub.care.drill import LONGEST_S, SHORTEST_S, SOUNDS, WITHHELD, shortened
from hub.orders.order import OrderEvent, OrderWord, step_order
from hub.outcome import Drill, Flip, Order
from hub.rules.rule import TESTS, ms

ORDERS = ("drill", "drill-end")
OVER = "the test is over"
_Told = tuple[Instance, list[Flip]]


def take(order: Order, bound: Bound, now: int) -> tuple[Order, Sequence[Instance]]:
    """Begin a test of a zone, or end it; and the alarms that have to be asked again.

    `command`: what the siren does (short, withheld); `seconds`: how long the tester has, 60 to 900.
    """
    if now >= order.expires:
        return step_order(order, OrderEvent.EXPIRE, now, OrderWord.EXPIRED), ()
    refusal = _objection(order, bound, now) if order.kind == "drill" else _not_running(order, bound)
    if refusal is not None:
        return step_order(order, OrderEvent.REFUSE, now, *refusal), ()
    part = _taking_part(bound, order.target)
    running = bound.drills.open(order.target)
    if running is not None:
        bound.drills.put(replace(running, until=now, ended_by=order.actor))
    else:
        until = now + ms(order.seconds or SHORTEST_S)
        keys = tuple(sorted(each.key for each in part if not each.status.overlay.hidden))
        bound.drills.put(
            Drill(
                zone=order.target, at=now, until=until, siren=order.command, actor=order.actor, note=order.text,
                expected=keys,
            )
        )  # fmt: skip
    return step_order(order, OrderEvent.FINISH, now, OrderWord.DONE), part


def mark(bound: Bound, instance: Instance, flips: Sequence[Flip], now: int) -> Sequence[Flip]:
    """The flips as they are to be said: those that a test of the zone has caught sound its siren as it says."""
    if not flips or instance.rule.drill != "marks" or not bound.drills.holds(instance.zone, now):
        return flips
    marked = []
    for flip in flips:
        drill = bound.drills.open(instance.zone)
        if drill is not None and flip.announce == "raised":
            bound.drills.catch(drill, flip)
            flip = replace(flip, siren=flip.siren and drill.siren == SOUNDS)
        marked.append(flip)
    return marked


def tick(bound: Bound, now: int) -> list[_Told]:
    """Tests whose time is over: who still stands there is said again; and what follows for the rules about tests."""
    told: list[_Told] = []
    for zone in bound.tested:
        bound.drills.begin(zone, now)
    for drill in bound.drills.over(now):
        caught = [bound.instances[key] for key, *_ in drill.caught if key in bound.instances]
        told += [(instance, _real_again(instance, now)) for instance in caught]
    for zone in sorted(bound.drills.stirred):
        about = (each for each in bound.instances.values() if each.zone == zone and each.rule.kind in TESTS)
        told += [(instance, instance.evaluate(now)) for instance in about]
    bound.drills.stirred.clear()
    return told


def _real_again(instance: Instance, now: int) -> list[Flip]:
    """Announced anew unless the sensor says that nobody is there, or nobody is worried at this hour."""
    if not instance.status.filter.active or instance.question.ask(now, True) is Truth.FALSE:
        return []
    return instance.operate(OperatorEvent.REALARM, now, "hub", OVER)


def _taking_part(bound: Bound, zone: str) -> list[Instance]:
    return [each for each in bound.instances.values() if each.zone == zone and each.rule.drill == "marks"]


def _not_running(order: Order, bound: Bound) -> tuple[OrderWord, str] | None:
    return (OrderWord.NOT_SET, order.target) if bound.drills.open(order.target) is None else None


def _objection(order: Order, bound: Bound, now: int) -> tuple[OrderWord, str] | None:
    zone = bound.site.zones_by_id().get(order.target)
    if zone is None:
        return OrderWord.NO_ZONE, order.target
    part = _taking_part(bound, zone.id)
    if all(each.status.overlay.hidden for each in part):  # none, or all out of service: nothing would be told
        return OrderWord.NO_RULE, zone.id
    if order.seconds is None or not SHORTEST_S <= order.seconds <= LONGEST_S:
        return OrderWord.BAD_SECONDS, f"{SHORTEST_S:g}..{LONGEST_S:g}"
    if order.command not in (SOUNDS, WITHHELD):
        return OrderWord.NO_COMMAND, order.command
    if order.command == SOUNDS and zone.siren is not None and shortened(zone.siren, bound.site) is None:
        return OrderWord.BAD_SECONDS, "none"
    if bound.drills.open(zone.id) is not None:
        return OrderWord.UNDER_WAY, zone.id
    if any(each.status.filter.active for each in part):
        return OrderWord.REJECTED, Rejected.STILL_ACTIVE
    occupied = [each.source for each in part if _stands(each, bound, now)]
    return (OrderWord.OCCUPIED, ", ".join(occupied)) if occupied else None


def _stands(instance: Instance, bound: Bound, now: int) -> bool:
    """It sees somebody already: a test would prove nothing, and might hide a real one."""
    series = bound.series(instance.source, instance.rule.quantity)
    return series is not None and series.visible(now) and series.value in instance.rule.states
