"""The journal's one writer: an Outcome becomes one transaction, and what was written comes back as Memory.

WAL and `synchronous=FULL`: a commit that returned survives a power cut on a disk that honours a flush. Nothing here
decides anything, and nothing here is asynchronous: `hub/commit.py` gathers the commits of all links into one.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from firmware_bridge.raw import Redelivery
from hub.outcome import Alarm, Entry, Flip, Health, Inner, Memory, Occurrence, Order, OrderState, Outcome
from hub.reading import Fault, Reading
from hub.rows import T, to_reading, to_struct
from hub.site import Site

FILE = "journal.sqlite"
SCHEMA = Path(__file__).with_name("schema.sql")
VERSION = "1"
QUARANTINE_BYTES = 4096
SIREN = "siren"


class JournalError(Exception):
    """The journal cannot be used as it is; the text names the file and the remedy."""


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection with the journal's settings. Autocommit: transactions are written out."""
    uri = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5.0)
    db.row_factory = sqlite3.Row
    if not read_only:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
    return db


class Journal:
    """The open journal of one site."""

    def __init__(self, path: Path, site: Site) -> None:
        """Open or make the file. Raises JournalError for a file of another site or of a newer version."""
        self.path = path
        self.voices = [(voice.id, frozenset(voice.severities)) for voice in site.voices]
        try:
            self.db = connect(path)
            self.db.executescript(SCHEMA.read_text(encoding="utf-8"))
        except sqlite3.DatabaseError as error:
            raise JournalError(f"{path}: {error}; move the file away or restore a backup") from error
        self._claim(site.id)
        self._deliveries = {
            (row["link"], row["packet_id"]): row["digest"] for row in self.db.execute("SELECT * FROM delivery")
        }

    def remember(self, key: str, value: str) -> None:
        """Keep a word beside the readings (`site_file`: where the site was read from)."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def close(self) -> None:
        """Let go of the file."""
        self.db.close()

    def repeated(self, delivery: Redelivery | None) -> bool:
        """True when this MQTT delivery is one that is durable already, sent again because its PUBACK was lost."""
        return (
            delivery is not None
            and delivery.again
            and self._deliveries.get((delivery.link, delivery.packet_id)) == delivery.digest
        )

    def write(self, outcomes: Iterable[Outcome], deliveries: Iterable[Redelivery] = (), heartbeat: int = 0) -> None:
        """All of it in one transaction, durable on return. On an sqlite3.OperationalError nothing is written."""
        deliveries = list(deliveries)
        self.db.execute("BEGIN IMMEDIATE")
        try:
            for outcome in outcomes:
                self._write(outcome)
            self.db.executemany(
                "INSERT OR REPLACE INTO delivery VALUES (?, ?, ?)",
                [(delivery.link, delivery.packet_id, delivery.digest) for delivery in deliveries],
            )
            if heartbeat:
                self.db.execute("INSERT OR REPLACE INTO meta VALUES ('heartbeat', ?)", (str(heartbeat),))
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise
        self._deliveries.update({(d.link, d.packet_id): d.digest for d in deliveries})

    def memory(self) -> Memory:
        """What the core knew. Orders still `requested` are not in it: they come in by `requested_orders`."""
        return Memory(
            latest=[to_reading(row) for row in self.db.execute("SELECT * FROM latest")],
            health=self._all(Health, "SELECT * FROM health"),
            alarms=self._all(Alarm, "SELECT * FROM alarm"),
            occurrences=self._all(Occurrence, "SELECT * FROM occurrence WHERE closed = ''"),
            orders=self._all(Order, "SELECT * FROM orders WHERE state = 'sent'"),
            entries=self._all(Entry, "SELECT * FROM entry"),
            inner=self._all(Inner, "SELECT * FROM inner"),
        )

    def _all(self, kind: type[T], sql: str) -> list[T]:
        return [to_struct(kind, row) for row in self.db.execute(sql)]

    def _claim(self, site_id: str) -> None:
        meta = {row["key"]: row["value"] for row in self.db.execute("SELECT * FROM meta")}
        if meta.get("version", VERSION) != VERSION:
            raise JournalError(
                f"{self.path}: written by another version ({meta['version']}); this one writes {VERSION}"
            )
        if meta.get("site", site_id) != site_id:
            raise JournalError(f"{self.path}: belongs to site {meta['site']!r}, not {site_id!r}; choose another --data")
        self.db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", [("version", VERSION), ("site", site_id)])

    def _write(self, outcome: Outcome) -> None:
        self._write_readings(outcome.readings)
        self._write_faults(outcome.faults)
        self._put("health", outcome.health)
        self._put("alarm", outcome.alarms)
        self._put("inner", outcome.inner)
        self._write_occurrences(outcome.occurrences)
        self._write_flips(outcome.flips)
        self._write_orders(outcome.orders)
        for entry in outcome.entries:
            self.db.execute("DELETE FROM entry WHERE list = ? AND id = ?", (entry.list, entry.id))
            if entry.present:
                self.db.execute("INSERT INTO entry VALUES (?, ?, ?)", (entry.list, entry.id, entry.note))

    def _write_readings(self, readings: Sequence[Reading]) -> None:
        rows = [
            (
                r.device,
                r.quantity,
                r.ts,
                r.rx,
                r.value,
                r.quality,
                msgspec.json.encode(r.detail).decode() if r.detail else None,
            )
            for r in readings
        ]
        self.db.executemany(
            "INSERT INTO reading (device, quantity, ts, rx, value, quality, detail) VALUES (?, ?, ?, ?, ?, ?, ?)", rows
        )
        newest = {(row[0], row[1]): row for row, r in zip(rows, readings, strict=True) if r.fresh}
        self.db.executemany("INSERT OR REPLACE INTO latest VALUES (?, ?, ?, ?, ?, ?, ?)", newest.values())

    def _write_faults(self, faults: Sequence[Fault]) -> None:
        self.db.executemany(
            "INSERT INTO fault VALUES (?, ?, ?, 1, ?)"
            " ON CONFLICT DO UPDATE SET count = count + 1, detail = excluded.detail",
            [(fault.source, fault.kind, fault.rx // 60_000, fault.detail) for fault in faults],
        )
        for fault in faults:
            if fault.payload is not None:
                quarantine(self.db, fault)

    def _write_occurrences(self, occurrences: Sequence[Occurrence]) -> None:
        for occurrence in occurrences:
            fields = _row(occurrence)
            changes = ", ".join(f'"{name}" = excluded."{name}"' for name in fields)
            self.db.execute(
                f"INSERT INTO occurrence ({_names(fields)}) VALUES ({_marks(fields)})"  # noqa: S608  # our own names
                f" ON CONFLICT (key, occurrence) DO UPDATE SET {changes}",
                list(fields.values()),
            )

    def _write_flips(self, flips: Sequence[Flip]) -> None:
        for flip in flips:
            cursor = self.db.execute(
                "INSERT INTO flip (at, key, occurrence, event, before, after, actor, note, value)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    flip.at,
                    flip.key,
                    flip.occurrence,
                    flip.event,
                    flip.before,
                    flip.after,
                    flip.actor,
                    flip.note,
                    flip.value,
                ),
            )
            speakers = [voice for voice, severities in self.voices if flip.announce and flip.severity in severities]
            self.db.executemany(
                "INSERT INTO outbox (flip, voice, kind, next_try) VALUES (?, ?, ?, ?)",
                [
                    (cursor.lastrowid, voice, flip.announce, flip.at)
                    for voice in ([SIREN] if flip.siren else []) + speakers
                ],
            )

    def _write_orders(self, orders: Sequence[Order]) -> None:
        self.db.executemany(
            "UPDATE orders SET state = ?, sent = ?, ended = ?, outcome = ? WHERE id = ?",
            [(order.state, order.sent, order.ended, order.outcome, order.id) for order in orders],
        )

    def _put(self, table: str, structs: Sequence[msgspec.Struct]) -> None:
        for struct in structs:
            fields = _row(struct)
            self.db.execute(
                f"INSERT OR REPLACE INTO {table} ({_names(fields)}) VALUES ({_marks(fields)})",  # noqa: S608
                list(fields.values()),
            )


def requested_orders(db: sqlite3.Connection, after: int) -> list[Order]:
    """Orders that somebody has put in since order number `after`, oldest first."""
    rows = db.execute("SELECT * FROM orders WHERE id > ? AND state = ? ORDER BY id", (after, OrderState.REQUESTED))
    return [to_struct(Order, row) for row in rows]


def put_order(db: sqlite3.Connection, order: Order) -> int:
    """Insert an order (its `id` is given here) and return its number; the same token again is the same order."""
    fields = {name: value for name, value in _row(order).items() if name != "id"}
    db.execute(
        f"INSERT OR IGNORE INTO orders ({_names(fields)}) VALUES ({_marks(fields)})",  # noqa: S608  # our own names
        list(fields.values()),
    )
    return int(db.execute("SELECT id FROM orders WHERE token = ?", (order.token,)).fetchone()[0])


def quarantine(db: sqlite3.Connection, fault: Fault) -> None:
    """Keep what could not be read (its first 4 kB), with the reason."""
    payload = (fault.payload or b"")[:QUARANTINE_BYTES]
    db.execute(
        "INSERT INTO quarantine (rx, source, kind, detail, payload) VALUES (?, ?, ?, ?, ?)",
        (fault.rx, fault.source, fault.kind, fault.detail, payload),
    )


def _row(struct: msgspec.Struct) -> dict[str, Any]:  # Any: what SQLite takes
    return {
        name: msgspec.json.encode(value).decode() if isinstance(value, tuple) else value
        for name, value in msgspec.structs.asdict(struct).items()
    }


def _names(fields: dict[str, Any]) -> str:
    return ", ".join(f'"{name}"' for name in fields)


def _marks(fields: dict[str, Any]) -> str:
    return ", ".join("?" * len(fields))
