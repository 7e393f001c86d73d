"""`zhian alarms`, `order`, `quarantine`, `backup`, `restore`: on a data folder, running or not."""

import getpass
import secrets
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import click
import msgspec

from device_profiles.door import Refusal, nearest
from hub.clock import Clock
from hub.commands.options import DATA, JSON, Finite, Span, print_lines
from hub.history import elsewhere, kept_here
from hub.history.reach import ask_snapshot
from hub.journal.query import alarm_lines, devices_of, open_journal, site_of
from hub.journal.writer import FILE, connect, put_order
from hub.keeping.backup import Source, backup, restore
from hub.keeping.sealed_file import is_sealed
from hub.orders.words import in_words
from hub.outcome import Order, OrderState
from hub.reading import Label
from hub.settings.secret import SecretError, read_secret
from hub.settings.site import History

ORDER_EXPIRES_MS = 10_000
LIST_EXPIRES_MS = 600_000
ANSWER_S = 3.0  # a running hub takes an order within a second
ENDED = {OrderState.CONFIRMED, OrderState.DONE, OrderState.UNCONFIRMED, OrderState.REFUSED, OrderState.FAILED}
ENDED |= {OrderState.EXPIRED, OrderState.UNKNOWN}


PASSPHRASE = click.option(
    "--passphrase-file", type=click.Path(path_type=Path, dir_okay=False),
    help="Encrypted, by the passphrase in this file (mode 0600).",
)  # fmt: skip


@click.command("alarms")
@click.option("--since", type=Span(), default="30d", show_default=True, help="How far back: 90s, 15m, 1h, 7d.")
@click.option("--open", "open_only", is_flag=True, help="Only those that are not over.")
@click.option("--health", "health", is_flag=True, help="Instead: are the alarms themselves well? (ISA-18.2)")
@DATA
@JSON
def alarms_command(since: float, open_only: bool, health: bool, data: Path, as_json: bool) -> None:
    """Print the alarms, oldest first; or how many they are, and which are loud, stale or chattering."""
    with open_journal(data) as db:
        now = Clock.from_environment().now()
        start = now - int(since * 1000)
        if health:
            from hub.commands.health import print_health  # what only this asks for

            print_health(db, start, now, as_json=as_json)
            return
        print_lines(alarm_lines(db, start, open_only=open_only, links=_links(db)), as_json=as_json)


def _links(db: sqlite3.Connection) -> dict[str, str]:
    """Which device hangs on which link, by the site file that the data folder was last run with; else nothing."""
    from hub.settings.door import load_site  # what only this asks for

    row = db.execute("SELECT value FROM meta WHERE key = 'site_file'").fetchone()
    try:
        devices = load_site(Path(row["value"])).devices() if row is not None else {}
    except (Refusal, OSError):
        return {}
    return {device.id: device.link for device in devices.values()}


class OrderLine(msgspec.Struct, frozen=True):
    """What became of an order, as `zhian order --json` prints it."""

    order: int
    device: str
    command: str
    state: str
    outcome: str
    reason: Label | None = None


@click.command("order")
@click.argument("device")
@click.argument("command")
@click.option("--seconds", type=Finite(), help="How long, for a command that takes a duration.")
@click.option("--reason", default="", help="Why; kept with the order.")
@click.option("--text", default="", help="What is read aloud, for a command that takes a text.")
@DATA
@JSON
def order_command(
    device: str, command: str, seconds: float | None, reason: str, text: str, data: Path, as_json: bool
) -> None:
    """Have DEVICE carry out COMMAND, and say what became of it. Exit 0 only when the device confirmed it."""
    order = make_order("command", device, ORDER_EXPIRES_MS, command=command, seconds=seconds, text=text or reason)
    with open_journal(data) as db:
        _require_device(db, device, data)
    row = put_and_wait(data, order)
    line = OrderLine(row["id"], device, command, row["state"], row["outcome"], in_words(row["outcome"]))
    if as_json:
        print_lines([line], as_json=True)
    else:
        click.echo(f"order {line.order}: {device} {command}: {line.state} {line.outcome}")
        if line.reason is not None:
            click.echo(f"  {line.reason.zh}\n  {line.reason.en}")
    if line.state == OrderState.REFUSED:
        sys.exit(2)
    sys.exit(0 if line.state == OrderState.CONFIRMED else 1)


class QuarantineLine(msgspec.Struct, frozen=True):
    """One payload that could not be read."""

    rx: int
    source: str
    fault: str
    detail: str
    hex: str
    text: str


@click.command("quarantine")
@DATA
@JSON
def quarantine_command(data: Path, as_json: bool) -> None:
    """Print the payloads that nobody could read, oldest first."""
    with open_journal(data) as db:
        rows = db.execute("SELECT * FROM quarantine ORDER BY seq")
        lines = (
            QuarantineLine(
                row["rx"], row["source"], row["kind"], row["detail"], row["payload"].hex(" "),
                row["payload"].decode("utf-8", "replace"),
            )
            for row in rows
        )  # fmt: skip
        print_lines(lines, as_json=as_json)


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace FILE when it is there.")
@PASSPHRASE
@DATA
def backup_command(file: Path, force: bool, passphrase_file: Path | None, data: Path) -> None:
    """Write everything of the data folder into FILE, and read it again, while the hub runs or not."""
    passphrase = _passphrase(passphrase_file)
    with closing(open_journal(data)) as db:
        row = db.execute("SELECT value FROM meta WHERE key = 'site_file'").fetchone()
        site = site_of(db)
    path = Path(row["value"]) if row and Path(row["value"]).exists() else None
    keep = site.history if site is not None else History()
    history = Source(lambda: ask_snapshot(data) if kept_here(keep) else None, elsewhere(keep))
    click.echo(backup(data, file, Clock().now(), site=path, force=force, history=history, passphrase=passphrase))


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@PASSPHRASE
@DATA
def restore_command(file: Path, passphrase_file: Path | None, data: Path) -> None:
    """Check FILE and unpack it into an empty data folder. Where it is encrypted, its passphrase is asked for."""
    passphrase = _passphrase(passphrase_file)
    if not passphrase and is_sealed(file) and sys.stdin.isatty():
        passphrase = str(click.prompt("口令 passphrase", hide_input=True))
    click.echo(restore(file, data, passphrase))


def _passphrase(file: Path | None) -> str:
    """As it stands in its file; empty: none is used. Raises Refusal."""
    try:
        return read_secret(file) if file is not None else ""
    except SecretError as error:
        raise Refusal("--passphrase-file", "", error.problem, value=file, right=error.right) from None


def make_order(
    kind: str, target: str, lasts_ms: int, *, command: str = "", seconds: float | None = None, text: str = ""
) -> Order:
    """An order of whoever runs the command."""
    now = Clock.from_environment().now()
    return Order(
        id=0,
        token=secrets.token_hex(16),
        kind=kind,
        target=target,
        command=command,
        seconds=seconds,
        text=text,
        actor=f"cli:{getpass.getuser()}",
        issued=now,
        expires=now + lasts_ms,
    )


def put_and_wait(data: Path, order: Order) -> sqlite3.Row:
    """The order's row when it has ended, or as far as it has come when no hub takes it."""
    open_journal(data).close()
    db = connect(data / FILE)
    try:
        number = put_order(db, order)
        asked = time.monotonic()
        while True:
            row: sqlite3.Row = db.execute("SELECT * FROM orders WHERE id = ?", (number,)).fetchone()
            if row["state"] in ENDED:
                return row
            if row["state"] == OrderState.REQUESTED and time.monotonic() - asked > ANSWER_S:
                raise click.ClickException(
                    f"no hub took the order: does `zhian run` run on {data}? It expires by itself."
                )
            time.sleep(0.05)
    finally:
        db.close()


def _require_device(db: sqlite3.Connection, device: str, data: Path) -> None:
    known = devices_of(db)
    if device not in known:
        raise Refusal(data, "DEVICE", "no such device", value=device, right=nearest(device, known) if known else "")
