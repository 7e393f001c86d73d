"""Rows as InfluxDB line protocol, and texts as InfluxQL. Pure: what cannot be said safely is refused, never bent.

Measurement = quantity, tags = site and device; so a strange text can end up in a wrong field of its own row at most,
never in another series. The line protocol reference of InfluxDB 1.8 and 2.x is the source of the escapes.
"""

import math
import re

from hub.history.marks import MARKS, Mark
from hub.journal.batches import Row

NS = 1_000_000  # nanoseconds in a millisecond
PROBE = "zhian_probe,site=probe value=1"  # without a time: the server's own, within any retention
_LATEST_MS = (2**63 - 1) // NS - 1  # the year 2262: more does not fit into 64 bits of nanoseconds
# A backslash has no escape in a tag, and control characters end lines or vanish; our ids have neither.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]")


class Unspeakable(ValueError):
    """The row cannot be written as a line; the text says why."""


def line(row: Row, site: str) -> str:
    """One line. Its time is ts plus seq as nanoseconds: two readings of one ms stay two, a replay overwrites itself."""
    if not 0 <= row.ts <= _LATEST_MS:
        raise Unspeakable(f"ts {row.ts} is not a time that fits")
    fields = [_value(row), f"seq={row.seq}i", f"rx={row.rx}i", f"quality={_text(row.quality)}"]
    if row.detail is not None:
        fields.append(f"detail={_text(row.detail)}")
    series = f"{_measurement(row.quantity)},device={_tag(row.device)},site={_tag(site)}"
    return f"{series} {','.join(fields)} {row.ts * NS + row.seq % NS}"


def number_line(row: Row, site: str) -> str:
    """One line of numbers only, for a server that keeps nothing else; its time is ts. Quality is a tag unless good."""
    if not 0 <= row.ts <= _LATEST_MS:
        raise Unspeakable(f"ts {row.ts} is not a time that fits")
    quality = "" if row.quality == "good" else f",quality={_tag(row.quality)}"
    series = f"{_measurement(row.quantity)},device={_tag(row.device)},site={_tag(site)}{quality}"
    return f"{series} {_value(row)},seq={row.seq},rx={row.rx} {row.ts * NS}"


def mark_line(mark: Mark, site: str) -> str:
    """A mark as a line."""
    return f"{MARKS},site={_tag(site)} cursor={mark.seq}i,boot={mark.boot}i {mark.at * NS}"


def identifier(name: str) -> str:
    """A measurement's name in InfluxQL."""
    return '"' + _quoted(name).replace('"', '\\"') + '"'


def literal(text: str) -> str:
    """A text in InfluxQL."""
    return "'" + _quoted(text).replace("'", "\\'") + "'"


def _value(row: Row) -> str:
    if isinstance(row.value, str):
        return f"text={_text(row.value)}"
    if not math.isfinite(row.value):
        raise Unspeakable(f"{row.value} is not a number")
    return f"value={float(row.value)!r}"


def _measurement(name: str) -> str:
    if not name or name.startswith("#") or _UNSAFE.search(name):
        raise Unspeakable(f"{name!r} is not a name for a measurement")
    return re.sub(r"([, ])", r"\\\1", name)


def _tag(text: str) -> str:
    if not text or _UNSAFE.search(text):
        raise Unspeakable(f"{text!r} is not a value for a tag")
    return re.sub(r"([,= ])", r"\\\1", text)


def _text(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
