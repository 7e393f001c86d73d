"""Readings in batches: numbered one by one, found again, forgotten for good; and the latest of each series."""

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hub.journal import batches, latest
from hub.journal.file import connect, transaction
from hub.journal.writer import FILE, Journal
from hub.outcome import Outcome
from hub.reading import Quality, Reading
from hub.settings.site import Site


def reading(number: int, device: str = "noise-1", quantity: str = "laeq", **more: str) -> Reading:
    """One reading, told from others by its time."""
    return Reading(device=device, quantity=quantity, value=float(number), ts=number, rx=number, detail=more or None)


@pytest.fixture
def journal(tmp_path: Path, site: Site) -> Iterator[Journal]:
    """An empty journal."""
    with closing(Journal(tmp_path / FILE, site)) as opened:
        yield opened


def test_numbers_go_on_over_batches_and_restarts(journal: Journal, site: Site) -> None:
    """Readings are numbered one by one, also after the hub starts anew, and the view shows the same."""
    journal.write([Outcome(readings=[reading(1), reading(2)]), Outcome(readings=[reading(3)])])
    journal.write([Outcome()])
    with closing(Journal(journal.path, site)) as again:
        again.write([Outcome(readings=[reading(4, quantity="passage", credential="a7")])])
        rows = list(batches.after(again.db, 1))
        assert [(row.seq, row.ts) for row in rows] == [(2, 2), (3, 3), (4, 4)]
        assert rows[-1].detail == '{"credential":"a7"}'
        assert batches.to_reading(rows[-1]) == reading(4, quantity="passage", credential="a7")
        shown = again.db.execute("SELECT seq, device, quantity, ts, rx, value, quality, detail FROM reading").fetchall()
        assert [tuple(row) for row in shown][1:] == [
            tuple(getattr(row, name) for name in row.__struct_fields__) for row in rows
        ]
        assert batches.last_seq(again.db) == 4
        assert again.db.execute("SELECT count(*) FROM batch").fetchone()[0] == 2


def test_a_page_ends_with_a_whole_batch(journal: Journal) -> None:
    """A limit is kept to the batch: nothing is carried in halves."""
    for start in (0, 10, 20):
        journal.write([Outcome(readings=[reading(start + n) for n in range(10)])])
    assert [row.ts for row in batches.after(journal.db, 5, limit=7)] == list(range(5, 20))
    assert [row.ts for row in batches.since(journal.db, 18)] == list(range(18, 30))


def test_what_is_forgotten_is_gone_and_its_number_taken(journal: Journal) -> None:
    """Old traces are blanked within their batch; neighbours and numbers stay as they are."""
    trace = reading(2, "gate-1", "passage", credential="a7")
    journal.write([Outcome(readings=[reading(1), trace, reading(3), reading(40, "gate-1", "passage")])])
    assert batches.forget(journal.db, ["passage", "chip"], 10, limit=5) == 1
    assert batches.forget(journal.db, ["passage", "chip"], 10, limit=5) == 0
    assert [(row.seq, row.ts) for row in batches.after(journal.db, 0)] == [(1, 1), (3, 3), (4, 40)]
    assert "a7" not in journal.db.execute("SELECT readings FROM batch").fetchone()[0]
    assert [row["seq"] for row in journal.db.execute("SELECT seq FROM reading")] == [1, 3, 4]


def test_a_damaged_batch_is_said_aloud(journal: Journal) -> None:
    """A batch that cannot be read is a damaged file, not an empty one."""
    journal.write([Outcome(readings=[reading(1)])])
    journal.db.execute("UPDATE batch SET readings = '[[1]]'")
    with pytest.raises(sqlite3.DatabaseError, match="batch 1 is damaged"):
        list(batches.after(journal.db, 0))


def test_the_latest_of_many_series_comes_in_turns_and_is_never_lost(
    journal: Journal, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood leaves the table behind, but a start knows the newest of every series all the same."""
    monkeypatch.setattr(latest, "MOST", 3)
    for second in range(5):
        flood = [
            Reading(device=f"noise-{n}", quantity="laeq", value=float(second), ts=second * 100 + n, rx=second * 100 + n)
            for n in range(20)
        ]
        journal.write([Outcome(readings=flood)])
    behind = journal.db.execute("SELECT count(*) FROM latest WHERE value = 4.0").fetchone()[0]
    assert behind < 20
    with closing(Journal(journal.path, site)) as again:
        assert {(known.device, known.value) for known in again.memory().latest} == {
            (f"noise-{n}", 4.0) for n in range(20)
        }
        again.write([Outcome()], heartbeat=1)  # one quiet second later the table has them all
        assert again.db.execute("SELECT count(*) FROM latest WHERE value = 4.0").fetchone()[0] == 20


def test_few_series_are_there_at_once(journal: Journal) -> None:
    """An ordinary site sees each reading in `latest` with the transaction that made it durable; late ones never."""
    journal.write([Outcome(readings=[reading(1), reading(2, "noise-2")])])
    late = Reading(device="noise-1", quantity="laeq", value=9.0, ts=0, rx=3, quality=Quality.LATE)
    journal.write([Outcome(readings=[reading(5), late])])
    assert dict(journal.db.execute("SELECT device, value FROM latest").fetchall()) == {"noise-1": 5.0, "noise-2": 2.0}


def test_a_rolled_back_transaction_is_repeated_whole(journal: Journal) -> None:
    """When a write fails and is tried again, numbers and latest come out as if it had succeeded at once."""
    outcome = Outcome(readings=[reading(1), reading(2, "noise-2")])
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as other:
        journal.db.execute("PRAGMA busy_timeout = 0")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError):
            journal.write([outcome])
        other.execute("ROLLBACK")
    journal.write([outcome])
    assert [(row.seq, row.ts) for row in batches.after(journal.db, 0)] == [(1, 1), (2, 2)]
    assert len(journal.memory().latest) == 2


@pytest.mark.parametrize("broken", [True, False])
def test_a_transaction_is_all_or_nothing_and_never_left_open(tmp_path: Path, broken: bool) -> None:
    """What raises within takes back what was written, and gives the right to write back; else all of it is there."""
    with closing(connect(tmp_path / "journal.sqlite")) as db:
        db.execute("CREATE TABLE kept (number INTEGER)")
        with contextlib.suppress(ValueError), transaction(db):
            db.execute("INSERT INTO kept VALUES (1)")
            if broken:
                raise ValueError
        assert not db.in_transaction
        assert db.execute("SELECT count(*) FROM kept").fetchone()[0] == (0 if broken else 1)
