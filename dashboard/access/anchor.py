"""Heads of the audit trail, kept where the office's database is not: in the journal, and in the log.

Whoever cuts the trail's end off, or holds its key and writes it anew, would have to change those as well.
"""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import Engine

from dashboard.access.audit import Anchor, head
from dashboard.journal_view import FILE
from hub.journal.file import connect

LOG = logging.getLogger("zhian.audit")


def drop_anchor(engine: Engine, data: Path, now: int) -> Anchor | None:
    """Keep the trail's head, where it is another than last time. Raises sqlite3.Error."""
    found = head(engine)
    if found is None:
        return None
    with closing(connect(data / FILE)) as db:
        known = db.execute("SELECT max(number) FROM audit_anchor").fetchone()[0]
        if known is not None and known >= found.row:
            return None  # also where rows were taken away: what is known of them stays
        db.execute("INSERT INTO audit_anchor VALUES (?, ?, ?)", (found.row, found.hash, now))
    LOG.info("audit trail: row %d is %s", found.row, found.hash)
    return found


def anchors(data: Path) -> list[Anchor]:
    """All that the journal keeps, oldest first; none where there is no journal. Raises sqlite3.Error."""
    if not (data / FILE).exists():
        return []
    with closing(sqlite3.connect(f"{(data / FILE).resolve().as_uri()}?mode=ro", uri=True)) as db:
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'audit_anchor'").fetchone():
            return []
        return [Anchor(*row) for row in db.execute("SELECT number, hash, at FROM audit_anchor ORDER BY number")]
