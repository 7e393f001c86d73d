"""What is done to a measuring device: a calibrator is put on its meter, the finding is written down, it is exchanged.

Pure. While a calibrator sits on a meter its sound levels are the calibrator's: kept and marked, and in no window, alarm
or figure. That ends by itself. Whether the person may is the dashboard's business.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

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
# Verified once a year: usual practice by JJG 188-2017, whose own words on the interval are unverified.
USUAL_DAYS, MOST_DAYS = 365, 1_100
BACK_DAYS = 400  # a year, and a month in which the year is looked through: what is older was typed wrongly
# A measurement counts when its meter reads so near to the calibrator before and after: GB 3096-2008 on measuring
# instruments, as published digests of it say; the clause's number is unverified (5.1 is the table of limits).
MOST_DB = 0.5
LEVELS = (60.0, 130.0)  # dB of a calibrator: IEC 60942 has 94 and 114
DAY_MS = 86_400_000
HUB = "hub"
BEGUN = "begun"  # a row: since then the hub hears the meter
EARLIEST_MS = 1_577_836_800_000  # the year 2020: a clock that shows less was never set


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
    """Whose time is over, whose device is gone, and which meters are heard for the first time."""
    over = [row for row in bound.calibrating.values() if row.until <= now or row.device not in bound.profiles]
    return [_over(bound, row.device, now, HUB) for row in over] + _greeted(bound, now)


def _greeted(bound: "Bound", now: int) -> list[Upkeep]:
    """A meter comes with its maker's certificate: what nobody wrote down for a year after that is overdue as well."""
    fresh = [name for name in sorted(bound.meters - bound.begun) if bound.devices[name].last_rx is not None]
    if now < EARLIEST_MS or not fresh:
        return []
    bound.begun.update(fresh)
    until = now + USUAL_DAYS * DAY_MS
    return [
        Upkeep(device=name, at=now, kind=BEGUN, actor=HUB, note="", valid_until=until, ended=now, ended_by=HUB)
        for name in fresh
    ]


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


def written(level: float, reading: float, days: int, span: tuple[datetime, datetime] | None = None) -> str:
    """The finding as an order's command; `span` (with offsets): when the calibrator sat on it, where nobody said so."""
    times = f" since={span[0].isoformat()} until={span[1].isoformat()}" if span else ""
    return f"level={level:g} reading={reading:g} days={days}{times}"


def recall(bound: "Bound", rows: Iterable[Upkeep]) -> None:
    """What the journal remembers: calibrators that sit on meters, those that did, and which meters are known."""
    for row in rows:
        if row.kind == BEGUN:
            bound.begun.add(row.device)
        if row.kind == "calibration" and row.ended is None:
            bound.calibrating[row.device] = row
        elif row.kind == "calibration":
            _keep(bound, row)


def overdue(rows: Iterable[Upkeep], now: int) -> dict[str, Upkeep]:
    """Meter -> its newest finding that does not count any more; without any, since when there is none (see `due`)."""
    return {name: row for name, row in due(rows).items() if row.valid_until is not None and row.valid_until <= now}


def due(rows: Iterable[Upkeep]) -> dict[str, Upkeep]:
    """Meter -> the row by whose `valid_until` it is to be calibrated: its newest finding, else when it was first heard.

    Or exchanged: what was found of the one before says nothing of it, and it has its year.
    """
    found: dict[str, Upkeep] = {}
    for row in sorted(rows, key=lambda row: row.at):
        if row.level is not None or (row.kind == BEGUN and row.device not in found):
            found[row.device] = row
        elif row.kind == "exchange" and row.device in found:
            found[row.device] = replace(row, valid_until=row.at + USUAL_DAYS * DAY_MS)
    return found


def newest(rows: Iterable[Upkeep]) -> dict[str, Upkeep]:
    """Device -> its newest finding, since it is the device that it is."""
    return {name: row for name, row in due(rows).items() if row.level is not None}


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
        found = read(order.command)
    except (KeyError, ValueError):
        return _refused(order, now, OrderWord.UNFIT, written(94, 93.8, USUAL_DAYS))
    low, high = LEVELS
    if not (low <= found.level <= high and 0.0 <= found.reading <= 200.0 and 1 <= found.days <= MOST_DAYS):
        return _refused(order, now, OrderWord.OUT_OF_LIMITS, f"level {low:g}..{high:g}, days 1..{MOST_DAYS}")
    if found.span is not None:
        running = None  # another one
    note = order.text.strip() or (running.note if running is not None else "")
    if not note:
        return _refused(order, now, OrderWord.NO_REASON)
    since, until = found.span or (now, now)
    if found.span is not None and (wrong := _wrong(bound, order.target, since, until, now)):
        return _refused(order, now, *wrong)
    row = running or Upkeep(
        device=order.target, at=since, kind="calibration", until=until, actor=order.actor, note=note
    )
    row = replace(
        row, note=note, level=found.level, reading=found.reading, valid_until=until + int(found.days) * DAY_MS,
        ended=until, ended_by=order.actor,
    )  # fmt: skip
    if found.span is None:
        bound.calibrating.pop(order.target, None)
    _keep(bound, row)
    return _done(order, now), [row]


class Finding(NamedTuple):
    """What was found, in dB and days; `span` in ms since 1970, where it was written down afterwards."""

    level: float
    reading: float
    days: float
    span: tuple[int, int] | None


def read(command: str) -> Finding:
    """What `written` wrote. Raises KeyError, ValueError."""
    words = {key: value for key, _, value in (part.partition("=") for part in command.split())}
    level, reading, days = (float(words[name]) for name in ("level", "reading", "days"))
    if words.keys().isdisjoint(("since", "until")):
        return Finding(level, reading, days, None)
    times = [datetime.fromisoformat(words[name]) for name in ("since", "until")]
    if any(time.tzinfo is None for time in times):
        raise ValueError(command)
    since, until = (int(time.timestamp() * 1000) for time in times)
    return Finding(level, reading, days, (since, until))


def _wrong(bound: "Bound", device: str, since: int, until: int, now: int) -> tuple[OrderWord, str] | None:
    """Why a calibrator cannot have sat on it from `since` to `until`; None when it can."""
    if not ms(SHORTEST_S) <= until - since <= ms(LONGEST_S):
        return OrderWord.BAD_SECONDS, f"{SHORTEST_S:g}..{LONGEST_S:g}"
    if until > now:
        return OrderWord.NOT_YET, ""
    if since < now - BACK_DAYS * DAY_MS:
        return OrderWord.LONG_AGO, f"{BACK_DAYS}"
    spans = [(at, ended) for (name, at), ended in bound.calibrated.items() if name == device]
    if device in bound.calibrating:
        spans.append((bound.calibrating[device].at, now))
    if any(at < until and since < ended for at, ended in spans):
        return OrderWord.OVERLAPS, device
    return None


def _over(bound: "Bound", device: str, now: int, actor: str) -> Upkeep:
    return _keep(bound, replace(bound.calibrating.pop(device), ended=now, ended_by=actor))


def _keep(bound: "Bound", row: Upkeep) -> Upkeep:
    """Remember when it was, for what is written down later; what is older than that is forgotten."""
    if row.ended is not None:
        oldest = row.ended - 2 * BACK_DAYS * DAY_MS
        bound.calibrated = {key: ended for key, ended in bound.calibrated.items() if ended > oldest}
        bound.calibrated[row.device, row.at] = row.ended
    return row


def _done(order: Order, now: int) -> Order:
    return step_order(order, OrderEvent.FINISH, now, OrderWord.DONE)


def _refused(order: Order, now: int, word: OrderWord, detail: str = "") -> tuple[Order, list[Upkeep]]:
    return step_order(order, OrderEvent.REFUSE, now, word, detail), []
