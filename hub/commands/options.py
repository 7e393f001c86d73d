"""Arguments and printing that several commands share."""

import math
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import click
import msgspec

from hub.settings.site import Site

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


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """An instant: 7d (so long ago), 2026-01-31, 2026-01-31T22:00, with seconds, with an offset (else site time)."""

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float | datetime:
        """Seconds ago, or the instant that was written."""
        if isinstance(value, float | datetime):
            return value
        text = str(value).strip()
        match = _SPAN.fullmatch(text)
        if match is not None:
            return float(match[1]) * _SECONDS[match[2]]
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            right = "write 90s, 15m, 1h, 7d (so long ago), 2026-01-31 or 2026-01-31T22:00"
            self.fail(f"{value!r} is not an instant; {right}", param, ctx)


def instant(moment: float | datetime, now: int, zone: tzinfo) -> int:
    """What a Moment means, in ms since 1970; one without an offset is in `zone`."""
    if isinstance(moment, float):
        return now - int(moment * 1000)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)


def zone_of(site: Site | None) -> tzinfo:
    """The site's time zone; without a site the machine's."""
    return site.tz if site else datetime.fromtimestamp(0, UTC).astimezone().tzinfo or UTC


def print_lines(lines: Iterable[msgspec.Struct], *, as_json: bool) -> None:
    """Each struct as one JSON line, or as aligned words for people."""
    for line in lines:
        if as_json:
            sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        else:
            shown = msgspec.structs.asdict(line)
            sys.stdout.write("  ".join(f"{value}" for value in shown.values() if value not in (None, "")) + "\n")
