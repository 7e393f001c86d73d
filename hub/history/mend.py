"""Readings that the store should have and has not are put back: from the journal, from the newest snapshot.

Runs where the store is held; the shipper goes on meanwhile, for the cursor is left alone. Nothing is put in twice.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice

from hub.history.compare import Difference, Extra, Wrong, beside, compare
from hub.history.reach import Held
from hub.history.store import HistoryStore
from hub.history.tail import Tail
from hub.history.verify import AHEAD_MS, noted_of
from hub.journal.batches import Row
from hub.keeping.retention import KEEP_TRACES_MS, TRACES

AT_ONCE = 10_000


def from_journal(journal: sqlite3.Connection, store: HistoryStore, now: int) -> int:
    """What the journal still has and the store should have. Raises StoreError, sqlite3.Error."""
    held = store.cursor()
    past = noted_of(journal)[0] if held is None else held
    with closing(Tail(journal, now, lambda row: row.seq <= past)) as tail:
        return _add(store, missing(compare(tail, Held(store))))


def from_store(source: HistoryStore, store: HistoryStore, now: int) -> int:
    """What another store has, as one made of a snapshot; who went where only for its legal life. Raises StoreError."""
    legal, until = now - KEEP_TRACES_MS, now + AHEAD_MS
    gone = 0
    for device in source.devices():
        found = missing(beside(source.readings(device, 0, until), store.readings(device, 0, until)))
        gone += _add(store, (row for row in found if row.quantity not in TRACES or row.ts >= legal))
    return gone


def missing(differences: Iterable[Difference | Extra]) -> Iterator[Row]:
    """The readings that are not in the store."""
    return (each.row for each in differences if isinstance(each, Difference) and each.wrong is Wrong.MISSING)


def _add(store: HistoryStore, rows: Iterator[Row]) -> int:
    count = 0
    while some := list(islice(rows, AT_ONCE)):
        store.add(some)
        count += len(some)
    return count
