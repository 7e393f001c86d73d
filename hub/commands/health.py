"""`zhian alarms --health`: the figures of ISA-18.2 for a data folder, and what would calm an alarm that chatters.

The figures are made in hub.isa; nothing is decided here.
"""

import sqlite3
import sys

import click
import msgspec

from hub.flood import KEY as FLOOD
from hub.isa import HOUR, Health, health, proposed_deadband
from hub.query import journal_readings, standing, told

MOST_READINGS = 3600  # of the last hour: enough to know a sensor's noise


class Remedy(msgspec.Struct, frozen=True):
    """A deadband that the last hour's readings of a chattering alarm's sensor would ask for."""

    key: str
    quantity: str
    deadband: float


class Report(msgspec.Struct, frozen=True):
    """What `zhian alarms --health --json` prints."""

    health: Health
    flood_since: int | None  # ms; None: there is none now
    remedies: list[Remedy]


def print_health(db: sqlite3.Connection, since: int, now: int, *, as_json: bool) -> None:
    """The figures since `since`, or since the journal began if that is later."""
    first = db.execute("SELECT min(raised) FROM occurrence").fetchone()[0]
    found = health(told(db, since), standing(db), max(since, min(first or now, now)), now)
    flood = db.execute("SELECT raised FROM alarm WHERE key = ? AND filter = 'on'", (FLOOD,)).fetchone()
    report = Report(found, flood[0] if flood else None, _remedies(db, found.chattering, now))
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        click.echo("\n".join(_lines(report)))


def _lines(report: Report) -> list[str]:
    """The same for people."""
    found = report.health
    hours = (found.until - found.since) / HOUR
    spread = ", ".join(f"{name} {share:.0%}" for name, share in found.priorities.items())
    lines = [
        f"{found.alarms} alarms in {hours:.1f} h",
        f"  an hour                    {found.per_hour:<8g} {found.per_hour_verdict} (6 well, 12 bearable)",
        f"  most in ten minutes        {found.most_in_ten_minutes:<8} {found.most_verdict} (10 at most)",
        f"  time in flood              {found.flooded:<8.1%} {found.flooded_verdict} (1 % at most)",
        f"  stale (a day and longer)   {len(found.stale):<8} {found.stale_verdict} (fewer than 5)",
        f"  chattering                 {len(found.chattering):<8} {found.chattering_verdict} (none)",
        f"  priorities                 {spread} (about 5 %, 15 %, 80 %)",
        f"  the ten loudest make {found.top_share:.0%} of all:",
        *(f"    {source.times:5}  {source.key}" for source in found.top),
    ]
    if report.flood_since is not None:
        minutes = (found.until - report.flood_since) / 60_000
        lines.insert(0, f"A flood of alarms since {minutes:.0f} min: P3 and P4 are told in digests.")
    lines += [f"  stale: {key}" for key in found.stale]
    lines += [f"  chattering: {key}" for key in found.chattering]
    lines += [
        f"  {each.key}: deadband = {each.deadband:g} would be three times the noise of its {each.quantity}"
        for each in report.remedies
    ]
    return lines


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
