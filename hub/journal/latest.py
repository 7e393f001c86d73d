"""The last fresh reading of each series on its way into the journal's table `latest`: at once while there are few.

A flood of readings would write each series' row a hundred times a second. So a transaction carries at most `MOST` rows,
oldest first; what is still on its way is in the batches behind the mark, from which a start reads it again.
"""

import sqlite3
from collections.abc import Iterable

import msgspec

from hub.journal import batches
from hub.reading import FRESH, Reading

MOST = 100  # rows a transaction that also carries readings; one that carries none writes ten times as many
_MARK = "latest"
_pack = msgspec.json.Encoder().encode
_WRITE = """
INSERT OR REPLACE INTO latest (device, quantity, value, ts, rx, quality, detail)
  SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'), json_extract(value, '$[6]')
  FROM json_each(?)
"""  # one statement for all rows: each statement gives up the interpreter, and waits to get it back


class Latest:
    """What is not in the table yet. After a rolled back transaction the same steps may be repeated."""

    def __init__(self) -> None:
        """Nothing is on its way."""
        self._new: dict[tuple[str, str], Reading] = {}
        self._going: list[Reading] = []
        self._gone = 0  # of _going, in transactions that are durable
        self._mark = self._seen = 0

    def take(self, readings: Iterable[Reading], last: int) -> None:
        """These are in the batch that ends with number `last`."""
        new = self._new
        for reading in readings:
            if reading.quality in FRESH:
                new[reading.device, reading.quantity] = reading
        self._seen = last

    def write(self, db: sqlite3.Connection, *, busy: bool) -> int:
        """Write what is due, in the caller's transaction; returns how many rows, for `written`."""
        if self._gone == len(self._going):
            self._going, self._gone, self._mark = list(self._new.values()), 0, self._seen
            self._new = {}
        rows = self._going[self._gone : self._gone + (MOST if busy else 10 * MOST)]
        if rows:
            db.execute(_WRITE, (_pack(rows).decode(),))
            if self._gone + len(rows) == len(self._going):
                db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_MARK, str(self._mark)))
        return len(rows)

    def written(self, rows: int) -> None:
        """The transaction with these is durable."""
        self._gone += rows


def recall(db: sqlite3.Connection) -> dict[tuple[str, str], Reading]:
    """The last fresh reading of each series past the mark: newer than the table's."""
    found = db.execute("SELECT value FROM meta WHERE key = ?", (_MARK,)).fetchone()
    readings = batches.readings_after(db, int(found[0]) if found else 0)
    return {(reading.device, reading.quantity): reading for reading in readings if reading.quality in FRESH}
