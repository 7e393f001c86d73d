"""What a monthly noise report says, as one value: gathered from history and journal, drawn by others.

The figures are those of hub.figures; here they meet the zone, its meters, its alarms and the names of its gaps.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

from hub.calendar.days import DayKind, calendar_or_seed, days_between
from hub.calendar.schedule import parse_span
from hub.care.upkeep import newest
from hub.figures.measure import Gap, measure
from hub.figures.month import Judge, MeterMonth, NoiseDay, meter_month, noise_days
from hub.figures.periods import Cell, cells, month_days, noise_day
from hub.figures.sudden import maxima
from hub.history.store import PAGE, Sample
from hub.journal.file import connect
from hub.outcome import Upkeep
from hub.reading import Label
from hub.rows import to_struct
from hub.rules.noise import ZoneLimits, zone_limits
from hub.settings.site import Device, Site, Zone

LEVEL, MAXIMUM = "laeq", "lafmax"
LONGEST_MS = 900_000  # a meter that names no time of silence: no reading stands for longer
CHUNK_MS = 5 * 3_600_000  # is asked for at once: a page at one reading a second, so that a store need not sort and skip
LONGEST_CHUNK_MS = 7 * 86_400_000
MOST_ALARMS = 500  # are listed; all are counted

Titles: TypeAlias = Callable[[str], Label]
"""The title of a rule by its id."""
Told: TypeAlias = Callable[[float], None]
"""Told how far the work is, 0 to 1."""


class Samples(Protocol):
    """As hub.history.store.HistoryStore has it."""

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sequence[Sample]]:
        """Every number of one series, oldest first, a page at a time."""


class NamedGap(msgspec.Struct, frozen=True):
    """Nothing was measured from `start` to `end`; `why`: the alarm of the meter or its line that stood meanwhile."""

    start: int
    end: int
    why: Label | None


class Meter(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument and its month. `calibrated`: the newest finding before its end; None: nobody wrote one down.

    `overdue`: that did not count any more for all of what has passed of the month. `aside_ms`: for so long a
    calibrator sat on it, which is in no figure.
    """

    device: str
    name: Label
    profile: str
    title: Label
    caveats: list[Label]
    calibrated: Upkeep | None
    overdue: bool
    aside_ms: int
    month: MeterMonth
    gaps: list[NamedGap]


class AlarmLine(msgspec.Struct, frozen=True, kw_only=True):
    """One noise alarm of the zone in the month; instants in ms since 1970."""

    rule: str
    title: Label
    source: Label
    raised: int
    cleared: int | None
    value: float | None
    limit: float | None


class NoiseReport(msgspec.Struct, frozen=True, kw_only=True):
    """The noise of a zone in a month. `since` to `until`: from the first day's morning to the last night's end.

    `kinds`: what kind of day each day of the month is; the limits are the same on all.
    """

    site: Label
    zone: str
    name: Label
    month: str
    timezone: str
    night: str
    since: int
    until: int
    made: int
    limits: ZoneLimits
    valid_share: float
    kinds: list[DayKind]
    meters: list[Meter]
    alarms: list[AlarmLine]
    alarm_count: int


def noise_meters(site: Site, zone: str = "") -> list[Device]:
    """The devices that measure sound levels, of a zone or of the whole site."""
    return [
        device for device in site.devices().values() if LEVEL in device.profile.reading and zone in ("", device.zone)
    ]


def noise_report(
    site: Site, zone: Zone, month: str, samples: Samples, journal: Path, titles: Titles, now: int, told: Told
) -> NoiseReport:
    """The report of a zone and a month ("2026-10"), as far as time has come.

    ValueError when the month is none; StoreError, sqlite3.Error when what it needs cannot be read.
    """
    first, last = month_days(month)
    hours = cells(first, last, parse_span(site.night), site.tz)
    judge, calendar = judge_of(site, zone.id, now), calendar_or_seed(journal.parent)
    devices = noise_meters(site, zone.id)
    with closing(connect(journal, read_only=True)) as db:
        meters = []
        for number, device in enumerate(devices):
            share = _share(told, number, len(devices))
            meters.append(_meter(db, samples, device, hours, judge, titles, share))
        alarms, count = _alarms(db, site, zone.id, hours[0].start, hours[-1].end, titles)
    return NoiseReport(
        site=site.name,
        zone=zone.id,
        name=zone.name,
        month=month,
        timezone=site.timezone,
        night=site.night,
        since=hours[0].start,
        until=hours[-1].end,
        made=now,
        limits=judge.limits,
        valid_share=judge.valid_share,
        kinds=[calendar.kind(day) for day in days_between(first, last)],
        meters=meters,
        alarms=alarms,
        alarm_count=count,
    )


def recent_days(site: Site, device: Device, samples: Samples, now: int, days: int) -> list[NoiseDay]:
    """The meter's newest noise days, today's as far as it has come, oldest first. StoreError when it cannot be had."""
    night = parse_span(site.night)
    today = noise_day(now, night, site.tz)
    hours = cells(today - timedelta(days=days - 1), today, night, site.tz)
    judge = judge_of(site, device.zone, now)
    pages = _pages(samples, device, LEVEL, hours, now)
    tops = maxima(_pages(samples, device, MAXIMUM, hours, now), hours, judge.limits.sudden_db)
    return noise_days(hours, measure(pages, hours, _longest(device), now).tallies, tops.of_cells, judge)


def judge_of(site: Site, zone: str, now: int) -> Judge:
    """By what a zone's figures are judged now."""
    return Judge(limits=zone_limits(site, zone), now=now, valid_share=site.noise_valid_share)


def _meter(
    db: sqlite3.Connection,
    samples: Samples,
    device: Device,
    hours: Sequence[Cell],
    judge: Judge,
    titles: Titles,
    told: Told,
) -> Meter:
    pages = _counted(_pages(samples, device, LEVEL, hours, judge.now), hours, told)
    measured = measure(pages, hours, _longest(device), judge.now)
    found = maxima(_pages(samples, device, MAXIMUM, hours, judge.now), hours, judge.limits.sudden_db)
    month = meter_month(hours, measured, found.of_cells, found.sudden, judge)
    gaps = [_named(db, device, gap, titles) for gap in measured.gaps]
    done = [to_struct(Upkeep, row) for row in db.execute(_UPKEEP, (device.id,))]
    last = newest(row for row in done if row.at < hours[-1].end).get(device.id)
    return Meter(
        device=device.id,
        name=device.name,
        profile=device.profile.id,
        title=device.profile.title,
        caveats=list(device.profile.caveats),
        calibrated=last,
        overdue=last is not None and (last.valid_until or 0) < min(hours[-1].end, judge.now),
        aside_ms=sum(_aside_ms(row, hours, judge.now) for row in done),
        month=month,
        gaps=gaps,
    )


def _pages(
    samples: Samples, device: Device, quantity: str, hours: Sequence[Cell], now: int
) -> Iterator[Sequence[Sample]]:
    """With the reading before, which tells the pace, and the one after, which stands for the end."""
    if quantity not in device.profile.reading:
        return
    more = _longest(device)
    since, until, chunk = hours[0].start - more, min(now, hours[-1].end + more), CHUNK_MS
    while since < until:
        count = 0
        for page in filter(None, samples.samples(device.id, quantity, since, min(since + chunk, until))):
            count += len(page)
            yield page
        since += chunk
        chunk = min(2 * chunk, LONGEST_CHUNK_MS) if count < PAGE // 3 else chunk  # a slow meter: longer pieces


def _longest(device: Device) -> int:
    return int(device.options.silent_after * 1000) or LONGEST_MS


def _counted(pages: Iterable[Sequence[Sample]], hours: Sequence[Cell], told: Told) -> Iterator[Sequence[Sample]]:
    whole = hours[-1].end - hours[0].start
    for page in pages:
        yield page
        told(max(0.0, min(1.0, (page[-1][0] - hours[0].start) / whole)))


def _share(told: Told, number: int, of: int) -> Told:
    return lambda share: told((number + share) / of)


_UPKEEP = "SELECT * FROM upkeep WHERE device = ? AND kind = 'calibration' ORDER BY at"
_BY_CALIBRATOR = Label(zh="声校准（校准器在传声器上）", en="calibration: a calibrator sat on it")


def _aside_ms(row: Upkeep, hours: Sequence[Cell], now: int) -> int:
    """How much of the hours a calibrator sat on the meter."""
    ended = min(row.until, now) if row.ended is None else row.ended
    return max(0, min(ended, hours[-1].end) - max(row.at, hours[0].start))


_STOOD = """
SELECT rule FROM occurrence WHERE source IN (?, ?) AND rule NOT LIKE 'noise-%' AND raised < ?
AND coalesce(cleared, ended, ?) > ? ORDER BY source = ? DESC, raised LIMIT 1
"""


_SAT = """
SELECT 1 FROM upkeep WHERE device = ?1 AND kind = 'calibration' AND at < ?2 AND coalesce(ended, until) > ?3
AND min(coalesce(ended, until), ?2) - max(at, ?3) > ?4 / 2  -- most of the gap
"""


def _named(db: sqlite3.Connection, device: Device, gap: Gap, titles: Titles) -> NamedGap:
    if db.execute(_SAT, (device.id, gap.end, gap.start, gap.end - gap.start)).fetchone():
        return NamedGap(gap.start, gap.end, _BY_CALIBRATOR)
    parameters = (device.id, device.link, gap.end, gap.end, gap.start, device.id)
    row = db.execute(_STOOD, parameters).fetchone()
    return NamedGap(gap.start, gap.end, titles(row[0]) if row else None)


_OCCURRED = """
SELECT *, count(*) OVER () AS whole FROM occurrence
WHERE zone = ? AND rule IN ('noise-limit', 'noise-laeq', 'noise-boundary', 'noise-sudden')
AND raised >= ? AND raised < ? ORDER BY raised, id LIMIT ?
"""


def _alarms(
    db: sqlite3.Connection, site: Site, zone: str, since: int, until: int, titles: Titles
) -> tuple[list[AlarmLine], int]:
    rows = db.execute(_OCCURRED, (zone, since, until, MOST_ALARMS)).fetchall()
    devices = site.devices()
    lines = [
        AlarmLine(
            rule=row["rule"],
            title=titles(row["rule"]),
            source=devices[row["source"]].name
            if row["source"] in devices
            else Label(zh=row["source"], en=row["source"]),
            raised=row["raised"],
            cleared=row["cleared"],
            value=None if isinstance(row["value"], str) else row["value"],
            limit=row["limit"],
        )
        for row in rows
    ]
    return lines, rows[0]["whole"] if rows else 0
