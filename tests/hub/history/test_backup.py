"""A backup made while everything runs comes back whole in another folder, or is refused with the remedy."""

import gzip
import hashlib
import io
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hub.history.duck import DuckStore
from hub.history.shipper import Shipper
from hub.journal.batches import Row
from hub.keeping.archive import MANIFEST, BackupError
from hub.keeping.backup import backup, restore, take_snapshot

if TYPE_CHECKING:
    from tests.hub.history.conftest import JournalFile, SetClock

T = 1_760_000_000_000
HOUR = 3_600_000


@pytest.fixture
def data(tmp_path: Path, journal: "JournalFile", clock: "SetClock", row: Callable[..., Row]) -> Path:
    """A data folder as a hub leaves it: journal, office, history, site file, a secret, and what is made anew."""
    journal.read(20)
    with closing(sqlite3.connect(tmp_path / "office.sqlite")) as office:
        office.executescript("CREATE TABLE user (name TEXT); INSERT INTO user VALUES ('a'), ('b'), ('c');")
    store = DuckStore(tmp_path / "history.duckdb", clock)
    store.append([row(n) for n in range(1, 16)], 15)
    store.close()
    (tmp_path / "site.toml").write_text('[site]\nid = "zhongshan"\n')
    (tmp_path / "secrets").mkdir(mode=0o700)
    _write(tmp_path / "secrets" / "session.key", b"canary-5d1f", 0o600)
    _write(tmp_path / "plan.svg", b"<svg/>", 0o644)
    return tmp_path


def _write(path: Path, content: bytes, mode: int) -> None:
    path.write_bytes(content)
    path.chmod(mode)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process has the history open, as the office has."""
    code = f"import duckdb; db = duckdb.connect({str(path)!r}); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.communicate(b"\n")


def rows(path: Path, table: str) -> list[tuple[object, ...]]:
    """All rows of an SQLite table, in order."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()


def history(path: Path, clock: "SetClock") -> list[Row]:
    """All rows of a history file."""
    store = DuckStore(path, clock)
    try:
        return list(store.readings("noise-1", 0, 2 * T))
    finally:
        store.close()


def test_what_was_backed_up_is_restored(
    data: Path, tmp_path_factory: pytest.TempPathFactory, clock: "SetClock"
) -> None:
    """Same rows, same bytes, same permissions on another folder; the archive is for its owner only."""
    away = tmp_path_factory.mktemp("away")
    made = backup(data, away / "zhian.tar.gz", T)
    assert (away / "zhian.tar.gz").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in away.iterdir()] == ["zhian.tar.gz"]
    target = away / "new" / "data"
    restored = restore(away / "zhian.tar.gz", target)
    assert restored.manifest == made.manifest
    for table in ("reading", "cursor", "meta"):
        assert rows(target / "journal.sqlite", table) == rows(data / "journal.sqlite", table)
    assert rows(target / "office.sqlite", "user") == [("a",), ("b",), ("c",)]
    assert history(target / "history.duckdb", clock) == history(data / "history.duckdb", clock)
    for name in ("secrets/session.key", "plan.svg", "site.toml"):
        assert (target / name).read_bytes() == (data / name).read_bytes()
        assert (target / name).stat().st_mode == (data / name).stat().st_mode
    assert (target / "secrets").stat().st_mode & 0o777 == 0o700
    assert target.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in target.iterdir()) == sorted(
        ["history.duckdb", "journal.sqlite", "office.sqlite", "plan.svg", "secrets", "site.toml"]
    )


def test_the_manifest_says_what_is_inside(data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Row counts, versions and the SHA-256 of each member stand in the first member of the archive."""
    file = tmp_path_factory.mktemp("away") / "zhian.tar.gz"
    backup(data, file, T)
    with tarfile.open(file) as tar:
        names = tar.getnames()
        assert names[0] == MANIFEST
        manifest = json.loads(_content(tar, MANIFEST))
        assert names[1:] == [member["name"] for member in manifest["members"]]
        for member in manifest["members"]:
            assert hashlib.sha256(_content(tar, member["name"])).hexdigest() == member["sha256"]
    assert manifest["counts"]["journal.sqlite"]["batch"] == 20
    assert manifest["counts"]["office.sqlite"] == {"user": 3}
    assert manifest["history"]["source"] == "live"
    assert manifest["history"]["rows"] == 15
    assert {"zhian", "sqlite", "duckdb", "python"} <= set(manifest["versions"])


def _content(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()


def test_what_is_made_anew_is_left_out(data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Locks, sockets, links to ports, write-ahead logs, set-aside files and older archives are not in it."""
    for name in ("lock", "history.duckdb.corrupt-1", "old.tar.gz", "hub.log"):
        (data / name).write_text("x")
    (data / "tty").mkdir()
    (data / "tty" / "rs485").symlink_to("/dev/null")
    (data / "link").symlink_to("/etc/passwd")
    with socket.socket(socket.AF_UNIX) as door:
        here = Path.cwd()
        os.chdir(data)  # a socket's path has 107 characters at most
        door.bind("door.sock")
        os.chdir(here)
        made = backup(data, tmp_path_factory.mktemp("away") / "zhian.tar.gz", T)
    names = {member.name for member in made.manifest.members}
    assert names == {
        "journal.sqlite",
        "office.sqlite",
        "history/hour.parquet",
        "history/minute.parquet",
        "history/reading.parquet",
        "history/snapshot.json",
        "plan.svg",
        "secrets/session.key",
        "site.toml",
    }


def test_a_backup_is_consistent_while_the_hub_writes(
    data: Path, journal: "JournalFile", tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two rows that one transaction writes are both in the archive or both not, while the hub commits all the time."""
    journal.ask("CREATE TABLE pair (a INTEGER, b INTEGER)")
    done = threading.Event()

    def write() -> None:
        with closing(journal.connect()) as db:
            number = 0
            while not done.is_set():
                number += 1
                db.execute("BEGIN")
                db.execute("INSERT INTO pair VALUES (?, NULL)", (number,))
                db.execute("INSERT INTO pair VALUES (NULL, ?)", (number,))
                db.execute("COMMIT")

    away = tmp_path_factory.mktemp("away")
    hub = threading.Thread(target=write)
    hub.start()
    try:
        for n in range(3):
            backup(data, away / f"{n}.tar.gz", T)
    finally:
        done.set()
        hub.join()
    for n in range(3):
        restore(away / f"{n}.tar.gz", away / str(n))
        ((first, second),) = rows(away / str(n) / "journal.sqlite", "(SELECT count(a), count(b) FROM pair)")
        assert first == second


def test_a_held_history_comes_from_the_nightly_snapshot(
    data: Path, tmp_path_factory: pytest.TempPathFactory, clock: "SetClock", journal: "JournalFile"
) -> None:
    """Its age is told; after the restore the shipper carries what the journal has beyond it: nothing twice."""
    store = DuckStore(data / "history.duckdb", clock)
    take_snapshot(store, data, T)
    store.close()
    away = tmp_path_factory.mktemp("away")
    with held(data / "history.duckdb"):
        made = backup(data, away / "zhian.tar.gz", T + 5 * HOUR + 60_000)
    assert (made.manifest.history.source, made.manifest.history.rows) == ("snapshot", 15)
    assert "15 readings (as of 5 h 1 min before)" in str(made)
    target = away / "data"
    restore(away / "zhian.tar.gz", target)
    store = DuckStore(target / "history.duckdb", clock)
    with closing(sqlite3.connect(target / "journal.sqlite")) as db, db:
        db.execute("INSERT INTO cursor VALUES ('history', 20, 0)")
    assert Shipper(target / "journal.sqlite", store, clock).step() == 5
    assert sorted(row.seq for row in store.readings("noise-1", 0, 2 * T)) == list(range(1, 21))
    store.close()


def test_without_a_snapshot_a_held_history_is_said_to_be_missing(
    data: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No silent gap: the manifest and the terminal say that there is no history in it, and why."""
    away = tmp_path_factory.mktemp("away")
    with held(data / "history.duckdb"):
        made = backup(data, away / "zhian.tar.gz", T)
    assert made.manifest.history.source == "none"
    assert "no history (history.duckdb: process " in str(made)
    restore(away / "zhian.tar.gz", away / "data")
    assert not (away / "data" / "history.duckdb").exists()


def test_the_site_file_may_lie_elsewhere(data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A site file outside of the data folder comes along as site.toml."""
    away = tmp_path_factory.mktemp("away")
    (data / "site.toml").unlink()
    (away / "zhongshan.toml").write_text("# here")
    backup(data, away / "zhian.tar.gz", T, site=away / "zhongshan.toml")
    restore(away / "zhian.tar.gz", away / "data")
    assert (away / "data" / "site.toml").read_text() == "# here"


def test_a_folder_without_a_journal_is_refused(tmp_path: Path) -> None:
    """The text names the folder and what to give instead."""
    with pytest.raises(BackupError, match=r"there is no journal here; give the data folder"):
        backup(tmp_path, tmp_path / "x.tar.gz", T)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_journal_is_not_backed_up_as_if_it_were_good(
    data: Path, journal: "JournalFile", tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every database is checked while it is copied; no archive is left behind."""
    journal.ask("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(journal.path.read_bytes())
    page = int.from_bytes(content[16:18], "big")
    for at in range(page, len(content), page):
        content[at : at + 8] = b"\xff" * 8
    journal.path.write_bytes(content)
    away = tmp_path_factory.mktemp("away")
    with pytest.raises(BackupError, match=r"journal\.sqlite"):
        backup(data, away / "zhian.tar.gz", T)
    assert list(away.iterdir()) == []


@pytest.fixture
def archive(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good backup."""
    file = tmp_path_factory.mktemp("away") / "zhian.tar.gz"
    backup(data, file, T)
    return file


Change = Callable[[dict[str, bytes]], None]


def _flip(members: dict[str, bytes]) -> None:
    content = bytearray(members["secrets/session.key"])
    content[0] ^= 1
    members["secrets/session.key"] = bytes(content)


def _drop(members: dict[str, bytes]) -> None:
    del members["office.sqlite"]


def _add(members: dict[str, bytes]) -> None:
    members["extra"] = b"x"


def _escape(members: dict[str, bytes]) -> None:
    _rename(members, "plan.svg", "../../escaped.svg")


def _absolute(members: dict[str, bytes]) -> None:
    _rename(members, "plan.svg", "/tmp/zhian-escaped.svg")


def _rename(members: dict[str, bytes], name: str, new: str) -> None:
    manifest: dict[str, Any] = json.loads(members[MANIFEST])
    for member in manifest["members"]:
        if member["name"] == name:
            member["name"] = new
    members[MANIFEST] = json.dumps(manifest).encode()
    members[new] = members.pop(name)


def _miscount(members: dict[str, bytes]) -> None:
    manifest = json.loads(members[MANIFEST])
    manifest["counts"]["journal.sqlite"]["batch"] += 1
    members[MANIFEST] = json.dumps(manifest).encode()


def _recount_history(members: dict[str, bytes]) -> None:
    manifest = json.loads(members[MANIFEST])
    manifest["history"]["rows"] += 1
    members[MANIFEST] = json.dumps(manifest).encode()


def _newer(members: dict[str, bytes]) -> None:
    manifest = json.loads(members[MANIFEST])
    manifest["format"] = 2
    members[MANIFEST] = json.dumps(manifest).encode()


def _no_manifest(members: dict[str, bytes]) -> None:
    del members[MANIFEST]


def _not_json(members: dict[str, bytes]) -> None:
    members[MANIFEST] = b"{"


CHANGES: list[tuple[Change, str]] = [
    (_flip, r"secrets/session\.key: is not what was written: its SHA-256 differs"),
    (_drop, r"office\.sqlite: is missing"),
    (_add, "extra: is not in the manifest"),
    (_escape, "points out of the folder"),
    (_absolute, "points out of the folder"),
    (_miscount, r"journal\.sqlite: holds"),
    (_recount_history, "history: holds 15 readings, not 16"),
    (_newer, "was written by another version"),
    (_no_manifest, "is not a backup of Zhian"),
    (_not_json, r"manifest\.json"),
]


@pytest.mark.parametrize(("change", "words"), CHANGES, ids=lambda value: getattr(value, "__name__", ""))
def test_an_archive_that_was_changed_is_refused(archive: Path, change: Change, words: str) -> None:
    """Nothing is restored, not even a part, and the text names archive, member and problem."""
    with tarfile.open(archive) as tar:
        members = {info.name: _content(tar, info.name) for info in tar}
    change(members)
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    folder = archive.parent
    with pytest.raises(BackupError, match=words) as refusal:
        restore(archive, folder / "data")
    assert str(archive) in str(refusal.value)
    assert [path.name for path in folder.iterdir()] == ["zhian.tar.gz"]
    assert not Path("/tmp/zhian-escaped.svg").exists()


def test_no_flipped_byte_is_restored(archive: Path) -> None:
    """A bit that flips anywhere is noticed, unless all unpacked bytes are as they were (a date in the gzip header)."""
    good = archive.read_bytes()
    folder = archive.parent
    kept = restore(archive, folder / "good").manifest
    for n, at in enumerate([*range(0, 40), *range(40, len(good), len(good) // 60), len(good) - 5, len(good) - 1]):
        content = bytearray(good)
        content[at] ^= 0x40
        archive.write_bytes(content)
        try:
            restored = restore(archive, folder / f"data-{n}")
        except BackupError:
            assert not (folder / f"data-{n}").exists()
        else:
            assert restored.manifest == kept
            assert gzip.decompress(content) == gzip.decompress(good)


def test_a_truncated_archive_is_refused(archive: Path) -> None:
    """Half a download, a text, an empty file, no file: the text names it and says to take another copy."""
    good = archive.read_bytes()
    for content in (good[: len(good) // 2], good[:-1], b"a text", b""):
        archive.write_bytes(content)
        with pytest.raises(BackupError, match=r"zhian\.tar\.gz.*take another copy"):
            restore(archive, archive.parent / "data")
    archive.unlink()
    with pytest.raises(BackupError, match="No such file"):
        restore(archive, archive.parent / "data")
    assert list(archive.parent.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A restore never mixes two sites: the folder must be new or empty."""
    target = tmp_path_factory.mktemp("used")
    (target / "journal.sqlite").write_text("mine")
    with pytest.raises(BackupError, match="is not empty; restore into a new folder"):
        restore(archive, target)
    assert [path.read_text() for path in target.iterdir()] == ["mine"]
    empty = tmp_path_factory.mktemp("empty")
    assert restore(archive, empty).path == empty
