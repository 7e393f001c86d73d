"""The journal as the office process may touch it: everything read-only, and inserts into `orders`. Nothing else.

SQLite itself holds the line: reading connections are opened `mode=ro`, the one that orders carries an authorizer
that refuses any other write. Rows become the shared structs here; what they mean is decided in `situation.py`.
"""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from hub.care.drill import is_drill
from hub.history.progress import Backlog, backlog
from hub.journal import batches
from hub.journal.file import transaction
from hub.outcome import Health, Limit, Mute, Occurrence, Order, Service, Upkeep
from hub.reading import UNMEASURED, Reading, Value
from hub.rows import hidden, to_reading, to_struct

FILE = "journal.sqlite"
HISTORY = "history"  # the history writer's name in `cursor`

# Rows beyond this many behind the newest are left to the history store: a chart must not read millions of rows.
TAIL_ROWS = 200_000

_DRILL = is_drill("o.key", "o.occurrence", "o.zone", "o.raised")
_HAPPENING = f"""
SELECT o.*, {_DRILL} AS drill, a.state AS now_state, a.shelved_until, a.suppressed, a.out_of_service,
  o.closed = '' AND a.occurrence = o.occurrence AS current
FROM occurrence o LEFT JOIN alarm a ON a.key = o.key
"""  # noqa: S608  # our own words


class JournalUnreadable(Exception):
    """There is no journal, or it cannot be read now. Worth trying again; the text says what SQLite said."""


class Happening(Occurrence, frozen=True, kw_only=True):
    """One occurrence of an alarm, its number, and what hides it now."""

    id: int
    state: str = ""  # the operator's, while it is the current occurrence
    shelved_until: int | None = None
    drill: bool = False  # raised by a test of its zone
    hidden: str = ""  # "" | shelved | suppressed | out-of-service


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an alarm's timeline, as in `flip`."""

    seq: int
    at: int
    event: str
    before: str
    after: str
    actor: str = ""
    note: str = ""
    value: Value | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one announcement to one voice."""

    id: int
    flip: int
    voice: str
    kind: str
    status: str
    attempts: int
    detail: str = ""
    done: int | None = None
    person: str = ""


class JournalView:
    """Reads the journal from any thread; one connection a thread. Every method may raise JournalUnreadable."""

    def __init__(self, path: Path) -> None:
        """The file need not be there yet."""
        self.path = path
        self._mine = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the file in all threads."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()
        self._mine = threading.local()

    def rows(
        self,
        sql: str,
        parameters: Sequence[Any] | Mapping[str, Any] = (),  # Any: what SQLite takes
    ) -> list[sqlite3.Row]:
        """The rows of one SELECT."""
        try:
            return self._connection().execute(sql, parameters).fetchall()
        except (sqlite3.Error, OSError) as error:
            raise JournalUnreadable(f"{self.path.name}: {error}") from error

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Any:  # Any: SQLite's column types
        """The first column of the first row, or None."""
        rows = self.rows(sql, parameters)
        return rows[0][0] if rows else None

    def version(self) -> int:
        """Changes whenever somebody else has committed (PRAGMA data_version), or the file was replaced."""
        found: int = self.one("PRAGMA data_version")
        return hash((self._mine.identity, found))

    def heartbeat(self) -> int | None:
        """When the hub last said that it lives, ms since 1970."""
        found = self.one("SELECT value FROM meta WHERE key = 'heartbeat'")
        return None if found is None else int(found)

    def health(self) -> dict[str, Health]:
        """Devices and links by id."""
        return {row["source"]: to_struct(Health, row) for row in self.rows("SELECT * FROM health")}

    def counts(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, int]:
        """The rows of a SELECT of names and counts."""
        return {str(row[0]): int(row[1]) for row in self.rows(sql, parameters)}

    def latest(self, device: str | None = None) -> dict[tuple[str, str], Reading]:
        """The last fresh reading of each series, of one device or of all."""
        where, parameters = ("", ()) if device is None else (" WHERE device = ?", (device,))
        rows = self.rows(f"SELECT * FROM latest{where}", parameters)  # noqa: S608  # our own words
        return {(row["device"], row["quantity"]): to_reading(row) for row in rows}

    def latest_of(self, quantities: Sequence[str]) -> dict[tuple[str, str], Reading]:
        """The same of these quantities alone, of all devices."""
        marks = ", ".join("?" * len(quantities))
        rows = self.rows(f"SELECT * FROM latest WHERE quantity IN ({marks})", quantities)  # noqa: S608  # question marks
        return {(row["device"], row["quantity"]): to_reading(row) for row in rows}

    def happenings(
        self, where: str = "1", parameters: Sequence[Any] = (), *, limit: int = 500, offset: int = 0
    ) -> list[Happening]:
        """Occurrences that fit the SQL condition on `o`, newest first."""
        sql = f"{_HAPPENING} WHERE {where} ORDER BY o.raised DESC, o.id DESC LIMIT ? OFFSET ?"
        return [_happening(row) for row in self.rows(sql, (*parameters, limit, offset))]

    def count(self, where: str = "1", parameters: Sequence[Any] = ()) -> int:
        """How many occurrences fit."""
        return int(self.one(f"SELECT count(*) FROM occurrence o WHERE {where}", parameters))  # noqa: S608  # as above

    def words(self, key: str, occurrence: int) -> list[Word]:
        """The timeline of one occurrence, oldest first."""
        rows = self.rows("SELECT * FROM flip WHERE key = ? AND occurrence = ? ORDER BY seq", (key, occurrence))
        return [to_struct(Word, row) for row in rows]

    def told(self, key: str, occurrence: int) -> list[Told]:
        """What was said about one occurrence, to whom, and what became of it."""
        sql = (
            "SELECT b.* FROM outbox b JOIN flip f ON f.seq = b.flip WHERE f.key = ? AND f.occurrence = ? ORDER BY b.id"
        )
        return [to_struct(Told, row) for row in self.rows(sql, (key, occurrence))]

    def told_of(self, happenings: Sequence[Happening]) -> dict[int, list[Told]]:
        """The same of each of these, by its number, in one question."""
        found: dict[int, list[Told]] = {happening.id: [] for happening in happenings}
        ids = {(happening.key, happening.occurrence): happening.id for happening in happenings}
        marks = ", ".join(["(?, ?)"] * len(ids))
        sql = f"""
        WITH wanted (key, occurrence) AS (VALUES {marks})
        SELECT b.*, f.key, f.occurrence FROM wanted w
        JOIN flip f ON f.key = w.key AND f.occurrence = w.occurrence JOIN outbox b ON b.flip = f.seq ORDER BY b.id
        """  # noqa: S608  # question marks
        for row in self.rows(sql, [part for pair in ids for part in pair]) if ids else ():
            found[ids[row["key"], row["occurrence"]]].append(to_struct(Told, row))
        return found

    def orders_about(self, target: str, limit: int = 20) -> list[Order]:
        """The newest orders for a device, an alarm or a list."""
        rows = self.rows("SELECT * FROM orders WHERE target = ? ORDER BY id DESC LIMIT ?", (target, limit))
        return [to_struct(Order, row) for row in rows]

    def orders_by_token(self, tokens: Iterable[str]) -> dict[str, Order]:
        """Orders by their tokens."""
        wanted = list(tokens)
        marks = ", ".join("?" * len(wanted))
        rows = self.rows(f"SELECT * FROM orders WHERE token IN ({marks})", wanted)  # noqa: S608  # question marks
        return {row["token"]: to_struct(Order, row) for row in rows}

    def orders_since(self, kinds: Sequence[str], since: int) -> list[Order]:
        """Orders of these kinds issued since, oldest first, of the newest 500."""
        marks = ", ".join("?" * len(kinds))
        sql = f"SELECT * FROM (SELECT * FROM orders ORDER BY id DESC LIMIT 500) WHERE issued >= ? AND kind IN ({marks}) ORDER BY id"  # noqa: E501, S608  # fmt: skip
        return [to_struct(Order, row) for row in self.rows(sql, (since, *kinds))]

    def limits(self) -> list[Limit]:
        """Every limit that was set while the hub ran, oldest first."""
        return [to_struct(Limit, row) for row in self.rows("SELECT * FROM rule_limit ORDER BY id")]

    def mutes(self, now: int) -> list[Mute]:
        """The mutes of zones that hold now."""
        rows = self.rows("SELECT * FROM mute WHERE until > ? ORDER BY at", (now,))
        return [mute for mute in (to_struct(Mute, row) for row in rows) if mute.holds(now)]

    def mutes_before(self, limit: int) -> list[Mute]:
        """The newest mutes, newest first, whether they hold or not."""
        return [to_struct(Mute, row) for row in self.rows("SELECT * FROM mute ORDER BY at DESC LIMIT ?", (limit,))]

    def services(self) -> list[Service]:
        """What is out of service, longest first."""
        return [to_struct(Service, row) for row in self.rows("SELECT * FROM service WHERE ended IS NULL ORDER BY at")]

    def services_before(self, limit: int) -> list[Service]:
        """The newest, newest first, whether they have ended or not."""
        rows = self.rows("SELECT * FROM service ORDER BY at DESC LIMIT ?", (limit,))
        return [to_struct(Service, row) for row in rows]

    def upkeep(self, device: str) -> list[Upkeep]:
        """What was done to a device, oldest first."""
        return [
            to_struct(Upkeep, row) for row in self.rows("SELECT * FROM upkeep WHERE device = ? ORDER BY at", (device,))
        ]

    def calibrating(self) -> list[Upkeep]:
        """Meters with a calibrator on them."""
        return [to_struct(Upkeep, row) for row in self.rows("SELECT * FROM upkeep WHERE ended IS NULL ORDER BY at")]

    def not_in_history(
        self, device: str, quantity: str, since: int, *, everything: bool = False
    ) -> list[tuple[int, float]]:
        """(ts, value) of the numbers that the history store does not have yet (or of `everything`), oldest first."""
        found = self._beyond(device, quantity, since, everything=everything)
        return sorted((row.ts, float(row.value)) for row in found if not isinstance(row.value, str))

    def texts_not_in_history(
        self, device: str, quantity: str, since: int, *, everything: bool = False
    ) -> list[tuple[int, str]]:
        """The same of states and events."""
        found = self._beyond(device, quantity, since, everything=everything)
        return sorted((row.ts, row.value) for row in found if isinstance(row.value, str))

    def _beyond(self, device: str, quantity: str, since: int, *, everything: bool) -> Iterator[batches.Row]:
        shipped = 0 if everything else self.one("SELECT seq FROM cursor WHERE name = ?", (HISTORY,)) or 0
        return (
            row
            for row in self._tail(TAIL_ROWS, shipped)
            if row.device == device and row.quantity == quantity and row.ts >= since and row.quality not in UNMEASURED
        )

    def recent(self, device: str, quantity: str, limit: int = 10) -> list[Reading]:
        """The newest readings of one series that the journal still has near its end, newest first."""
        rows = [row for row in self._tail(TAIL_ROWS // 4) if row.device == device and row.quantity == quantity]
        return [batches.to_reading(row) for row in reversed(rows[-limit:])]

    def events_not_in_history(self, devices: Sequence[str], quantity: str, since: int) -> list[batches.Row]:
        """Events that the history store may not have yet, oldest first; without a store, those of the journal's end."""
        shipped = self.one("SELECT seq FROM cursor WHERE name = ?", (HISTORY,)) or 0
        wanted, rows = frozenset(devices), self._tail(TAIL_ROWS // 4, shipped) if devices else iter(())
        return [row for row in rows if row.quantity == quantity and row.device in wanted and row.ts >= since]

    def _tail(self, most: int, after: int = 0) -> Iterator[batches.Row]:
        """The newest readings, `most` of them and past number `after`, oldest first."""
        after = max(after, (self.one("SELECT max(last) FROM batch") or 0) - most)
        return batches.unpacked(self.rows(batches.AFTER, (after,)), after)

    def backlog(self, now: int) -> Backlog:
        """How far the history is behind, as figures."""
        try:
            return backlog(self._connection(), now)
        except (sqlite3.Error, OSError) as error:
            raise JournalUnreadable(f"{self.path.name}: {error}") from error

    def history_lag_ms(self, now: int) -> int:
        """How old the oldest reading is that the history store does not have yet; 0 when it has all."""
        sql = """
        SELECT rx FROM batch WHERE last > coalesce((SELECT seq FROM cursor WHERE name = ?), 0) ORDER BY last LIMIT 1
        """
        oldest = self.one(sql, (HISTORY,))
        return 0 if oldest is None else max(0, now - int(oldest))

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection; a new one when the file was replaced (a restored backup)."""
        found = os.stat(self.path)  # noqa: PTH116  # hot path
        identity = (found.st_dev, found.st_ino)
        if getattr(self._mine, "identity", None) != identity:
            db = sqlite3.connect(
                f"{self.path.resolve().as_uri()}?mode=ro", uri=True, timeout=2.0, check_same_thread=False
            )
            db.row_factory = sqlite3.Row
            self._mine.db, self._mine.identity = db, identity
            with self._lock:
                self._open.append(db)
        connection: sqlite3.Connection = self._mine.db
        return connection


class OrderDesk:
    """Puts orders in: the only write of the office process into the journal."""

    def __init__(self, path: Path) -> None:
        """Opened for each order: they are rare, and the file may be replaced between two."""
        self._path = path

    def put(self, order: Order) -> int:
        """Insert, durably, and return the order's number; the same token again is the same order."""
        fields = {name: value for name, value in msgspec.structs.asdict(order).items() if name != "id"}
        names, marks = ", ".join(fields), ", ".join("?" * len(fields))
        insert = f"INSERT OR IGNORE INTO orders ({names}) VALUES ({marks})"  # noqa: S608  # our own names
        try:
            db = self.connect()
            try:
                db.execute(insert, list(fields.values()))
                return int(db.execute("SELECT id FROM orders WHERE token = ?", (order.token,)).fetchone()[0])
            finally:
                db.close()
        except sqlite3.Error as error:
            raise JournalUnreadable(f"{self._path.name}: {error}") from error

    def put_all(self, orders: Iterable[Order]) -> None:
        """Insert many, durably, all or none; those whose tokens are known are not put in again."""
        rows = [
            {name: value for name, value in msgspec.structs.asdict(each).items() if name != "id"} for each in orders
        ]
        if not rows:
            return
        names, marks = ", ".join(rows[0]), ", ".join("?" * len(rows[0]))
        try:
            with closing(self.connect()) as db, transaction(db):
                sql = f"INSERT OR IGNORE INTO orders ({names}) VALUES ({marks})"  # noqa: S608  # our own names
                db.executemany(sql, [list(row.values()) for row in rows])
        except sqlite3.Error as error:
            raise JournalUnreadable(f"{self._path.name}: {error}") from error

    def connect(self) -> sqlite3.Connection:
        """A connection that SQLite itself keeps from every write but an insert into `orders`."""
        uri = f"{self._path.resolve().as_uri()}?mode=rw"
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0)
        db.execute("PRAGMA synchronous = FULL")
        db.set_authorizer(_only_orders)
        return db


def _only_orders(action: int, first: str | None, _second: str | None, _db: str | None, _trigger: str | None) -> int:
    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_TRANSACTION):
        return sqlite3.SQLITE_OK
    if action in (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_READ) and first == "orders":
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _happening(row: sqlite3.Row) -> Happening:
    """Only the current occurrence of an alarm is hidden by what hides the alarm."""
    found = to_struct(Happening, row)
    if not row["current"]:
        return found
    return msgspec.structs.replace(found, hidden=hidden(row), state=row["now_state"] or "")
