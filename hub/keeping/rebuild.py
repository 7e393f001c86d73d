"""A history that lacks something is filled again, by whoever holds the store: office process or command line."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from hub.clock import Clock
from hub.history.door import Mended
from hub.history.duck import DuckStore, load_snapshot
from hub.history.mend import from_journal, from_store
from hub.history.store import HistoryStore, StoreError
from hub.journal.file import FILE, connect
from hub.keeping.backup import newest_snapshot


def rebuild(data: Path, store: HistoryStore, now: int, *, snapshot: bool) -> Mended:
    """From the journal, and with `snapshot` from the newest nightly one. Raises StoreError, OSError."""
    try:
        with closing(connect(data / FILE, read_only=True)) as journal:
            fed = from_journal(journal, store, now)
    except sqlite3.Error as error:
        raise StoreError(f"{FILE}: {error}") from error
    return Mended(journal=fed, snapshot=_from_snapshot(data, store, now) if snapshot else 0)


def _from_snapshot(data: Path, store: HistoryStore, now: int) -> int:
    newest = newest_snapshot(data)
    if newest is None:
        raise StoreError("there is no snapshot here")
    with tempfile.TemporaryDirectory(prefix=".zhian-", dir=data) as folder:
        load_snapshot(newest[1], Path(folder) / "history.duckdb")
        with closing(DuckStore(Path(folder) / "history.duckdb", Clock())) as source:
            return from_store(source, store, now)
