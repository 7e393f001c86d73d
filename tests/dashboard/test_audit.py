"""The audit trail: each tampering is found and named, cut tails by anchors, and what cannot be noted is not done."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from sqlalchemy import event
from sqlalchemy.engine import Engine

from dashboard.access.anchor import anchors, drop_anchor
from dashboard.access.audit import KEY_FILE, Anchor, append, head, verify
from dashboard.access.users import open_office
from hub.__main__ import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field

ROWS = 12
SWAP = (
    "UPDATE audit SET id = -1 WHERE id = 6; UPDATE audit SET id = 6 WHERE id = 7; UPDATE audit SET id = 7 WHERE id = -1"
)
INSERT = (
    "UPDATE audit SET id = -id WHERE id >= 6; UPDATE audit SET id = 1 - id WHERE id < 0;"
    "INSERT INTO audit SELECT 6, at, 'nobody', address, event, detail, hash FROM audit WHERE id = 5"
)


@pytest.fixture
def trail(tmp_path: Path) -> "Iterator[Engine]":
    """A trail of twelve rows."""
    engine = open_office(tmp_path)
    write(engine, ROWS)
    yield engine
    engine.dispose()


def write(engine: Engine, rows: int) -> None:
    """So many rows more."""
    for number in range(rows):
        append(engine, at=1000 + number, actor="lin", address="127.0.0.1", what="ack", detail=f"alarm {number}\n湖")


def tamper(data: Path, sql: str) -> None:
    """As somebody does who has the file and no scruples: the triggers go first."""
    with closing(sqlite3.connect(data / "office.sqlite")) as db:
        for trigger in ("audit_no_update", "audit_no_delete", "audit_no_replace"):
            db.execute(f"DROP TRIGGER {trigger}")
        db.executescript(sql)


def test_a_whole_trail_is_whole(trail: Engine) -> None:
    """Nothing is wrong where nothing was changed."""
    found = verify(trail)
    assert (found.good, found.until, found.wrong) == (ROWS, 1011, None)


@pytest.mark.parametrize("column", ["at", "actor", "address", "event", "detail", "hash"])
@pytest.mark.parametrize("row", [1, 6, ROWS])
def test_a_changed_byte_is_found(column: str, row: int, trail: Engine, tmp_path: Path) -> None:
    """In any column of any row, and the row is named."""
    other = f"CASE typeof({column}) WHEN 'integer' THEN {column} + 1 ELSE 'x' || substr({column}, 2) END"
    tamper(tmp_path, f"UPDATE audit SET {column} = {other} WHERE id = {row}")
    found = verify(trail).wrong
    assert found is not None
    assert found.row == row


@pytest.mark.parametrize(
    ("sql", "row", "why"),
    [
        ("DELETE FROM audit WHERE id = 6", 6, "missing"),
        ("DELETE FROM audit WHERE id = 1", 1, "missing"),
        ("DELETE FROM audit WHERE id = 6; UPDATE audit SET id = id - 1 WHERE id > 6", 6, "not in its place"),
        (SWAP, 6, "not in its place"),
        (INSERT, 6, "not in its place"),
        ("UPDATE audit SET hash = (SELECT hash FROM audit WHERE id = 5) WHERE id = 6", 6, "not in its place"),
    ],
    ids=["deleted", "first-deleted", "deleted-and-closed-up", "swapped", "inserted", "hash-copied"],
)
def test_rows_that_went_came_or_moved_are_found(sql: str, row: int, why: str, trail: Engine, tmp_path: Path) -> None:
    """Deletion, reordering and insertion, each named by its first wrong row."""
    tamper(tmp_path, sql)
    found = verify(trail).wrong
    assert found is not None
    assert (found.row, why in found.why) == (row, True)


def test_a_tail_that_was_cut_is_found_by_its_anchor(trail: Engine, tmp_path: Path, field: "Field") -> None:
    """A chain alone looks whole without its end (the control); the journal knows better."""
    drop_anchor(trail, tmp_path, 5000)
    tamper(tmp_path, "DELETE FROM audit WHERE id > 9")
    assert verify(trail).wrong is None
    found = verify(trail, anchors(tmp_path)).wrong
    assert found is not None
    assert (found.row, found.why) == (10, "missing: an anchor knows row 12")
    assert drop_anchor(trail, tmp_path, 6000) is None  # and the anchor is not replaced by what is left
    assert [anchor.row for anchor in anchors(tmp_path)] == [ROWS]


def test_a_trail_written_anew_by_the_holder_of_the_key_is_found(trail: Engine, tmp_path: Path, field: "Field") -> None:
    """All hashes fit, and the anchor does not."""
    drop_anchor(trail, tmp_path, 5000)
    key = (tmp_path / KEY_FILE).read_bytes()
    other = tmp_path / "other"
    other.mkdir()
    (other / KEY_FILE).write_bytes(key)
    forged = open_office(other)
    for number in range(ROWS):
        append(forged, at=1000 + number, actor="chen", address="127.0.0.1", what="ack", detail="")
    assert verify(forged).wrong is None
    found = verify(forged, anchors(tmp_path)).wrong
    forged.dispose()
    assert found is not None
    assert found.row == ROWS


def test_an_anchor_is_kept_when_there_is_something_new(trail: Engine, tmp_path: Path, field: "Field") -> None:
    """In the journal, and in the log, which another system may keep."""
    assert drop_anchor(trail, tmp_path, 5000) == head(trail)
    assert drop_anchor(trail, tmp_path, 6000) is None
    write(trail, 1)
    assert drop_anchor(trail, tmp_path, 7000) == head(trail)
    found = verify(trail, anchors(tmp_path))
    assert (found.anchored, found.wrong) == (ROWS + 1, None)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit SET actor = 'x'",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT id, at, 'x', address, event, detail, hash FROM audit WHERE id = 6",
        "INSERT INTO audit SELECT 99, at, actor, address, event, detail, hash FROM audit WHERE id = 6",
    ],
)
def test_the_database_itself_refuses_changes(sql: str, trail: Engine) -> None:
    """UPDATE, DELETE, and INSERT OR REPLACE, which is both of them."""
    with pytest.raises(Exception, match="only ever added"), trail.begin() as db:
        db.exec_driver_sql(sql)
    assert verify(trail).wrong is None


def test_two_programs_write_one_chain(trail: Engine, tmp_path: Path) -> None:
    """The command line beside the office: neither follows a row that is not the last."""
    second = open_office(tmp_path)
    for _ in range(5):
        write(trail, 1)
        write(second, 1)
    second.dispose()
    assert verify(trail).good == ROWS + 10


def test_the_command_names_the_first_wrong_row(trail: Engine, tmp_path: Path, field: "Field") -> None:
    """Exit 0 and how far it is proved; exit 1 and the row; exit 2 where nothing is."""
    last = head(trail)
    assert last is not None
    drop_anchor(trail, tmp_path, 5000)
    well = CliRunner().invoke(cli, ["audit", "verify", "--data", str(tmp_path), "--anchor", f"{last.row}:{last.hash}"])
    assert (well.exit_code, well.output) == (
        0,
        "12 rows, all as they were written; heads kept outside prove the first 12\n",
    )
    tamper(tmp_path, "UPDATE audit SET actor = 'x' WHERE id = 4")
    wrong = CliRunner().invoke(cli, ["audit", "verify", "--data", str(tmp_path)])
    assert wrong.exit_code == 1
    assert wrong.output.startswith("row 4 is wrong: not as it was written")


def test_a_head_from_elsewhere_counts(trail: Engine) -> None:
    """One that the log has and the journal has not."""
    found = verify(trail, [Anchor(3, "0" * 64)]).wrong
    assert found is not None
    assert found.row == 3


def shut(office: "Office") -> None:
    """From now on nothing can be added to the trail; everything else of the office can be written."""

    def authorize(action: int, first: str | None, *_: object) -> int:
        refused = action == sqlite3.SQLITE_INSERT and first == "audit"
        return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK

    event.listen(office.users, "checkout", lambda connection, *_: connection.set_authorizer(authorize))


@pytest.mark.parametrize(
    ("path", "form", "more"),
    [
        ("/devices/gate-east/do/open", "/account", {"reason": "a visitor"}),
        ("/alarms/1/ack", "/", {}),
        ("/mutes", "/mutes", {"zone": "square", "seconds": "1800", "text": "work on the road"}),
        ("/limits/noise-limit/above?zone=square", "/account", {"value": "58", "text": "complaints"}),
    ],
)
def test_what_cannot_be_noted_is_not_ordered(
    path: str, form: str, more: dict[str, str], office: "Office", admin: "Browser", field: "Field"
) -> None:
    """IEC 62443-4-2 CR 2.10: no order leaves while the trail cannot be written; the same form goes when it can."""
    field.all_well()
    field.alarm("gate-held", "gate-east")
    token = admin.token(form)
    shut(office)
    assert admin.client.post(path, data={**more, "csrf_token": token}).status_code == 507
    assert field.orders() == []


def test_the_same_forms_go_when_the_trail_can_be_written(admin: "Browser", field: "Field") -> None:
    """The control of the test above."""
    field.all_well()
    field.alarm("gate-held", "gate-east")
    admin.post("/devices/gate-east/do/open", reason="a visitor")
    admin.post("/alarms/1/ack", form="/")
    assert [order["kind"] for order in field.orders()] == ["command", "ack"]
