"""`zhian meter calibrate|calibrated|stop|exchanged|list`: what is done to a measuring device, and what was found.

Orders as the page's: the hub takes them and may refuse, and the journal keeps who, when and what.
"""

from pathlib import Path

import click

from hub.care.upkeep import ABANDON, BEGIN, EXCHANGE, FINISH, MOST_DB, USUAL_DAYS, USUAL_S, overdue, written
from hub.clock import Clock
from hub.commands.options import DATA, JSON, Finite, Span, print_lines
from hub.commands.sayso import REASON, moment, put
from hub.journal.query import open_journal
from hub.outcome import Upkeep
from hub.rows import to_struct

CALIBRATOR = "The calibrator: maker, type, class, serial number; kept with it."


@click.group("meter")
def meter_command() -> None:
    """Calibration of noise meters, and devices that were exchanged."""


@meter_command.command("calibrate")
@click.argument("device")
@click.option("--calibrator", required=True, help=CALIBRATOR)
@click.option("--for", "span", type=Span(), default=f"{USUAL_S / 60:g}m", show_default=True, help="At most, then it ends by itself: 1m to 2h.")  # fmt: skip  # noqa: E501
@DATA
def calibrate_command(device: str, calibrator: str, span: float, data: Path) -> None:
    """Say that a calibrator sits on DEVICE from now on: its sound levels are kept, and count for nothing."""
    put(BEGIN, device, data, seconds=span, text=calibrator)


@meter_command.command("calibrated")
@click.argument("device")
@click.option("--level", type=Finite(), required=True, help="Of the calibrator in dB: 94 or 114.")
@click.option("--reading", type=Finite(), required=True, help="What the meter said before it was set, in dB.")
@click.option("--calibrator", default="", help=f"{CALIBRATOR} Left out: the one that sits on it.")
@click.option("--valid", type=Span(), default=f"{USUAL_DAYS}d", show_default=True, help="How long it counts.")
@DATA
def calibrated_command(device: str, level: float, reading: float, calibrator: str, valid: float, data: Path) -> None:
    """Write down what was found at DEVICE; the calibrator is off it again."""
    put(FINISH, device, data, command=written(level, reading, round(valid / 86_400)), text=calibrator)


@meter_command.command("stop")
@click.argument("device")
@DATA
def stop_command(device: str, data: Path) -> None:
    """Say that the calibrator is off DEVICE again, and nothing was found out."""
    put(ABANDON, device, data, text="")


@meter_command.command("exchanged")
@click.argument("device")
@REASON
@DATA
def exchanged_command(device: str, reason: str, data: Path) -> None:
    """Say that DEVICE is another one from now on: its counters begin elsewhere, and that step is not counted."""
    put(EXCHANGE, device, data, text=reason)


@meter_command.command("list")
@DATA
@JSON
def list_command(data: Path, as_json: bool) -> None:
    """Print all that was done, oldest first; what does not count any more is called overdue."""
    now = Clock.from_environment().now()
    with open_journal(data) as db:
        rows = [to_struct(Upkeep, row) for row in db.execute("SELECT * FROM upkeep ORDER BY at, device")]
    if as_json:
        print_lines(rows, as_json=True)
        return
    late = overdue(rows, now)
    for row in rows:
        click.echo(f"{moment(row.at)}  {row.device}  {_said(row)}  {row.actor}: {row.note}")
        if late.get(row.device) is row:
            click.echo(f"  OVERDUE since {moment(row.valid_until or 0)}")


def _said(row: Upkeep) -> str:
    if row.kind == "exchange":
        return "exchanged"
    if row.deviation is None:
        return "calibrator on it" if row.ended is None else "calibrator on it, nothing found out"
    much = f" (more than {MOST_DB:g} dB)" if abs(row.deviation) > MOST_DB else ""
    return f"{row.reading:g} dB at {row.level:g} dB: {row.deviation:+g} dB{much}, until {moment(row.valid_until or 0)}"
