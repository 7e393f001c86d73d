"""The embedded history: one DuckDB file in the data folder. Rows and cursor are one transaction: exactly once.

One process holds the file; in it one thread writes while others read. A file that is damaged or not ours is set
aside, never deleted. It knows nothing of the journal.
"""

import contextlib
import itertools
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import msgspec

from hub.clock import Clock
from hub.history import aside, duck_levels
from hub.history.duck_ask import DuckQuestions
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
from hub.history.duck_forget import forget
from hub.history.duck_levels import transaction
from hub.history.duck_snapshot import SNAPSHOTS, load_snapshot, newest, write_snapshot
from hub.history.duck_unpack import Lines, Series, insert_page, insert_rows, take_apart
from hub.history.gate import Gate
from hub.history.prefetch import prefetched
from hub.history.store import Durable, Grain, Page, Snapshot, StoreError
from hub.journal.batches import Row

__all__ = ["DuckStore", "Snapshot", "load_snapshot", "write_snapshot"]
log = logging.getLogger("zhian.history")
_Done = TypeVar("_Done")


class DuckStore(DuckQuestions):
    """A HistoryStore in one file. `set_aside` tells of the last file that had to be moved out of the way."""

    elsewhere = ""

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
        return int(self._ask("SELECT seq FROM cursor")[0][0])

    def rewind(self, seq: int) -> None:
        """Set the cursor alone. The journal's numbers begin again, so rows that have them are moved on."""

        def put(db: duckdb.DuckDBPyConnection) -> None:
            duck_levels.settle(db)
            db.execute("UPDATE cursor SET seq = ?", [seq])

        self.write(put)

    def append(self, rows: Sequence[Row], cursor: int) -> None:
        """All rows and the cursor in one transaction."""

        def put(db: duckdb.DuckDBPyConnection) -> None:
            with transaction(db):
                insert_rows(db, self._series, rows)
                db.execute("UPDATE cursor SET seq = ?", [cursor])

        self.write(put)

    def add(self, rows: Sequence[Row]) -> None:
        """Rows that were missing, in one transaction; the cursor stays."""

        def put(db: duckdb.DuckDBPyConnection) -> None:
            with transaction(db):
                insert_rows(db, self._series, rows)

        self.write(put)

    def append_pages(self, pages: Iterable[Page], durable: Durable) -> None:
        """As HistoryStore says. While a page is written, the next is taken apart on a connection of its own."""

        def put(db: duckdb.DuckDBPyConnection) -> None:
            with (
                contextlib.closing(self._duplicate()) as other,
                contextlib.closing(prefetched(_taken_apart(pages, (db, other)))) as coming,
            ):
                for lines in coming:
                    with transaction(lines.db):
                        bad = insert_page(lines, self._series)
                        lines.db.execute("UPDATE cursor SET seq = ?", [lines.page.last])
                    durable(lines.page, bad)
                    duck_levels.tend(lines.db, behind=lines.page.more)

        self.write(put, behind=True)

    def compact(self, group: int = duck_levels.GROUP) -> int:
        """Sort for good what makes whole groups of a series, and roll it up; returns how many rows. Readers go on."""

        def put(db: duckdb.DuckDBPyConnection) -> int:
            duck_levels.settle(db)
            return duck_levels.compact(db, group)

        return self.write(put)

    def rebuild(self) -> tuple[int, int]:
        """Make the figures by minute and hour anew from the readings; returns how many there are of each."""
        return self.write(duck_levels.rebuild)

    def forget(self, quantities: Collection[str], before_ms: int, grain: Grain = Grain.RAW) -> int:
        """As HistoryStore says. Texts are in no file afterwards; the space of numbers is free, and written over."""
        series = self._series.of_quantities(quantities)

        def put(db: duckdb.DuckDBPyConnection) -> tuple[int, bool]:
            return forget(db, series, before_ms, grain)

        gone, said = self.write(put)
        if said:
            self._rewrite()
        return gone

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

    def write(self, put: Callable[[duckdb.DuckDBPyConnection], _Done], *, behind: bool = False) -> _Done:
        """Have `put` write, one thread at a time; then sort what has become much. Raises StoreError.

        `behind`: more is to come at once.
        """
        self._renew_if_gone()
        try:
            with self._gate.using(), self._writing, contextlib.closing(self._duplicate()) as db:
                try:
                    done = put(db)
                except duckdb.Error:
                    with contextlib.suppress(duckdb.Error):
                        self._series = Series(db)  # what was learnt was rolled back
                    raise
                duck_levels.tend(db, behind=behind)
                return done
        except duckdb.Error as error:
            self._recover(error)
            raise StoreError(f"{self._path.name}: {first_line(error)}") from error

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            with self._gate.using(), contextlib.closing(self._duplicate()) as db:
                return fetch(db, sql, [])
        except duckdb.Error as error:
            raise StoreError(f"{self._path.name}: {first_line(error)}") from error

    def _duplicate(self) -> duckdb.DuckDBPyConnection:
        """A connection for one question or one writing: nobody waits for another's."""
        if self._closed:
            raise StoreError(f"{self._path.name}: is closed")
        return self._db.cursor()

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
                self._begin_again(first_line(error))
            self._db = self._open()

    def _open(self) -> duckdb.DuckDBPyConnection:
        try:
            db = connect(self._path)
        except Unusable as error:
            self._begin_again(str(error))
            db = connect(self._path)
        self._opened = identity(self._path)
        self._series = Series(db)
        return db

    def _begin_again(self, reason: str) -> None:
        """Set the file aside and put last night's in its place; what the journal still has follows by itself."""
        self.set_aside = move_away(self._path, reason, self._clock.now())
        note = aside.Aside(file=self.set_aside.moved_to.name, reason=reason, at=self.set_aside.at)
        kept, fresh = newest(self._path.parent / SNAPSHOTS), self._path.with_name(f"{self._path.name}.new")
        if kept:
            fresh.unlink(missing_ok=True)
            with contextlib.suppress(StoreError):  # a snapshot that is damaged too: then from the journal alone
                load_snapshot(kept[1], fresh)
                fresh.replace(self._path)
                note = msgspec.structs.replace(note, loaded=kept[0].rows, snapshot=kept[0].at)
        log.error("history: %s was set aside: %s; %d readings are back", note.file, reason, note.loaded)
        aside.write(self._path.parent, note)

    def _rewrite(self) -> None:
        """Copy everything into a new file and put it in the old one's place: DuckDB leaves deleted text in free blocks.

        Readers go on while it is copied, at 5 million readings a second; they wait while the files are exchanged.
        """
        fresh = self._path.with_name(f"{self._path.name}.new")
        fresh.unlink(missing_ok=True)
        try:
            with self._writing:
                with self._gate.using(), contextlib.closing(self._duplicate()) as db:
                    db.execute(f"ATTACH {quoted(fresh)} AS fresh")
                    db.execute(f"COPY FROM DATABASE {own_name(db)} TO fresh")
                    db.execute("DETACH fresh")
                flush(fresh)
                with self._gate.alone():
                    self._db.close()
                    fresh.replace(self._path)
                    self._db = self._open()
        except duckdb.Error as error:
            raise StoreError(f"{self._path.name}: {first_line(error)}") from error


def _taken_apart(pages: Iterable[Page], dbs: Sequence[duckdb.DuckDBPyConnection]) -> Iterator[Lines]:
    """Each page on the connection whose page before is done with: of two, one is read while the other is filled."""
    for page, db in zip(pages, itertools.cycle(dbs), strict=False):
        yield take_apart(db, page)
