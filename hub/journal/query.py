"""Answers of the command line from the journal of a data folder, whether its hub runs or not. Reads only.

Readings as they are printed, alarms, and what the journal knows of its site. Any span: hub/history/stream.py.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from device_profiles import vocabulary
from device_profiles.door import Refusal
from hub.alarms.firstout import look
from hub.alarms.isa import Standing, Told
from hub.journal import batches
from hub.journal.file import FILE, connect
from hub.rows import hidden, to_struct
from hub.settings.door import load_site
from hub.settings.site import Site

_ALARMS = """
SELECT o.*, a.state AS now_state, a.occurrence AS now_occurrence, a.shelved_until, a.suppressed, a.out_of_service
FROM occurrence o LEFT JOIN alarm a ON a.key = o.key
WHERE o.raised >= ? AND (? = 0 OR o.closed = '') ORDER BY o.raised, o.id
"""


_TOLD = """
SELECT f.at, f.key, o.severity FROM flip f JOIN occurrence o ON o.key = f.key AND o.occurrence = f.occurrence
WHERE f.at >= ? AND f.event IN ('raised', 'reactivated', 'renotified') AND o.closed != 'unannounced' ORDER BY f.at
"""


class ReadingLine(msgspec.Struct, frozen=True, kw_only=True):
    """One reading as `zhian readings --json` prints it; `ts` and `rx` in ms since 1970."""

    device: str
    quantity: str
    ts: int
    rx: int
    value: float | str
    unit: str
    quality: str
    detail: dict[str, str] | None = None


class AlarmLine(msgspec.Struct, frozen=True, kw_only=True):
    """One occurrence as `zhian alarms --json` prints it; instants in ms since 1970, null where not yet."""

    rule: str
    device: str
    zone: str
    severity: str
    state: str
    occurrence: int
    raised: int
    acked: int | None
    acked_by: str
    cleared: int | None
    quantity: str
    value: float | str | None
    limit: float | None
    closed: str
    number: int = 0
    first_out: int | None = None  # the number of the first of the alarms that came with it; null: it came alone


def open_journal(data: Path) -> sqlite3.Connection:
    """The journal of a data folder, read only. Raises Refusal when there is none."""
    path = data / FILE
    if not path.exists():
        raise Refusal(path, "", "there is no journal here", right="give the data folder of `zhian run` with --data")
    return connect(path, read_only=True)


def journal_readings(db: sqlite3.Connection, device: str, since: int) -> Iterator[ReadingLine]:
    """Readings of a device (or of all, when empty) received since `since` that the journal still has, oldest first."""
    return (reading_line(row) for row in batches.since(db, since) if device in ("", row.device))


def reading_line(row: batches.Row) -> ReadingLine:
    """A journal or history row with its unit."""
    word = vocabulary.find(row.quantity)
    return ReadingLine(
        device=row.device,
        quantity=row.quantity,
        ts=row.ts,
        rx=row.rx,
        value=row.value,
        unit=word.quantity.unit if word else "",
        quality=row.quality,
        detail=msgspec.json.decode(row.detail) if row.detail else None,
    )


def site_of(db: sqlite3.Connection) -> Site | None:
    """The site as the hub read it last, or None when its file is gone or does not load any more."""
    row = db.execute("SELECT value FROM meta WHERE key = 'site_file'").fetchone()
    if row is None or not Path(row["value"]).exists():
        return None
    try:
        return load_site(Path(row["value"]))
    except Refusal:
        return None


def devices_of(db: sqlite3.Connection) -> list[str]:
    """The devices that the hub knows of."""
    return [str(row[0]) for row in db.execute("SELECT source FROM health WHERE kind = 'device' ORDER BY source")]


def alarm_lines(
    db: sqlite3.Connection, since: int = 0, *, open_only: bool = False, links: Mapping[str, str] | None = None
) -> Iterator[AlarmLine]:
    """Occurrences raised since `since`, oldest first. `links`: device -> its link, for the groups."""
    rows = db.execute(_ALARMS, (since, int(open_only))).fetchall()
    groups = look(lambda sql, values: db.execute(sql, values).fetchall(), (row["raised"] for row in rows), links or {})
    for row in rows:
        group = groups.get(row["id"])
        yield AlarmLine(
            number=row["id"],
            first_out=group.first.id if group is not None else None,
            rule=row["rule"],
            device=row["source"],
            zone=row["zone"],
            severity=row["severity"],
            state=_state(row),
            occurrence=row["occurrence"],
            raised=row["raised"],
            acked=row["acked"],
            acked_by=row["acked_by"],
            cleared=row["cleared"],
            quantity=row["quantity"],
            value=row["value"],
            limit=row["limit"],
            closed=row["closed"],
        )


def told(db: sqlite3.Connection, since: int) -> list[Told]:
    """Every time since `since` that people were told of an alarm."""
    return [to_struct(Told, row) for row in db.execute(_TOLD, (since,))]


def standing(db: sqlite3.Connection) -> list[Standing]:
    """The alarms that are active now."""
    rows = db.execute("SELECT key, raised FROM alarm WHERE filter IN ('on', 'falling') AND raised IS NOT NULL")
    return [to_struct(Standing, row) for row in rows]


def _state(row: sqlite3.Row) -> str:
    """What people see: a closed occurrence is normal; else what hides the alarm, or the operator's state."""
    if row["closed"] or row["now_occurrence"] != row["occurrence"]:
        return "normal"
    return hidden(row) or str(row["now_state"])
