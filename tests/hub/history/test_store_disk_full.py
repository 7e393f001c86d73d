"""The history's own disk is really full, the journal's is not: nothing is lost, people are told, and it catches up.

The store lies on a small tmpfs of its own; skips where this user may not mount one.
"""

import asyncio
import contextlib
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub.history.duck import DuckStore
from hub.history.shipper import Shipper
from hub.history.store import StoreError
from hub.processes.inspector import LAG_MOST_S, Found, Verdicts, lag_s

if TYPE_CHECKING:
    from tests.hub.history.conftest import JournalFile, SetClock

T = 1_760_000_000_000
MB = 1 << 20


class Disk:
    """A file system of a few megabytes."""

    def __init__(self, path: Path) -> None:
        """Mounted at `path`."""
        self.path = path

    def fill(self) -> None:
        """Until not one byte is left."""
        with (self.path / "stuffing").open("ab", buffering=0) as file:
            for size in (MB, 4096, 1):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)):
                        pass

    def clear(self) -> None:
        """Somebody made room."""
        (self.path / "stuffing").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """With room still."""
    path = tmp_path / "store"
    path.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", str(path)], check=True, capture_output=True)
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def seqs(store: DuckStore) -> list[int]:
    """Every stored number in order, twice when it is there twice."""
    return sorted(row.seq for row in store.readings("noise-1", 0, 2 * T))


def carry(shipper: Shipper) -> None:
    """All that there is."""
    while shipper.step():
        pass


def refused(shipper: Shipper, journal: "JournalFile") -> int:
    """Read until the store takes no more; how many readings the journal has by then."""
    for n in range(1, 200):
        journal.read(500, start=T + n * 10_000_000, step=997, value=float(n % 41))
        try:
            carry(shipper)
        except StoreError:
            return 500 + 500 * n
    raise AssertionError("the disk was never full")


def test_what_does_not_fit_waits_in_the_journal_and_goes_over_once(
    tmp_path: Path, journal: "JournalFile", clock: "SetClock", disk: Disk
) -> None:
    """Also when the office is started anew on the full disk, again and again: no file is set aside, none begun."""
    path = disk.path / "history.duckdb"
    store = DuckStore(path, clock)
    shipper = Shipper(journal.path, store, clock)
    journal.read(500)
    carry(shipper)
    disk.fill()
    count = refused(shipper, journal)
    for _ in range(3):
        with contextlib.suppress(StoreError):
            shipper.step()
    assert set(seqs(store)) == set(range(1, store.cursor() + 1))  # what was taken can be read
    store.close()
    for _ in range(2):
        with contextlib.suppress(StoreError), closing(DuckStore(path, clock)) as again:
            carry(Shipper(journal.path, again, clock))
    assert list(tmp_path.rglob("*.corrupt-*")) == []
    disk.clear()
    with closing(DuckStore(path, clock)) as store:
        carry(Shipper(journal.path, store, clock))
        assert seqs(store) == list(range(1, count + 1))
        assert (store.set_aside, store.cursor(), journal.cursor()) == (None, count, count)


async def test_people_are_told_and_are_told_that_it_is_over(
    journal: "JournalFile", clock: "SetClock", disk: Disk
) -> None:
    """The page says what is wrong while it is; the alarm comes after a quarter of an hour; both end by themselves."""
    store = DuckStore(disk.path / "history.duckdb", clock)
    shipper = Shipper(journal.path, store, clock)
    journal.read(500)
    carry(shipper)
    disk.fill()
    count = refused(shipper, journal)
    task = asyncio.create_task(shipper.run())
    async with asyncio.timeout(20):
        while is_well(shipper):
            await asyncio.sleep(0.01)
    assert "readings wait in the journal: history.duckdb: " in shipper.state.words.en
    verdicts = Verdicts()
    with closing(sqlite3.connect(journal.path)) as db:
        newest = db.execute("SELECT max(rx) FROM batch").fetchone()[0]
        late = lag_s(db, newest + int(LAG_MOST_S * 1000) + 60_000)
    assert told(verdicts, late) == f"{LAG_MOST_S:.0f} s"
    disk.clear()
    async with asyncio.timeout(40):
        while not is_well(shipper) or store.cursor() < count:
            await asyncio.sleep(0.05)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    with closing(sqlite3.connect(journal.path)) as db:
        assert told(verdicts, lag_s(db, newest + 3_600_000)) == ""
    assert seqs(store) == list(range(1, count + 1))
    store.close()


def is_well(shipper: Shipper) -> bool:
    """As the page has it."""
    return shipper.state.well


def told(verdicts: Verdicts, late: float) -> str:
    """Why the hub says that the history is behind."""
    found = Found(free_percent=50.0, lag_s=late, wall_s=0.0, running_s=0.0, synchronised=None)
    return verdicts.judge(found)["hub-store-behind"]
