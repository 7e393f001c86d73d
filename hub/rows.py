"""Rows of the journal as the shared structs, for the hub, the command line and the dashboard. Reads nothing itself."""

import sqlite3
from typing import TypeVar

import msgspec

from hub.reading import Quality, Reading

T = TypeVar("T", bound=msgspec.Struct)
_JSON = {"suppressed", "later", "expected", "caught"}


def to_struct(kind: type[T], row: sqlite3.Row) -> T:
    """The columns that `kind` has by name; JSON columns unpacked, 0 and 1 as booleans where the type says so."""
    fields = {name: row[name] for name in row.keys() if name in kind.__struct_fields__}  # noqa: SIM118  # sqlite3.Row
    for name in _JSON & fields.keys():
        fields[name] = msgspec.json.decode(fields[name])
    return msgspec.convert(fields, kind, strict=False)


def to_reading(row: sqlite3.Row) -> Reading:
    """A row of `reading` or `latest`."""
    return Reading(
        device=row["device"],
        quantity=row["quantity"],
        value=row["value"],
        ts=row["ts"],
        rx=row["rx"],
        quality=Quality(row["quality"]),
        detail=msgspec.json.decode(row["detail"], type=dict[str, str]) if row["detail"] else None,
    )


def hidden(row: sqlite3.Row) -> str:
    """What hides an alarm from the list of what needs a person: out-of-service, suppressed, shelved, or nothing."""
    if row["out_of_service"]:
        return "out-of-service"
    if row["suppressed"] not in (None, "[]"):
        return "suppressed"
    return "shelved" if row["shelved_until"] else ""
