"""What a chart of numbers shows: history, with the journal's rows where history has not come yet; gaps stay gaps.

Gauges only; counters, states and events are in tallies.py. Sound levels are put together by energy, everything else
by its arithmetic mean.
"""

import logging
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from dashboard.charts.limit_line import LimitLine
from dashboard.charts.thin import given_up
from dashboard.charts.window import Window
from dashboard.language import words
from dashboard.office import Office
from device_profiles import vocabulary
from hub.history.store import Bucket, StoreError
from hub.settings.site import Device

LOG = logging.getLogger("zhian.office")

POINTS = 400
LEAST_GAP_MS = 15_000


class Point(msgspec.Struct, frozen=True):
    """One stretch of the chart."""

    ts: int
    min: float
    mean: float
    max: float
    count: int


class Series(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="gauge"):
    """A chart as the script draws it: parallel lists, null where nothing was measured. Instants in ms since 1970."""

    device: str
    quantity: str
    unit: str
    decimals: int
    since: int
    until: int
    ts: list[int]
    min: list[float | None]
    mean: list[float | None]
    max: list[float | None]
    limit: list[float | None]
    count: list[int]
    gaps: list[tuple[int, int]]
    thinned: list[tuple[int, int]]  # in which readings were given up, as the disk was nearly full
    whole: bool  # False: the history could not be asked, and this is what the journal still has


def read(office: Office, device: Device, quantity: str, window: Window, points: int = POINTS) -> Series:
    """One series in so many points. While the store cannot answer: what the journal still has."""
    since, until, whole = window.since, window.until, True
    buckets: Sequence[Bucket] = []
    try:
        buckets = office.history.series(device.id, quantity, since, until, points)
        fresh = office.view.not_in_history(device.id, quantity, since)
    except StoreError as error:
        LOG.warning("history: %s", error)
        whole = False
        fresh = office.view.not_in_history(device.id, quantity, since, everything=True)
    width = max(1, (until - since) // points)
    inside = ((ts, value) for ts, value in fresh if ts < until)
    found = merge(buckets, inside, since, width, by_energy=_by_energy(quantity))
    return _series(office, device, quantity, (since, until), found, patience(device, width), whole=whole)


def patience(device: Device, width: int) -> int:
    """For how many ms a device may say nothing before its chart has a gap, where readings are `width` ms apart."""
    return max(3 * width, int(device.options.silent_after * 1000), LEAST_GAP_MS)


def merge(
    buckets: Iterable[Bucket], fresh: Iterable[tuple[int, float]], since: int, width: int, *, by_energy: bool
) -> list[Point]:
    """One point for each stretch of `width` ms that has readings, from history and journal together."""
    slots: dict[int, Point] = {}
    news = [Point(b.ts, b.low, b.mean, b.high, b.count) for b in buckets]
    news += [Point(ts, value, value, value, 1) for ts, value in fresh]
    for point in news:
        slot = (point.ts - since) // width
        slots[slot] = _joined(slots[slot], point, by_energy=by_energy) if slot in slots else point
    return [slots[slot] for slot in sorted(slots)]


def gaps(times: Iterable[int], since: int, until: int, longest: int) -> list[tuple[int, int]]:
    """The stretches longer than `longest` ms without any reading, the ends of the chart included."""
    return [(a, b) for a, b in pairwise([since, *times, until]) if b - a > longest]


def _joined(a: Point, b: Point, *, by_energy: bool) -> Point:
    count = a.count + b.count
    if by_energy:
        mean = 10 * math.log10((a.count * 10 ** (a.mean / 10) + b.count * 10 ** (b.mean / 10)) / count)
    else:
        mean = (a.count * a.mean + b.count * b.mean) / count
    return Point(min(a.ts, b.ts), min(a.min, b.min), mean, max(a.max, b.max), count)


def _series(
    office: Office,
    device: Device,
    quantity: str,
    span: tuple[int, int],
    points: list[Point],
    longest: int,
    *,
    whole: bool,
) -> Series:
    blind = gaps((point.ts for point in points), *span, longest)
    edges = {ts for a, b in blind for ts in (max(a + 1, span[0]), b - 1)}  # the limit goes on where the line stops
    holes = [Point(ts, math.nan, math.nan, math.nan, 0) for ts in edges]
    rows = sorted([*points, *holes], key=lambda point: point.ts)
    line = LimitLine(office, device, quantity)
    limit = [line.at(row.ts, row.mean) for row in rows]
    places = words.decimals(quantity) + 1
    return Series(
        device=device.id,
        quantity=quantity,
        unit=words.unit(quantity),
        decimals=words.decimals(quantity),
        since=span[0],
        until=span[1],
        ts=[row.ts for row in rows],
        min=[_number(row.min, places) for row in rows],
        mean=[_number(row.mean, places) for row in rows],
        max=[_number(row.max, places) for row in rows],
        limit=limit,
        count=[row.count for row in rows],
        gaps=blind,
        thinned=given_up(office, *span),
        whole=whole,
    )


def _number(value: float, places: int) -> float | None:
    return None if math.isnan(value) else round(value, places)


def _by_energy(quantity: str) -> bool:
    word = vocabulary.find(quantity)
    return word is not None and word.quantity.aggregate == "energy"
