"""The history file itself: opened, recognised as ours, told from a damaged or foreign one, moved out of the way.

DuckDB's error texts are judged here and nowhere else.
"""

import contextlib
import os
import re
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from hub.history.duck_tables import SCHEMA, TABLES, TABLES_1, TABLES_2, upgrade, upgrade_first
from hub.history.store import StoreError

CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "256MB",
    "threads": 2,
    "max_temp_directory_size": "4GB",  # what is sorted may lie on the disk meanwhile, but must not fill it
    "autoinstall_known_extensions": False,  # no extension is ever fetched from the network
    "autoload_known_extensions": False,
}
_DAMAGED = ("Corrupt database file", "not a valid DuckDB database file", "Could not read enough bytes")


class SetAside(msgspec.Struct, frozen=True):
    """A file that could not be used: where it was moved, why, and when."""

    moved_to: Path
    reason: str
    at: int


class Unusable(Exception):
    """The file is damaged, or is not a history. It is moved, not mended."""


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """The file, open and with our tables. Raises Unusable (set it aside) or StoreError (try later)."""
    try:
        if path.exists() and not _looks_like_duckdb(path):
            raise Unusable("is not a DuckDB file")
        db = duckdb.connect(str(path), config=CONFIG)
    except duckdb.Error as error:
        if is_damage(error):
            raise Unusable(first_line(error)) from error
        raise StoreError(f"{path.name}: {_why_not(error)}") from error
    except OSError as error:
        raise StoreError(f"{path.name}: {error.strerror}") from error
    try:
        _prepare(db)
    except (duckdb.BinderException, duckdb.CatalogException, duckdb.ConstraintException) as error:
        db.close()
        raise Unusable(f"is another program's file: {first_line(error)}") from error
    except duckdb.Error as error:
        db.close()
        raise StoreError(f"{path.name}: {first_line(error)}") from error
    except Unusable:
        db.close()
        raise
    return db


def _prepare(db: duckdb.DuckDBPyConnection) -> None:
    """Make the tables, or bring those of an earlier layout into today's, in one transaction."""
    tables = {str(name) for (name,) in fetch(db, "SELECT table_name FROM duckdb_tables()", [])}
    if tables >= TABLES:
        return
    if tables and not tables >= TABLES_1:
        raise Unusable(f"is another program's file: its tables are {', '.join(sorted(tables))}")
    db.begin()
    if tables >= TABLES_2:
        upgrade(db)
    elif tables:
        upgrade_first(db)
    else:
        db.execute(SCHEMA)
    db.commit()


def _looks_like_duckdb(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(12)[8:] == b"DUCK"  # after the checksum of the first header block


def _why_not(error: duckdb.Error) -> str:
    """A lock is said in words that help: who has the file."""
    holder = re.search(r"Conflicting lock is held in (.*?) ?\(PID (\d+)\)", str(error))
    if holder is None:
        return first_line(error)
    return f"process {holder[2]} holds the lock, and only one may write: this one ({os.getpid()}) does not"


def is_damage(error: duckdb.Error) -> bool:
    """True when the file's content is wrong: not a lock, not the disk, not memory."""
    return any(mark in str(error) for mark in _DAMAGED)


def move_away(path: Path, reason: str, now: int) -> SetAside:
    """Rename file and write-ahead log to `<name>.corrupt-<now>`. Raises OSError."""
    target = path.with_name(f"{path.name}.corrupt-{now}")
    for suffix in ("", ".wal"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
    return SetAside(moved_to=target, reason=reason, at=now)


def identity(path: Path) -> tuple[int, int] | None:
    """Which file stands there now; None when there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def flush(path: Path) -> None:
    """Make its content durable."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def own_name(db: duckdb.DuckDBPyConnection) -> str:
    """The open database's name in SQL."""
    name = str(fetch(db, "SELECT current_database()", [])[0][0])
    return '"' + name.replace('"', '""') + '"'


def quoted(path: Path) -> str:
    """The path as an SQL text, where SQL takes no parameter."""
    return "'" + str(path).replace("'", "''") + "'"


def fetch(
    db: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any] | dict[str, Any]
) -> list[tuple[Any, ...]]:  # Any: the columns of any question
    """Ask, and have all rows."""
    return db.execute(sql, parameters).fetchall()


def first_line(error: Exception) -> str:
    """What is fit for a person: the rest are hints for DuckDB's developers."""
    return str(error).partition("\n")[0]
