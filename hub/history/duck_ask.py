"""What is asked of the history file: the answers of a HistoryStore, as SQL over the tables of `duck_tables.py`.

Reads only, and knows neither file nor connection: `DuckStore` has those. A question takes readings, or figures kept by
the minute or hour, whichever is enough for its width; what is not rolled up yet is added from the readings.
"""

import statistics
from collections.abc import Iterator
from typing import Any, TypeAlias

from hub.history.cadence import covered
from hub.history.duck_tables import FRESH, GRAINS, LEVELS, MEASURED, VALID, mean
from hub.history.duck_unpack import Series
from hub.history.store import HOUR_MS, MINUTE_MS, PAGE, Bucket, Figure, Said, Sample, bucket_width, by_energy
from hub.journal.batches import Row

_Answer: TypeAlias = list[tuple[Any, ...]]  # Any: the columns of any question
_ENOUGH = 2  # rolled-up buckets in one of a chart's; with fewer, each reading is read


class DuckQuestions:
    """The reading half of a HistoryStore."""

    _series: Series

    def _ask(self, sql: str) -> _Answer:
        raise NotImplementedError

    def series(self, device: str, quantity: str, since_ms: int, until_ms: int, points: int) -> list[Bucket]:
        """As HistoryStore says."""
        number = self._series.known.get((device, quantity))
        if number is None or until_ms <= since_ms:
            return []
        grain = _grain(bucket_width(since_ms, until_ms, points))
        anchor = since_ms // grain * grain
        width = -(-bucket_width(anchor, until_ms, points) // grain) * grain
        parts = _parts(number, since_ms, until_ms, grain)
        found = self._ask(f"SELECT {_merged(f'(instant - {anchor}) // {width}', quantity)} FROM ({parts}) {_BY_SLOT}")
        return [
            Bucket(max(since_ms, anchor + slot * width), low, middle, high, count)
            for slot, low, middle, high, count in found
        ]

    def figures(self, device: str, quantity: str, since_ms: int, until_ms: int, step_ms: int) -> list[Figure]:
        """As HistoryStore says."""
        number = self._series.known.get((device, quantity))
        begin, end = -(-since_ms // step_ms) * step_ms, -(-until_ms // step_ms) * step_ms
        if number is None or end <= begin:
            return []
        parts = _steps(number, quantity, (begin, end), step_ms)
        merged = _merged(f"instant // {step_ms} * {step_ms}", quantity)
        found = self._ask(f"SELECT {merged}, median(extent / (count - 1)) FILTER (count > 1) FROM ({parts}) {_BY_SLOT}")
        gaps = [row[-1] for row in found if row[-1] is not None]
        cadence = statistics.median(gaps) if gaps else float(step_ms)
        return covered([Bucket(*row[:-1]) for row in found], step_ms, cadence)

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[list[Sample]]:
        """As HistoryStore says."""
        return self._column("number", device, quantity, since_ms, until_ms)

    def states(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[list[Said]]:
        """As HistoryStore says."""
        return self._column("text", device, quantity, since_ms, until_ms)

    def last_before(self, device: str, quantity: str, before_ms: int) -> Sample | Said | None:
        """As HistoryStore says."""
        number = self._series.known.get((device, quantity))
        if number is None:
            return None
        where = f"series = {number} AND ts < {before_ms} AND {MEASURED}"
        found = self._ask(f"SELECT ts, number, text FROM ({_all(where)}) ORDER BY ts DESC, seq DESC LIMIT 1")
        return next(((ts, value) if text is None else (ts, text) for ts, value, text in found), None)

    def events(self, device: str, quantity: str, since_ms: int, until_ms: int, limit: int) -> list[Row]:
        """As HistoryStore says."""
        number = self._series.known.get((device, quantity))
        if number is None:
            return []
        where = f"series = {number} AND ts >= {since_ms} AND ts < {until_ms}"
        found = self._ask(f"SELECT * FROM ({_all(where)}) ORDER BY ts DESC, seq DESC LIMIT {limit}")
        return [_row(device, quantity, columns) for columns in found]

    def readings(self, device: str, since_ms: int, until_ms: int) -> Iterator[Row]:
        """As HistoryStore says."""
        names = {number: quantity for (name, quantity), number in self._series.known.items() if name == device}
        for page in self._pages("*", list(names), since_ms, until_ms, "true"):
            yield from (_row(device, names[columns[0]], columns) for columns in page)

    def devices(self) -> list[str]:
        """Every device of which readings are kept, or were."""
        return sorted({device for device, _ in self._series.known})

    def latest_ts(self) -> int | None:
        """As HistoryStore says."""
        newest: int | None = self._ask(f"SELECT max(ts) FROM ({_all('true')})")[0][0]
        return newest

    def count(self) -> int:
        """As HistoryStore says."""
        counts = (f"(SELECT count(*) FROM {level})" for level in LEVELS)
        return int(self._ask(f"SELECT {' + '.join(counts)}")[0][0])

    def _column(self, column: str, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[list[Any]]:
        number = self._series.known.get((device, quantity))
        if number is None:
            return
        valid = f"{column} IS NOT NULL AND {MEASURED}"
        for page in self._pages(f"series, ts, {column}", [number], since_ms, until_ms, valid):
            yield [(ts, value) for _, ts, value in page]

    def _pages(self, columns: str, series: list[int], since_ms: int, until_ms: int, where: str) -> Iterator[_Answer]:
        """Rows by time, a page at a time; the first two columns are series and ts.

        Each page is a question of its own, so that a slow reader holds nothing. It ends before an instant whose rows
        might go on beyond it: nothing numbers them for ever.
        """
        names, after, limit = ", ".join(map(str, series)), since_ms, PAGE
        while series:
            within = _all(f"series IN ({names}) AND ts >= {after} AND ts < {until_ms} AND {where}")
            page = self._ask(f"SELECT {columns} FROM ({within}) ORDER BY ts, seq, series LIMIT {limit}")
            last = page[-1][1] if len(page) == limit else until_ms
            whole = [row for row in page if row[1] < last]
            if whole:
                yield whole
            if last == until_ms:
                return
            limit = PAGE if whole else 2 * limit
            after = last


_BY_SLOT = "GROUP BY slot ORDER BY slot"


def _grain(width: int) -> int:
    """The coarsest of hour, minute and (1) none that fits a bucket of this width often enough."""
    return next((grain for grain in (HOUR_MS, MINUTE_MS) if width >= _ENOUGH * grain), 1)


def _merged(slot: str, quantity: str) -> str:
    """The columns of buckets that are put together from parts. A mean outside its bucket would look wrong."""
    middle = _middle(quantity)
    return f"{slot} AS slot, min(low), greatest(min(low), least(max(high), {middle})), max(high), sum(count)::BIGINT"


def _middle(quantity: str) -> str:
    return mean(str(by_energy(quantity)).lower(), "mean", "count")


def _parts(series: int, since: int, until: int, grain: int) -> str:
    """Parts that add up to a span: whole buckets of the grain from its table, the span's two ends from readings."""
    if grain == 1:
        return " UNION ALL ".join(_raw(level, series, since, until) for level in LEVELS)
    begin, end = -(-since // grain) * grain, until // grain * grain
    if begin >= end:
        return _parts(series, since, until, 1)
    parts = [
        _rolled(series, begin, end, grain),
        _raw("recent", series, since, until),
        _raw(FRESH, series, since, until),
    ]
    parts += [_raw("reading", series, a, b) for a, b in ((since, begin), (end, until)) if a < b]
    return " UNION ALL ".join(parts)


def _steps(series: int, quantity: str, span: tuple[int, int], step: int) -> str:
    """Parts of a span of whole steps, each with its extent: from the table that fits the step, else from readings."""
    grain = next((grain for grain in (HOUR_MS, MINUTE_MS) if step % grain == 0), 0)
    levels = LEVELS[1:] if grain else LEVELS
    raw = " UNION ALL ".join(_raw(level, series, *span) for level in levels)
    width = grain or step
    each = (
        f"SELECT instant // {width} * {width} AS instant, min(low) AS low, {_middle(quantity)} AS mean, "
        "max(high) AS high, count(*) AS count, max(instant) - min(instant) AS extent "
        f"FROM ({raw}) GROUP BY instant // {width}"
    )
    return f"{_rolled(series, *span, grain)} UNION ALL {each}" if grain else each


def _raw(level: str, series: int, since: int, until: int) -> str:
    return (
        f"SELECT ts AS instant, number AS low, number AS mean, number AS high, 1 AS count, 0 AS extent FROM {level} "
        f"WHERE series = {series} AND ts >= {since} AND ts < {until} AND {VALID}"
    )


def _rolled(series: int, begin: int, end: int, grain: int) -> str:
    table = next(name for name, width in GRAINS.items() if width == grain)
    return (
        f"SELECT bucket::BIGINT * {grain} AS instant, low, mean, high, count, extent FROM {table} "
        f"WHERE series = {series} AND bucket >= {begin // grain} AND bucket < {end // grain}"
    )


def _all(where: str) -> str:
    """Rows of all levels."""
    return " UNION ALL ".join(f"SELECT * FROM {level} WHERE {where}" for level in LEVELS)


def _row(device: str, quantity: str, columns: tuple[Any, ...]) -> Row:  # Any: as the table has them
    _, ts, seq, lag, number, text, quality, detail = columns
    return Row(seq, device, quantity, ts, ts + lag, number if text is None else text, quality or "good", detail)
