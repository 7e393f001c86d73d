"""`zhian rollups`: make the embedded history's minutes and hours anew from its readings, when they were lost."""

from pathlib import Path

import click

from hub.clock import Clock
from hub.commands.options import DATA


@click.command("rollups")
@DATA
def rollups_command(data: Path) -> None:
    """Make the history's minutes and hours anew. The office must not run: it holds the file."""
    from hub.history.duck import DuckStore  # DuckDB, which the other commands need not load
    from hub.history.store import StoreError

    path = data / "history.duckdb"
    if not path.exists():
        raise click.UsageError(f"{path}: there is no history here; give the data folder of `zhian run` with --data")
    try:
        store = DuckStore(path, Clock.from_environment())
        try:
            minutes, hours = store.rebuild()
        finally:
            store.close()
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{path}: {minutes} minutes and {hours} hours")
