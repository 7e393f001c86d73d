"""What is done to a measuring device: a calibrator is put on its meter, the finding is written down, it is exchanged.

Pure. While a calibrator sits on a meter its sound levels are the calibrator's: kept and marked, and in no window, alarm
or figure. That ends by itself. Whether the person may is the dashboard's business.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from device_profiles import vocabulary
from device_profiles.types import Profile
from hub.orders.order import OrderEvent, OrderWord, step_order
from hub.outcome import Order, Upkeep
from hub.reading import FRESH, Kind, News, Quality, Reading
from hub.rules.rule import ms

if TYPE_CHECKING:
    from hub.alarms.bind import Bound

BEGIN, FINISH, ABANDON, EXCHANGE = "calibrate", "calibrated", "calibrate-stop", "exchanged"
KINDS = frozenset({BEGIN, FINISH, ABANDON, EXCHANGE})
SHORTEST_S, USUAL_S, LONGEST_S = 60.0, 1_800.0, 7_200.0  # a calibrator that is forgotten blinds a meter for so long
USUAL_DAYS, MOST_DAYS = 365, 1_100  # sound level meters are verified once a year (JJG 188)
MOST_DB = 0.5  # a measurement counts when its meter reads so near to the calibrator (GB 3096-2008, 5.1)
LEVELS = (60.0, 130.0)  # dB of a calibrator: IEC 60942 has 94 and 114
DAY_MS = 86_400_000
HUB = "hub"


def is_meter(profile: Profile) -> bool:
    """True for a device that measures sound levels, which a calibrator can be put on."""
    return any(is_sound(quantity) for quantity in profile.reading)


def is_sound(quantity: str) -> bool:
    """True for a sound level."""
    word = vocabulary.find(quantity)
    return word is not None and word.quantity.aggregate == "energy"


def counts(profile: Profile) -> bool:
    """True for a device with a counter: when it is exchanged, that begins elsewhere."""
    words = (vocabulary.find(quantity) for quantity in profile.reading)
    return any(word is not None and word.quantity.kind is Kind.COUNTER for word in words)


def take(order: Order, bound: "Bound", now: int) -> tuple[Order, list[Upkeep]]:
    """The ended order, and the rows that it made or ended."""
    device = bound.profiles.get(order.target)
    if now >= order.expires:
        return step_order(order, OrderEvent.EXPIRE, now, OrderWord.EXPIRED), []
    if device is None:
        return _refused(order, now, OrderWord.NO_DEVICE, order.target)
    if order.kind != EXCHANGE and not is_meter(device.profile):
        return _refused(order, now, OrderWord.NO_METER, order.target)
    running = bound.calibrating.get(order.target)
    match order.kind:
        case "calibrate":
            return _begin(order, bound, running, now)
        case "calibrate-stop" if running is None:
            return _refused(order, now, OrderWord.NOT_SET, order.target)
        case "calibrated":
            return _finish(order, bound, running, now)
        case "exchanged" if not order.text.strip():
            return _refused(order, now, OrderWord.NO_REASON)
        case "exchanged":
            row = Upkeep(
                device=order.target, at=now, kind="exchange", actor=order.actor, note=order.text.strip(), ended=now
            )
            return _done(order, now), [row]
    return _done(order, now), [_over(bound, order.target, now, order.actor)]


def tick(bound: "Bound", now: int) -> list[Upkeep]:
    """Whose time is over, and whose device is gone."""
    over = [row for row in bound.calibrating.values() if row.until <= now or row.device not in bound.profiles]
    return [_over(bound, row.device, now, HUB) for row in over]


def set_aside(news: Iterable[News], calibrating: Mapping[str, Upkeep]) -> list[News]:
    """With the sound levels of these meters marked as the calibrator's."""
    return [
        replace(item, quality=Quality.CALIBRATION)
        if isinstance(item, Reading)
        and item.device in calibrating
        and is_sound(item.quantity)
        and item.quality in FRESH
        else item
        for item in news
    ]


def written(level: float, reading: float, days: int) -> str:
    """The finding as an order's command."""
    return f"level={level:g} reading={reading:g} days={days}"


def overdue(rows: Iterable[Upkeep], now: int) -> dict[str, Upkeep]:
    """Device -> its newest finding, of those whose newest does not count any more."""
    return {
        device: row for device, row in newest(rows).items() if row.valid_until is not None and row.valid_until <= now
    }


def newest(rows: Iterable[Upkeep]) -> dict[str, Upkeep]:
    """Device -> its newest finding."""
    return {row.device: row for row in sorted(rows, key=lambda row: row.at) if row.level is not None}


def _begin(order: Order, bound: "Bound", running: Upkeep | None, now: int) -> tuple[Order, list[Upkeep]]:
    seconds = USUAL_S if order.seconds is None else order.seconds
    if running is not None:
        return _refused(order, now, OrderWord.UNDER_WAY, running.actor)
    if not order.text.strip():
        return _refused(order, now, OrderWord.NO_REASON)
    if not SHORTEST_S <= seconds <= LONGEST_S:
        return _refused(order, now, OrderWord.BAD_SECONDS, f"{SHORTEST_S:g}..{LONGEST_S:g}")
    row = Upkeep(
        device=order.target, at=now, kind="calibration", until=now + ms(seconds), actor=order.actor,
        note=order.text.strip(),
    )  # fmt: skip
    bound.calibrating[order.target] = row
    return _done(order, now), [row]


def _finish(order: Order, bound: "Bound", running: Upkeep | None, now: int) -> tuple[Order, list[Upkeep]]:
    """What was found. Without one under way: what somebody did without telling first, whose readings count."""
    try:
        found = {key: float(value) for key, _, value in (part.partition("=") for part in order.command.split())}
        level, reading, days = found["level"], found["reading"], found["days"]
    except (KeyError, ValueError):
        return _refused(order, now, OrderWord.UNFIT, "level=94 reading=93.8 days=365")
    low, high = LEVELS
    if not (low <= level <= high and 0.0 <= reading <= 200.0 and 1 <= days <= MOST_DAYS):
        return _refused(order, now, OrderWord.OUT_OF_LIMITS, f"level {low:g}..{high:g}, days 1..{MOST_DAYS}")
    note = order.text.strip() or (running.note if running is not None else "")
    if not note:
        return _refused(order, now, OrderWord.NO_REASON)
    row = running or Upkeep(device=order.target, at=now, kind="calibration", until=now, actor=order.actor, note=note)
    bound.calibrating.pop(order.target, None)
    row = replace(
        row, note=note, level=level, reading=reading, valid_until=now + int(days) * DAY_MS, ended=now,
        ended_by=order.actor,
    )  # fmt: skip
    return _done(order, now), [row]


def _over(bound: "Bound", device: str, now: int, actor: str) -> Upkeep:
    return replace(bound.calibrating.pop(device), ended=now, ended_by=actor)


def _done(order: Order, now: int) -> Order:
    return step_order(order, OrderEvent.FINISH, now, OrderWord.DONE)


def _refused(order: Order, now: int, word: OrderWord, detail: str = "") -> tuple[Order, list[Upkeep]]:
    return step_order(order, OrderEvent.REFUSE, now, word, detail), []
