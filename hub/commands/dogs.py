"""`zhian dog`: the register of chips, who is lost, and until when each is vaccinated. No owner's name."""

from datetime import datetime
from pathlib import Path

import click
import msgspec

from device_profiles.iso11784 import remark, understand
from hub.clock import Clock
from hub.commands.data import LIST_EXPIRES_MS, make_order, put_and_wait
from hub.commands.options import DATA, JSON, print_lines
from hub.devices.kennel import LOST, OVERDUE, REGISTERED, VACCINATED, changes
from hub.journal.query import open_journal
from hub.reading import Label


@click.group("dog")
def dog_command() -> None:
    """The register of dog chips: a chip that is not in it raises an alarm where it is read."""


@dog_command.command("add")
@click.argument("chip")
@click.option("--note", help="A word for the register; no owner's name. Left out: it stays as it is.")
@click.option("--vaccinated-until", type=click.DateTime(["%Y-%m-%d"]), help="The last day of its rabies certificate.")
@DATA
def dog_add(chip: str, note: str | None, vaccinated_until: datetime | None, data: Path) -> None:
    """Register CHIP, in any of its four spellings."""
    number = _chip(chip)
    kept = _entries(data, REGISTERED).get(number, "") if note is None else note
    _put(data, "list-add", REGISTERED, f"{number} {kept}")
    if vaccinated_until is not None:
        _vaccinated(data, number, vaccinated_until)


@dog_command.command("remove")
@click.argument("chip")
@DATA
def dog_remove(chip: str, data: Path) -> None:
    """Take CHIP out of the register, and off all lists."""
    number = _chip(chip)
    for name in (REGISTERED, *(each for each in (LOST, VACCINATED, OVERDUE) if number in _entries(data, each))):
        _put(data, "list-remove", name, number)


@dog_command.command("lost")
@click.argument("chip")
@click.option("--note", default="", help="Where and when; no owner's name.")
@DATA
def dog_lost(chip: str, note: str, data: Path) -> None:
    """CHIP is missed: wherever it is read from now on, somebody is told."""
    _put(data, "list-add", LOST, f"{_chip(chip)} {note}")


@dog_command.command("found")
@click.argument("chip")
@DATA
def dog_found(chip: str, data: Path) -> None:
    """CHIP is back."""
    _put(data, "list-remove", LOST, _chip(chip))


class DogLine(msgspec.Struct, frozen=True):
    """One entry of the register."""

    chip: str
    note: str
    vaccinated_until: str = ""
    lost: bool = False


@dog_command.command("list")
@DATA
@JSON
def dog_list(data: Path, as_json: bool) -> None:
    """Print the register."""
    dogs, lost, until = (_entries(data, name) for name in (REGISTERED, LOST, VACCINATED))
    lines = (DogLine(chip, note, until.get(chip, ""), chip in lost) for chip, note in sorted(dogs.items()))
    print_lines(lines, as_json=as_json)


def _vaccinated(data: Path, chip: str, until: datetime) -> None:
    """The certificate, and what follows from it today; the calendar sees to every later day."""
    last = until.date().isoformat()
    _put(data, "list-add", VACCINATED, f"{chip} {last}")
    today = datetime.fromtimestamp(Clock.from_environment().now() / 1000).astimezone().date()
    for change in changes({chip: last}, _entries(data, OVERDUE).keys(), today):
        _put(data, "list-add" if change.overdue else "list-remove", OVERDUE, chip)


def _entries(data: Path, name: str) -> dict[str, str]:
    with open_journal(data) as db:
        return {row["id"]: row["note"] for row in db.execute("SELECT id, note FROM entry WHERE list = ?", (name,))}


def _put(data: Path, kind: str, name: str, text: str) -> None:
    row = put_and_wait(data, make_order(kind, name, LIST_EXPIRES_MS, text=text.strip()))
    click.echo(f"{text.split()[0]}: {row['state']} {row['outcome']}")


def _chip(text: str) -> str:
    number = understand(text)
    if isinstance(number, Label):
        raise click.UsageError(f"{text!r} is not a chip number: {number.en} / {number.zh}")
    if odd := remark(number):
        click.echo(f"warning: {number}: {odd.en} / {odd.zh}", err=True)
    return number
