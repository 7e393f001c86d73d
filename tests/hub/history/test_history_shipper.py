"""The hand-over from the journal to the history: never lost, never twice, whatever dies and whatever is taken away."""

import asyncio
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from hub.history import duck as duck_module
from hub.history import shipper as shipper_module
from hub.history.duck import DuckStore
from hub.history.duck_unpack import Lines, Series, insert_page
from hub.history.shipper import Lag, Shipper
from hub.history.store import Durable, Page, StoreError
from hub.journal.batches import Damaged, sound

if TYPE_CHECKING:
    from tests.hub.history.conftest import JournalFile, SetClock

T = 1_760_000_000_000
ROOT = Path(__file__).parents[3]
KILLS = 6


def seqs(store: DuckStore) -> list[int]:
    """Every stored seq in order, twice when it is there twice."""
    return sorted(row.seq for row in store.readings("noise-1", 0, 2 * T))


@pytest.fixture
def shipper(journal: "JournalFile", duck: DuckStore, clock: "SetClock") -> Shipper:
    """Between the test's journal and its history."""
    return Shipper(journal.path, duck, clock)


def test_a_page_that_fails_takes_those_after_it_along(
    journal: "JournalFile", duck: DuckStore, shipper: Shipper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next page is read by then. It waits: what is durable has no hole, as the cursor says."""
    monkeypatch.setattr(shipper_module, "EMBEDDED_PAGE", 10)
    left = [0, 1, 1]

    def third_fails(lines: Lines, series: Series) -> list[Damaged]:
        bad = insert_page(lines, series)
        if not left.pop():
            raise duckdb.IOException("the disk is full")
        return bad

    monkeypatch.setattr(duck_module, "insert_page", third_fails)
    journal.read(50)
    with pytest.raises(StoreError, match="the disk is full"):
        shipper.step()
    assert (seqs(duck), duck.cursor(), journal.cursor()) == (list(range(1, 21)), 20, 0)
    left[:] = [1] * 9
    assert shipper.step() == 30
    assert (seqs(duck), duck.cursor(), journal.cursor()) == (list(range(1, 51)), 50, 50)


class Failing(DuckStore):
    """Raises once at the named step of an append, as a process that dies there."""

    fails = ""

    def append_pages(self, pages: Iterable[Page], durable: Durable) -> None:
        """Before or after the rows are durable."""
        if self.fails == "before":
            self.fails = ""
            raise StoreError("died before")
        super().append_pages(pages, durable)
        if self.fails == "after":
            self.fails = ""
            raise StoreError("died after")


def test_every_row_goes_over_once_and_is_noted(
    journal: "JournalFile", duck: DuckStore, shipper: Shipper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page until nothing is left; the journal's cursor says how far, so that the hub may prune."""
    monkeypatch.setattr(shipper_module, "EMBEDDED_PAGE", 20)
    monkeypatch.setattr(shipper_module, "EMBEDDED_PAGES", 2)
    journal.read(100)
    assert [shipper.step() for _ in range(4)] == [40, 40, 20, 0]
    assert seqs(duck) == list(range(1, 101))
    assert (journal.cursor(), duck.cursor()) == (100, 100)


@pytest.mark.parametrize("step", ["before", "after"])
def test_dying_in_the_middle_neither_loses_nor_doubles(
    tmp_path: Path, journal: "JournalFile", clock: "SetClock", step: str
) -> None:
    """Whether it dies before or after the store's commit, the next attempt goes on at the right row."""
    store = Failing(tmp_path / "history.duckdb", clock)
    shipper = Shipper(journal.path, store, clock)
    journal.read(10)
    store.fails = step
    with pytest.raises(StoreError, match=f"died {step}"):
        shipper.step()
    journal.read(5)
    Shipper(journal.path, store, clock).step()
    assert seqs(store) == list(range(1, 16))
    store.close()


def test_dying_before_the_note_doubles_nothing(journal: "JournalFile", duck: DuckStore, shipper: Shipper) -> None:
    """The store's own cursor is believed, not the journal's note, which is written after it."""
    journal.read(10)
    shipper.step()
    journal.read(10)
    journal.ask("CREATE TRIGGER full BEFORE UPDATE ON cursor BEGIN SELECT raise(ABORT, 'disk full'); END")
    with pytest.raises(sqlite3.Error, match="disk full"):
        shipper.step()
    assert journal.cursor() == 10
    journal.ask("DROP TRIGGER full")
    assert shipper.step() == 0
    assert seqs(duck) == list(range(1, 21))
    assert journal.cursor() == 20


class Forgetful:
    """Keeps rows but no cursor, and dies after each append: what the tests above would see without one."""

    def __init__(self) -> None:
        """Empty."""
        self.rows: list[int] = []

    def cursor(self) -> None:
        """None: not held."""

    def append_pages(self, pages: Iterable[Page], _: Durable) -> None:
        """Keeps, then dies."""
        for page in pages:
            self.rows += [row.seq for row in sound(page.batches, page.after)[0]]
        raise StoreError("died after")


def test_without_a_cursor_in_the_store_rows_would_come_twice(journal: "JournalFile", clock: "SetClock") -> None:
    """The control: a store that does not keep the cursor with the rows gets them again (InfluxDB overwrites them)."""
    journal.read(3)
    store = Forgetful()
    for _ in range(2):
        with pytest.raises(StoreError):
            Shipper(journal.path, store, clock).step()  # type: ignore[arg-type]  # only what a step needs
    assert store.rows == [1, 2, 3, 1, 2, 3]


CHILD = """
import sys
from pathlib import Path
from hub.clock import Clock
from hub.history import shipper
from hub.history.duck import DuckStore
shipper.EMBEDDED_PAGE = 7
folder = Path(sys.argv[1])
carrier = shipper.Shipper(folder / "journal.sqlite", DuckStore(folder / "history.duckdb", Clock()), Clock())
print("carrying", flush=True)
while carrier.step():
    pass
"""


def test_kill_9_in_the_middle_neither_loses_nor_doubles(
    tmp_path: Path, journal: "JournalFile", clock: "SetClock"
) -> None:
    """A carrying process is killed again and again at any instant: each row arrives exactly once."""
    journal.read(60_000)
    seeded = random.Random(5)
    for _ in range(KILLS):
        with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"carrying\n"
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(seeded.uniform(0.02, 0.25))
            child.send_signal(signal.SIGKILL)
    store = DuckStore(tmp_path / "history.duckdb", clock)
    before = store.count()
    assert 0 < before < 60_000
    assert store.set_aside is None
    carrier = Shipper(journal.path, store, clock)
    while carrier.step():
        pass
    assert seqs(store) == list(range(1, 60_001))
    store.close()


@contextmanager
def gone(path: Path) -> Iterator[None]:
    """The file is away for a while."""
    away = path.with_suffix(".away")
    path.rename(away)
    yield
    away.rename(path)


async def _until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses in hundredths."""
    monkeypatch.setattr(shipper_module, "IDLE_S", 0.01)
    monkeypatch.setattr(shipper_module, "LONGEST_PAUSE_S", 0.02)


@pytest.mark.usefixtures("fast")
async def test_a_history_removed_while_running_is_fed_again(
    tmp_path: Path, journal: "JournalFile", duck: DuckStore, shipper: Shipper
) -> None:
    """The file is deleted underneath: within one idle pause everything that the journal still has is there again."""
    journal.read(30)
    running = asyncio.create_task(shipper.run())
    await _until(lambda: duck.count() == 30)
    journal.ask("DELETE FROM batch WHERE last <= 10")
    (tmp_path / "history.duckdb").unlink()
    await _until(lambda: seqs(duck) == list(range(11, 31)))
    journal.read(1)
    await _until(lambda: duck.count() == 21)
    await _until(lambda: journal.cursor() == 31)  # the note follows the rows
    running.cancel()


@pytest.mark.usefixtures("fast")
async def test_trouble_is_told_in_words_and_ends_by_itself(
    tmp_path: Path, journal: "JournalFile", clock: "SetClock"
) -> None:
    """While the store refuses, the page can say so in both languages, since when; rows wait, and go over afterwards."""

    class Down(DuckStore):
        down = True

        def append_pages(self, pages: Iterable[Page], durable: Durable) -> None:
            if self.down:
                raise StoreError("the disk is full")
            super().append_pages(pages, durable)

    store = Down(tmp_path / "history.duckdb", clock)
    shipper = Shipper(journal.path, store, clock)
    journal.read(5)
    clock.at = T + 60_000
    running = asyncio.create_task(shipper.run())
    await _until(lambda: not shipper.state.well)
    assert shipper.state.since == T + 60_000
    assert "the disk is full" in shipper.state.words.zh
    assert "the disk is full" in shipper.state.words.en
    assert shipper.lag() == Lag(rows=5, seconds=60.0)
    store.down = False
    await _until(lambda: shipper.state.well)
    await _until(lambda: store.count() == 5)
    assert shipper.lag() == Lag(rows=0, seconds=0.0)
    running.cancel()
    store.close()


@pytest.mark.usefixtures("fast")
async def test_a_journal_that_is_not_there_yet_is_waited_for(
    journal: "JournalFile", duck: DuckStore, shipper: Shipper
) -> None:
    """The office may start first. It must not make an empty journal in the hub's place."""
    journal.read(5)
    with gone(journal.path):
        running = asyncio.create_task(shipper.run())
        await _until(lambda: not shipper.state.well)
        assert not journal.path.exists()
    await _until(lambda: duck.count() == 5)
    running.cancel()


def test_another_journal_is_carried_from_its_first_row(
    tmp_path: Path, journal: "JournalFile", duck: DuckStore, shipper: Shipper
) -> None:
    """A journal that was set aside and begun anew counts from 1 again: its rows are news, whatever the store holds."""
    journal.read(50)
    shipper.step()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{journal.path}{suffix}").unlink(missing_ok=True)
    type(journal)(journal.path).read(3, start=T + 1_000_000)
    assert shipper.step() == 3
    assert duck.count() == 53
    assert shipper.step() == 0


def test_an_older_journal_put_back_goes_on_from_its_end(
    tmp_path: Path, journal: "JournalFile", duck: DuckStore, shipper: Shipper
) -> None:
    """After a restore the store may be ahead: new rows take numbers that it has seen, and must not be skipped."""
    journal.read(10)
    shipper.step()
    journal.ask("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(journal.path, tmp_path / "old.sqlite")
    journal.read(10)
    shipper.step()
    for suffix in ("-wal", "-shm"):
        Path(f"{journal.path}{suffix}").unlink(missing_ok=True)
    shutil.copy(tmp_path / "old.sqlite", journal.path)
    shipper.step()
    journal.read(4, start=T + 1_000_000)
    assert shipper.step() == 4
    assert duck.count() == 24


def test_a_store_that_falls_back_takes_the_note_back(
    tmp_path: Path, journal: "JournalFile", duck: DuckStore, shipper: Shipper
) -> None:
    """When the store lost its rows, the note goes back before anything is carried, so that nothing more is pruned."""
    journal.read(10)
    shipper.step()
    (tmp_path / "history.duckdb").unlink()
    duck.cursor()
    journal.ask("CREATE TRIGGER full BEFORE UPDATE ON cursor WHEN NEW.seq > 0 BEGIN SELECT raise(ABORT, 'full'); END")
    with pytest.raises(sqlite3.Error, match="full"):
        shipper.step()
    assert journal.cursor() == 0


def test_a_damaged_batch_is_told_and_holds_nothing_up(
    journal: "JournalFile", duck: DuckStore, clock: "SetClock"
) -> None:
    """What the journal cannot give any more is told with its numbers; the readings after it go over."""
    journal.read(10)
    journal.ask("UPDATE batch SET readings = '[[' WHERE last = 4")
    told: list[Damaged] = []
    shipper = Shipper(journal.path, duck, clock, damaged=told.append)
    shipper.step()
    assert seqs(duck) == [1, 2, 3, 5, 6, 7, 8, 9, 10]
    assert [(bad.first, bad.last) for bad in told] == [(4, 4)]
    assert journal.cursor() == 10


def test_a_busy_journal_does_not_wait_for_the_history(journal: "JournalFile", shipper: Shipper) -> None:
    """The hub can write while a page is read: the shipper holds no lock but for its one-row note."""
    journal.read(10)
    with journal.connect() as hub:
        hub.execute("BEGIN IMMEDIATE")
        hub.execute("INSERT INTO meta VALUES ('site', 'zhongshan')")
        with shipper._open() as mine:
            assert len(mine.execute("SELECT * FROM reading").fetchall()) == 10
            hub.execute("COMMIT")
    hub.close()
    assert shipper.step() == 10
