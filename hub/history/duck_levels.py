"""How readings move on in the history file: from `fresh` to `recent` to `reading`, sorted each time, and rolled up.

Each step is a transaction: a question sees all of it or nothing. Nothing here is deleted but what stands further on.
"""

import contextlib
from collections.abc import Iterator

import duckdb

from hub.history.duck_tables import FRESH, GRAINS, ORDER, RECENT, SCHEMA_FIGURES, roll_up

SETTLE_ROWS = 2_000_000  # unsorted rows that a question reads through: 20 ms
COMPACT_ROWS = 16_000_000  # rows in sorted runs, of which a question reads through two row groups each
KEEP_SEQ_MS = 2 * 3_600_000  # the journal keeps what is younger than an hour: until then `seq` is worth its bytes


@contextlib.contextmanager
def transaction(db: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All or nothing."""
    db.begin()
    done = False
    try:
        yield
        db.commit()
        done = True
    finally:
        if not done:
            with contextlib.suppress(duckdb.Error):  # the error that brought us here is the one to tell
                db.rollback()


def rows(db: duckdb.DuckDBPyConnection, table: str) -> int:
    """How many it holds; DuckDB knows without reading them."""
    return int(db.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])


def settle(db: duckdb.DuckDBPyConnection) -> None:
    """Sort what came lately into one run: 2 million rows in about a second."""
    with transaction(db):
        db.execute(f"INSERT INTO recent SELECT * FROM fresh ORDER BY {ORDER}")
        db.execute("DROP TABLE fresh")
        db.execute(FRESH)


def compact(db: duckdb.DuckDBPyConnection, keep_ms: int = KEEP_SEQ_MS) -> int:
    """Sort all but the last `keep_ms` for good, with its minutes and hours; returns how many rows. Settle before."""
    newest = db.execute("SELECT max(ts + lag) FROM recent").fetchall()[0][0]
    if newest is None:
        return 0
    old = f"ts + lag <= {newest - keep_ms}"
    with transaction(db):
        for grain in GRAINS:
            db.execute(roll_up("recent", grain, old))
        db.execute(
            "INSERT INTO reading SELECT series, ts, CASE WHEN text IS NOT NULL THEN seq END AS seq, lag, number, text, "
            f"quality, detail FROM (FROM recent WHERE {old} ORDER BY {ORDER})"  # constants and a number
        )
        moved = rows(db, "recent")
        db.execute("ALTER TABLE recent RENAME TO done")
        db.execute(RECENT)
        db.execute(f"INSERT INTO recent SELECT * FROM done WHERE NOT ({old})")
        db.execute("DROP TABLE done")
        moved -= rows(db, "recent")
    db.execute("CHECKPOINT")
    return moved


def tend(db: duckdb.DuckDBPyConnection) -> None:
    """After a writing: sort what has become much. Usually there is nothing to do."""
    if rows(db, "fresh") >= SETTLE_ROWS:
        settle(db)
        if rows(db, "recent") >= COMPACT_ROWS:
            compact(db)


def rebuild(db: duckdb.DuckDBPyConnection) -> None:
    """Make minutes and hours anew from the readings that are kept; those of readings that are gone stay as they are."""
    with transaction(db):
        for grain, width in GRAINS.items():
            db.execute(f"ALTER TABLE {grain} RENAME TO before")
            db.execute(f"CREATE TABLE {grain} {SCHEMA_FIGURES}")
            db.execute(roll_up("reading", grain))
            db.execute(
                f"INSERT INTO {grain} SELECT * FROM before ANTI JOIN (SELECT series, min(ts) // {width} AS first "
                "FROM reading GROUP BY series) AS kept ON kept.series = before.series AND before.bucket >= kept.first"
            )
            db.execute("DROP TABLE before")
    db.execute("CHECKPOINT")
