"""The journal's readings copied aside, ordered by device and time: so that no long answer holds on to the journal.

A private temporary file of SQLite, which lies in memory while it is small. It is taken before the store is asked: what
is pruned from the journal meanwhile is in the store already.
"""

import sqlite3
from collections.abc import Callable, Iterator

import msgspec

from hub import batches
from hub.batches import Row

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


class Tail:
    """What the journal has of a selection at one instant."""

    def __init__(self, journal: sqlite3.Connection, now: int, wanted: Callable[[Row], bool]) -> None:
        """Copy, in one view of the journal, whatever is pruned meanwhile. Raises sqlite3.Error."""
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute(_TABLE)
        journal.execute("BEGIN")
        try:
            rows = batches.after(journal, 0)
            first = next(rows, None)
            last = batches.last_seq(journal)
            self.reach = Reach(first.seq, first.rx, last) if first else Reach(2**62, now, last)
            self._db.execute("BEGIN")
            if first is not None and wanted(first):
                self._db.execute(_PUT, _columns(first))
            self._db.executemany(_PUT, (_columns(row) for row in rows if wanted(row)))
            self._db.execute("COMMIT")
        finally:
            journal.execute("ROLLBACK")

    def devices(self) -> list[str]:
        """Of which there is something."""
        return [str(name) for (name,) in self._db.execute("SELECT DISTINCT device FROM tail ORDER BY device")]

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
