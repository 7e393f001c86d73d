"""A backup beside a running office, and the drill of its way back: the same rows, in another folder, by command."""

import asyncio
import hashlib
import sqlite3
import sys
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from hub.__main__ import main
from hub.clock import Clock
from hub.history import door
from hub.history.duck import DuckStore
from hub.history.influx import InfluxStore
from hub.history.reach import _answers
from hub.history.shipper import Shipper
from hub.history.store import StoreError
from hub.keeping import archive
from hub.keeping.archive import BackupError, HistoryNote, Manifest, write_archive
from hub.keeping.backup import backup, restore, take_snapshot
from hub.office import _chores

if TYPE_CHECKING:
    from tests.hub.history.conftest import JournalFile, SetClock

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `zhian`: exit code and what was said."""

    def ran(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["zhian", *arguments])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        output = capsys.readouterr()
        return code, output.out + output.err

    return ran


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The hub's folder."""
    return tmp_path


@pytest.fixture
def store(data: Path, journal: "JournalFile", clock: "SetClock") -> DuckStore:
    """The history as the office holds it, with all that the journal had by then."""
    journal.read(500)
    clock.at = Clock().now()
    store = DuckStore(data / "history.duckdb", clock)
    Shipper(journal.path, store, Clock()).step()
    return store


@asynccontextmanager
async def office(store: DuckStore, data: Path, chores: door.Chores | None = None) -> AsyncIterator[None]:
    """The door is open, with the office's own chores."""
    task = asyncio.create_task(door.serve(store, data, chores or _chores(store, data, Clock())))
    try:
        async with asyncio.timeout(10):
            while not _answers(data / door.SOCKET):
                await asyncio.sleep(0.01)
        yield
    finally:
        task.cancel()
        store.close()


def digest(folder: Path) -> dict[str, str]:
    """A hash of every row of history and journal, in order."""
    found = {}
    with closing(DuckStore(folder / "history.duckdb", Clock())) as store:
        rows = [repr(row) for device in store.devices() for row in store.readings(device, 0, 2**62)]
        found["history"] = hashlib.sha256("\n".join(rows).encode()).hexdigest() + f" {len(rows)}"
    with closing(sqlite3.connect(folder / "journal.sqlite")) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"):
            rows = [repr(row) for row in db.execute(f'SELECT * FROM "{table}"')]
            found[table] = hashlib.sha256("\n".join(rows).encode()).hexdigest() + f" {len(rows)}"
    return found


async def test_the_drill(data: Path, store: DuckStore, run: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Beside a running office the archive has all up to that moment; restored elsewhere every row is the same."""
    away = tmp_path_factory.mktemp("away")
    async with office(store, data):
        code, said = await asyncio.to_thread(run, "backup", str(away / "z.tar.gz"), "--data", str(data))
    assert code == 0
    assert "500 readings (as of 0 h 0 min before)\n" in said
    assert "500 batches of the journal" in said
    code, said = run("restore", str(away / "z.tar.gz"), "--data", str(away / "new"))
    assert (code, "500 readings" in said) == (0, True)
    assert digest(away / "new") == digest(data)
    assert digest(data)["history"].endswith(" 500")


async def test_each_backup_is_fresh(
    data: Path, store: DuckStore, journal: "JournalFile", run: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What was shipped since the last snapshot, a moment ago, is in the next backup."""
    away = tmp_path_factory.mktemp("away")
    async with office(store, data):
        await asyncio.to_thread(run, "backup", str(away / "1.tar.gz"), "--data", str(data))
        journal.read(7, start=Clock().now())
        Shipper(journal.path, store, Clock()).step()
        _, said = await asyncio.to_thread(run, "backup", str(away / "2.tar.gz"), "--data", str(data))
    assert "507 readings" in said


async def test_an_office_that_cannot(
    data: Path,
    store: DuckStore,
    run: Run,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    clock: "SetClock",
) -> None:
    """An older snapshot is better than none, and the terminal says how old it is, and why."""
    away = tmp_path_factory.mktemp("away")
    clock.at -= 3 * 3_600_000
    take_snapshot(store, data, clock.at)

    def full() -> door.Taken:
        raise OSError(28, "No space left on device")

    def locked(path: Path) -> NoReturn:
        raise StoreError(f"{path.name}: Could not set lock")  # as to any other process

    monkeypatch.setattr("hub.keeping.backup.connect", locked)
    async with office(store, data, door.Chores(snapshot=full)):
        code, said = await asyncio.to_thread(run, "backup", str(away / "z.tar.gz"), "--data", str(data))
    assert code == 0
    assert "500 readings (as of 3 h 0 min before), because: no fresh one could be made: [Errno 28] No space" in said


def test_nothing_is_replaced_unasked(data: Path, store: DuckStore, run: Run, tmp_path_factory: pytest.TempPathFactory) -> None:  # fmt: skip  # noqa: E501
    """A backup of last month is not lost to a slip of the hand; --force says that it is meant."""
    store.close()
    file = tmp_path_factory.mktemp("away") / "z.tar.gz"
    file.write_text("last month")
    code, said = run("backup", str(file), "--data", str(data))
    assert (code, "is there already; choose another FILE, or --force" in said) == (2, True)
    assert file.read_text() == "last month"
    assert run("backup", str(file), "--force", "--data", str(data))[0] == 0
    assert run("restore", str(file), "--data", str(file.parent / "new"))[0] == 0


def test_a_disk_that_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written is read again: an archive that does not come back as it went is none; the control does."""
    staging = tmp_path / "staging"
    staging.mkdir()
    (staging / "journal.sqlite").write_bytes(b"x" * 100_000)
    member = archive.member_of(staging / "journal.sqlite", staging)
    manifest = Manifest(format=1, made=0, versions={}, history=HistoryNote("none"), counts={}, members=[member])
    write_archive(tmp_path / "good.tar.gz", staging, manifest)

    honest = tarfile.TarFile.add

    def lying(tar: tarfile.TarFile, name: Path, arcname: str, *, recursive: bool) -> None:
        if arcname == "journal.sqlite":
            name.write_bytes(b"y" * 100_000)
        honest(tar, name, arcname, recursive=recursive)

    monkeypatch.setattr(tarfile.TarFile, "add", lying)
    with pytest.raises(BackupError, match=r"journal\.sqlite: is not what was written: its SHA-256 differs"):
        write_archive(tmp_path / "bad.tar.gz", staging, manifest)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.tar.gz", "staging"]


def test_a_damaged_one_is_refused_by_name(
    data: Path, store: DuckStore, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The command names archive and problem, exit 2, and leaves no folder behind."""
    store.close()
    away = tmp_path_factory.mktemp("away")
    backup(data, away / "z.tar.gz", Clock().now())
    content = bytearray((away / "z.tar.gz").read_bytes())
    content[len(content) // 2] ^= 1
    (away / "z.tar.gz").write_bytes(content)
    code, said = run("restore", str(away / "z.tar.gz"), "--data", str(away / "new"))
    assert (code, "z.tar.gz" in said, (away / "new").exists()) == (2, True, False)
    with pytest.raises(BackupError):
        restore(away / "z.tar.gz", away / "new")


def test_where_the_history_is_elsewhere(data: Path, store: DuckStore) -> None:
    """A store that takes no snapshots says so to whoever asks."""
    store.close()
    away = InfluxStore("http://127.0.0.1:1", "", "zhian", "", site="zhongshan", refused=lambda *_: None)
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1, which has a backup of its own"):
        _chores(away, data, Clock()).snapshot()  # type: ignore[misc]  # it is there
