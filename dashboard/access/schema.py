"""The file `office.sqlite`: made, and brought from any older form to today's, in one transaction. `tables.py` reads it.

PRAGMA user_version says which steps a file has seen. A file of a newer program is refused, never guessed at.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from dashboard.access.audit import GENESIS, entry_hash
from device_profiles.door import Refusal
from hub.journal.file import transaction

FILE = "office.sqlite"
PATIENCE_MS = 5000

_FIRST = (
    # As files were before they had a version: they are taken as they are.
    """CREATE TABLE IF NOT EXISTS user (
      id INTEGER NOT NULL PRIMARY KEY, name VARCHAR NOT NULL UNIQUE, role VARCHAR NOT NULL, password VARCHAR NOT NULL,
      active BOOLEAN NOT NULL, created INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS session (
      digest VARCHAR NOT NULL PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
      begun INTEGER NOT NULL, seen INTEGER NOT NULL, proved INTEGER NOT NULL, address VARCHAR NOT NULL,
      ended INTEGER)""",
    "CREATE INDEX IF NOT EXISTS ix_session_user_id ON session (user_id)",
    """CREATE TABLE IF NOT EXISTS throttle (
      key VARCHAR NOT NULL PRIMARY KEY, failures INTEGER NOT NULL, last INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS audit (
      id INTEGER NOT NULL PRIMARY KEY, at INTEGER NOT NULL, actor VARCHAR NOT NULL, address VARCHAR NOT NULL,
      event VARCHAR NOT NULL, detail VARCHAR NOT NULL)""",
)
_SECOND = (
    "ALTER TABLE user ADD COLUMN factor VARCHAR NOT NULL DEFAULT ''",
    "ALTER TABLE user ADD COLUMN counter INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE session ADD COLUMN half BOOLEAN NOT NULL DEFAULT 0",
    "ALTER TABLE throttle ADD COLUMN told INTEGER NOT NULL DEFAULT 0",
    """CREATE TABLE ticket (
      digest VARCHAR NOT NULL PRIMARY KEY, user_id INTEGER NOT NULL UNIQUE REFERENCES user (id) ON DELETE CASCADE,
      until INTEGER NOT NULL)""",
    """CREATE TABLE recovery (
      digest VARCHAR NOT NULL PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE)""",
    "CREATE INDEX ix_recovery_user_id ON recovery (user_id)",
    """CREATE TABLE client (
      id INTEGER NOT NULL PRIMARY KEY, name VARCHAR NOT NULL UNIQUE, digest VARCHAR NOT NULL UNIQUE,
      scopes VARCHAR NOT NULL, made INTEGER NOT NULL, made_by VARCHAR NOT NULL, used INTEGER, ended INTEGER)""",
    "DROP TRIGGER IF EXISTS audit_no_UPDATE",
    "DROP TRIGGER IF EXISTS audit_no_DELETE",
    "ALTER TABLE audit ADD COLUMN hash VARCHAR NOT NULL DEFAULT ''",
)
# INSERT OR REPLACE would be a change that no trigger on UPDATE or DELETE sees: only the next number may come in.
_ONLY_ADDED = (
    """CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
      BEGIN SELECT RAISE(ABORT, 'audit rows are only ever added'); END""",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
      BEGIN SELECT RAISE(ABORT, 'audit rows are only ever added'); END""",
    """CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit
      WHEN NEW.id IS NOT (SELECT coalesce(max(id), 0) + 1 FROM audit)
      BEGIN SELECT RAISE(ABORT, 'audit rows are only ever added'); END""",
)


def _as_before(db: sqlite3.Connection, _key: bytes) -> None:
    for statement in _FIRST:
        db.execute(statement)


def _chain(db: sqlite3.Connection, key: bytes) -> None:
    """Second factor, tickets, clients; the audit rows that there are become the beginning of the chain."""
    for statement in _SECOND:
        db.execute(statement)
    last = GENESIS
    rows = db.execute("SELECT id, at, actor, address, event, detail FROM audit ORDER BY id").fetchall()
    for number, row in enumerate(rows, 1):
        last = entry_hash(key, last, (number, *row[1:]))
        db.execute("UPDATE audit SET id = ?, hash = ? WHERE id = ?", (number, last, row[0]))
    for statement in _ONLY_ADDED:
        db.execute(statement)


def _plan(db: sqlite3.Connection, _key: bytes) -> None:
    """The site plan as it is set on the page."""
    db.execute("CREATE TABLE plan_place (zone VARCHAR NOT NULL PRIMARY KEY, x REAL NOT NULL, y REAL NOT NULL)")
    db.execute(
        "CREATE TABLE plan_picture (id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1), mimetype VARCHAR NOT NULL, "
        "picture BLOB NOT NULL, at INTEGER NOT NULL)"
    )


def _dogs(db: sqlite3.Connection, _key: bytes) -> None:
    """Whose dog it is, and files of dogs that were checked and wait to be imported."""
    db.execute(
        "CREATE TABLE dog_owner (chip VARCHAR NOT NULL PRIMARY KEY, name VARCHAR NOT NULL, phone VARCHAR NOT NULL)"
    )
    db.execute(
        "CREATE TABLE dog_draft (actor VARCHAR NOT NULL PRIMARY KEY, at INTEGER NOT NULL, digest VARCHAR NOT NULL, "
        "text VARCHAR NOT NULL)"
    )


Step = Callable[[sqlite3.Connection, bytes], None]
STEPS: tuple[Step, ...] = (_as_before, _chain, _plan, _dogs)


def prepare(path: Path, key: bytes) -> None:
    """Make the file, or bring it up to date; `key` is the audit trail's. Raises Refusal for a file of a newer one."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE_MS / 1000)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        if version(db) != len(STEPS):
            migrate(db, key, path)


def migrate(db: sqlite3.Connection, key: bytes, path: Path) -> None:
    """All steps that are missing, or none of them."""
    with transaction(db):  # two programs at once: the second finds nothing left to do
        seen = version(db)
        if seen > len(STEPS):
            raise Refusal(
                path, "", f"was written by a newer zhian (form {seen})", right=f"a zhian that knows it: {len(STEPS)}"
            )
        for step in STEPS[seen:]:
            step(db, key)
        db.execute(f"PRAGMA user_version = {len(STEPS)}")


def version(db: sqlite3.Connection) -> int:
    """How many steps the file has seen."""
    found: int = db.execute("PRAGMA user_version").fetchone()[0]
    return found
