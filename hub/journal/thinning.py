"""What becomes of old readings that no history has taken when the journal's budget is nearly used: fewer of them.

States and events stay, and every reading of a source from ten minutes before an alarm of it until ten minutes after.
Of gauges and counters older than an hour one a minute stays; then one in ten minutes; then one an hour. Each pass
leaves its row in `thinned`, in the same transaction: nothing is taken out without a note.
"""

import sqlite3
import time
from collections.abc import Iterable

import msgspec

from device_profiles import vocabulary
from hub.history import notes
from hub.journal import batches
from hub.journal.file import transaction
from hub.reading import Kind
from hub.settings.site import Site

STEPS_S = (60, 600, 3600)
YOUNG_MS = 3_600_000  # the last hour stays as it is
AROUND_MS = 600_000  # before and after an alarm
CHUNK, CHUNK_READINGS = 200, 5_000  # batches and readings a transaction: the journal's thread is back in some 20 ms
LONGEST_S = 0.5  # of the journal's thread at one look
ORDINARY = (Kind.GAUGE, Kind.COUNTER)


class Thinned(msgspec.Struct, frozen=True, kw_only=True):
    """One pass: of `readings` that were taken out, received from `since` until `until`, one in `step_s` was left."""

    id: int
    at: int
    step_s: int
    first: int  # numbers of the journal
    last: int
    since: int
    until: int
    readings: int


class Thinner:
    """The passes over one journal. It begins where the last pass of each step ended, also after a restart."""

    def __init__(self) -> None:
        """No pass under way."""
        self._row: dict[int, int] = {}  # step -> the row of `thinned` of the pass under way
        self._bucket: dict[tuple[str, str], int] = {}  # series -> the span of which one reading stays already
        self._step = STEPS_S[0]

    def rest(self) -> None:
        """There is room again: the next pass is another one."""
        self._row.clear()
        self._bucket.clear()

    def work(self, db: sqlite3.Connection, site: Site, now: int) -> int:
        """Thin for a moment, the oldest first; how many readings went. 0: there is nothing left to thin."""
        gone, until = 0, time.monotonic() + LONGEST_S
        db.execute("PRAGMA secure_delete = ON")  # what stays is written elsewhere: no copy of a trace may outlive it
        try:
            for step in STEPS_S:
                while (went := self._chunk(db, site, step, now)) is not None:
                    gone += went
                    if time.monotonic() >= until:
                        return max(1, gone)
        finally:
            db.execute("PRAGMA secure_delete = OFF")
        return gone

    def _chunk(self, db: sqlite3.Connection, site: Site, step: int, now: int) -> int | None:
        """One transaction; how many readings went, None when this step has come to the last hour."""
        with transaction(db):
            return self._thin(db, site, step, now)

    def _thin(self, db: sqlite3.Connection, site: Site, step: int, now: int) -> int | None:
        done = db.execute("SELECT coalesce(max(last), 0) FROM thinned WHERE step_s = ?", (step,)).fetchone()[0]
        found = db.execute(_NEXT, (max(done, _shipped(db)), now - YOUNG_MS, CHUNK)).fetchall()
        if not found:
            return None
        found = [row for row in found if row["last"] <= max(found[0]["first"] + CHUNK_READINGS, found[0]["last"])]
        if step != self._step:
            self._step = step
            self._bucket.clear()
        spans = _alarms(db, site, found[0]["rx"], max(row["rx"] for row in found))
        gone = batches.thin(db, found, lambda reading: self._stays(reading, step, spans))
        self._note(db, step, found, gone, now)
        return gone

    def _stays(self, reading: batches.Packed, step: int, spans: "_Spans") -> bool:
        word = vocabulary.find(reading.quantity)
        if word is None or word.quantity.kind not in ORDINARY:
            return True
        if any(begin <= reading.rx <= end for begin, end in spans.get(reading.device, ())):
            return True
        series, bucket = (reading.device, reading.quantity), reading.rx // (step * 1000)
        if self._bucket.get(series) == bucket:
            return False
        self._bucket[series] = bucket
        return True

    def _note(self, db: sqlite3.Connection, step: int, found: list[sqlite3.Row], gone: int, now: int) -> None:
        last, until = found[-1]["last"], max(row["rx"] for row in found)
        if step in self._row:
            db.execute(_MORE, (last, until, gone, now, self._row[step]))
            return
        first, since = found[0]["first"], min(row["rx"] for row in found)
        row = db.execute(_BEGIN, (now, step, first, last, since, until, gone)).lastrowid
        self._row[step] = row or 0


_Spans = dict[str, list[tuple[int, int]]]
_NEXT = """
SELECT last, first, rx, readings FROM batch  -- as the table has them
WHERE last > ? AND rx < ? AND last < (SELECT max(last) FROM batch) ORDER BY last LIMIT ?
"""
_BEGIN = "INSERT INTO thinned (at, step_s, first, last, since, until, readings) VALUES (?, ?, ?, ?, ?, ?, ?)"
_MORE = "UPDATE thinned SET last = ?, until = max(until, ?), readings = readings + ?, at = ? WHERE id = ?"
_ALARMS = "SELECT source, raised, ended FROM occurrence WHERE raised <= ? AND (ended IS NULL OR ended >= ?)"


def thinned(db: sqlite3.Connection, since: int = 0) -> list[Thinned]:
    """The passes that took out readings received after `since`, oldest first."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'thinned'").fetchone():
        return []  # a journal of before
    names = Thinned.__struct_fields__
    sql = f"SELECT {', '.join(names)} FROM thinned WHERE readings > 0 AND until >= ? ORDER BY id"  # noqa: S608  # our own
    return [Thinned(**dict(zip(names, row, strict=True))) for row in db.execute(sql, (since,))]


def _shipped(db: sqlite3.Connection) -> int:
    """What every reader behind the journal has is pruned as ever, and not thinned."""
    sql = "SELECT coalesce(min(seq), 0) FROM cursor WHERE name NOT IN (?, ?)"  # these follow, for a store that forgets
    return int(db.execute(sql, (notes.KEPT, notes.WAITING)).fetchone()[0])


def _alarms(db: sqlite3.Connection, site: Site, since: int, until: int) -> _Spans:
    """When which device had an alarm about then; an alarm of a zone is one of all its devices."""
    members: dict[str, Iterable[str]] = {
        zone.id: [device.id for device in site.devices().values() if device.zone == zone.id] for zone in site.zones
    }
    spans: _Spans = {}
    for source, raised, ended in db.execute(_ALARMS, (until + AROUND_MS + YOUNG_MS, since - AROUND_MS - YOUNG_MS)):
        span = (raised - AROUND_MS, (1 << 62) if ended is None else ended + AROUND_MS)
        for device in members.get(source, (source,)):
            spans.setdefault(device, []).append(span)
    return spans
