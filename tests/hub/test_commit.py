"""The group commit: what shares a transaction, when a waiter may go on, and what a disk that says no does to them."""

import asyncio
import contextlib
import sqlite3
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.raw import Redelivery
from hub.journal import commit
from hub.journal.commit import Committer
from hub.journal.writer import FILE, Journal, connect
from hub.outcome import Flip, Outcome
from hub.reading import Reading
from hub.settings.site import Site

Write = Callable[..., None]


@pytest.fixture
def journal(tmp_path: Path, site: Site) -> Journal:
    """An empty journal; whoever runs a committer on it closes it."""
    return Journal(tmp_path / FILE, site)


@contextlib.asynccontextmanager
async def running(journal: Journal) -> AsyncIterator[Committer]:
    """A committer that writes."""
    committer = Committer(journal)
    task = asyncio.create_task(committer.run())
    try:
        yield committer
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        committer.close()


def said(number: int) -> Outcome:
    """One reading, told from others by its number."""
    return Outcome(readings=[Reading(device="noise-1", quantity="laeq", value=50.0, ts=number, rx=number)])


def kept(path: Path) -> list[int]:
    """The numbers that another process sees in the file."""
    with contextlib.closing(connect(path, read_only=True)) as db:
        return [row[0] for row in db.execute("SELECT ts FROM reading ORDER BY seq")]


def tasks_of(coroutines: Iterable[Coroutine[Any, Any, None]]) -> list["asyncio.Task[None]"]:
    """Started, and given the time to reach their first wait."""
    return [asyncio.create_task(coroutine) for coroutine in coroutines]


async def until(what: Callable[[], object], seconds: float = 10.0) -> None:
    """Until it is true."""
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.005)


class Gate:
    """Holds the journal's thread in front of each write until it is opened; counts the writes that arrived."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Closed."""
        self.open = threading.Event()
        self.arrived = 0
        write = Journal.write

        def held(journal: Journal, *more: Any) -> None:  # Any: whatever the real one takes
            self.arrived += 1
            assert self.open.wait(20)
            write(journal, *more)

        monkeypatch.setattr(Journal, "write", held)


async def test_all_that_wait_share_one_transaction(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty tasks that come while one transaction is written share the next; nobody returns before it is durable."""
    gate, statements = Gate(monkeypatch), list[str]()
    journal.db.set_trace_callback(statements.append)
    async with running(journal) as committer:
        first = tasks_of([committer.commit(said(0))])
        await until(lambda: gate.arrived == 1)
        others = tasks_of(committer.commit(said(number)) for number in range(1, 51))
        await asyncio.sleep(0.05)

        assert not any(task.done() for task in first + others)
        assert kept(journal.path) == []
        gate.open.set()
        await asyncio.gather(*first, *others)

        assert kept(journal.path) == list(range(51))
        assert statements.count("COMMIT") == 2


async def test_deliveries_and_heartbeat_are_in_the_same_transaction(journal: Journal) -> None:
    """What is acknowledged and what was read become durable together."""
    async with running(journal) as committer:
        await committer.commit(said(1), [Redelivery("mqtt", 7, 8, again=False)], heartbeat=9)

        with contextlib.closing(connect(journal.path, read_only=True)) as db:
            assert [row["packets"] for row in db.execute("SELECT * FROM delivery")] == ['[["mqtt",7,8,false]]']
            assert db.execute("SELECT value FROM meta WHERE key = 'heartbeat'").fetchone()[0] == "9"


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT])
async def test_what_passes_is_waited_out(journal: Journal, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A full disk or a locked file (extended codes too) acknowledges nothing, ends nothing, and loses nothing."""
    monkeypatch.setattr(commit, "DISK_FULL_PAUSE_S", 0.01)
    write, refusals = Journal.write, [code] * 3

    def refuse(journal: Journal, *more: Any) -> None:  # Any: whatever the real one takes
        if refusals:
            raise failure(refusals.pop())
        write(journal, *more)

    monkeypatch.setattr(Journal, "write", refuse)
    async with running(journal) as committer:
        await committer.commit(said(1))

    assert refusals == []
    assert kept(journal.path) == [1]


def failure(code: int) -> sqlite3.OperationalError:
    """As SQLite raises it."""
    error = sqlite3.OperationalError("as the test says")
    error.sqlite_errorcode = code
    return error


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte; skips where this user may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_disk_that_is_really_full(small_disk: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's own "no space left": nobody returns until there is space, then everybody does."""
    monkeypatch.setattr(commit, "DISK_FULL_PAUSE_S", 0.02)
    journal, stuffing = Journal(small_disk / FILE, site), small_disk / "stuffing"
    detail = {"chip": "x" * 20_000}
    reading = Reading(device="chip-1", quantity="chip", value="1", ts=1, rx=1, detail=detail)
    async with running(journal) as committer:
        await committer.commit(said(0))
        await asyncio.to_thread(fill, stuffing)
        waiting = tasks_of([committer.commit(Outcome(readings=[reading]))])
        await asyncio.sleep(0.2)
        assert not waiting[0].done()
        assert kept(journal.path) == [0]

        stuffing.unlink()
        async with asyncio.timeout(10):
            await waiting[0]
        assert kept(journal.path) == [0, 1]


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


async def test_another_error_ends_it_and_nobody_waits_for_ever(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails ends `run` with SQLite's error; those who wait, and those who come later, are cancelled."""
    gate = Gate(monkeypatch)
    committer = Committer(journal)
    run = asyncio.create_task(committer.run())
    waiting = tasks_of([committer.commit(said(1))])
    await until(lambda: gate.arrived == 1)
    waiting += tasks_of([committer.commit(said(2))])
    await asyncio.sleep(0)
    monkeypatch.setattr(journal, "db", Broken())
    gate.open.set()

    with pytest.raises(sqlite3.OperationalError, match="as the test says"):
        await run
    async with asyncio.timeout(5):
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        late = await asyncio.gather(committer.commit(said(3)), return_exceptions=True)
    committer.close()

    assert [type(end) for end in [*ends, *late]] == [asyncio.CancelledError] * 3


class Broken:
    """A database on a disk that fails."""

    in_transaction = False

    def execute(self, *_: object) -> None:
        """Fail as a disk does."""
        raise failure(sqlite3.SQLITE_IOERR)

    def close(self) -> None:
        """Nothing to close."""


async def test_one_who_leaves_holds_up_nobody(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task cancelled while its rows are being written takes neither the rows nor the others along."""
    gate = Gate(monkeypatch)
    async with running(journal) as committer:
        leaver, other = tasks_of(committer.commit(said(number)) for number in (1, 2))
        await until(lambda: gate.arrived == 1)
        leaver.cancel()
        await asyncio.sleep(0)
        gate.open.set()
        await other
        await committer.commit(said(3))

    assert leaver.cancelled()
    assert kept(journal.path) == [1, 2, 3]


async def test_stopping_while_writing_keeps_what_was_written(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` cancelled in the middle of a write: the transaction ends, the waiter is cancelled, the file is closed."""
    gate = Gate(monkeypatch)
    async with running(journal) as committer:
        waiting = tasks_of([committer.commit(said(1))])
        await until(lambda: gate.arrived == 1)
        threading.Timer(0.05, gate.open.set).start()

    assert (await asyncio.gather(*waiting, return_exceptions=True))[0].__class__ is asyncio.CancelledError
    assert kept(journal.path) == [1]
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        journal.db.execute("SELECT 1")


async def test_claims_wait_for_a_locked_file_as_well(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The announcer's statements meet the retention's long delete: they wait, the process lives."""
    monkeypatch.setattr(commit, "DISK_FULL_PAUSE_S", 0.01)
    journal.db.execute("PRAGMA busy_timeout = 0")
    async with running(journal) as committer:
        with contextlib.closing(connect(journal.path)) as other:
            other.execute("BEGIN IMMEDIATE")
            claim = asyncio.create_task(committer.call(lambda journal: journal.remember("word", "kept")))
            await asyncio.sleep(0.1)
            assert not claim.done()
            other.execute("COMMIT")
            await claim
            assert other.execute("SELECT value FROM meta WHERE key = 'word'").fetchone()[0] == "kept"


async def test_voices_are_woken_by_what_is_to_be_said(journal: Journal) -> None:
    """`announced` is set after a flip that announces, and not by readings or comments."""
    flip = Flip(at=1, key="k", occurrence=1, event="comment", before="normal", after="normal", severity="P1")
    async with running(journal) as committer:
        await committer.commit(said(1))
        await committer.commit(Outcome(flips=[flip]))
        quiet = committer.announced.is_set()
        await committer.commit(Outcome(flips=[Flip(at=1, key="k", occurrence=1, event="raised", before="normal",
                                                   after="unacked", severity="P1", announce="raised")]))  # fmt: skip

        assert not quiet
        assert committer.announced.is_set()
