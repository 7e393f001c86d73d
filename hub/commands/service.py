"""`zhian service out|back|list`: an alarm, or a device with all its alarms, out of service for maintenance, and back.

Orders as the page's: the hub takes them and may refuse, and the journal keeps who, when and why.
"""

from pathlib import Path

import click

from hub.care.service import BACK, OUT
from hub.commands.options import DATA, JSON, print_lines
from hub.commands.sayso import REASON, moment, put
from hub.journal.query import open_journal
from hub.outcome import Service
from hub.rows import to_struct


@click.group("service")
def service_command() -> None:
    """Alarms and devices out of service: nobody is told of them, no siren sounds, and their place is unwatched."""


@service_command.command("out")
@click.argument("target")
@REASON
@DATA
def out_command(target: str, reason: str, data: Path) -> None:
    """Take TARGET out of service until somebody puts it back: a device, or an alarm as `noise-limit/noise-1`."""
    put(OUT, target, data, text=reason)


@service_command.command("back")
@click.argument("target")
@click.option("--reason", default="", help="What was done; kept with it.")
@DATA
def back_command(target: str, reason: str, data: Path) -> None:
    """Put TARGET back: its rules are asked anew, and what is active is told as if it were new."""
    put(BACK, target, data, text=reason)


@service_command.command("list")
@click.option("--history", is_flag=True, help="All that ever was, not only what is now.")
@DATA
@JSON
def list_command(history: bool, data: Path, as_json: bool) -> None:
    """Print what is out of service: since when, by whom, and why."""
    where = "1" if history else "ended IS NULL"
    with open_journal(data) as db:
        rows = [to_struct(Service, row) for row in db.execute(f"SELECT * FROM service WHERE {where} ORDER BY at")]  # noqa: S608  # our own words
    if as_json:
        print_lines(rows, as_json=True)
        return
    for row in rows:
        back = f", back {moment(row.ended)} {row.ended_by}" if row.ended is not None else ""
        click.echo(f"{row.target}  since {moment(row.at)}  {row.actor}: {row.reason}{back}")
