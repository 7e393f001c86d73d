"""The noise of one meter over whole days: hours, Ld, Ln and Ldn with their coverage, judged by the zone's limits.

Pure. What is not measured for long enough is shown and marked, and counts for nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import groupby

import msgspec

from hub.figures.levels import PERCENTS, Tally, day_night_level, mean_level
from hub.figures.measure import Gap, Measured
from hub.figures.periods import Cell, Part
from hub.figures.sudden import Sudden
from hub.rules.noise import ZoneLimits, exceeds


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One hour, day part or night; levels in dB(A), instants in ms since 1970.

    `coverage` 0 to 1 is the share of the time that was measured; `valid`: it is over, and enough was measured.
    `exceeds` is None where it is not valid. `highest` is the loudest reading, `lafmax` what the meter itself gave.
    """

    start: int
    end: int
    part: Part
    hour: int | None
    laeq: float | None
    lafmax: float | None
    highest: float | None
    l5: float | None
    l10: float | None
    l50: float | None
    l90: float | None
    l95: float | None
    coverage: float
    valid: bool
    limit: float
    exceeds: bool | None


class NoiseDay(msgspec.Struct, frozen=True, kw_only=True):
    """One day with the night that follows. `ldn` is None unless both parts are valid."""

    day: date
    ld: Figure | None
    ln: Figure | None
    ldn: float | None
    hours: list[Figure]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive hours above the limit, and their level together."""

    start: int
    end: int
    part: Part
    laeq: float
    limit: float


class Over(msgspec.Struct, frozen=True, kw_only=True):
    """Days or nights of a month: how many there are, count and exceed, and their level by energy."""

    level: float | None
    total: int
    valid: int
    exceeding: int
    limit: float


class MeterMonth(msgspec.Struct, frozen=True, kw_only=True):
    """What one meter says of a month, or of what has passed of it."""

    days: list[NoiseDay]
    by_day: Over
    by_night: Over
    ldn: float | None
    coverage: float
    runs: list[Run]
    sudden: Sudden | None  # None: the meter gives no LAFmax
    gaps: list[Gap]
    gap_count: int
    gap_ms: int


class Judge(msgspec.Struct, frozen=True, kw_only=True):
    """By what figures are judged: the limits, up to when time has passed, and the least share that counts.

    HJ 906-2017 defines the share of valid data (3.1, 有效采集率); how much is enough is the site's own number
    (`noise_valid_share`), by default three quarters, as 45 minutes make an hour of air in GB 3095-2012.
    """

    limits: ZoneLimits
    now: int
    valid_share: float

    def limit(self, part: Part) -> float:
        """The limit of the equivalent level in dB(A)."""
        return self.limits.day_db if part is Part.DAY else self.limits.night_db


def noise_days(
    cells: Sequence[Cell], tallies: Sequence[Tally], maxima: Sequence[float | None], judge: Judge
) -> list[NoiseDay]:
    """The days of contiguous cells with what was measured in each; `maxima`: the highest LAFmax in each cell."""
    rows = list(zip(cells, tallies, maxima, strict=True))
    return [_day(day, list(group), judge) for day, group in groupby(rows, key=lambda row: row[0].day)]


def meter_month(
    cells: Sequence[Cell], measured: Measured, maxima: Sequence[float | None], sudden: Sudden | None, judge: Judge
) -> MeterMonth:
    """The month of one meter."""
    days = noise_days(cells, measured.tallies, maxima, judge)
    by_day, by_night = _over((day.ld for day in days), Part.DAY, judge), _over((d.ln for d in days), Part.NIGHT, judge)
    length = sum(min(cell.end, judge.now) - cell.start for cell in cells if cell.start < judge.now)
    return MeterMonth(
        days=days,
        by_day=by_day,
        by_night=by_night,
        ldn=day_night_level(by_day.level, by_night.level, *_lengths(days)),
        coverage=sum(tally.length for tally in measured.tallies) / length if length else 0.0,
        runs=_runs(figure for day in days for figure in day.hours),
        sudden=sudden,
        gaps=measured.gaps,
        gap_count=measured.gap_count,
        gap_ms=measured.gap_ms,
    )


_Row = tuple[Cell, Tally, float | None]


def _day(day: date, rows: list[_Row], judge: Judge) -> NoiseDay:
    parts = {part: [row for row in rows if row[0].part is part] for part in Part}
    ld, ln = (_figure(parts[part], judge) if parts[part] else None for part in Part)
    known = [figure for figure in (ld, ln) if figure is not None]
    lengths = [sum(cell.end - cell.start for cell, _, _ in parts[part]) for part in Part]
    levels = [None if figure is None else figure.laeq for figure in (ld, ln)]
    ldn = day_night_level(levels[0], levels[1], *lengths) if all(figure.valid for figure in known) else None
    return NoiseDay(day=day, ld=ld, ln=ln, ldn=ldn, hours=[_figure([row], judge, row[0].hour) for row in rows])


def _figure(rows: Sequence[_Row], judge: Judge, hour: int | None = None) -> Figure:
    first, last = rows[0][0], rows[-1][0]
    tally = rows[0][1] if len(rows) == 1 else Tally().join(tally for _, tally, _ in rows)
    length = sum(cell.end - cell.start for cell, _, _ in rows)
    coverage = min(1.0, tally.length / length)
    valid = last.end <= judge.now and coverage >= judge.valid_share
    laeq, limit = tally.laeq, judge.limit(first.part)
    levels = {f"l{percent}": tally.exceeded(percent) for percent in PERCENTS}
    return Figure(
        start=first.start,
        end=last.end,
        part=first.part,
        hour=hour,
        laeq=laeq,
        lafmax=max((top for _, _, top in rows if top is not None), default=None),
        highest=None if laeq is None else tally.top,
        coverage=coverage,
        valid=valid,
        limit=limit,
        exceeds=exceeds(laeq, limit) if valid and laeq is not None else None,
        **levels,
    )


def _over(figures: Iterable[Figure | None], part: Part, judge: Judge) -> Over:
    known = [figure for figure in figures if figure is not None]
    valid = [figure for figure in known if figure.valid and figure.laeq is not None]
    return Over(
        level=mean_level((figure.laeq, figure.end - figure.start) for figure in valid if figure.laeq is not None),
        total=len(known),
        valid=len(valid),
        exceeding=sum(figure.exceeds is True for figure in valid),
        limit=judge.limit(part),
    )


def _lengths(days: Sequence[NoiseDay]) -> tuple[float, float]:
    """Day and night of the month together, in ms."""
    by_day, by_night = (
        sum(figure.end - figure.start for day in days for figure in day.hours if figure.part is part) for part in Part
    )
    return float(by_day), float(by_night)


def _runs(hours: Iterable[Figure]) -> list[Run]:
    runs: list[Run] = []
    loud: list[Figure] = []
    for figure in hours:
        if loud and (figure.exceeds is not True or figure.part is not loud[-1].part):
            runs.append(_run(loud))
            loud = []
        if figure.exceeds is True:
            loud.append(figure)
    return [*runs, _run(loud)] if loud else runs


def _run(loud: Sequence[Figure]) -> Run:
    level = mean_level((figure.laeq, figure.coverage * (figure.end - figure.start)) for figure in loud if figure.laeq)
    assert level is not None  # noqa: S101  # a figure that exceeds has a level
    return Run(start=loud[0].start, end=loud[-1].end, part=loud[0].part, laeq=level, limit=loud[0].limit)
