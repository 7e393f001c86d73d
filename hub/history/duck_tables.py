"""The tables of the history file, in SQL: what stands in them, how they are sorted, and the earlier layout brought in.

A reading is first FRESH, as it came: in `fresh_plain` when it is a good number and no more, else in `fresh_other`. Then
it goes to `recent` (sorted in runs of millions) and `reading` (sorted for good, in whole groups of one series; its
minutes and hours stand in `minute` and `hour`).
"""

import duckdb

from hub.history.store import HOUR_MS, MINUTE_MS, by_energy
from hub.reading import UNMEASURED

_SHAPE = """(
  series INTEGER NOT NULL, ts BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  lag BIGINT NOT NULL,       -- rx - ts
  number DOUBLE, text VARCHAR,
  quality VARCHAR,           -- NULL = good
  detail VARCHAR
)"""
# bucket: its number since 1970. mean: by energy where `series` says so. extent: ms from the first to the last.
SCHEMA_FIGURES = """(
  series INTEGER NOT NULL, bucket INTEGER NOT NULL,
  low DOUBLE NOT NULL, mean DOUBLE NOT NULL, high DOUBLE NOT NULL, count INTEGER NOT NULL, extent INTEGER NOT NULL
)"""
# Three columns that are empty in nearly every row cost a sixth of an append; without them these rows are nearly all.
FRESH_PLAIN = """CREATE TABLE fresh_plain (
  series INTEGER NOT NULL, ts BIGINT NOT NULL, seq BIGINT NOT NULL, lag BIGINT NOT NULL, number DOUBLE NOT NULL
)"""
FRESH_OTHER = f"CREATE TABLE fresh_other {_SHAPE}"
FRESH = "(FROM fresh_other UNION ALL BY NAME FROM fresh_plain)"  # in the shape of the others
LEVELS = ("reading", "recent", FRESH)
RECENT = f"CREATE TABLE recent {_SHAPE}"
SCHEMA = f"""
CREATE TABLE series (id INTEGER NOT NULL, device VARCHAR NOT NULL, quantity VARCHAR NOT NULL, energy BOOLEAN NOT NULL);
{FRESH_PLAIN};
{FRESH_OTHER};
{RECENT};
CREATE TABLE reading {_SHAPE};
CREATE TABLE minute {SCHEMA_FIGURES};
CREATE TABLE hour {SCHEMA_FIGURES};
CREATE TABLE cursor (seq BIGINT NOT NULL);
INSERT INTO cursor VALUES (0);
"""
TABLES = {"series", "fresh_plain", "fresh_other", "recent", "reading", "minute", "hour", "cursor"}
TABLES_2 = TABLES - {"fresh_plain", "fresh_other"} | {"fresh"}  # `fresh` had what is in two now
TABLES_1 = {"reading", "cursor"}  # device and quantity stood in each row of the first layout

# Every second series runs backwards: where one ends the next begins at nearly the same instant, so that differences
# stay small and `ts` and `seq` pack into half the bits. Nothing reads a table in its own order.
ORDER = "series, CASE WHEN series % 2 = 0 THEN ts ELSE -ts END, CASE WHEN series % 2 = 0 THEN seq ELSE -seq END"
MEASURED = f"(quality IS NULL OR quality NOT IN {tuple(sorted(map(str, UNMEASURED)))})"
VALID = f"number IS NOT NULL AND {MEASURED}"
GRAINS = {"minute": MINUTE_MS, "hour": HOUR_MS}


def mean(energy: str, level: str = "number", weight: str = "1") -> str:
    """The SQL of a mean; where `energy` is true 10 lg(mean(10^(L/10))), as LAeq is defined in IEC 61672-1."""
    return (
        f"CASE WHEN {energy} THEN 10 * log10(sum({weight} * pow(10, {level} / 10)) / sum({weight})) "
        f"ELSE sum({weight} * {level}) / sum({weight}) END"
    )


def roll_up(table: str, grain: str, where: str = "true") -> str:
    """The statement that adds figures of the valid numbers in `table` to the grain's table.

    Several rows of one bucket are parts of it: what comes late adds one, and a question puts them together.
    """
    width = GRAINS[grain]
    rounded = f"round({mean('any_value(energy)')}, 6)"  # far below what any sensor tells; it packs into half
    return (
        f"INSERT INTO {grain} SELECT series, (ts // {width})::INTEGER AS bucket, min(number), "
        f"greatest(min(number), least(max(number), {rounded})), max(number), count(*), "
        f"(max(ts) - min(ts))::INTEGER FROM {table} AS row JOIN series ON series.id = row.series "
        f"WHERE {VALID} AND ({where}) GROUP BY ALL ORDER BY series, bucket"
    )


def register(db: duckdb.DuckDBPyConnection, source: str) -> None:
    """Number the pairs of device and quantity in `source` that are not known yet."""
    db.execute(
        "INSERT INTO series SELECT (SELECT coalesce(max(id), 0) FROM series) + row_number() OVER (), device, quantity, "
        f"false FROM (SELECT DISTINCT device, quantity FROM {source}) ANTI JOIN series USING (device, quantity) "
        "ORDER BY device, quantity"
    )
    for (quantity,) in db.execute("SELECT DISTINCT quantity FROM series WHERE NOT energy").fetchall():
        if by_energy(quantity):
            db.execute("UPDATE series SET energy = true WHERE quantity = ?", [quantity])


def upgrade(db: duckdb.DuckDBPyConnection) -> None:
    """Bring the second layout over, within the caller's transaction."""
    db.execute("ALTER TABLE fresh RENAME TO fresh_other")
    db.execute(FRESH_PLAIN)


def upgrade_first(db: duckdb.DuckDBPyConnection) -> None:
    """Bring the first layout over, within the caller's transaction: all rows, and the cursor."""
    db.execute("ALTER TABLE reading RENAME TO before")
    db.execute("ALTER TABLE cursor RENAME TO cursor_before")
    db.execute(SCHEMA)
    db.execute("UPDATE cursor SET seq = (SELECT seq FROM cursor_before)")
    register(db, "before")
    db.execute(f"INSERT INTO recent {from_named('before')} ORDER BY {ORDER}")  # constants
    db.execute("DROP TABLE before")
    db.execute("DROP TABLE cursor_before")


def from_named(source: str) -> str:
    """Rows with device and quantity by name (the first layout, and snapshots) in today's shape."""
    return (
        "SELECT id AS series, ts, seq, rx - ts AS lag, number, text, nullif(quality, 'good') AS quality, detail "
        f"FROM {source} JOIN series AS pair USING (device, quantity)"
    )
