"""The journal's readings as they lie in its file: one row a commit, a JSON array of all that it brought.

One row instead of one a reading lets tens of thousands of readings a second be durable before they are acknowledged.
They are numbered one by one all the same (`seq`); the view `reading` of schema.sql shows them so. Decides nothing.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from hub.journal.file import transaction
from hub.reading import Quality, Reading, Value

_pack = msgspec.json.Encoder().encode
WIDEST_GAP, MOST_TOGETHER = 8, 100  # of a thinned row: numbers without a reading cost five bytes each


class Packed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A Reading as it lies in the file; its quality is a word that a store need not understand."""

    device: str
    quantity: str
    value: Value
    ts: int
    rx: int
    quality: str
    detail: dict[str, str] | None = None


class Row(msgspec.Struct, frozen=True, gc=False):
    """One reading of the journal with its number. `detail` is a JSON object as text, or None."""

    seq: int
    device: str
    quantity: str
    ts: int
    rx: int
    value: Value
    quality: str
    detail: str | None = None


class Batch(NamedTuple):
    """One commit of the journal as it lies there: readings `first` to `last`, a JSON array."""

    last: int
    first: int
    text: str


class Damaged(msgspec.Struct, frozen=True):
    """A batch that cannot be read: the numbers of its readings, and why."""

    first: int
    last: int
    words: str


_unpacked = msgspec.json.Decoder(list[Packed | None]).decode
_readings = msgspec.json.Decoder(list[Reading | None]).decode


def add(db: sqlite3.Connection, first: int, readings: Sequence[Reading]) -> None:
    """Append these as numbers `first` and on, in the caller's transaction."""
    rx = max(reading.rx for reading in readings)
    last = first + len(readings) - 1
    db.execute("INSERT INTO batch VALUES (?, ?, ?, ?)", (last, first, rx, _pack(readings).decode()))


def last_seq(db: sqlite3.Connection) -> int:
    """The highest number that the journal ever gave (the newest batch is never pruned); 0 before the first."""
    return int(db.execute("SELECT coalesce(max(last), 0) FROM batch").fetchone()[0])


AFTER = "SELECT first, readings FROM batch WHERE last > ? ORDER BY last"


def after(db: sqlite3.Connection, seq: int, limit: int | None = None) -> Iterator[Row]:
    """The rows past number `seq`, oldest first; ends with the batch in which `limit` was reached."""
    found = 0
    for batch in db.execute(AFTER, (seq,)):
        rows = list(unpacked([batch], seq))
        yield from rows
        found += len(rows)
        if limit is not None and found >= limit:
            return


_PACKED = "SELECT last, first, CAST(readings AS BLOB) FROM batch WHERE last > ? ORDER BY last"


def packed_after(db: sqlite3.Connection, seq: int, readings: int) -> list[Batch]:
    """The batches past number `seq`, oldest first, up to the one in which `readings` was reached."""
    found: list[Batch] = []
    room = readings
    for last, first, text in db.execute(_PACKED, (seq,)):
        found.append(Batch(last, first, text.decode(errors="surrogateescape")))  # damaged text is judged with its batch
        room -= last - max(first, seq + 1) + 1
        if room <= 0:
            break
    return found


def sound(batches: Sequence[Batch], after: int) -> tuple[list[Row], list[Damaged]]:
    """The readings past number `after`, and what could not be read: a bad batch keeps no good one back."""
    rows: list[Row] = []
    bad: list[Damaged] = []
    for batch in batches:
        try:
            rows += unpacked([(batch.first, batch.text)], after)
        except sqlite3.DatabaseError as error:
            bad.append(Damaged(batch.first, batch.last, str(error)))
    return rows, bad


def unpacked(batches: Iterable[tuple[int, str] | sqlite3.Row], seq: int) -> Iterator[Row]:
    """The readings past number `seq` in what AFTER selects."""
    for first, text in batches:
        for number, packed in enumerate(_unpack(first, text), first):
            if packed is not None and number > seq:
                yield _row(number, packed)


def since(db: sqlite3.Connection, rx: int) -> Iterator[Row]:
    """The rows received since `rx` (ms), oldest first."""
    recent = db.execute("SELECT first, readings FROM batch WHERE rx >= ? ORDER BY last", (rx,))
    return (row for row in unpacked(recent, 0) if row.rx >= rx)


def readings_after(db: sqlite3.Connection, seq: int) -> Iterator[Reading]:
    """As the hub knew them, past number `seq`."""
    for first, text in db.execute(AFTER, (seq,)):
        yield from (each for number, each in enumerate(_readings(text), first) if each is not None and number > seq)


def forget(db: sqlite3.Connection, quantities: Sequence[str], before: int, limit: int) -> int:
    """Blank readings of these quantities with a `ts` before `before`, in at most `limit` batches; returns how many.

    Their numbers stay taken. Each batch is a transaction of its own.
    """
    gone = 0
    names = tuple(quantities)
    for last in _holding(db, names, before, limit):
        with transaction(db):
            packed = _unpack(last, db.execute("SELECT readings FROM batch WHERE last = ?", (last,)).fetchone()[0])
            kept = [None if p is not None and p.quantity in names and p.ts < before else p for p in packed]
            gone += kept.count(None) - packed.count(None)
            db.execute("UPDATE batch SET readings = ? WHERE last = ?", (_pack(kept).decode(), last))
    return gone


def thin(db: sqlite3.Connection, found: Sequence[sqlite3.Row], stays: Callable[[Packed], bool]) -> int:
    """Take out of these batches, which follow each other, what does not stay; returns how many readings went.

    In the caller's transaction. They are written anew, close together: a row that only shrinks frees no page.
    """
    numbered = [(number, each) for row in found for number, each in enumerate(_unpack(row[1], row[3]), row[1])]
    kept = [(number, each) for number, each in numbered if each is not None and stays(each)]
    gone = sum(each is not None for _, each in numbered) - len(kept)
    if gone:
        db.execute("DELETE FROM batch WHERE last BETWEEN ? AND ?", (found[0][0], found[-1][0]))
        db.executemany("INSERT INTO batch VALUES (?, ?, ?, ?)", map(_together, _near(kept)))
    return gone


def _near(kept: Iterable[tuple[int, Packed]]) -> Iterator[list[tuple[int, Packed]]]:
    """Runs of readings that share a row: so many that a row is not long, with gaps that cost less than a row."""
    run: list[tuple[int, Packed]] = []
    for number, each in kept:
        if run and (number - run[-1][0] > WIDEST_GAP or len(run) >= MOST_TOGETHER):
            yield run
            run = []
        run.append((number, each))
    if run:
        yield run


def _together(run: Sequence[tuple[int, Packed]]) -> tuple[int, int, int, str]:
    first, last, by_number = run[0][0], run[-1][0], dict(run)
    text = _pack([by_number.get(number) for number in range(first, last + 1)]).decode()
    return last, first, max(each.rx for _, each in run), text


def _holding(db: sqlite3.Connection, names: tuple[str, ...], before: int, limit: int) -> list[int]:
    """Batches that may hold such a reading: a batch is never older than what was read in it."""
    found = []
    for last, text in db.execute("SELECT last, readings FROM batch ORDER BY last"):
        if any(p is not None and p.quantity in names and p.ts < before for p in _unpack(last, text)):
            found.append(last)
            if len(found) == limit:
                break
    return found


def to_reading(row: Row) -> Reading:
    """The row as the hub knew it."""
    return Reading(
        device=row.device,
        quantity=row.quantity,
        value=row.value,
        ts=row.ts,
        rx=row.rx,
        quality=Quality(row.quality),
        detail=msgspec.json.decode(row.detail, type=dict[str, str]) if row.detail else None,
    )


def _unpack(number: int, text: str) -> list[Packed | None]:
    try:
        return _unpacked(text)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise sqlite3.DatabaseError(f"batch {number} is damaged: {error}") from error


def _row(number: int, packed: Packed) -> Row:
    detail = _pack(packed.detail).decode() if packed.detail is not None else None
    return Row(number, packed.device, packed.quantity, packed.ts, packed.rx, packed.value, packed.quality, detail)
