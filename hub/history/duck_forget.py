"""What is deleted from the history file because of its age, by series and grain. Decides nothing: it is told what."""

from collections.abc import Sequence

import duckdb

from hub.history.duck_levels import transaction
from hub.history.duck_tables import FRESH, GRAINS, roll_up
from hub.history.store import HOUR_MS, Grain

_TABLES = ("reading", "recent", "fresh_plain", "fresh_other")


def forget(db: duckdb.DuckDBPyConnection, series: Sequence[int], before_ms: int, grain: Grain) -> tuple[int, bool]:
    """Delete what is older than `before_ms`; returns how many rows, and whether texts were among them.

    Numbers go by whole hours, and what is not in the figures yet is put there before.
    """
    if not series:
        return 0, False
    names = f"series IN ({', '.join(map(str, series))})"
    with transaction(db):
        if grain is not Grain.RAW:
            return _delete(db, grain, f"{names} AND bucket < {before_ms // GRAINS[grain]}"), False
        numbers = f"{names} AND number IS NOT NULL AND ts < {before_ms // HOUR_MS * HOUR_MS}"
        texts = f"{names} AND text IS NOT NULL AND ts < {before_ms}"
        for level in ("recent", FRESH):
            for name in GRAINS:
                db.execute(roll_up(level, name, numbers))
        said = sum(_delete(db, table, texts) for table in _TABLES if table != "fresh_plain")
        return said + sum(_delete(db, table, numbers) for table in _TABLES), said > 0


def _delete(db: duckdb.DuckDBPyConnection, table: str, where: str) -> int:
    return int(db.execute(f"DELETE FROM {table} WHERE {where}").fetchall()[0][0])
