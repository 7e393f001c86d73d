"""What a store tells of sound levels without the spans in which a calibrator sat on the meter, also noted afterwards.

Readings stay in every store as they came. Which spans these are, the journal says (`upkeep`), so that a note of today
counts for what was stored, rolled up or sent to a server long ago. Nothing is written here.
"""

import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

from msgspec.structs import replace

from hub.care.upkeep import FINISH, read
from hub.history.store import HOUR_MS, Bucket, Said, Sample, StoreError, by_energy
from hub.journal.batches import Row
from hub.journal.file import connect
from hub.reading import UNMEASURED, Quality

Span: TypeAlias = tuple[int, int]
"""From when until when, in ms since 1970; half open."""

# With both of its ends: a reading of the last minute is given when that is over, and one of before is soon missed.
SPANS = """
SELECT at, coalesce(ended, until) + 1 AS over FROM upkeep
WHERE device = ? AND kind = 'calibration' AND at < ? AND over > ? AND over > at + 1 ORDER BY at
"""


_NOTED = """
SELECT target, ended, command FROM orders WHERE kind = ? AND state = 'done' AND command LIKE '% since=%' ORDER BY ended
"""


class Noted(NamedTuple):
    """At `at` (ms since 1970) somebody wrote down that a calibrator had sat on the device in a span."""

    device: str
    at: int
    span: Span


class Told(Protocol):
    """Of a HistoryStore what figures, reports and the command line are made from."""

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sequence[Sample]]:
        """As HistoryStore says."""

    def last_before(self, device: str, quantity: str, before_ms: int) -> Sample | Said | None:
        """As HistoryStore says."""


class Charted(Told, Protocol):
    """Of a HistoryStore what pages are made from."""

    def series(self, device: str, quantity: str, since_ms: int, until_ms: int, points: int) -> list[Bucket]:
        """As HistoryStore says."""

    def states(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sequence[Said]]:
        """As HistoryStore says."""

    def events(self, device: str, quantity: str, since_ms: int, until_ms: int, limit: int) -> list[Row]:
        """As HistoryStore says."""


class Measured:
    """A store's numbers without a calibrator's. `journal`: the file. Every method raises StoreError."""

    def __init__(self, store: Told, journal: Path) -> None:
        """Nothing is opened yet."""
        self._store, self._journal = store, journal

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sequence[Sample]]:
        """As HistoryStore says."""
        spans = self._sat(device, quantity, since_ms, until_ms)
        for page in self._store.samples(device, quantity, since_ms, until_ms):
            yield [sample for sample in page if not within(spans, sample[0])] if spans else page

    def last_before(self, device: str, quantity: str, before_ms: int) -> Sample | Said | None:
        """As HistoryStore says."""
        found = self._store.last_before(device, quantity, before_ms)
        while found is not None and (spans := self._sat(device, quantity, found[0], found[0] + 1)):
            found = self._store.last_before(device, quantity, spans[0][0])
        return found

    def _sat(self, device: str, quantity: str, since_ms: int, until_ms: int) -> list[Span]:
        return sat_in(self._journal, device, since_ms, until_ms) if by_energy(quantity) else []


class Charts(Measured):
    """The same, and what charts and lists want."""

    def __init__(self, store: Charted, journal: Path) -> None:
        """Nothing is opened yet."""
        super().__init__(store, journal)
        self._charted = store

    def series(self, device: str, quantity: str, since_ms: int, until_ms: int, points: int) -> list[Bucket]:
        """As HistoryStore says. A bucket that a span touches is put together anew from what lies beside the span.

        What is kept only by a minute or an hour, and lies in the span in part, is left out with it.
        """
        found = self._charted.series(device, quantity, since_ms, until_ms, points)
        spans = self._sat(device, quantity, since_ms, until_ms)
        if not (spans and found):
            return found
        ends = [bucket.ts for bucket in found[1:]] + [until_ms]  # between two buckets nothing was measured
        whole: list[Bucket] = []
        for bucket, end in zip(found, ends, strict=True):
            rest = beside(spans, bucket.ts, end)
            if rest == [(bucket.ts, end)]:
                whole.append(bucket)
                continue
            pieces = [piece for span in rest for piece in by_hours(*span)]
            parts = [part for a, b in pieces for part in self._charted.series(device, quantity, a, b, 1)]
            whole += [joined(bucket.ts, parts)] if parts else []
        return whole

    def states(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sequence[Said]]:
        """As HistoryStore says."""
        return self._charted.states(device, quantity, since_ms, until_ms)

    def events(self, device: str, quantity: str, since_ms: int, until_ms: int, limit: int) -> list[Row]:
        """As HistoryStore says."""
        return self._charted.events(device, quantity, since_ms, until_ms, limit)


def sat_in(journal: Path, device: str, since_ms: int, until_ms: int) -> list[Span]:
    """When a calibrator sat on the meter, as far as it touches the span, oldest first. Raises StoreError."""
    try:
        with closing(connect(journal, read_only=True)) as db:
            return sat(db, device, since_ms, until_ms)
    except sqlite3.Error as error:
        raise StoreError(f"{journal.name}: {error}") from error


def sat(db: sqlite3.Connection, device: str, since_ms: int, until_ms: int) -> list[Span]:
    """The same of a journal that is open."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'upkeep'").fetchone():
        return []  # a journal of before
    return [(at, over) for at, over in db.execute(SPANS, (device, until_ms, since_ms))]


def noted(journal: Path) -> list[Noted]:
    """What was written down afterwards, as long as its order is kept, oldest first. Raises sqlite3.Error."""
    with closing(connect(journal, read_only=True)) as db:
        found = db.execute(_NOTED, (FINISH,)).fetchall()
    spans = [(device, at, read(command).span) for device, at, command in found]
    return [Noted(device, at, span) for device, at, span in spans if span is not None]


def within(spans: Sequence[Span], ts: int) -> bool:
    """Whether an instant lies in one of the spans."""
    return any(since <= ts < until for since, until in spans)


def beside(spans: Sequence[Span], begin: int, end: int) -> list[Span]:
    """What is left of [begin, end) beside spans in order."""
    left: list[Span] = []
    for since, until in spans:
        if begin < min(since, end):
            left.append((begin, min(since, end)))
        begin = max(begin, until)
    return [*left, (begin, end)] if begin < end else left


def by_hours(begin: int, end: int) -> list[Span]:
    """A span as its whole hours and what is before and after: of each a store takes the coarsest that it has."""
    first, last = -(-begin // HOUR_MS) * HOUR_MS, end // HOUR_MS * HOUR_MS
    if first >= last:
        return [(begin, end)]
    return [span for span in ((begin, first), (first, last), (last, end)) if span[0] < span[1]]


def joined(ts: int, parts: Sequence[Bucket]) -> Bucket:
    """Parts of one bucket of sound levels as one, averaged by energy (LAeq as in IEC 61672-1)."""
    count = sum(part.count for part in parts)
    mean = 10 * math.log10(math.fsum(part.count * 10 ** (part.mean / 10) for part in parts) / count)
    low, high = min(part.low for part in parts), max(part.high for part in parts)
    return Bucket(ts, low, min(max(low, mean), high), high, count)


def marked(row: Row, spans: Sequence[Span]) -> Row:
    """A reading as it is to be taken: of a sound level within a span, the calibrator's."""
    if row.quality in UNMEASURED or not within(spans, row.ts) or not by_energy(row.quantity):
        return row
    return replace(row, quality=Quality.CALIBRATION)
