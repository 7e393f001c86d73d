"""The journal's one writer: an Outcome becomes one transaction, and what was written comes back as Memory.

WAL and `synchronous=FULL`: a commit that returned survives a power cut on a disk that honours a flush. Nothing here
decides anything, and nothing here is asynchronous: `hub/journal/commit.py` gathers the commits of all links into one.
"""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from firmware_bridge.raw import Redelivery
from hub.alarms.flood import KEY, Flood, recalled
from hub.alarms.isa import FLOOD
from hub.care.reminder import KEY as REMINDED
from hub.journal import batches
from hub.journal.file import FILE, connect, transaction
from hub.journal.latest import Latest, recall
from hub.outcome import (
    Alarm,
    Drill,
    Entry,
    Flip,
    Health,
    Inner,
    Limit,
    Memory,
    Mute,
    Occurrence,
    Order,
    OrderState,
    Outcome,
    Service,
    Upkeep,
)
from hub.outcome import Sequence as Counted
from hub.reading import Fault, Reading
from hub.rows import T, to_reading, to_struct
from hub.settings.site import Site
from hub.settings.site_voice import DeviceSpec
from hub.speaking.route import speakers

__all__ = [
    "FILE", "SIREN", "Journal", "JournalError", "connect", "put_order", "quarantine", "requested_orders",
]  # fmt: skip

SCHEMA = Path(__file__).with_name("schema.sql")
VERSION = "2"
QUARANTINE_BYTES = 4096
SIREN = "siren"
KEPT_DELIVERIES = 8192  # commits; a broker has at most a Receive Maximum of a session under way, twice 2,000


class JournalError(Exception):
    """The journal cannot be used as it is; the text names the file and the remedy."""


def _remedy(error: sqlite3.DatabaseError) -> str:
    """Only a damaged file is to be moved away: a whole one holds the open alarms."""
    if error.sqlite_errorcode in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return "move the file away or restore a backup"
    return "is the disk full, or is the file another user's? Leave the file where it is: it holds the open alarms"


class Journal:
    """The open journal of one site. Every part of a transaction is one statement: each gives up the interpreter."""

    def __init__(self, path: Path, site: Site) -> None:
        """Open or make the file. Raises JournalError for a file of another site or of a newer version."""
        self.path = path
        self.attend(site)
        try:
            self.db = connect(path)
            self.db.executescript(SCHEMA.read_text(encoding="utf-8"))
        except sqlite3.DatabaseError as error:
            raise JournalError(f"{path}: {error}; {_remedy(error)}") from error
        self._claim(site.id)
        self._last = batches.last_seq(self.db)
        self._latest = Latest()
        self._latest.take(recall(self.db).values(), self._last)
        self._deliveries: dict[tuple[str, int], int] = {}
        for row in self.db.execute("SELECT packets FROM delivery ORDER BY id"):
            self._delivered(_deliveries(row["packets"]))

    def attend(self, site: Site) -> None:
        """This is the site from now on; its voices are to be told."""
        self.site, self.voices = site, site.voices
        self.links = {device.id: device.link for device in site.devices().values()}

    def remember(self, key: str, value: str) -> None:
        """Keep a word beside the readings (`site_file`: where the site was read from)."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def close(self) -> None:
        """Let go of the file."""
        self.db.close()

    def repeated(self, delivery: Redelivery) -> bool:
        """True when this MQTT delivery is one that is durable already, sent again because its PUBACK was lost."""
        return delivery.again and self._deliveries.get((delivery.link, delivery.packet_id)) == delivery.digest

    def write(self, outcomes: Iterable[Outcome], deliveries: Iterable[Redelivery] = (), heartbeat: int = 0) -> None:
        """All of it in one transaction, durable on return. On an sqlite3.OperationalError nothing is written."""
        outcomes, deliveries = list(outcomes), list(deliveries)
        readings = [reading for outcome in outcomes for reading in outcome.readings]
        last = self._last + len(readings)
        self._latest.take(readings, last)
        self._latest.take((each for outcome in outcomes for each in outcome.passing), last)
        with transaction(self.db):
            if readings:
                batches.add(self.db, self._last + 1, readings)
            rows = self._latest.write(self.db, busy=bool(readings))
            for outcome in outcomes:
                self._write(outcome)
            if deliveries:
                self._write_deliveries(deliveries)
            if heartbeat:
                self.db.execute("INSERT OR REPLACE INTO meta VALUES ('heartbeat', ?)", (str(heartbeat),))
        self._last = last
        self._latest.written(rows)
        self._delivered(deliveries)

    def memory(self) -> Memory:
        """What the core knew. Orders still `requested` are not in it: they come in by `requested_orders`."""
        return Memory(
            latest=list(self._known().values()),
            health=self._all(Health, "SELECT * FROM health"),
            alarms=self._all(Alarm, "SELECT * FROM alarm"),
            occurrences=self._all(Occurrence, "SELECT * FROM occurrence WHERE closed = ''"),
            services=self._all(Service, "SELECT * FROM service WHERE ended IS NULL"),
            upkeep=self._all(Upkeep, "SELECT * FROM upkeep WHERE ended IS NULL"),
            reminded=self._reminded(),
            orders=self._all(Order, "SELECT * FROM orders WHERE state = 'sent'"),
            entries=self._all(Entry, "SELECT * FROM entry"),
            inner=self._all(Inner, "SELECT * FROM inner"),
            drills=self._all(Drill, "SELECT *, max(at) FROM drill GROUP BY zone, state"),
        )

    def flood(self, now: int) -> Flood:
        """Whether there was a flood of alarms, from the last ones that were told and its own alarm."""
        recent = self.db.execute(_LAST_TOLD, (KEY, FLOOD + 1)).fetchall()
        alarm = self._all(Alarm, f"SELECT * FROM alarm WHERE key = '{KEY}'")  # noqa: S608  # our own name
        return recalled([row[0] for row in reversed(recent)], alarm[0] if alarm else None, now)

    def _reminded(self) -> int:
        found = self.db.execute("SELECT at FROM flip WHERE key = ? ORDER BY seq DESC LIMIT 1", (REMINDED,)).fetchone()
        return int(found[0]) if found else 0

    def sequences(self) -> list[Counted]:
        """How far each device has counted its messages."""
        return self._all(Counted, "SELECT * FROM sequence")

    def limits(self) -> list[Limit]:
        """Every limit that was ever set while the hub ran, oldest first."""
        return self._all(Limit, "SELECT * FROM rule_limit ORDER BY id")

    def mutes(self) -> list[Mute]:
        """Every mute of a zone, oldest first."""
        return self._all(Mute, "SELECT * FROM mute ORDER BY at")

    def _known(self) -> dict[tuple[str, str], Reading]:
        readings = [to_reading(row) for row in self.db.execute("SELECT * FROM latest")]
        return {(reading.device, reading.quantity): reading for reading in readings} | recall(self.db)

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
        self._write_faults(outcome.faults)
        self._put("health", outcome.health)
        self._put("alarm", outcome.alarms)
        self._put("inner", outcome.inner)
        self._put("sequence", outcome.sequences)
        self._put("rule_limit", outcome.limits)
        self._put("mute", outcome.mutes)
        self._put("drill", outcome.drills)
        self._put("upkeep", outcome.upkeep)
        self._put("service", outcome.services)
        if outcome.services:
            self.db.execute(_HUSH, (outcome.services[-1].at, msgspec.json.encode(self._sounding()).decode()))
        self._put("occurrence", outcome.occurrences, verb="INSERT", conflict=_OCCURRED)
        self._write_flips(outcome.flips)
        self._write_orders(outcome.orders)
        for entry in outcome.entries:
            self.db.execute("DELETE FROM entry WHERE list = ? AND id = ?", (entry.list, entry.id))
            if entry.present:
                self.db.execute("INSERT INTO entry VALUES (?, ?, ?)", (entry.list, entry.id, entry.note))

    def _write_deliveries(self, deliveries: list[Redelivery]) -> None:
        packets = msgspec.json.encode(deliveries).decode()
        row = self.db.execute("INSERT INTO delivery (packets) VALUES (?)", (packets,)).lastrowid or 0
        self.db.execute("DELETE FROM delivery WHERE id <= ?", (row - KEPT_DELIVERIES,))

    def _delivered(self, deliveries: Iterable[Redelivery]) -> None:
        self._deliveries.update({(each.link, each.packet_id): each.digest for each in deliveries})

    def _write_faults(self, faults: Sequence[Fault]) -> None:
        if not faults:
            return
        rows = [(fault.source, fault.kind, fault.rx // 60_000, fault.count, fault.detail) for fault in faults]
        self.db.execute(_WRITE_FAULTS, (msgspec.json.encode(rows).decode(),))
        for fault in faults:
            if fault.payload is not None:
                quarantine(self.db, fault)

    def _write_flips(self, flips: Sequence[Flip]) -> None:
        if not flips:
            return
        known = self.db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'flip'").fetchone()
        first = (known[0] if known else 0) + 1
        self.db.execute(_WRITE_FLIPS, (first, msgspec.json.encode(flips).decode()))
        if told := [(number, flip) for number, flip in enumerate(flips, first) if flip.announce]:
            self._write_outbox(told)

    def _sounding(self) -> list[str]:
        return [SIREN, *(voice.id for voice in self.voices if isinstance(voice, DeviceSpec))]

    def _write_outbox(self, told: Sequence[tuple[int, Flip]]) -> None:
        """Each flip has its number; where it happened stands in its occurrence, which is written before."""
        keys = msgspec.json.encode([(flip.key, flip.occurrence) for _, flip in told]).decode()
        rows = []
        for (number, flip), (rule, source, zone) in zip(told, self.db.execute(_PLACES, (keys,)), strict=True):
            names = speakers(
                self.voices, announce=flip.announce, severity=flip.severity,
                rule=rule or flip.key.partition("/")[0], zone=zone or "", source=source or "",
            )  # fmt: skip
            for voice in ([SIREN] if flip.siren else []) + names:
                rows.append((number, voice, flip.announce, flip.at))
        self.db.execute(_WRITE_OUTBOX, (msgspec.json.encode(rows).decode(),))

    def _write_orders(self, orders: Sequence[Order]) -> None:
        self.db.executemany(
            "UPDATE orders SET state = ?, sent = ?, ended = ?, outcome = ? WHERE id = ?",
            [(order.state, order.sent, order.ended, order.outcome, order.id) for order in orders],
        )

    def _put(
        self, table: str, structs: Sequence[msgspec.Struct], *, verb: str = "INSERT OR REPLACE", conflict: str = ""
    ) -> None:
        if structs:
            names = structs[0].__struct_fields__
            paths = ", ".join(f"json_extract(value, '$.{name}')" for name in names)
            self.db.execute(
                f"{verb} INTO {table} ({_names(names)}) SELECT {paths} FROM json_each(?) WHERE true {conflict}",  # noqa: S608
                (msgspec.json.encode(structs).decode(),),
            )


_WRITE_FAULTS = """
INSERT INTO fault SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
  json_extract(value, '$[3]'), json_extract(value, '$[4]') FROM json_each(?) WHERE true
  ON CONFLICT DO UPDATE SET count = count + excluded.count, detail = excluded.detail
"""
_HUSH = """
UPDATE outbox SET status = 'dropped', detail = 'out of service', done = ? WHERE status = 'pending' AND kind = 'raised'
  AND voice IN (SELECT value FROM json_each(?))
  AND flip IN (SELECT f.seq FROM flip f JOIN alarm a ON a.key = f.key WHERE f.seq = outbox.flip AND a.out_of_service)
"""
_LAST_TOLD = """
SELECT at FROM flip WHERE event IN ('raised', 'reactivated', 'renotified') AND key <> ? ORDER BY seq DESC LIMIT ?
"""
_WRITE_FLIPS = """
INSERT INTO flip (seq, at, key, occurrence, event, before, after, actor, note, value)
  SELECT ? + key, json_extract(value, '$.at'), json_extract(value, '$.key'), json_extract(value, '$.occurrence'),
    json_extract(value, '$.event'), json_extract(value, '$.before'), json_extract(value, '$.after'),
    json_extract(value, '$.actor'), json_extract(value, '$.note'), json_extract(value, '$.value') FROM json_each(?)
"""
_PLACES = """
SELECT o.rule, o.source, o.zone FROM json_each(?) AS item LEFT JOIN occurrence o
  ON o.key = json_extract(item.value, '$[0]') AND o.occurrence = json_extract(item.value, '$[1]') ORDER BY item.key
"""
_WRITE_OUTBOX = """
INSERT INTO outbox (flip, voice, kind, next_try) SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'),
  json_extract(value, '$[2]'), json_extract(value, '$[3]') FROM json_each(?)
"""
_OCCURRED = "ON CONFLICT (key, occurrence) DO UPDATE SET " + ", ".join(
    f'"{name}" = excluded."{name}"' for name in Occurrence.__struct_fields__
)
_deliveries = msgspec.json.Decoder(list[Redelivery]).decode


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


def _names(fields: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in fields)


def _marks(fields: Collection[str]) -> str:
    return ", ".join("?" * len(fields))
