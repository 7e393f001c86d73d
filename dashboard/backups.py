"""Backups from the page: one at a time in a thread of its own, what became of the last one, and the archives there are.

What a backup holds and how it is read again is hub/keeping/backup.py's; this carries, and remembers for now.
"""

import logging
import sqlite3
import threading
import time
import zlib
from contextlib import closing
from pathlib import Path
from tarfile import TarError

import msgspec

from device_profiles.door import Refusal
from hub.history import elsewhere, kept_here
from hub.history.reach import ask_snapshot
from hub.journal.file import FILE, connect
from hub.keeping.archive import unpack
from hub.keeping.archives import BACKUPS, SEALED, archives, made_at, name_at, passphrase_for, passphrase_of
from hub.keeping.backup import Source, backup
from hub.settings.site import Site

LOG = logging.getLogger("zhian.office")


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

    @property
    def sealed(self) -> bool:
        """Whether it is encrypted."""
        return self.name.endswith(SEALED)


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
        return [Archive(path.name, _bytes(path), made_at(path.name) or 0) for path in reversed(archives(self._data))]

    def path(self, name: str) -> Path | None:
        """The file of one that is listed; None where there is none of this name."""
        path = self._data / BACKUPS / name
        return path if made_at(name) is not None and path.is_file() else None

    def written(self) -> int:
        """Bytes that the backup under way has written so far."""
        folder = self._data / BACKUPS
        drafts = [*self._data.glob(".zhian-*/**/*"), *folder.glob(".zhian-*/**/*"), *folder.glob("*.part")]
        return sum(_bytes(path) for path in drafts)

    def make(self, site: Site, now: int) -> bool:
        """Begin one; False while another is under way."""
        return self._begin(Work(deed="backup", name=name_at(now, site.backup), began=now), site)

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
            words = self._packed(work, site) if work.deed == "backup" else self._read_again(work, site)
            state = "done"
        except (Refusal, OSError, EOFError, TarError, zlib.error, sqlite3.Error) as error:
            LOG.error("%s of %s failed: %s", work.deed, work.name, error)
            words, state = str(error), "failed"
        self._work = msgspec.structs.replace(work, state=state, words=words, took_s=time.monotonic() - started)

    def _packed(self, work: Work, site: Site) -> str:
        history = Source(lambda: ask_snapshot(self._data) if kept_here(site.history) else None, elsewhere(site.history))
        target, file, passphrase = self._data / BACKUPS / work.name, site_file(self._data), passphrase_of(site.backup)
        return str(backup(self._data, target, work.began, site=file, history=history, passphrase=passphrase))

    def _read_again(self, work: Work, site: Site) -> str:
        found = unpack(self._data / BACKUPS / work.name, None, passphrase_for(work.name, site.backup))
        return f"{len(found.members)} files, {sum(member.size for member in found.members)} bytes"


def site_file(data: Path) -> Path | None:
    """The site file that the hub of this folder was started with, where it is still there."""
    with closing(connect(data / FILE, read_only=True)) as db:
        row = db.execute("SELECT value FROM meta WHERE key = 'site_file'").fetchone()
    path = Path(row[0]) if row else None
    return path if path is not None and path.exists() else None


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0  # gone since it was listed
