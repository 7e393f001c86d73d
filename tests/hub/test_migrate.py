"""A journal of an earlier version is brought up to date when it is opened, and loses nothing."""

import sqlite3
from pathlib import Path

from hub.journal import FILE, SIREN, Journal
from hub.outbox import put
from hub.site import Site

OLD = """
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT, flip INTEGER NOT NULL, voice TEXT NOT NULL, kind TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0, next_try INTEGER NOT NULL,
  detail TEXT NOT NULL DEFAULT '', done INTEGER, UNIQUE (flip, voice)
);
CREATE INDEX outbox_due ON outbox (status, next_try);
INSERT INTO outbox (flip, voice, kind, next_try, status) VALUES (1, 'siren', 'raised', 5, 'accepted');
INSERT INTO outbox (flip, voice, kind, next_try) VALUES (2, 'log', 'raised', 6);
"""


def test_an_old_outbox_keeps_its_rows_and_takes_persons(tmp_path: Path, site: Site) -> None:
    """What waited still waits; a flip may now be told to several persons by one voice; numbers go on."""
    with sqlite3.connect(tmp_path / FILE) as old:
        old.executescript(OLD)
    old.close()

    for _ in range(2):  # once is enough, and twice does no harm
        journal = Journal(tmp_path / FILE, site)
        for person in ("li", "wang", "li"):
            put(journal.db, 2, "log", 7, person=person)
        rows = journal.db.execute("SELECT id, flip, voice, person, status FROM outbox ORDER BY id").fetchall()
        indexes = {row["name"] for row in journal.db.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
        journal.close()

    assert [tuple(row) for row in rows] == [
        (1, 1, SIREN, "", "accepted"), (2, 2, "log", "", "pending"), (3, 2, "log", "li", "pending"),
        (4, 2, "log", "wang", "pending"),
    ]  # fmt: skip
    assert {"outbox_due", "outbox_of"} <= indexes
