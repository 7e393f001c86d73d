"""History in InfluxDB: written in line protocol (v2 API, or /write for 1.x servers), asked in InfluxQL over /query.

The cursor stays in the journal: the same row sent twice overwrites itself. What an answer means stands in `verdict`,
how a batch is brought in `delivery`, and whether the server forgot some of it in `marks`.
"""

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hub.history.ahead import Ahead
from hub.history.cadence import covered
from hub.history.delivery import Delivery
from hub.history.lines import NS, PROBE, Unspeakable, identifier, line, literal, mark_line
from hub.history.marks import MARKS, Mark, Marks
from hub.history.server import Kind, Series, Server, number_of
from hub.history.store import (
    Bucket,
    Durable,
    Figure,
    Grain,
    Page,
    Refused,
    Said,
    Sample,
    Snapshot,
    StoreError,
    bucket_width,
    by_energy,
    on_server,
)
from hub.journal.batches import Row, sound
from hub.reading import UNMEASURED

_MEASURED = " AND ".join(f"quality <> '{word}'" for word in sorted(UNMEASURED))
PAGE = 5_000  # rows a question: several questions are open at once while a device's quantities are merged


class InfluxStore:
    """A HistoryStore on an InfluxDB server. `token` is "user:password" for a 1.x server that wants one."""

    def __init__(self, url: str, org: str, bucket: str, token: str, *, site: str, refused: Refused) -> None:
        """Nothing is asked yet: the server may be down."""
        self._server, self._site, self._refused = Server(url, org, bucket, token), site, refused
        self.elsewhere = on_server("it is", url)
        self._ask = self._server.ask
        self._delivery = Delivery(self._server.post, PROBE, refused)
        self._marks = Marks(self._server.started, self._mark, number_of)
        self._ahead = Ahead()

    def cursor(self) -> None:
        """Not held here."""

    def rewind(self, seq: int) -> None:
        """Nothing to do: the journal's note is the only cursor."""

    def forgot(self) -> bool:
        """As FedStore says."""
        return self._marks.forgot()

    def append(self, rows: Sequence[Row], cursor: int) -> None:
        """Every row stored, or told to `refused`. Raises StoreError when the server takes nothing now."""
        points: list[tuple[Row, str]] = []
        unsaid: list[tuple[Row, str]] = []
        for row in rows:
            try:
                points.append((row, line(row, self._site)))
            except Unspeakable as error:
                unsaid.append((row, str(error)))
        mark = self._marks.due([row for row, _ in points], cursor)
        try:
            taken = self._delivery.bring(points, mark_line(mark, self._site) if mark else "")
        except StoreError:
            self._marks.doubt()
            raise
        if mark and taken:
            self._marks.wrote(mark)
        self._ahead.note(rows, cursor)
        for row, words in unsaid:
            self._refused(row, words)

    def add(self, rows: Sequence[Row]) -> None:
        """Store these as well; the cursor, and what is known of it, stay as they are."""
        self._delivery.bring([(row, line(row, self._site)) for row in rows])

    def append_pages(self, pages: Iterable[Page], durable: Durable) -> None:
        """As HistoryStore says."""
        for page in pages:
            rows, bad = sound(page.batches, page.after)
            self.append(rows, page.last)
            durable(page, bad)

    def series(self, device: str, quantity: str, since_ms: int, until_ms: int, points: int) -> list[Bucket]:
        """As HistoryStore says, but for what came before its turn: that is beyond the cursor."""
        a = self._ahead
        known = f" AND (seq <= {a.cursor} OR seq > {a.newest} OR rx < {a.since})" if a.any else ""
        return self._buckets(device, quantity, since_ms, until_ms, bucket_width(since_ms, until_ms, points), known)

    def figures(self, device: str, quantity: str, since_ms: int, until_ms: int, step_ms: int) -> list[Figure]:
        """As HistoryStore says, from every reading: nothing coarser is kept here."""
        begin, end = -(-since_ms // step_ms) * step_ms, -(-until_ms // step_ms) * step_ms
        where = f"{self._where(device, begin, end)} AND {_MEASURED}"
        gaps = f"SELECT elapsed(value, 1ms) AS gap FROM {identifier(quantity)} WHERE {where}"  # noqa: S608  # quoted
        found = self._ask(f"SELECT median(gap) FROM ({gaps})")  # noqa: S608  # made above
        cadence = next((float(values[1]) for series in found for values in series.values), float(step_ms))
        return covered(self._buckets(device, quantity, begin, end, step_ms), step_ms, cadence)

    def _buckets(
        self, device: str, quantity: str, since_ms: int, until_ms: int, width: int, more: str = ""
    ) -> list[Bucket]:
        where = f"{self._where(device, since_ms, until_ms)} AND {_MEASURED}{more}"
        source, mean = f"{identifier(quantity)} WHERE {where}", "mean(value)"
        if by_energy(quantity):
            span = f"time >= {since_ms * NS} AND time < {until_ms * NS}"
            source = f"(SELECT value, pow(10, value / 10) AS energy FROM {source}) WHERE {span}"  # noqa: S608  # quoted above
            mean = "10 * log10(mean(energy))"
        found = self._ask(
            f"SELECT min(value), {mean}, max(value), count(value) FROM {source} "  # noqa: S608  # quoted by `identifier`
            f"GROUP BY time({width}ms, {since_ms % width}ms) fill(none)"
        )
        return [_bucket(values) for series in found for values in series.values]

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[list[Sample]]:
        """As HistoryStore says."""
        for page in self._field("value", device, quantity, since_ms, until_ms):
            yield [(at, float(value)) for at, value in page]

    def states(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[list[Said]]:
        """As HistoryStore says."""
        for page in self._field("text", device, quantity, since_ms, until_ms):
            yield [(at, str(value)) for at, value in page]

    def last_before(self, device: str, quantity: str, before_ms: int) -> Sample | Said | None:
        """As HistoryStore says."""
        where = f"{self._where(device, 0, before_ms)} AND {_MEASURED}"
        found = self._ask(f"SELECT value, text FROM {identifier(quantity)} WHERE {where} ORDER BY time DESC LIMIT 1")  # noqa: S608
        for time_ns, number, text in (values for series in found for values in series.values):
            return (int(time_ns) // NS, float(number)) if text is None else (int(time_ns) // NS, str(text))
        return None

    def _field(
        self, field: str, device: str, quantity: str, since_ms: int, until_ms: int
    ) -> Iterator[list[tuple[int, Any]]]:  # Any: a number or a text, as the field
        after = since_ms * NS - 1
        while True:
            where = f"{self._where(device, since_ms, until_ms)} AND time > {after} AND {_MEASURED}"
            found = self._ask(f"SELECT {field} FROM {identifier(quantity)} WHERE {where} ORDER BY time LIMIT {PAGE}")  # noqa: S608
            page = [values for series in found for values in series.values]
            if page:
                yield [(int(time_ns) // NS, value) for time_ns, value in page]
            if len(page) < PAGE:
                return
            after = int(page[-1][0])

    def events(self, device: str, quantity: str, since_ms: int, until_ms: int, limit: int) -> list[Row]:
        """As HistoryStore says."""
        where = self._where(device, since_ms, until_ms)
        found = self._ask(f"SELECT * FROM {identifier(quantity)} WHERE {where} ORDER BY time DESC LIMIT {int(limit)}")  # noqa: S608
        return [row for series in found for row in _rows(series)]

    def readings(self, device: str, since_ms: int, until_ms: int) -> Iterator[Row]:
        """As HistoryStore says."""
        found = self._ask(f"SHOW MEASUREMENTS WHERE device = {literal(device)} AND site = {literal(self._site)}")
        names = [str(values[0]) for series in found for values in series.values]
        pages = [self._pages(name, device, since_ms, until_ms) for name in names]
        return heapq.merge(*pages, key=lambda row: (row.ts, row.seq))

    def devices(self) -> list[str]:
        """Every device of which readings are kept, sorted."""
        found = self._ask(f"SHOW TAG VALUES WITH KEY = device WHERE site = {literal(self._site)}")
        return sorted({str(values[1]) for series in found for values in series.values})

    def latest_ts(self) -> int | None:
        """As HistoryStore says."""
        found = self._ask(f"SELECT last(seq) FROM /.*/ WHERE site = {literal(self._site)}")  # noqa: S608  # quoted
        return max((int(series.values[0][0]) // NS for series in found), default=None)

    def count(self) -> int:
        """As HistoryStore says."""
        found = self._ask(f"SELECT count(seq) FROM /.*/ WHERE site = {literal(self._site)}")  # noqa: S608  # quoted
        return sum(int(series.values[0][1]) for series in found)

    def forget(self, quantities: Collection[str], before_ms: int, grain: Grain = Grain.RAW) -> int:
        """Delete on the server, which drops the bytes when it next compacts. No grain but readings is kept here."""
        gone = 0
        if grain is not Grain.RAW:
            return gone
        for quantity in sorted(quantities):
            where = f"site = {literal(self._site)} AND time < {before_ms * NS}"
            found = self._ask(f"SELECT count(seq) FROM {identifier(quantity)} WHERE {where}")  # noqa: S608  # quoted
            count = sum(int(series.values[0][1]) for series in found)
            if count:
                self._delete(quantity, where, before_ms)
            gone += count
        return gone

    def compact(self) -> int:
        """Nothing lies here."""
        return 0

    def snapshot(self, folder: Path) -> Snapshot | None:
        """The server has a backup of its own."""
        return None

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def _mark(self, since_ms: int) -> Mark | None:
        where = f"site = {literal(self._site)} AND time >= {since_ms * NS}"
        found = self._ask(f"SELECT last(cursor), boot FROM {identifier(MARKS)} WHERE {where}")  # noqa: S608  # quoted
        for at, seq, boot in (values for series in found for values in series.values):
            return Mark(int(seq), int(boot or 0), int(at) // NS)
        return None

    def _delete(self, quantity: str, where: str, before_ms: int) -> None:
        if self._server.kind() is Kind.ONE:
            self._ask(f"DELETE FROM {identifier(quantity)} WHERE {where}", method="POST")  # noqa: S608  # quoted
            return
        until = datetime.fromtimestamp(before_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
        self._server.delete(quantity, {"site": self._site}, until)

    def _where(self, device: str, since_ms: int, until_ms: int) -> str:
        names = f"device = {literal(device)} AND site = {literal(self._site)}"
        return f"{names} AND time >= {since_ms * NS} AND time < {until_ms * NS}"

    def _pages(self, quantity: str, device: str, since_ms: int, until_ms: int) -> Iterator[Row]:
        after = since_ms * NS - 1
        while True:
            where = f"{self._where(device, since_ms, until_ms)} AND time > {after}"
            found = self._ask(f"SELECT * FROM {identifier(quantity)} WHERE {where} ORDER BY time LIMIT {PAGE}")  # noqa: S608
            for series in found:
                yield from _rows(series)
            if sum(len(series.values) for series in found) < PAGE:
                return
            after = int(found[-1].values[-1][0])


def _bucket(values: list[Any]) -> Bucket:  # Any: as the question's columns say
    time_ns, low, mean, high, count = values
    return Bucket(int(time_ns) // NS, float(low), min(max(low, mean), high), float(high), int(count))


def _rows(series: Series) -> Iterator[Row]:
    for values in series.values:
        found = dict(zip(series.columns, values, strict=True))
        value = found.get("value")
        yield Row(
            seq=found["seq"],
            device=found["device"],
            quantity=series.name,
            ts=found["time"] // NS,
            rx=found["rx"],
            value=found["text"] if value is None else float(value),
            quality=found["quality"],
            detail=found.get("detail"),
        )
