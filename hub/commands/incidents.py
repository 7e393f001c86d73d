"""`zhian incidents`: the matters that people have to deal with, listed and moved by a step."""

from pathlib import Path

import click
import msgspec

from device_profiles.door import Refusal
from hub.commands.data import LIST_EXPIRES_MS, make_order, put_and_wait
from hub.commands.options import DATA, JSON, Span, print_lines
from hub.duty.casebook import ORDER
from hub.duty.incident import PEOPLES
from hub.journal.query import open_journal
from hub.outcome import OrderState


@click.group("incidents")
def incidents_command() -> None:
    """Incidents: classify, dispatch, accept, feed back, assess, archive."""


class IncidentLine(msgspec.Struct, frozen=True):
    """One incident, as `zhian incidents list --json` prints it; instants in ms since 1970."""

    id: int
    severity: str
    key: str
    occurrence: int
    state: str
    since: int
    due: int | None
    supervision: int
    assignee: str
    kind: str
    follows: int | None


class LogLine(msgspec.Struct, frozen=True):
    """One line of an incident's log."""

    at: int
    event: str
    state: str
    actor: str
    text: str


@incidents_command.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
@DATA
@JSON
def incidents_list(everything: bool, data: Path, as_json: bool) -> None:
    """Print the incidents that are not over, oldest first."""
    sql = "SELECT * FROM incident WHERE ? OR state NOT IN ('archived', 'void') ORDER BY id"
    with open_journal(data) as db:
        lines = [
            IncidentLine(
                row["id"], row["severity"], row["key"], row["occurrence"], row["state"], row["since"], row["due_at"],
                row["supervision"], row["assignee"], row["kind"], row["follows"],
            )
            for row in db.execute(sql, (everything,))
        ]  # fmt: skip
    print_lines(lines, as_json=as_json)


@incidents_command.command("log")
@click.argument("number", type=int)
@DATA
@JSON
def incidents_log(number: int, data: Path, as_json: bool) -> None:
    """Print what happened in incident NUMBER."""
    with open_journal(data) as db:
        rows = db.execute("SELECT * FROM incident_log WHERE incident = ? ORDER BY seq", (number,)).fetchall()
    if not rows:
        raise Refusal(data, "NUMBER", "there is no such incident", value=number, right="see zhian incidents list")
    lines = (LogLine(row["at"], row["event"], row["state"], row["actor"], row["text"]) for row in rows)
    print_lines(lines, as_json=as_json)


@incidents_command.command("step")
@click.argument("number", type=int)
@click.argument("event", type=click.Choice([str(event) for event in PEOPLES]))
@click.option("--text", default="", help="What was found, done, or why.")
@click.option("--to", default="", help="dispatch: persons' ids, by commas.")
@click.option("--for", "span", type=Span(), help="defer: for how long, as 3d.")
@DATA
def incidents_step(number: int, event: str, text: str, to: str, span: float | None, data: Path) -> None:
    """Move incident NUMBER by EVENT. Exit 2 with what is possible when this is not."""
    words = f"{to} {text}" if event == "dispatch" else text
    order = make_order(ORDER, str(number), LIST_EXPIRES_MS, command=event, seconds=span, text=words)
    row = put_and_wait(data, order)
    if row["state"] != OrderState.DONE:
        raise click.UsageError(f"incident {number}: {row['outcome'].partition(':')[2] or row['outcome']}")
    click.echo(f"incident {number}: {event}")
