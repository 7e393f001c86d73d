"""`zhian bench NAME`: measure one thing on this machine and print it with its conditions.

What is measured stands in `hub/bench/`, one module a name; here it is only called and printed.
"""

import importlib
from typing import cast

import click
import msgspec

from hub.bench.conditions import Bench, conditions
from hub.commands.options import JSON, Finite

# A bench's file is imported when it is named, so that one does not need what another measures.
BENCHES = {
    "alarm": "hub.bench.alarm",
    "dashboard": "hub.bench.dashboard",
    "history": "hub.bench.history",
    "ingest": "hub.bench.ingest",
    "modbus": "hub.bench.modbus",
    "rules": "hub.bench.rules",
    "shipping": "hub.bench.shipping",
}


class Benches(click.Group):
    """Finds benches by BENCHES; each takes the same options."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them."""
        return list(BENCHES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The bench by its name."""
        return _command(cmd_name) if cmd_name in BENCHES else None


@click.group("bench", cls=Benches)
def bench_command() -> None:
    """Measure one thing on this machine, and print the figures with their conditions."""


def _command(name: str) -> click.Command:
    module = importlib.import_module(BENCHES[name])
    bench = cast("Bench", module)

    @click.command(name, help=(module.__doc__ or "").partition("\n")[0])
    @click.option("--seconds", default=bench.SECONDS, show_default=True, type=Finite(1.0, 3600.0), help="How long.")
    @click.option("--seed", default=1, show_default=True, help="Of everything random.")
    @JSON
    def command(seconds: float, seed: int, as_json: bool) -> None:
        here = conditions(seconds, seed)
        _print(name, bench.measure(seconds, seed), here, as_json=as_json)

    return command


def _print(name: str, figures: msgspec.Struct, here: msgspec.Struct, *, as_json: bool) -> None:
    """One JSON document, or a line a figure for people."""
    shown = {"bench": name, **msgspec.to_builtins(figures), "conditions": msgspec.to_builtins(here)}
    if as_json:
        click.echo(msgspec.json.encode(shown))
        return
    for key, value in shown.items():
        words = ", ".join(f"{each} {it}" for each, it in value.items()) if isinstance(value, dict) else value
        click.echo(f"{key:28} {words}")
