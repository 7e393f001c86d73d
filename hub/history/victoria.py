"""History on a VictoriaMetrics server: numbers there, what it cannot keep as it is in the embedded store beside.

It keeps numbers by the millisecond and nothing else: a text would become 0. So texts, details and the second of two
readings of one series and millisecond stay beside. A row sent again is there twice: `victoria_read` counts it once.
"""

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from device_profiles import vocabulary
from hub.history.ahead import Ahead
from hub.history.cadence import covered
from hub.history.delivery import Delivery
from hub.history.lines import PROBE, Unspeakable, mark_line, number_line
from hub.history.marks import Marks
from hub.history.server import Kind, Server, number_of
from hub.history.store import (
    Bucket,
    Durable,
    Figure,
    Grain,
    HistoryStore,
    Page,
    Refused,
    Said,
    Sample,
    Snapshot,
    StoreError,
    bucket_width,
    on_server,
)
from hub.history.victoria_read import Reader, buckets, cadence
from hub.journal.batches import Row, sound
from hub.reading import UNMEASURED
from hub.reading import Kind as Word

FUTURE_MS = 3_600_000  # a time stamp further ahead than this might be dropped without a word


class VictoriaStore:
    """A HistoryStore of two: the server, and `beside`, which is closed with it and holds a cursor of its own."""

    def __init__(self, url: str, token: str, *, site: str, refused: Refused, beside: HistoryStore) -> None:
        """Nothing is asked yet: the server may be down."""
        self._server, self._site, self._refused, self._beside = (
            Server(url, "", "", token, Kind.VICTORIA),
            site,
            refused,
            beside,
        )
        self.elsewhere = on_server("its numbers are", url)
        self._reader = Reader(self._server, site)
        self._delivery = Delivery(self._server.post, PROBE, refused)
        self._marks = Marks(self._server.started, self._reader.mark, number_of)
        self._last: dict[tuple[str, str], tuple[int, int]] = {}  # of each series: ts and seq of the newest reading sent
        self._held = -1
        self._ahead = Ahead()

    def cursor(self) -> None:
        """Not held here."""

    def rewind(self, seq: int) -> None:
        """For the store beside."""
        self._beside.rewind(seq)

    def forgot(self) -> bool:
        """As FedStore says, of either."""
        held = self._beside.cursor() or 0
        fell, self._held = held < self._held, held
        return self._marks.forgot() or fell

    def append(self, rows: Sequence[Row], cursor: int) -> None:
        """Beside first: that is one transaction with its cursor. `cursor` may be before these rows: then not beside."""
        held = self._beside.cursor() or 0
        numbers, others = self._sorted(rows, held)
        if cursor > held:
            self._beside.append([row for row in others if held < row.seq <= cursor], cursor)
            self._held = cursor
        points: list[tuple[Row, str]] = []
        for row in numbers:
            try:
                points.append((row, number_line(row, self._site)))
            except Unspeakable as error:
                self._refused(row, str(error))
        mark = self._marks.due(numbers, cursor)
        try:
            taken = bool(points) and self._delivery.bring(points, mark_line(mark, self._site) if mark else "")
        except StoreError:
            self._marks.doubt()
            raise
        if mark and taken:
            self._marks.wrote(mark)
        self._ahead.note(rows, cursor)

    def add(self, rows: Sequence[Row]) -> None:
        """Store these as well; the cursor, and what is known of it, stay as they are."""
        numbers, others = self._sorted(rows, self._beside.cursor() or 0)
        if others:
            self._beside.add(others)
        self._delivery.bring([(row, number_line(row, self._site)) for row in numbers])

    def append_pages(self, pages: Iterable[Page], durable: Durable) -> None:
        """As HistoryStore says."""
        for page in pages:
            rows, bad = sound(page.batches, page.after)
            self.append(rows, page.last)
            durable(page, bad)

    def series(self, device: str, quantity: str, since_ms: int, until_ms: int, points: int) -> list[Bucket]:
        """As HistoryStore says, from every number: the server would count one that it has twice twice."""
        width = bucket_width(since_ms, until_ms, points)
        numbers = self._numbers(device, quantity, since_ms, until_ms)
        if self._ahead.any:  # what came before its turn is beyond the cursor
            rows = (row for row in self.readings(device, since_ms, until_ms) if not self._ahead.holds(row))
            plain = (row for row in rows if row.quantity == quantity and row.quality not in UNMEASURED)
            numbers = ((row.ts, row.value) for row in plain if not isinstance(row.value, str))
        return buckets(numbers, quantity, since_ms, width)

    def figures(self, device: str, quantity: str, since_ms: int, until_ms: int, step_ms: int) -> list[Figure]:
        """As HistoryStore says, from every number."""
        begin, end = -(-since_ms // step_ms) * step_ms, -(-until_ms // step_ms) * step_ms
        numbers = list(self._numbers(device, quantity, begin, end))
        return covered(buckets(numbers, quantity, begin, step_ms), step_ms, cadence(numbers, step_ms))

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[list[Sample]]:
        """As HistoryStore says."""
        beside = (sample for page in self._beside.samples(device, quantity, since_ms, until_ms) for sample in page)
        later = next(beside, None)
        for page in self._reader.samples(device, quantity, since_ms, until_ms):
            mixed = list(page)
            while later is not None and later[0] <= page[-1][0]:
                mixed.append(later)
                later = next(beside, None)
            yield sorted(mixed, key=lambda sample: sample[0])
        rest = [later, *beside] if later is not None else []
        if rest:
            yield rest

    def states(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sequence[Said]]:
        """As HistoryStore says; all of it is beside."""
        return self._beside.states(device, quantity, since_ms, until_ms)

    def last_before(self, device: str, quantity: str, before_ms: int) -> Sample | Said | None:
        """As HistoryStore says."""
        found = [self._beside.last_before(device, quantity, before_ms), self._reader.last(device, quantity, before_ms)]
        return max((said for said in found if said is not None), key=lambda said: said[0], default=None)

    def events(self, device: str, quantity: str, since_ms: int, until_ms: int, limit: int) -> list[Row]:
        """As HistoryStore says. Of numbers it reads the whole span."""
        rows = self._beside.events(device, quantity, since_ms, until_ms, limit)
        rows += self._reader.rows(device, since_ms, until_ms, quantity)
        return sorted(rows, key=lambda row: (row.ts, row.seq), reverse=True)[:limit]

    def readings(self, device: str, since_ms: int, until_ms: int) -> Iterator[Row]:
        """As HistoryStore says."""
        beside = self._beside.readings(device, since_ms, until_ms)
        return heapq.merge(self._reader.rows(device, since_ms, until_ms), beside, key=lambda row: (row.ts, row.seq))

    def devices(self) -> list[str]:
        """Every device of which readings are kept, sorted."""
        return sorted({*self._reader.devices(), *self._beside.devices()})

    def latest_ts(self) -> int | None:
        """As HistoryStore says."""
        found = [self._beside.latest_ts(), self._reader.latest_ts()]
        return max((ts for ts in found if ts is not None), default=None)

    def count(self) -> int:
        """As HistoryStore says."""
        return self._beside.count() + self._reader.count()

    def forget(self, quantities: Collection[str], before_ms: int, grain: Grain = Grain.RAW) -> int:
        """Beside, where everything about persons is. Numbers go when the server's own -retentionPeriod is over."""
        return self._beside.forget(quantities, before_ms, grain)

    def compact(self) -> int:
        """Of the store beside."""
        return self._beside.compact()

    def snapshot(self, folder: Path) -> Snapshot | None:
        """Of the store beside: texts, and whatever else the server does not keep."""
        return self._beside.snapshot(folder)

    def close(self) -> None:
        """Close both."""
        self._server.close()
        self._beside.close()

    def _numbers(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sample]:
        return (sample for page in self.samples(device, quantity, since_ms, until_ms) for sample in page)

    def _sorted(self, rows: Sequence[Row], held: int) -> tuple[list[Row], list[Row]]:
        """What the server keeps, and what stays beside: the same answer when the same rows come again."""
        known = self._known_beside([row for row in rows if row.seq <= held and is_number(row)])
        numbers: list[Row] = []
        others: list[Row] = []
        for row in rows:
            fits = is_number(row) and row.seq not in known and not self._is_twin(row)
            (numbers if fits else others).append(row)
        return numbers, others

    def _is_twin(self, row: Row) -> bool:
        ts, seq = self._last.get((row.device, row.quantity), (-1, -1))
        if ts == row.ts and seq != row.seq:
            return True
        if row.seq > seq:
            self._last[row.device, row.quantity] = (row.ts, row.seq)
        return False

    def _known_beside(self, rows: list[Row]) -> set[int]:
        spans: dict[str, tuple[int, int]] = {}
        for row in rows:
            first, last = spans.get(row.device, (row.ts, row.ts))
            spans[row.device] = (min(first, row.ts), max(last, row.ts))
        return {row.seq for device, (a, b) in spans.items() for row in self._beside.readings(device, a, b + 1)}


def is_number(row: Row) -> bool:
    """True for what the server gives back as it was: a plain number of a gauge or a counter, stamped as now."""
    word = vocabulary.find(row.quantity)
    plain = not isinstance(row.value, str) and row.detail is None and row.ts <= row.rx + FUTURE_MS
    return plain and word is not None and word.quantity.kind in (Word.GAUGE, Word.COUNTER)
