"""Gates of which no two are ever open by our orders: when an order to open one is refused, as a table.

Pure. It hinders nobody who opens a gate by hand or by card: that is the controllers' own interlock. What fire has
released opens whatever the others do.
"""

from enum import StrEnum
from typing import NamedTuple

from hub.alarms.bind import Bound
from hub.orders.desk import Desk
from hub.orders.order import OrderWord
from hub.outcome import Order
from hub.settings.site import Interlock

SHUT_STATES = frozenset({"closed", "locked"})


class Standing(StrEnum):
    """How another gate of the interlock stands, as far as it may be believed."""

    SHUT = "shut"
    OPEN = "open"  # or moving, or stuck: anything that is not shut
    UNKNOWN = "unknown"  # nothing heard since the start, silent, cut off


class Other(NamedTuple):
    """`ordered`: an order to open it is under way, or it may still be obeying one. `fire`: released near the gates."""

    standing: Standing
    ordered: bool
    fire: bool


_OPEN, _UNKNOWN, _SHUT = Standing.OPEN, Standing.UNKNOWN, Standing.SHUT

# Fire is first: who flees needs both doors. Of two reasons the one is told that a person can do something about.
TABLE: dict[Other, OrderWord | None] = {
    **{Other(standing, ordered, fire=True): None for standing in Standing for ordered in (False, True)},
    Other(_SHUT, ordered=False, fire=False): None,
    Other(_SHUT, ordered=True, fire=False): OrderWord.LOCKED_ORDERED,
    Other(_OPEN, ordered=False, fire=False): OrderWord.LOCKED_OPEN,
    Other(_OPEN, ordered=True, fire=False): OrderWord.LOCKED_OPEN,
    Other(_UNKNOWN, ordered=False, fire=False): OrderWord.LOCKED_UNKNOWN,
    Other(_UNKNOWN, ordered=True, fire=False): OrderWord.LOCKED_ORDERED,
}


def against_interlock(order: Order, bound: Bound, desk: Desk, now: int) -> tuple[OrderWord, str] | None:
    """Why this order may not open its gate now, and which other gate is in the way; None when it may."""
    device = bound.profiles.get(order.target)
    command = device.profile.command.get(order.command) if device is not None else None
    if command is None or command.confirm.get("gate") != "open":
        return None
    for interlock in bound.site.interlocks:
        if order.target not in interlock.gates:
            continue
        fire = _released(interlock, bound)
        for gate in interlock.gates:
            word = TABLE[look(gate, bound, desk, now, fire=fire)] if gate != order.target else None
            if word is not None:
                return word, gate
    return None


def look(gate: str, bound: Bound, desk: Desk, now: int, *, fire: bool) -> Other:
    """How this gate stands. Having been ordered to open is over with a word from it after the time that that takes."""
    series = bound.series(gate, "gate")
    if series is None or not series.visible(now):
        return Other(Standing.UNKNOWN, desk.may_open(gate, now, -1), fire)
    standing = Standing.SHUT if series.value in SHUT_STATES else Standing.OPEN
    return Other(standing, desk.may_open(gate, now, series.rx), fire)


def _released(interlock: Interlock, bound: Bound) -> bool:
    """The fire system has released a gate of it, or one of their places; also when its contact fell silent since."""
    zones = {bound.profiles[gate].zone for gate in interlock.gates if gate in bound.profiles} - {""}
    near = [each.id for each in bound.profiles.values() if each.id in interlock.gates or each.zone in zones]
    released = (bound.series(name, "release") for name in near)
    return any(series is not None and series.value == "released" for series in released)
