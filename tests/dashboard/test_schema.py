"""The office database's file: any older form becomes today's in one transaction, and a newer one is refused."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import inspect

from dashboard.access.audit import key_of, verify
from dashboard.access.schema import STEPS, migrate, prepare, version
from dashboard.access.tables import Table
from dashboard.access.users import open_office
from device_profiles.door import Refusal
from tests.hub.kill import Killed, Wire

KEY = b"k" * 32


def make_old(path: Path) -> None:
    """As the first program left it: no version, triggers of its own, and an audit trail without hashes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        STEPS[0](db, KEY)
        for verb in ("UPDATE", "DELETE"):
            db.execute(f"CREATE TRIGGER audit_no_{verb} BEFORE {verb} ON audit BEGIN SELECT RAISE(ABORT, 'no'); END")
        db.execute("INSERT INTO user VALUES (1, 'lin', 'manager', 'x', 1, 0)")
        db.execute("INSERT INTO session VALUES ('d', 1, 1, 2, 3, '127.0.0.1', NULL)")
        db.execute("INSERT INTO throttle VALUES ('user:x', 4, 5)")
        for number in (1, 2, 3):
            db.execute("INSERT INTO audit VALUES (?, ?, 'lin', '127.0.0.1', 'login', '')", (number, 1000 * number))


def dump(path: Path) -> list[str]:
    """Everything in the file."""
    with closing(sqlite3.connect(path)) as db:
        return [f"version {version(db)}", *db.iterdump()]


def test_the_file_is_what_the_tables_say(tmp_path: Path) -> None:
    """The steps make the columns that the program reads, no more and no fewer."""
    engine = open_office(tmp_path)
    found = inspect(engine)
    made = {table: {column["name"] for column in found.get_columns(table)} for table in found.get_table_names()}
    engine.dispose()
    assert made == {name: {column.name for column in table.columns} for name, table in Table.metadata.tables.items()}


def test_an_old_file_keeps_everything(tmp_path: Path) -> None:
    """People, sessions and delays stay; the audit rows that there are become the beginning of the chain."""
    make_old(tmp_path / "office.sqlite")
    engine = open_office(tmp_path)
    with engine.begin() as db:
        assert tuple(db.exec_driver_sql("SELECT name, role, factor FROM user").one()) == ("lin", "manager", "")
        assert tuple(db.exec_driver_sql("SELECT digest, half FROM session").one()) == ("d", 0)
        assert tuple(db.exec_driver_sql("SELECT failures FROM throttle").one()) == (4,)
    found = verify(engine)
    engine.dispose()
    assert (found.good, found.wrong) == (3, None)


def test_twice_is_once(tmp_path: Path) -> None:
    """A file of today is not touched."""
    prepare(tmp_path / "a.sqlite", KEY)
    before = dump(tmp_path / "a.sqlite")
    prepare(tmp_path / "a.sqlite", KEY)
    assert dump(tmp_path / "a.sqlite") == before


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    """An old program does not guess at what it does not know, and changes nothing."""
    path = tmp_path / "office.sqlite"
    prepare(path, key_of(tmp_path))
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    before = dump(path)
    with pytest.raises(Refusal, match="newer zhian"):
        open_office(tmp_path)
    assert dump(path) == before


def test_a_kill_at_any_statement_leaves_the_old_file_or_the_new(tmp_path: Path) -> None:
    """And the next start goes on from there; the control without a transaction leaves neither."""
    old, new = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    for path in (old, new):
        make_old(path)
    before = dump(old)
    wire = Wire(sqlite3.connect(new, isolation_level=None), None)
    migrate(cast("sqlite3.Connection", wire), KEY, new)
    wire.close()
    after = dump(new)
    assert wire.count > 20
    for left in range(wire.count):
        path = tmp_path / f"{left}.sqlite"
        make_old(path)
        assert cut(path, left) in (before, after), left
        prepare(path, KEY)
        assert dump(path) == after, left
    control = [tmp_path / f"loose-{left}.sqlite" for left in range(wire.count)]
    for path in control:
        make_old(path)
    assert any(cut(path, left, loose=True) not in (before, after) for left, path in enumerate(control))


def cut(path: Path, left: int, *, loose: bool = False) -> list[str]:
    """What is in the file when the process died after so many statements."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db, pytest.raises(Killed):
        migrate(cast("sqlite3.Connection", Wire(db, left, loose=loose)), KEY, path)
    return dump(path)
