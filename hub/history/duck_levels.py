"""How readings move on in the history file: from FRESH to `recent` to `reading`, sorted each time, and rolled up.

Each step is a transaction: a question sees all of it or nothing. Nothing here is deleted but what stands further on.
"""

import contextlib
from collections.abc import Iterator

import duckdb

from hub.history.duck_tables import (
    FRESH,
    FRESH_OTHER,
    FRESH_PLAIN,
    GRAINS,
    ORDER,
    RECENT,
    SCHEMA_FIGURES,
    roll_up,
)

SETTLE_ROWS = 2_000_000  # unsorted rows that a question reads through: 20 ms
BEHIND_ROWS = 16_000_000  # unsorted rows at most while a backlog is carried: sorting waits for its end
COMPACT_ROWS = 8_000_000  # rows in whole groups that wait in sorted runs; a question reads a little of each run
GROUP = 2_048  # DuckDB packs so many values together: where all are of one series, times and numbers hardly take room


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
        db.execute(f"INSERT INTO recent SELECT * FROM {FRESH} ORDER BY {ORDER}")
        for name, made in (("fresh_plain", FRESH_PLAIN), ("fresh_other", FRESH_OTHER)):
            db.execute(f"DROP TABLE {name}")
            db.execute(made)


def compact(db: duckdb.DuckDBPyConnection, group: int) -> int:
    """Sort for good, with its minutes and hours, what makes whole groups of a series; returns how many rows.

    Settle before. What is left of each series, less than a group, waits.
    """
    with transaction(db):
        db.execute(
            "CREATE TEMP TABLE ranked AS SELECT recent.*, "
            f"row_number() OVER (PARTITION BY series ORDER BY ts, seq) <= whole AS goes FROM recent "
            f"JOIN (SELECT series, count(*) // {group} * {group} AS whole FROM recent GROUP BY series) USING (series)"
        )
        for grain in GRAINS:
            db.execute(roll_up("ranked", grain, "goes"))
        rows_of = "SELECT * EXCLUDE (goes) FROM ranked WHERE"
        moved = db.execute(f"INSERT INTO reading {rows_of} goes ORDER BY series, ts, seq").fetchall()[0][0]
        db.execute("DROP TABLE recent")
        db.execute(RECENT)
        db.execute(f"INSERT INTO recent {rows_of} NOT goes ORDER BY {ORDER}")
        db.execute("DROP TABLE ranked")
    db.execute("CHECKPOINT")
    return int(moved)


def _waiting(db: duckdb.DuckDBPyConnection) -> int:
    """Rows of `recent` that make whole groups."""
    counts = f"SELECT count(*) // {GROUP} * {GROUP} AS whole FROM recent GROUP BY series"
    return int(db.execute(f"SELECT coalesce(sum(whole), 0) FROM ({counts})").fetchall()[0][0])


def tend(db: duckdb.DuckDBPyConnection, *, behind: bool) -> None:
    """After a writing: sort what has become much, later while a backlog is carried. Usually there is nothing to do."""
    if rows(db, "fresh_plain") + rows(db, "fresh_other") >= (BEHIND_ROWS if behind else SETTLE_ROWS):
        settle(db)
        if _waiting(db) >= COMPACT_ROWS:
            compact(db, GROUP)


def rebuild(db: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """Make minutes and hours anew from the readings that are kept; those of readings that are gone stay as they are.

    Returns how many minutes and hours there are.
    """
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
    return rows(db, "minute"), rows(db, "hour")
