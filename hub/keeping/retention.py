"""How long things are kept: pruning of the journal, forgetting who went where. Functions of path and now.

Nothing is deleted because of its age while the clock may be wrong (`require_trusted`).
"""

import math
import re
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from device_profiles import vocabulary
from hub.history.notes import WINDOW_MS
from hub.history.store import Grain, HistoryStore
from hub.journal import batches
from hub.journal.file import FILE as JOURNAL
from hub.journal.file import transaction
from hub.keeping.terms import KEEP_TRACES_MS as KEEP_TRACES_MS
from hub.keeping.terms import TRACES as TRACES
from hub.settings.site import History

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
KEEP_READ_MS = WINDOW_MS
KEEP_UNREAD_MS = DAY_MS  # while nobody ships the journal away
KEEP_FAULT_MS = 30 * DAY_MS
KEEP_ORDER_MS = 180 * DAY_MS  # Cybersecurity Law of the PRC, article 21 (3): logs at least six months
KEEP_QUARANTINED = 10_000
CHUNK = 2_000
BUSY_S = 30.0  # the hub commits hundreds of times a second, and comes first
PAUSE_S = 0.01  # between two chunks, for the hub's writer

KEEP_COPIES_MS = 7 * DAY_MS  # nightly archives and snapshots, and what was set aside: each night makes a new one
STEADY_MS = 20 * HOUR_MS
LEAP_MS = 2 * DAY_MS
BEHIND_MS = MINUTE_MS


class ClockDoubt(Exception):
    """The clock may be wrong, so nothing is deleted. It resolves itself, or the clock wants setting."""


class Pruned(msgspec.Struct, frozen=True):
    """How many rows went from each table of the journal."""

    reading: int
    fault: int
    orders: int
    quarantine: int


def prune_journal(db_path: Path, now: int) -> Pruned:
    """Delete what nobody needs any more, in chunks that keep the hub's writer waiting for milliseconds only.

    Readings go when they are an hour old and every cursor has passed them. Raises sqlite3.Error.
    """
    with closing(_journal(db_path)) as db:
        now = min(now, _newest(db) or now)  # a clock that leapt ahead must not make everything old
        return Pruned(
            reading=_prune_readings(db, now),
            fault=_prune(db, _OLD_FAULTS, (now - KEEP_FAULT_MS) // MINUTE_MS),
            orders=_prune(db, _OLD_ORDERS, now - KEEP_ORDER_MS),
            quarantine=_prune(db, _OLD_QUARANTINE, KEEP_QUARANTINED),
        )


def forget_traces(store: HistoryStore, data: Path, now: int, keep_ms: int = KEEP_TRACES_MS) -> int:
    """Delete passages and chips older than 30 days from history, journal and ended alarms; returns how many readings.

    Copies that hold them go too: archives, snapshots and files set aside that are older than a week, but for the newest
    archive. Raises ClockDoubt (see `require_trusted`), StoreError, sqlite3.Error, OSError.
    """
    before = now - keep_ms
    with closing(_journal(data / JOURNAL)) as db:
        require_trusted(data, _newest(db), now)
        gone = store.forget(TRACES, before)
        gone += _forget_readings(db, before)
        db.execute(f"DELETE FROM latest WHERE quantity IN ({_MARKS}) AND ts < ?", (*TRACES, before))  # noqa: S608
        db.execute("DELETE FROM quarantine WHERE rx < ?", (before,))  # unreadable payloads may hold credentials too
        _forget_alarms(db, before)
    forget_copies(data, now - KEEP_COPIES_MS)
    return gone


def forget_old(store: HistoryStore, data: Path, history: History, now: int) -> int:
    """Delete what is older than the site wants to keep it, by quantity and grain; returns how many rows.

    Raises ClockDoubt, StoreError, sqlite3.Error.
    """
    with closing(_journal(data / JOURNAL)) as db:
        require_trusted(data, _newest(db), now)
    gone = 0
    for (grain, days), names in sorted(kept_days(history).items()):
        gone += store.forget(names, now - days * DAY_MS, grain)
    return gone


def kept_days(history: History) -> dict[tuple[Grain, int], list[str]]:
    """Which quantities are kept for how many days at which grain; what is kept for ever and traces are not in it."""
    found: dict[tuple[Grain, int], list[str]] = {}
    for name in sorted(set(vocabulary.quantities()) - set(TRACES)):
        own = history.keep.get(name, history)
        for grain, days in (
            (Grain.RAW, own.raw_days),
            (Grain.MINUTE, own.minute_days),
            (Grain.HOUR, own.hour_days),
        ):
            if days:
                found.setdefault((grain, days), []).append(name)
    return found


def forget_copies(data: Path, before: int) -> int:
    """Delete nightly archives (but the newest), snapshots and files set aside of before that instant."""
    old = [path for path in sorted(data.glob("backups/zhian-*.tar.gz"))[:-1] if _archived(path) < before]
    old += [path for path in data.glob("history-snapshots/*") if path.name.isdigit() and int(path.name) < before]
    old += [path for path in data.glob("*.corrupt-*") if _set_aside(path) < before]
    for path in old:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return len(old)


def _archived(path: Path) -> float:
    """When, by its name: a copy of a file has another date. Not ours: never old."""
    try:
        made = datetime.strptime(path.name, "zhian-%Y%m%dT%H%M%SZ.tar.gz").replace(tzinfo=UTC)
    except ValueError:
        return math.inf
    return made.timestamp() * 1000


def _set_aside(path: Path) -> float:
    stamp = re.search(r"\.corrupt-(\d{13})(?:\.wal|\.json)?$", path.name)
    return int(stamp[1]) if stamp else math.inf


def _forget_alarms(db: sqlite3.Connection, before: int) -> None:
    """Ended alarms about traces, whose keys and values name the chip: with their timelines and announcements."""
    with transaction(db):
        for statement in _OLD_ALARMS:
            db.execute(statement, (*TRACES, before))


class _Watch(msgspec.Struct):
    """When the clock was last looked at, and since when each look found it where the one before had left it."""

    looked: int
    steady_since: int


def require_trusted(data: Path, newest: int | None, now: int) -> None:
    """Raise ClockDoubt unless time went by as it should; keeps what it saw in `clock-watch.json`.

    Trusted is a clock that (1) is not a minute behind the newest durable row, (2) is not a day ahead of it (then nobody
    writes, and nothing tells whether the clock is right), and (3) has been looked at for 20 hours without going back or
    leaping by more than 2 days. So a clock that jumps a year ahead deletes nothing unless nobody mends it for a day.
    """
    file = data / "clock-watch.json"
    try:
        watch = msgspec.json.decode(file.read_bytes(), type=_Watch)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        watch = _Watch(looked=now, steady_since=now)
    if not 0 <= now - watch.looked <= LEAP_MS:
        watch.steady_since = now
    watch.looked = now
    part = file.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(watch))
    part.replace(file)
    if newest is not None and not newest - BEHIND_MS <= now <= newest + DAY_MS:
        side = "behind" if now < newest else "ahead of"
        raise ClockDoubt(f"the clock is {abs(now - newest) // 1000} s {side} the newest reading; nothing was deleted")
    if now - watch.steady_since < STEADY_MS:
        raise ClockDoubt("the clock has not been watched for 20 h without a leap; nothing was deleted")


_OLD_FAULTS = """
DELETE FROM fault WHERE (source, kind, minute) IN (SELECT source, kind, minute FROM fault WHERE minute < ? LIMIT ?)
"""
_OLD_ORDERS = "DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE ended < ? LIMIT ?)"
_OLD_QUARANTINE = """
DELETE FROM quarantine WHERE seq IN (
  SELECT seq FROM quarantine WHERE seq <= (SELECT seq FROM quarantine ORDER BY seq DESC LIMIT 1 OFFSET ?) LIMIT ?)
"""
_MARKS = ", ".join("?" * len(TRACES))
_ENDED = f"SELECT key, occurrence FROM occurrence WHERE quantity IN ({_MARKS}) AND closed <> '' AND ended < ?"  # noqa: S608
_OLD_ALARMS = (
    f"DELETE FROM escalation WHERE (key, occurrence) IN ({_ENDED})",  # noqa: S608
    f"DELETE FROM incident_log WHERE incident IN (SELECT id FROM incident WHERE (key, occurrence) IN ({_ENDED}))",  # noqa: S608
    f"DELETE FROM incident WHERE (key, occurrence) IN ({_ENDED})",  # noqa: S608
    f"DELETE FROM outbox WHERE flip IN (SELECT seq FROM flip WHERE (key, occurrence) IN ({_ENDED}))",  # noqa: S608
    f"DELETE FROM flip WHERE (key, occurrence) IN ({_ENDED})",  # noqa: S608  # our own text
    f"DELETE FROM alarm WHERE quantity IN ({_MARKS}) AND state = 'normal' AND last < ?",  # noqa: S608
    f"DELETE FROM occurrence WHERE quantity IN ({_MARKS}) AND closed <> '' AND ended < ?",  # noqa: S608
)
_FIRST_OLD = "SELECT min(last) FROM batch WHERE last > ? AND last <= ? AND rx < ?"
_OLD_READINGS = """
DELETE FROM batch WHERE last BETWEEN ? AND ? AND rx < ? AND last <= coalesce((SELECT min(seq) FROM cursor), ?)
  AND last < (SELECT max(last) FROM batch) RETURNING last - first + 1
"""


def _journal(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_S, isolation_level=None)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten, not only unlinked
    return db


def _newest(db: sqlite3.Connection) -> int | None:
    """When the hub last wrote: the newest reading of any series, or its heartbeat."""
    newest: int | None = db.execute(
        "SELECT max(at) FROM (SELECT max(rx) AS at FROM latest UNION ALL "
        "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'heartbeat')"
    ).fetchone()[0]
    return newest


def _prune(db: sqlite3.Connection, sql: str, *limits: object) -> int:
    gone = 0
    while True:
        count = db.execute(sql, (*limits, CHUNK)).rowcount
        gone += count
        if count < CHUNK:
            return gone
        time.sleep(PAUSE_S)


def _forget_readings(db: sqlite3.Connection, before: int) -> int:
    gone = 0
    while count := batches.forget(db, TRACES, before, CHUNK):
        gone += count
        time.sleep(PAUSE_S)
    return gone


def _prune_readings(db: sqlite3.Connection, now: int) -> int:
    """Whole batches; the newest one stays, for the numbers go on from it."""
    newest, floor = batches.last_seq(db), db.execute("SELECT min(seq) FROM cursor").fetchone()[0]
    before = now - (KEEP_UNREAD_MS if floor is None else KEEP_READ_MS)
    end = newest if floor is None else min(newest, floor)
    gone, at = 0, 0
    while (first := db.execute(_FIRST_OLD, (at, end, before)).fetchone()[0]) is not None:
        at = first + CHUNK - 1
        gone += sum(count for (count,) in db.execute(_OLD_READINGS, (first, min(at, end), before, newest)).fetchall())
        time.sleep(PAUSE_S)
    return gone
