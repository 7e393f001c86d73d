"""`zhian alarms --health`: the figures of ISA-18.2 for a data folder, and what would calm an alarm that chatters.

The figures are made in hub.alarms.isa and hub.journal.isa_report; nothing is decided here.
"""

import sqlite3
import sys

import click
import msgspec

from hub.alarms.isa import HOUR
from hub.journal.isa_report import Report, report


def print_health(db: sqlite3.Connection, since: int, now: int, *, as_json: bool) -> None:
    """The figures since `since`, or since the journal began if that is later."""
    found = report(db, since, now)
    if as_json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        click.echo("\n".join(_lines(found)))


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
        lines.insert(0, f"A flood of alarms for {minutes:.0f} min: P3 and P4 are told in digests.")
    lines += [f"  stale: {key}" for key in found.stale]
    lines += [f"  chattering: {key}" for key in found.chattering]
    lines += [
        f"  {each.key}: deadband = {each.deadband:g} would be three times the noise of its {each.quantity}"
        for each in report.remedies
    ]
    return lines
