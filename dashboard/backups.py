"""Backups from the page: one at a time in a thread of its own, what became of the last one, and the archives there are.

What a backup holds and how it is read again is hub/keeping/backup.py's; this carries, and remembers for now.
"""

import logging
import re
import sqlite3
import threading
import time
import zlib
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tarfile import TarError

import msgspec

from device_profiles.door import Refusal
from hub.history import elsewhere, kept_here
from hub.history.reach import ask_snapshot
from hub.journal.file import FILE, connect
from hub.keeping.archive import unpack
from hub.keeping.backup import BACKUPS, Source, backup
from hub.settings.site import Site

LOG = logging.getLogger("zhian.office")
_ARCHIVE = re.compile(r"zhian-\d{8}T\d{6}Z\.tar\.gz")


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What is under way, or was last. deed: backup | check; state: running | done | failed. Instants in ms."""

    deed: str
    name: str
    began: int
    state: str = "running"
    took_s: float = 0.0
    words: str = ""


class Archive(msgspec.Struct, frozen=True):
    """One archive of the folder. `made` from its name, in ms."""

    name: str
    size: int
    made: int


class Backups:
    """The archives of one data folder. From any thread."""

    def __init__(self, data: Path) -> None:
        """Nothing under way."""
        self._data = data
        self._lock = threading.Lock()
        self._work: Work | None = None

    @property
    def work(self) -> Work | None:
        """What is under way, or was last since the office started."""
        return self._work

    @property
    def running(self) -> bool:
        """True while one is made or checked."""
        return self._work is not None and self._work.state == "running"

    def listed(self) -> list[Archive]:
        """The newest first."""
        folder = self._data / BACKUPS
        found = [path for path in folder.glob("zhian-*.tar.gz") if _ARCHIVE.fullmatch(path.name)]
        return sorted((_archive(path) for path in found), key=lambda each: each.name, reverse=True)

    def path(self, name: str) -> Path | None:
        """The file of one that is listed; None where there is none of this name."""
        path = self._data / BACKUPS / name
        return path if _ARCHIVE.fullmatch(name) and path.is_file() else None

    def written(self) -> int:
        """Bytes that the backup under way has written so far."""
        folder = self._data / BACKUPS
        drafts = [*folder.glob(".zhian-*/**/*"), *folder.glob("*.part")]
        return sum(_bytes(path) for path in drafts)

    def make(self, site: Site, now: int) -> bool:
        """Begin one; False while another is under way."""
        name = f"zhian-{datetime.fromtimestamp(now / 1000, UTC):%Y%m%dT%H%M%SZ}.tar.gz"
        return self._begin(Work(deed="backup", name=name, began=now), site)

    def check(self, name: str, site: Site, now: int) -> bool:
        """Begin to read one again; False while another is under way, or there is none of this name."""
        return self.path(name) is not None and self._begin(Work(deed="check", name=name, began=now), site)

    def _begin(self, work: Work, site: Site) -> bool:
        with self._lock:
            if self.running:
                return False
            self._work = work
        threading.Thread(target=self._do, args=(work, site), name=work.deed, daemon=True).start()
        return True

    def _do(self, work: Work, site: Site) -> None:
        started = time.monotonic()
        try:
            words = self._packed(work, site) if work.deed == "backup" else self._read_again(work)
            state = "done"
        except (Refusal, OSError, EOFError, TarError, zlib.error, sqlite3.Error) as error:
            LOG.error("%s of %s failed: %s", work.deed, work.name, error)
            words, state = str(error), "failed"
        self._work = msgspec.structs.replace(work, state=state, words=words, took_s=time.monotonic() - started)

    def _packed(self, work: Work, site: Site) -> str:
        history = Source(lambda: ask_snapshot(self._data) if kept_here(site.history) else None, elsewhere(site.history))
        target = self._data / BACKUPS / work.name
        return str(backup(self._data, target, work.began, site=site_file(self._data), history=history))

    def _read_again(self, work: Work) -> str:
        found = unpack(self._data / BACKUPS / work.name, None)
        return f"{len(found.members)} files, {sum(member.size for member in found.members)} bytes"


def site_file(data: Path) -> Path | None:
    """The site file that the hub of this folder was started with, where it is still there."""
    with closing(connect(data / FILE, read_only=True)) as db:
        row = db.execute("SELECT value FROM meta WHERE key = 'site_file'").fetchone()
    path = Path(row[0]) if row else None
    return path if path is not None and path.exists() else None


def _archive(path: Path) -> Archive:
    made = datetime.strptime(path.name[6:22], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return Archive(path.name, _bytes(path), int(made.timestamp() * 1000))


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0  # gone since it was listed
