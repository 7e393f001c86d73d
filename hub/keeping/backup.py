"""One archive of everything that a data folder holds, made while the hub runs; and its way back into an empty folder.

The archive holds secrets (mode 0600, encrypted where a passphrase is given). Without one the hashes find damage, not a
forger who rewrites the manifest too. History in InfluxDB is not in it: that server has a backup of its own.
"""

import platform
import shutil
import sqlite3
import tarfile
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import duckdb
import msgspec

from hub.history.duck_file import Unusable, connect
from hub.history.duck_snapshot import load_snapshot, newest, write_snapshot
from hub.history.store import HistoryStore, Snapshot, StoreError
from hub.journal.file import FILE as JOURNAL
from hub.keeping.archive import (
    FORMAT,
    BackupError,
    HistoryNote,
    Manifest,
    check_passphrase,
    member_of,
    tampered,
    unpack,
    write_archive,
)

HISTORY = "history.duckdb"
SNAPSHOTS = "history-snapshots"
BACKUPS = "backups"
NEW_ENOUGH_MS = 600_000  # a snapshot this young is taken as it is, instead of another one being made

# What is made anew at each start, or is in the archive in another form.
_SKIPPED_NAMES = frozenset({"lock", "history.sock", "reserve", "processes.json", SNAPSHOTS, BACKUPS, "tty"})
_SKIPPED_ENDS = ("-wal", "-shm", "-journal", ".wal", ".part", ".tmp", ".new", ".log", ".tar.gz", ".pid")
_STAGING = ".zhian-"


class Backup(msgspec.Struct, frozen=True):
    """What was written or read back. `str()` of it is a sentence for the terminal."""

    path: Path
    manifest: Manifest

    def __str__(self) -> str:
        """What it holds, with the age of the history."""
        found = self.manifest
        size = sum(member.size for member in found.members) / 1e6
        tables = {name: rows for counts in found.counts.values() for name, rows in counts.items()}
        counted = ", ".join(f"{tables[name]} {what}" for name, what in _COUNTED.items() if name in tables)
        made = datetime.fromtimestamp(found.made / 1000, UTC)
        return (
            f"{self.path}: {len(found.members)} files, {size:.1f} MB, each with its SHA-256, "
            f"made {made:%Y-%m-%d %H:%M:%S} UTC by zhian {found.versions.get('zhian', '?')}\n"
            f"  history: {_history_said(found)}\n"
            f"  beside it: {counted or 'no tables'}"
        )


_COUNTED = {"batch": "batches of the journal", "occurrence": "alarms", "orders": "orders", "user": "users"}


def _history_said(found: Manifest) -> str:
    history = found.history
    minutes = max(0, found.made - history.at) // 60_000
    because = f", because: {history.reason}" if history.reason else ""
    because += f"; {history.elsewhere}" if history.elsewhere else ""
    match history.source:
        case "none":
            return f"no history ({history.reason or history.elsewhere})"
        case "snapshot":
            return f"{history.rows} readings (as of {minutes // 60} h {minutes % 60} min before){because}"
        case _:
            return f"{history.rows} readings (all of that moment){because}"


class Source(msgspec.Struct, frozen=True):
    """Where a backup finds the history: `fresh` has its holder take a snapshot (None: nobody holds it, StoreError: it
    cannot); `elsewhere` says what of it is not in the data folder, and where.
    """

    fresh: Callable[[], object | None] = lambda: None
    elsewhere: str = ""


def backup(
    data: Path, target: Path, now: int, *, site: Path | None = None, force: bool = False, history: Source | None = None,
    passphrase: str = "",
) -> Backup:  # fmt: skip
    """Write one archive of the folder (and of the site file outside of it), and read it again. Raises BackupError.

    With a passphrase it is encrypted, and nothing is laid down beside `target` that is not.
    """
    if not (data / JOURNAL).exists():
        raise BackupError(data, "", "there is no journal here", right="give the data folder of `zhian run` with --data")
    if target.exists() and not force:
        raise BackupError(target, "", "is there already", right="choose another FILE, or --force to replace it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_STAGING, dir=data if passphrase else target.parent) as staging:
            manifest = _stage(data, Path(staging), now, site, history or Source())
            write_archive(target, Path(staging), manifest, passphrase)
    except OSError as error:
        raise BackupError(
            error.filename or target,
            "",
            f"cannot be packed: {error.strerror}",
            right="look at the disk, or choose another FILE",
        ) from error
    return Backup(path=target, manifest=manifest)


def restore(archive: Path, data: Path, passphrase: str = "") -> Backup:
    """Check every hash, then unpack into an empty or new folder and count again. Raises BackupError.

    Another passphrase, or an encrypted archive that is not whole, is refused before the folder is made.
    """
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise BackupError(
            data, "", "is not empty", right="restore into a new folder, and move it into place afterwards"
        )
    try:
        check_passphrase(archive, passphrase)
    except OSError as error:
        raise BackupError(
            archive, "", f"cannot be read: {error}", right="give a FILE that `zhian backup` wrote"
        ) from None
    existed = data.exists()
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Inside of the folder: it may be a mount of its own, and a rename does not cross file systems.
    staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=data))
    try:
        manifest = unpack(archive, staging, passphrase)
        _check_databases(archive, staging, manifest)
        _restore_history(archive, staging, manifest)
        for path in staging.iterdir():
            path.rename(data / path.name)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise BackupError(archive, "", f"cannot be read: {error}", right="take another copy of this backup") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if not existed and not any(data.iterdir()):
            data.rmdir()
    return Backup(path=data, manifest=manifest)


def take_snapshot(store: HistoryStore, data: Path, now: int) -> Snapshot | None:
    """Write what of the history lies in the data folder as Parquet, in place of the last snapshot.

    None where nothing of it does.
    """
    folder = data / SNAPSHOTS
    with _SNAPPING:
        part = folder / f"{now}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        made = store.snapshot(part)
        if made is None:
            shutil.rmtree(part)
            return None
        shutil.rmtree(folder / str(now), ignore_errors=True)
        part.rename(folder / str(now))
        for other in folder.iterdir():
            if other.name != str(now):
                shutil.rmtree(other, ignore_errors=True)
    return made


_SNAPPING = threading.Lock()  # the nightly one, and one that the command line asks for


def _stage(data: Path, staging: Path, now: int, site: Path | None, history: Source) -> Manifest:
    counts: dict[str, dict[str, int]] = {}
    for path in _files(data):
        name = path.relative_to(data)
        copy = staging / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".sqlite":
            counts[str(name)] = _copy_database(path, copy)
        else:
            with suppress(FileNotFoundError):  # gone since it was listed
                shutil.copy2(path, copy)
    if site is not None and not (staging / "site.toml").exists():
        shutil.copy2(site, staging / "site.toml")
    note = _stage_history(data, staging / "history", now, history)
    members = [member_of(path, staging) for path in sorted(staging.rglob("*")) if path.is_file()]
    return Manifest(format=FORMAT, made=now, versions=_versions(), history=note, counts=counts, members=members)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        skipped = path.name in _SKIPPED_NAMES or path.name.endswith(_SKIPPED_ENDS) or ".corrupt-" in path.name
        if skipped or path.name.startswith((_STAGING, HISTORY)) or path.is_symlink():
            continue
        if path.is_dir():
            yield from _files(path)
        elif path.is_file():
            yield path


def _copy_database(path: Path, copy: Path) -> dict[str, int]:
    """A consistent copy by SQLite's backup, checked and counted; it is one file, without a WAL beside it."""
    try:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5.0)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
        copy.chmod(path.stat().st_mode & 0o777)
        return _counted(copy, path)
    except sqlite3.Error as error:
        raise BackupError(path, "", f"cannot be copied: {error}", right="stop the hub and try again") from error


def _counted(path: Path, named: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as db:
        verdict = db.execute("PRAGMA quick_check").fetchone()[0]
        if verdict != "ok":
            raise BackupError(named, "", f"is damaged: {verdict}", right="restore the last good backup")
        names = [str(name) for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: int(db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])  # noqa: S608  # its own table names
            for name in sorted(names)
            if not name.startswith("sqlite_")
        }


def _stage_history(data: Path, folder: Path, now: int, history: Source) -> HistoryNote:
    """What of the history lies in the data folder, and what does not."""
    return msgspec.structs.replace(_stage_folder(data, folder, now, history), elsewhere=history.elsewhere)


def _stage_folder(data: Path, folder: Path, now: int, history: Source) -> HistoryNote:
    """A fresh snapshot by whoever holds the file; else the file itself; else the newest snapshot, and why."""
    reason = "" if history.elsewhere else "no readings were shipped yet"
    try:
        fresh = history.fresh() is not None
    except StoreError as error:
        fresh, reason = False, f"no fresh one could be made: {error}"
    latest = newest_snapshot(data)
    if not fresh and (data / HISTORY).exists() and (latest is None or now - latest[0].at > NEW_ENOUGH_MS):
        folder.mkdir()
        try:
            with closing(connect(data / HISTORY)) as db:
                made = write_snapshot(db, folder, now)
            return HistoryNote(source="live", at=made.at, rows=made.rows)
        except (StoreError, Unusable, duckdb.Error) as error:
            shutil.rmtree(folder)
            locked = str(error).partition("\n")[0]
            reason = f"{reason}; {locked}" if reason.startswith("no fresh") else locked
    if latest is None:
        return HistoryNote(source="none", reason=reason)
    told, path = latest
    shutil.copytree(path, folder)
    young = fresh or now - told.at <= NEW_ENOUGH_MS
    return HistoryNote(source="snapshot", at=told.at, rows=told.rows, reason="" if young else reason)


def newest_snapshot(data: Path) -> tuple[Snapshot, Path] | None:
    """What the newest whole snapshot says, and its folder."""
    return newest(data / SNAPSHOTS)


def _versions() -> dict[str, str]:
    return {
        "zhian": version("zhian"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "duckdb": version("duckdb"),
    }


def _check_databases(archive: Path, staging: Path, manifest: Manifest) -> None:
    for name, counts in manifest.counts.items():
        try:
            found = _counted(staging / name, archive)
        except sqlite3.Error as error:
            raise tampered(archive, name, str(error)) from error
        if found != counts:
            raise tampered(archive, name, f"holds {found} rows, not {counts}")


def _restore_history(archive: Path, staging: Path, manifest: Manifest) -> None:
    folder = staging / "history"
    if manifest.history.source == "none":
        return
    try:
        loaded = load_snapshot(folder, staging / HISTORY)
    except StoreError as error:
        raise tampered(archive, "history", str(error)) from error
    if loaded.rows != manifest.history.rows:
        raise tampered(archive, "history", f"holds {loaded.rows} readings, not {manifest.history.rows}")
    shutil.rmtree(folder)
