"""The figures of hub.alarms.isa for a journal, and what would calm a chattering alarm: for command line and page.

Reads only; nothing is decided here.
"""

import sqlite3

import msgspec

from hub.alarms.flood import KEY as FLOOD
from hub.alarms.isa import HOUR, Health, health, proposed_deadband
from hub.journal.query import journal_readings, standing, told

MOST_READINGS = 3600  # of the last hour: enough to know a sensor's noise


class Remedy(msgspec.Struct, frozen=True):
    """A deadband that the last hour's readings of a chattering alarm's sensor would ask for."""

    key: str
    quantity: str
    deadband: float


class Report(msgspec.Struct, frozen=True):
    """The figures of a span, and what would calm what chatters: as `zhian alarms --health --json` prints it."""

    health: Health
    flood_since: int | None  # ms; None: there is none now
    remedies: list[Remedy]


def report(db: sqlite3.Connection, since: int, now: int) -> Report:
    """The figures since `since`, or since the journal began if that is later. Instants in ms since 1970."""
    first = db.execute("SELECT min(raised) FROM occurrence").fetchone()[0]
    found = health(told(db, since), standing(db), max(since, min(first or now, now)), now)
    flood = db.execute("SELECT raised FROM alarm WHERE key = ? AND filter = 'on'", (FLOOD,)).fetchone()
    return Report(found, flood[0] if flood else None, _remedies(db, found.chattering, now))


def _remedies(db: sqlite3.Connection, chattering: list[str], now: int) -> list[Remedy]:
    found = []
    for key in chattering:
        row = db.execute("SELECT source, quantity FROM occurrence WHERE key = ? LIMIT 1", (key,)).fetchone()
        readings = journal_readings(db, row["source"], now - HOUR)
        values = [
            line.value for line in readings if line.quantity == row["quantity"] and not isinstance(line.value, str)
        ]
        deadband = proposed_deadband(values[-MOST_READINGS:])
        if deadband is not None:
            found.append(Remedy(key, row["quantity"], deadband))
    return found
