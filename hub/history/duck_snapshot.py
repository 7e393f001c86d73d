"""The history as Parquet files, for backups: written while rows arrive, and loaded into a new file.

Device and quantity stand in each row by name, so that any tool reads it.
"""

import contextlib
from pathlib import Path

import duckdb
import msgspec

from hub.history.duck_file import Unusable, connect, fetch, first_line, quoted
from hub.history.duck_levels import transaction
from hub.history.duck_tables import FRESH, GRAINS, LEVELS, ORDER, from_named, register
from hub.history.store import Snapshot, StoreError

SNAPSHOTS = "history-snapshots"  # beside the history file; one folder each night
_NAMED = f"""
SELECT seq, device, quantity, ts, ts + lag AS rx, number, text, coalesce(quality, 'good') AS quality, detail, sorted
FROM (
  SELECT *, true AS sorted FROM reading UNION ALL SELECT *, false FROM recent UNION ALL SELECT *, false FROM {FRESH}
) AS row JOIN series ON series.id = row.series
"""
_FIGURES = (
    "SELECT device, quantity, figure.* EXCLUDE (series) FROM {} AS figure JOIN series ON series.id = figure.series"
)


def write_snapshot(db: duckdb.DuckDBPyConnection, folder: Path, at: int) -> Snapshot:
    """Write all rows of an open history into `folder`, rows, figures and cursor of the same instant."""
    db.begin()
    try:
        for name, rows in {"reading": _NAMED, **{grain: _FIGURES.format(grain) for grain in GRAINS}}.items():
            db.execute(f"COPY ({rows}) TO {quoted(folder / f'{name}.parquet')} (FORMAT parquet, COMPRESSION zstd)")
        counts = " + ".join(f"(SELECT count(*) FROM {level})" for level in LEVELS)
        cursor, count = fetch(db, f"SELECT seq, {counts} FROM cursor", [])[0]
    finally:
        db.rollback()
    made = Snapshot(at=at, cursor=cursor, rows=count)
    (folder / "snapshot.json").write_bytes(msgspec.json.encode(made))
    return made


def load_snapshot(folder: Path, path: Path) -> Snapshot:
    """Make a history file at `path` from a snapshot folder, cursor included. Raises StoreError when it does not fit."""
    try:
        told = msgspec.json.decode((folder / "snapshot.json").read_bytes(), type=Snapshot)
        with contextlib.closing(connect(path)) as db:
            with transaction(db):
                _load(db, folder)
                db.execute("UPDATE cursor SET seq = ?", [told.cursor])
            levels = "(SELECT count(*) FROM reading) + (SELECT count(*) FROM recent)"
            count = int(fetch(db, f"SELECT {levels}", [])[0][0])
    except (duckdb.Error, msgspec.MsgspecError, UnicodeDecodeError, OSError, Unusable) as error:
        raise StoreError(f"{folder}: cannot be loaded: {first_line(error)}") from error
    if count != told.rows:
        raise StoreError(f"{folder}: holds {count} readings, not the {told.rows} that it says")
    return told


def newest(folder: Path) -> tuple[Snapshot, Path] | None:
    """The newest whole snapshot in a folder of snapshots, what it says of itself first."""
    for file in sorted(folder.glob("*/snapshot.json"), reverse=True):
        with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):  # a disk that was full
            if file.parent.suffix != ".part":
                return msgspec.json.decode(file.read_bytes(), type=Snapshot), file.parent
    return None


def _load(db: duckdb.DuckDBPyConnection, folder: Path) -> None:
    rows = f"read_parquet({quoted(folder / 'reading.parquet')})"
    register(db, rows)
    if not (folder / "hour.parquet").exists():  # of the first layout: nothing was rolled up yet
        db.execute(f"INSERT INTO recent {from_named(rows)} ORDER BY {ORDER}")  # a quoted path
        return
    for level, which in (("reading", "sorted"), ("recent", "NOT sorted")):
        order = "series, ts, seq" if level == "reading" else ORDER  # those that make whole groups stay so
        db.execute(f"INSERT INTO {level} FROM ({from_named(rows)} WHERE {which}) ORDER BY {order}")
    for grain in GRAINS:
        figures = f"read_parquet({quoted(folder / f'{grain}.parquet')})"
        register(db, figures)
        db.execute(
            f"INSERT INTO {grain} SELECT id, bucket, low, mean, high, count, extent FROM {figures} "
            "JOIN series USING (device, quantity) ORDER BY id, bucket"
        )
