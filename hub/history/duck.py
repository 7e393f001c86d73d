"""The embedded history: one DuckDB file in the data folder. Rows and cursor are one transaction: exactly once.

One process holds the file; in it one thread writes while others read. A file that is damaged or not ours is set
aside, never deleted. It knows nothing of the journal.
"""

import contextlib
import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from hub.batches import Batch, Damaged, Row, sound
from hub.clock import Clock
from hub.history.cadence import covered
from hub.history.duck_file import (
    SetAside,
    Unusable,
    connect,
    fetch,
    first_line,
    flush,
    identity,
    is_damage,
    move_away,
    own_name,
    quoted,
)
from hub.history.gate import Gate
from hub.history.store import PAGE, Bucket, Figure, Grain, Said, Sample, StoreError, bucket_width, by_energy


class Snapshot(msgspec.Struct, frozen=True):
    """What a snapshot folder holds: all rows up to journal seq `cursor`, as it was at `at`."""

    at: int
    cursor: int
    rows: int


class DuckStore:
    """A HistoryStore in one file. `set_aside` tells of the last file that had to be moved out of the way."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Open the file or begin a new one. StoreError when it cannot be opened now, as when held by another."""
        self._path = path
        self._clock = clock
        self._gate = Gate()
        self._writing = threading.Lock()
        self.set_aside: SetAside | None = None
        self._closed = False
        self._db = self._open()

    def cursor(self) -> int:
        """The last journal seq that is durable in the file; notices when the file was removed, and begins a new one."""
        self._renew_if_gone()
        return int(self._ask("SELECT seq FROM cursor", [])[0][0])

    def rewind(self, seq: int) -> None:
        """Set the cursor alone."""
        self.append([], seq)

    def append(self, rows: Sequence[Row], cursor: int) -> None:
        """All rows and the cursor in one transaction."""
        self._append(rows, cursor)

    def add(self, rows: Sequence[Row]) -> None:
        """As HistoryStore says."""
        self._append(rows, None)

    def _append(self, rows: Sequence[Row], cursor: int | None) -> None:
        self._renew_if_gone()
        try:
            with self._gate.using(), self._writing:
                self._write(rows, cursor)
        except duckdb.Error as error:
            self._recover(error)
            raise StoreError(f"{self._path.name}: {first_line(error)}") from error

    def append_batches(self, batches: Sequence[Batch], after: int) -> list[Damaged]:
        """As HistoryStore says."""
        rows, bad = sound(batches, after)
        self.append(rows, batches[-1].last)
        return bad

    def series(self, device: str, quantity: str, since_ms: int, until_ms: int, points: int) -> list[Bucket]:
        """As HistoryStore says."""
        return self._buckets(device, quantity, since_ms, until_ms, bucket_width(since_ms, until_ms, points))

    def figures(self, device: str, quantity: str, since_ms: int, until_ms: int, step_ms: int) -> list[Figure]:
        """As HistoryStore says."""
        begin, end = -(-since_ms // step_ms) * step_ms, -(-until_ms // step_ms) * step_ms
        gap = self._ask(
            "SELECT median(gap) FROM (SELECT ts - lag(ts) OVER (ORDER BY ts) AS gap FROM reading WHERE device = ? "
            "AND quantity = ? AND ts >= ? AND ts < ? AND number IS NOT NULL AND quality <> 'retained')",
            [device, quantity, begin, end],
        )[0][0]
        return covered(self._buckets(device, quantity, begin, end, step_ms), step_ms, gap or step_ms)

    def _buckets(self, device: str, quantity: str, since_ms: int, until_ms: int, width: int) -> list[Bucket]:
        mean = "10 * log10(avg(pow(10, number / 10)))" if by_energy(quantity) else "avg(number)"
        found = self._ask(
            # greatest/least: 10 lg(10^(x/10)) is not x in the last digit, and a mean outside its bucket looks wrong
            f"SELECT (ts - $since) // $width AS slot, min(number), "  # noqa: S608  # `mean` is one of two constants
            f"greatest(min(number), least(max(number), {mean})), max(number), count(*) FROM reading "
            "WHERE device = $device AND quantity = $quantity AND ts >= $since AND ts < $until AND number IS NOT NULL "
            "AND quality <> 'retained' "
            "GROUP BY slot ORDER BY slot",
            {"since": since_ms, "until": until_ms, "width": width, "device": device, "quantity": quantity},
        )
        return [Bucket(since_ms + slot * width, low, mean, high, count) for slot, low, mean, high, count in found]

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[list[Sample]]:
        """As HistoryStore says. Each page is a query of its own, so that a slow reader holds nothing."""
        return self._column("number", device, quantity, since_ms, until_ms)

    def states(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[list[Said]]:
        """As HistoryStore says."""
        return self._column("text", device, quantity, since_ms, until_ms)

    def last_before(self, device: str, quantity: str, before_ms: int) -> Sample | Said | None:
        """As HistoryStore says."""
        found = self._ask(
            "SELECT ts, number, text FROM reading WHERE device = ? AND quantity = ? AND ts < ? "
            "AND quality <> 'retained' ORDER BY ts DESC, seq DESC LIMIT 1",
            [device, quantity, before_ms],
        )
        return next(((ts, number) if text is None else (ts, text) for ts, number, text in found), None)

    def _column(self, column: str, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[list[Any]]:
        after = (since_ms, -1)
        while True:
            page = self._ask(
                f"SELECT ts, {column}, seq FROM reading WHERE device = ? AND quantity = ? AND ts >= ? AND ts < ? "  # noqa: S608
                f"AND (ts > ? OR seq > ?) AND {column} IS NOT NULL AND quality <> 'retained' ORDER BY ts, seq LIMIT ?",
                [device, quantity, after[0], until_ms, *after, PAGE],
            )
            if page:
                yield [(ts, value) for ts, value, _ in page]
            if len(page) < PAGE:
                return
            after = (page[-1][0], page[-1][2])

    def events(self, device: str, quantity: str, since_ms: int, until_ms: int, limit: int) -> list[Row]:
        """As HistoryStore says."""
        found = self._ask(
            "SELECT * FROM reading WHERE device = ? AND quantity = ? AND ts >= ? AND ts < ? "
            "ORDER BY ts DESC, seq DESC LIMIT ?",
            [device, quantity, since_ms, until_ms, limit],
        )
        return [_row(columns) for columns in found]

    def readings(self, device: str, since_ms: int, until_ms: int) -> Iterator[Row]:
        """As HistoryStore says. Each page is a query of its own, so that a slow reader holds nothing."""
        after = (since_ms, -1)
        while True:
            page = self._ask(
                "SELECT * FROM reading WHERE device = ? AND ts >= ? AND ts < ? AND (ts > ? OR seq > ?) "
                "ORDER BY ts, seq LIMIT ?",
                [device, after[0], until_ms, *after, PAGE],
            )
            yield from map(_row, page)
            if len(page) < PAGE:
                return
            after = (page[-1][3], page[-1][0])

    def devices(self) -> list[str]:
        """As HistoryStore says."""
        return [str(name) for (name,) in self._ask("SELECT DISTINCT device FROM reading ORDER BY device", [])]

    def latest_ts(self) -> int | None:
        """As HistoryStore says."""
        newest: int | None = self._ask("SELECT max(ts) FROM reading", [])[0][0]
        return newest

    def count(self) -> int:
        """As HistoryStore says."""
        return int(self._ask("SELECT count(*) FROM reading", [])[0][0])

    def forget(self, quantities: Collection[str], before_ms: int, grain: Grain = Grain.RAW) -> int:
        """Delete, and write the file anew when something went: DuckDB leaves deleted text in free blocks."""
        if grain is not Grain.RAW:
            return 0
        self._renew_if_gone()
        try:
            with self._gate.alone():
                gone = self._delete(sorted(quantities), before_ms)
                if gone:
                    self._rewrite()
                return gone
        except duckdb.Error as error:
            raise StoreError(f"{self._path.name}: {first_line(error)}") from error

    def snapshot(self, folder: Path) -> Snapshot:
        """Write all rows as Parquet into `folder`, consistent, while rows still arrive."""
        try:
            with self._gate.using(), contextlib.closing(self._duplicate()) as db:
                return write_snapshot(db, folder, self._clock.now())
        except duckdb.Error as error:
            raise StoreError(f"{self._path.name}: {first_line(error)}") from error

    def close(self) -> None:
        """Wait for those who use the file, then close it."""
        with self._gate.alone():
            self._closed = True
            self._db.close()

    def _write(self, rows: Sequence[Row], cursor: int | None) -> None:
        self._refuse_closed()
        self._db.begin()
        done = False
        try:
            if rows:
                with self._db.appender("reading") as appender:  # 600,000 rows/s; executemany makes 1,500
                    appender.append_rows(map(_columns, rows))
            if cursor is not None:
                self._db.execute("UPDATE cursor SET seq = ?", [cursor])
            self._db.commit()
            done = True
        finally:
            if not done:
                with contextlib.suppress(duckdb.Error):
                    self._db.rollback()

    def _ask(self, sql: str, parameters: list[object] | dict[str, object]) -> list[tuple[Any, ...]]:
        try:
            with self._gate.using(), contextlib.closing(self._duplicate()) as db:
                return fetch(db, sql, parameters)
        except duckdb.Error as error:
            raise StoreError(f"{self._path.name}: {first_line(error)}") from error

    def _duplicate(self) -> duckdb.DuckDBPyConnection:
        """A connection for one question, so that readers and the writer do not share one."""
        with self._writing:
            self._refuse_closed()
            return self._db.cursor()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StoreError(f"{self._path.name}: is closed")

    def _renew_if_gone(self) -> None:
        """When the file was removed or exchanged underneath, begin with what is there now."""
        if identity(self._path) == self._opened:
            return
        with self._gate.alone():
            if not self._closed and identity(self._path) != self._opened:
                self._db.close()
                self._db = self._open()

    def _recover(self, error: duckdb.Error) -> None:
        """After an error that ends the engine's use of the file: open it again, or set it aside when it is damaged."""
        damaged = is_damage(error)
        if not damaged and not isinstance(error, duckdb.FatalException | duckdb.InternalException):
            return
        with self._gate.alone():
            if self._closed:
                return
            self._db.close()
            if damaged:
                self.set_aside = move_away(self._path, first_line(error), self._clock.now())
            self._db = self._open()

    def _open(self) -> duckdb.DuckDBPyConnection:
        try:
            db = connect(self._path)
        except Unusable as error:
            self.set_aside = move_away(self._path, str(error), self._clock.now())
            db = connect(self._path)
        self._opened = identity(self._path)
        return db

    def _delete(self, quantities: list[str], before_ms: int) -> int:
        self._refuse_closed()
        where = "WHERE list_contains(?, quantity) AND ts < ?"
        gone = int(fetch(self._db, f"SELECT count(*) FROM reading {where}", [quantities, before_ms])[0][0])  # noqa: S608  # constants
        if gone:
            self._db.execute(f"DELETE FROM reading {where}", [quantities, before_ms])  # noqa: S608  # constants
        return gone

    def _rewrite(self) -> None:
        """Copy everything into a new file and put it in the old one's place: 5 million readings a second."""
        fresh = self._path.with_name(f"{self._path.name}.new")
        fresh.unlink(missing_ok=True)
        self._db.execute(f"ATTACH {quoted(fresh)} AS fresh")
        self._db.execute(f"COPY FROM DATABASE {own_name(self._db)} TO fresh")
        self._db.execute("DETACH fresh")
        self._db.close()
        flush(fresh)
        fresh.replace(self._path)
        self._db = self._open()


def write_snapshot(db: duckdb.DuckDBPyConnection, folder: Path, at: int) -> Snapshot:
    """Write all rows of an open history into `folder`, rows and cursor of the same instant."""
    db.begin()
    try:
        target = quoted(folder / "reading.parquet")
        db.execute(f"COPY reading TO {target} (FORMAT parquet, COMPRESSION zstd)")
        cursor, rows = fetch(db, "SELECT seq, (SELECT count(*) FROM reading) FROM cursor", [])[0]
    finally:
        db.rollback()
    made = Snapshot(at=at, cursor=cursor, rows=rows)
    (folder / "snapshot.json").write_bytes(msgspec.json.encode(made))
    return made


def load_snapshot(folder: Path, path: Path) -> Snapshot:
    """Make a history file at `path` from a snapshot folder, cursor included. Raises StoreError when it does not fit."""
    try:
        rows = quoted(folder / "reading.parquet")
        told = msgspec.json.decode((folder / "snapshot.json").read_bytes(), type=Snapshot)
        with contextlib.closing(connect(path)) as db:
            db.begin()
            db.execute(f"INSERT INTO reading SELECT * FROM read_parquet({rows})")  # noqa: S608  # a quoted path
            db.execute("UPDATE cursor SET seq = ?", [told.cursor])
            db.commit()
            count = int(fetch(db, "SELECT count(*) FROM reading", [])[0][0])
    except (duckdb.Error, msgspec.MsgspecError, UnicodeDecodeError, OSError, Unusable) as error:
        raise StoreError(f"{folder}: cannot be loaded: {first_line(error)}") from error
    if count != told.rows:
        raise StoreError(f"{folder}: holds {count} readings, not the {told.rows} that it says")
    return told


def _columns(row: Row) -> tuple[object, ...]:
    number, text = (None, row.value) if isinstance(row.value, str) else (row.value, None)
    return row.seq, row.device, row.quantity, row.ts, row.rx, number, text, row.quality, row.detail


def _row(columns: tuple[Any, ...]) -> Row:  # Any: as _columns wrote them
    seq, device, quantity, ts, rx, number, text, quality, detail = columns
    value = number if text is None else text
    return Row(seq, device, quantity, ts, rx, value, quality, detail)
