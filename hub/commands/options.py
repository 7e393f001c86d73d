"""Arguments and printing that several commands share."""

import math
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import msgspec

SITE = click.argument("site", default="site.toml", type=click.Path(path_type=Path))
DATA = click.option(
    "--data",
    default="zhian-data",
    type=click.Path(path_type=Path, file_okay=False),
    help="The data folder.",
    show_default=True,
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON (lines) for programs.")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Finite(click.FloatRange):
    """A number that one can reckon with: "nan" and "inf" are words that a person may write, and no numbers."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # Any: click's
        """The number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number; write digits, as 2.5", param, ctx)
        return number


class Span(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A length of time such as 90s, 15m, 1h, 7d; in seconds."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, float):
            return value
        match = _SPAN.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a length of time; write 90s, 15m, 1h or 7d", param, ctx)
        return float(match[1]) * _SECONDS[match[2]]


def print_lines(lines: Iterable[msgspec.Struct], *, as_json: bool) -> None:
    """Each struct as one JSON line, or as aligned words for people."""
    for line in lines:
        if as_json:
            sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        else:
            shown = msgspec.structs.asdict(line)
            sys.stdout.write("  ".join(f"{value}" for value in shown.values() if value not in (None, "")) + "\n")
