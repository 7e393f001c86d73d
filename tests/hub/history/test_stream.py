"""Readings of any span: history and journal are one stream, each reading once, whatever became of either."""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.clock import Clock
from hub.history.duck import DuckStore
from hub.history.store import StoreError
from hub.history.stream import AHEAD_MS, Selection, once, opened
from hub.journal.batches import Row
from hub.keeping.retention import KEEP_TRACES_MS

if TYPE_CHECKING:
    from tests.hub.history.conftest import JournalFile

NOW = 1_760_000_000_000
DAY = 86_400_000


@pytest.fixture
def kept(tmp_path: Path, journal: "JournalFile") -> Callable[[Iterable[int]], None]:
    """Puts the journal's readings with these numbers into the history beside it."""

    def put(numbers: Iterable[int]) -> None:
        wanted = set(numbers)
        with closing(sqlite3.connect(journal.path)) as db:
            found = db.execute("SELECT seq, device, quantity, ts, rx, value, quality, detail FROM reading").fetchall()
        rows = [Row(*columns) for columns in found if columns[0] in wanted]
        with closing(DuckStore(tmp_path / "history.duckdb", Clock())) as store:
            store.append(rows, max(wanted, default=0))

    return put


def read(folder: Path, since: int = NOW, until: int = NOW + DAY, device: str = "noise-1", **more: object) -> list[Row]:
    """The stream's readings of one device."""
    selection = Selection(since=since, until=until, devices=(device,), **more)  # type: ignore[arg-type]  # as told
    with (
        closing(sqlite3.connect(folder / "journal.sqlite", isolation_level=None)) as db,
        opened(db, folder, None, selection, NOW + DAY) as stream,
    ):
        return list(stream.readings(device))


@pytest.mark.parametrize(
    ("shipped", "pruned"),
    [(range(1, 101), 80), (range(1, 101), 0), (range(1, 61), 60), (range(1, 61), 40), ((), 0), (range(1, 61), 1)],
)
def test_no_seam_shows(
    tmp_path: Path, journal: "JournalFile", kept: Callable[[Iterable[int]], None], shipped: Iterable[int], pruned: int
) -> None:
    """However much both have, and where the one begins: all hundred, once, oldest first."""
    journal.read(100)
    kept(shipped)
    journal.ask("DELETE FROM batch WHERE last <= ?", pruned)

    assert [row.seq for row in read(tmp_path)] == list(range(1, 101))
    assert [row.seq for row in read(tmp_path, NOW + 10_000, NOW + 90_000)] == list(range(11, 91))


def test_a_store_that_forgot_its_last_commits(
    tmp_path: Path, journal: "JournalFile", kept: Callable[[Iterable[int]], None]
) -> None:
    """What the cursor says is there and is not: the journal still tells it."""
    journal.read(20)
    kept([*range(1, 8), *range(12, 19)])

    assert [row.seq for row in read(tmp_path)] == list(range(1, 21))


def test_another_journal_counted_before(tmp_path: Path, journal: "JournalFile") -> None:
    """Numbers that begin anew hide nothing: readings of the journal before this one keep their place."""
    with closing(DuckStore(tmp_path / "history.duckdb", Clock())) as store:
        store.append([Row(n, "noise-1", "laeq", NOW - DAY + n, NOW - DAY + n, 40.0, "good") for n in range(1, 11)], 10)
    journal.read(5)

    assert [row.value for row in read(tmp_path, NOW - DAY)] == [40.0] * 10 + [50.0] * 5


def test_a_batch_that_cannot_be_read(
    tmp_path: Path, journal: "JournalFile", kept: Callable[[Iterable[int]], None]
) -> None:
    """It keeps nothing else back, and the history may have its readings."""
    journal.read(10)
    kept([3])
    journal.ask("UPDATE batch SET readings = '[[' WHERE last IN (3, 6)")

    assert [row.seq for row in read(tmp_path)] == [1, 2, 3, 4, 5, 7, 8, 9, 10]


def test_quantities_and_devices(tmp_path: Path, journal: "JournalFile", kept: Callable[[Iterable[int]], None]) -> None:
    """Only what was asked for; without a device: all that journal or history know."""
    journal.read(3)
    journal.read(2, start=NOW + 500, quantity="battery")
    kept(range(1, 3))
    with (
        closing(sqlite3.connect(journal.path, isolation_level=None)) as db,
        opened(db, tmp_path, None, Selection(since=0, until=NOW + DAY), NOW) as stream,
    ):
        assert stream.devices() == ["noise-1"]

    assert [row.seq for row in read(tmp_path, quantities=("battery",))] == [4, 5]


def test_who_went_where_is_told_for_its_legal_life_only(
    tmp_path: Path, journal: "JournalFile", kept: Callable[[Iterable[int]], None]
) -> None:
    """Passages past 30 days are not told, in time deleted or not; a level of the same age is."""
    old = NOW + DAY - KEEP_TRACES_MS - 2_000
    journal.read(4, start=old, quantity="passage", value="granted")
    journal.read(4, start=old)
    kept(range(1, 9))

    assert [row.seq for row in read(tmp_path, 0) if row.quantity == "passage"] == [3, 4]
    assert [row.seq for row in read(tmp_path, 0) if row.quantity == "laeq"] == [5, 6, 7, 8]


def test_a_history_that_cannot_be_had(tmp_path: Path, journal: "JournalFile") -> None:
    """The journal alone will do for a span that it has all of, and says so; else half an answer is none."""
    journal.read(10)
    (tmp_path / "history.duckdb").mkdir()  # a file that nobody can open, whoever runs the test

    with closing(sqlite3.connect(journal.path, isolation_level=None)) as db:
        whole = Selection(since=NOW + AHEAD_MS, until=NOW + DAY, devices=("noise-1",))
        with opened(db, tmp_path, None, whole, NOW + DAY) as stream:
            assert "history.duckdb" in stream.warning
            assert [row.seq for row in stream.readings("noise-1")] == list(range(6, 11))
        with pytest.raises(StoreError), opened(db, tmp_path, None, Selection(since=NOW, until=NOW + DAY), NOW):
            pass


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6)), max_size=40))
def test_once(keys: list[tuple[int, int]]) -> None:
    """Any stream in order of time: what comes out is each reading once, and what was dropped had come before."""
    rows = [Row(seq, "d", "laeq", ts, ts, 1.0, "good") for ts, seq in sorted(keys, key=lambda key: key[0])]
    again: list[Row] = []

    told = list(once(iter(rows), again.append))
    assert {(row.ts, row.seq) for row in told} == set(keys)
    assert len(told) == len(set(keys))
    assert len(told) + len(again) == len(rows)
