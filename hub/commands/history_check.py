"""`zhian history verify|rebuild`: is the history whole, and if not, what can be put back? Running or not."""

import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click

from hub.clock import Clock
from hub.commands.options import DATA, JSON, print_lines
from hub.commands.sayso import moment
from hub.history.door import Mended
from hub.history.numbers import Range
from hub.history.reach import ask_rebuild, hold, reach
from hub.history.store import StoreError
from hub.history.verify import Verdict, verify
from hub.journal.query import open_journal, site_of

SHOWN = 5
REBUILD = "`zhian history rebuild` puts them back"
WORDS: dict[str, tuple[str, str]] = {
    "missing": ("are in the journal and not in the history, which should have them", REBUILD),
    "changed": ("differ between journal and history", "the journal is right; tell whoever looks after zhian"),
    "twice": ("are in the history twice", "figures of these hours count them twice; exports do not"),
    "lost": (
        "are neither in the journal nor in the history",
        "`zhian history rebuild --snapshot` looks into the last snapshot; else a backup may have them",
    ),
    "damaged": ("cannot be read in the journal", "look at the disk; the history may have them already"),
    "old": ("are not kept any more", "nothing: passages and chips are forgotten after 30 days, by law"),
    "refused": ("were refused by the history's server", "`zhian quarantine` shows them with its words"),
}


@click.group("history")
def history_command() -> None:
    """The history behind the journal: is it whole?"""


@history_command.command("verify")
@click.option("--deep", is_flag=True, help="Go through every reading of the history, not only what the journal has.")
@DATA
@JSON
def verify_command(deep: bool, data: Path, as_json: bool) -> None:
    """Compare journal, history and cursor. Exit 1 when something is missing or wrong."""
    now = Clock.from_environment().now()
    try:
        with closing(open_journal(data)) as db, reach(data, site_of(db)) as kept:
            verdict = verify(db, data, kept, now, deep=deep)
    except StoreError as error:
        raise click.ClickException(f"the history cannot be asked now: {error}") from None
    if as_json:
        print_lines([verdict], as_json=True)
    else:
        click.echo("\n".join(_said(verdict)))
    sys.exit(0 if verdict.whole else 1)


@history_command.command("rebuild")
@click.option("--snapshot", is_flag=True, help="From the newest nightly snapshot too, not from the journal alone.")
@DATA
@JSON
def rebuild_command(snapshot: bool, data: Path, as_json: bool) -> None:
    """Put back into the history what it lacks and the journal (or the last snapshot) still has."""
    try:
        with closing(open_journal(data)) as db:
            mended = ask_rebuild(data, snapshot=snapshot) or _here(data, db, snapshot=snapshot)
    except StoreError as error:
        raise click.ClickException(f"the history cannot be mended now: {error}") from None
    if as_json:
        print_lines([mended], as_json=True)
    else:
        click.echo(f"put back: {mended.journal:,} readings from the journal, {mended.snapshot:,} from the snapshot")


def _here(data: Path, db: sqlite3.Connection, *, snapshot: bool) -> Mended:
    from hub.keeping.rebuild import rebuild  # DuckDB, which whoever asks at the door need not load

    with closing(hold(data, site_of(db))) as store:
        return rebuild(data, store, Clock.from_environment().now(), snapshot=snapshot)


def _said(found: Verdict) -> list[str]:
    """In words, the worst last, where a person looks."""
    lines = [
        f"journal: readings {found.first:,} to {found.last:,}; {found.compared:,} of them compared"
        + (", and the whole history gone through" if found.deep else ""),
        f"history: has all up to {found.noted if found.held is None else found.held:,}"
        + (f", noted {found.noted:,}" if found.held not in (None, found.noted) else "")
        + (f"; {found.behind:,} wait, the oldest for {found.behind_ms / 1000:,.0f} s" if found.behind else ""),
    ]
    lines += [
        f"thinned: {moment(each.since)} to {moment(each.until)} {each.readings:,} readings (of {each.first:,} to "
        f"{each.last:,}) were given up, as the journal was nearly full: of each series one in {each.step_s:,} s is left"
        for each in found.thinned
    ]
    for name in ("refused", "old", "damaged", "twice", "changed", "lost", "missing"):
        if ranges := getattr(found, name):
            what, then = WORDS[name]
            lines.append(f"{name}: {_ranges(ranges)} {what}: {then}")
    lines += [f"set aside: {each.file} ({each.bytes:,} bytes): a damaged file; {_ASIDE}" for each in found.aside]
    lines.append("the history is whole" if found.whole else "THE HISTORY IS NOT WHOLE")
    return lines


_ASIDE = "`zhian history rebuild --snapshot` puts back what can be; then move it out of the data folder"


def _ranges(ranges: Sequence[Range]) -> str:
    count = sum(each.count for each in ranges)
    shown = ", ".join(f"{r.first:,}" if r.first == r.last else f"{r.first:,} to {r.last:,}" for r in ranges[:SHOWN])
    more = f" and {len(ranges) - SHOWN:,} more ranges" if len(ranges) > SHOWN else ""
    return f"{count:,} readings ({shown}{more})"
