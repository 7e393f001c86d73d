"""`zhian limit`, `mute`, `unmute`, `mutes`: what a manager sets while the hub runs, by the command line.

Orders as the page's: the hub takes them and may refuse, and the journal keeps who, when and why.
"""

import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec

from hub.clock import Clock
from hub.commands.data import LIST_EXPIRES_MS, make_order, put_and_wait
from hub.commands.options import DATA, JSON, Span, print_lines
from hub.journal.query import open_journal
from hub.outcome import Limit, Mute, OrderState
from hub.rows import to_struct
from hub.rules.limits import current

REASON = click.option("--reason", required=True, help="Why; kept with it.")
ZONE = click.option("--zone", default="", help="Only in this zone; without it in all that have no number of their own.")


class LimitLine(msgspec.Struct, frozen=True):
    """One limit that was set while the hub ran; `at` in ms since 1970."""

    rule: str
    zone: str
    key: str
    value: float | str | None
    before: float | str | None
    at: int
    actor: str
    reason: str


@click.group("limit")
def limit_command() -> None:
    """Limits of rules, set while the hub runs: they win over the site file until they are taken back."""


@limit_command.command("set")
@click.argument("rule")
@click.argument("key")
@click.argument("value")
@ZONE
@REASON
@DATA
def limit_set(rule: str, key: str, value: str, zone: str, reason: str, data: Path) -> None:
    """Set KEY of RULE to VALUE, as `zhian limit set noise-limit above 58 --zone square --reason "complaints"`."""
    put("limit", f"{rule}/{zone}" if zone else rule, data, command=f"{key}={value}", text=reason)


@limit_command.command("clear")
@click.argument("rule")
@click.argument("key")
@ZONE
@REASON
@DATA
def limit_clear(rule: str, key: str, zone: str, reason: str, data: Path) -> None:
    """Take back what was set: KEY of RULE is as in the site file again."""
    put("limit-clear", f"{rule}/{zone}" if zone else rule, data, command=key, text=reason)


@limit_command.command("list")
@click.option("--history", is_flag=True, help="All that was ever set, not only what counts now.")
@DATA
@JSON
def limit_list(history: bool, data: Path, as_json: bool) -> None:
    """Print what is set, with the value before, who did it, when and why."""
    with open_journal(data) as db:
        rows = [to_struct(Limit, row) for row in db.execute("SELECT * FROM rule_limit ORDER BY id")]
    shown = rows if history else current(rows).values()
    print_lines((msgspec.convert(row, LimitLine, from_attributes=True) for row in shown), as_json=as_json)


class MuteLine(msgspec.Struct, frozen=True):
    """One mute of a zone; instants in ms since 1970."""

    zone: str
    at: int
    until: int
    actor: str
    reason: str


@click.command("mute")
@click.argument("zone")
@click.option("--for", "span", type=Span(), required=True, help="How long, at most 8h: 30m, 2h.")
@REASON
@DATA
def mute_command(zone: str, span: float, reason: str, data: Path) -> None:
    """Withhold the P3 and P4 announcements of ZONE for a while; they are told together when it is over."""
    put("mute", zone, data, seconds=span, text=reason)


@click.command("unmute")
@click.argument("zone")
@click.option("--reason", default="", help="Why; kept with it.")
@DATA
def unmute_command(zone: str, reason: str, data: Path) -> None:
    """End the mute of ZONE now."""
    put("unmute", zone, data, text=reason)


@click.command("mutes")
@DATA
@JSON
def mutes_command(data: Path, as_json: bool) -> None:
    """Print the zones that are muted now."""
    now = Clock.from_environment().now()
    with open_journal(data) as db:
        mutes = [to_struct(Mute, row) for row in db.execute("SELECT * FROM mute WHERE until > ? ORDER BY at", (now,))]
    lines = (msgspec.convert(mute, MuteLine, from_attributes=True) for mute in mutes if mute.holds(now))
    if as_json:
        print_lines(lines, as_json=True)
        return
    for line in lines:
        click.echo(f"{line.zone}  until {moment(line.until)}  {line.actor}: {line.reason}")


def moment(at: int, tz: ZoneInfo | None = None) -> str:
    """An instant for people, in the site's time zone where that is known, else the machine's."""
    return f"{datetime.fromtimestamp(at / 1000, tz).astimezone(tz):%Y-%m-%d %H:%M:%S}"


def put(kind: str, target: str, data: Path, *, command: str = "", seconds: float | None = None, text: str) -> None:
    """Have the hub do it, and say what became of it. Exit 2: refused; 1: it did not come to it."""
    order = make_order(kind, target, LIST_EXPIRES_MS, command=command, seconds=seconds, text=text)
    row = put_and_wait(data, order)
    click.echo(" ".join(part for part in (kind, target, command, row["state"], row["outcome"]) if part))
    if row["state"] != OrderState.DONE:
        sys.exit(2 if row["state"] == OrderState.REFUSED else 1)
