"""The shipper carries rows from the journal into the history store, and notes in the journal how far it has come.

It decides nothing about readings. A store that holds its own cursor is believed; the journal's note is for the pruning,
and for stores that hold none. Together: never lost, and never twice.
"""

import asyncio
import logging
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from hub import batches
from hub.clock import Clock
from hub.history.store import PAGE, HistoryStore, StoreError
from hub.reading import Label

NAME = "history"
IDLE_S = 1.0
LONGEST_PAUSE_S = 60.0
BUSY_S = 5.0

log = logging.getLogger(__name__)


class Shipping(msgspec.Struct, frozen=True):
    """How the carrying goes: since when, and in words for the page when it does not."""

    well: bool
    since: int
    words: Label


class Lag(msgspec.Struct, frozen=True):
    """How far the store is behind the journal: rows, and the age in seconds of the oldest of them."""

    rows: int
    seconds: float


class Shipper:
    """Carries rows from the journal file to a store. Its only write to the journal is its own row of `cursor`."""

    def __init__(self, journal: Path, store: HistoryStore, clock: Clock) -> None:
        """The journal need not be there yet."""
        self._journal = journal
        self._store = store
        self._clock = clock
        self.state = Shipping(well=True, since=clock.now(), words=_WELL)

    async def run(self) -> None:
        """Carry for ever; an error is told in `state`, and tried again after a growing pause."""
        failures = 0
        while True:
            try:
                shipped = await asyncio.to_thread(self.step)
            except (StoreError, sqlite3.Error, OSError) as error:
                failures += 1
                self._tell(well=False, words=_trouble(str(error)))
                pause = min(LONGEST_PAUSE_S, 2.0 ** min(failures, 10)) * random.uniform(0.5, 1.0)
            else:
                failures = 0
                self._tell(well=True, words=_WELL)
                pause = 0.0 if shipped >= PAGE else IDLE_S
            await self._clock.sleep(pause)

    def step(self) -> int:
        """Carry about one page (whole batches); returns its rows. Raises StoreError, sqlite3.Error or OSError."""
        with self._open() as journal:
            cursor = self._agree(journal)
            rows = list(batches.after(journal, cursor, PAGE))
            if rows:
                self._store.append(rows, rows[-1].seq)
                self._note(journal, rows[-1].seq)
        return len(rows)

    def lag(self) -> Lag:
        """How far behind, by the journal's note. Raises sqlite3.Error while there is no journal."""
        with self._open() as journal:
            cursor = _noted(journal) or 0
            first = next(batches.after(journal, cursor), None)
            if first is None:
                return Lag(rows=0, seconds=0.0)
            last = batches.last_seq(journal)
            return Lag(rows=last - first.seq + 1, seconds=max(0.0, (self._clock.now() - first.rx) / 1000))

    def _agree(self, journal: sqlite3.Connection) -> int:
        """From which row on to carry. A store that was emptied is fed again from the first row that still exists."""
        noted, held, last = _noted(journal), self._store.cursor(), batches.last_seq(journal)
        # No note: no shipper has seen this journal, so what the store holds came from another one.
        # A cursor beyond the last row: an older journal was put back.
        begin = 0 if noted is None else min(noted if held is None else held, last)
        if held is not None and held != begin:
            self._store.rewind(begin)
        if noted != begin:
            self._note(journal, begin)
        return begin

    def _note(self, journal: sqlite3.Connection, seq: int) -> None:
        journal.execute("BEGIN IMMEDIATE")
        journal.execute(
            "INSERT INTO cursor (name, seq, at) VALUES (?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, at = excluded.at",
            (NAME, seq, self._clock.now()),
        )
        journal.execute("COMMIT")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The journal, opened anew each time: the hub may have put another file in its place. Never creates it."""
        uri = f"{self._journal.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)) as journal:
            journal.execute("PRAGMA synchronous = FULL")  # a first note that a power cut takes back would ship twice
            yield journal

    def _tell(self, *, well: bool, words: Label) -> None:
        if well != self.state.well:
            log.log(logging.INFO if well else logging.WARNING, "history: %s", words.en)
            self.state = Shipping(well=well, since=self._clock.now(), words=words)
        elif words != self.state.words:
            self.state = msgspec.structs.replace(self.state, words=words)


_WELL = Label(zh="历史库正常", en="the history store takes every reading")


def _trouble(words: str) -> Label:
    return Label(
        zh=f"历史库暂不可用，读数留在日志中，恢复后补写：{words}",
        en=f"the history store is not available; readings wait in the journal: {words}",
    )


def _noted(journal: sqlite3.Connection) -> int | None:
    row = journal.execute("SELECT seq FROM cursor WHERE name = ?", (NAME,)).fetchone()
    return None if row is None else int(row[0])
