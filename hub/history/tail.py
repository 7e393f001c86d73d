"""The journal's readings copied aside, ordered by device and time: so that no long answer holds on to the journal.

A private temporary file of SQLite, which lies in memory while it is small. It is taken before the store is asked: what
is pruned from the journal meanwhile is in the store already.
"""

import sqlite3
from collections.abc import Callable, Iterator

import msgspec

from hub.history.numbers import Range
from hub.journal import batches
from hub.journal.batches import Damaged, Row

AT_ONCE = 20_000  # readings in memory at once
_TABLE = """
CREATE TABLE tail (device TEXT, ts INTEGER, seq INTEGER, quantity TEXT, rx INTEGER, value, quality TEXT, detail TEXT,
  PRIMARY KEY (device, ts, seq)) WITHOUT ROWID
"""
_PUT = "INSERT OR IGNORE INTO tail VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_GET = """
SELECT seq, device, quantity, ts, rx, value, quality, detail FROM tail
WHERE device = ? AND ts >= ? AND ts < ? ORDER BY ts, seq
"""


class Reach(msgspec.Struct, frozen=True):
    """From the oldest reading that the journal still has (its number, and when it came) to the newest number."""

    first: int
    first_rx: int
    last: int


class Hole(msgspec.Struct, frozen=True):
    """Numbers that no batch has, between two batches that came at `since` and at `until` (ms)."""

    numbers: Range
    since: int
    until: int


class Tail:
    """What the journal has of a selection at one instant."""

    def __init__(self, journal: sqlite3.Connection, now: int, wanted: Callable[[Row], bool]) -> None:
        """Copy, in one view of the journal, whatever is pruned meanwhile. Raises sqlite3.Error.

        `damaged`: what could not be read; it keeps nothing else back.
        """
        self.damaged: list[Damaged] = []
        self.holes: list[Hole] = []
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute(_TABLE)
        journal.execute("BEGIN")
        try:
            self.reach = self._reach(journal, now)
            self._db.execute("BEGIN")
            self._copy(journal, wanted)
            self._db.execute("COMMIT")
        finally:
            journal.execute("ROLLBACK")

    def _reach(self, journal: sqlite3.Connection, now: int) -> Reach:
        first = journal.execute("SELECT first, rx FROM batch ORDER BY last LIMIT 1").fetchone()
        last = batches.last_seq(journal)
        before: tuple[int, int] | None = None
        for begin, end, rx in journal.execute("SELECT first, last, rx FROM batch ORDER BY last"):
            if before is not None and begin > before[0] + 1:
                self.holes.append(Hole(Range(before[0] + 1, begin - 1), before[1], rx))
            before = end, rx
        return Reach(first[0], first[1], last) if first else Reach(last + 1, now, last)

    def _copy(self, journal: sqlite3.Connection, wanted: Callable[[Row], bool]) -> None:
        after = 0
        while found := batches.packed_after(journal, after, AT_ONCE):
            rows, bad = batches.sound(found, after)
            self._db.executemany(_PUT, (_columns(row) for row in rows if wanted(row)))
            self.damaged += bad
            after = found[-1].last

    def devices(self) -> list[str]:
        """Of which there is something."""
        return [str(name) for (name,) in self._db.execute("SELECT DISTINCT device FROM tail ORDER BY device")]

    def count(self) -> int:
        """How many readings were wanted."""
        return int(self._db.execute("SELECT count(*) FROM tail").fetchone()[0])

    def readings(self, device: str, since: int = 0, until: int = 2**62) -> Iterator[Row]:
        """What was wanted of a device with since <= ts < until, oldest first."""
        return (Row(*columns) for columns in self._db.execute(_GET, (device, since, until)))

    def times(self, device: str) -> Iterator[int]:
        """When they were read, in order."""
        return (int(ts) for (ts,) in self._db.execute("SELECT ts FROM tail WHERE device = ? ORDER BY ts", (device,)))

    def close(self) -> None:
        """The copy is gone."""
        self._db.close()


def _columns(row: Row) -> tuple[object, ...]:
    return row.device, row.ts, row.seq, row.quantity, row.rx, row.value, row.quality, row.detail
