"""The folder in which versions lie side by side, and the link that says which one runs.

    /opt/zhian/current -> versions/1.2.3      the unit runs current/bin/zhian
    /opt/zhian/versions/1.2.3/                a virtual environment of its own
    /opt/zhian/update-keys                    whose updates are taken
    /opt/zhian/update.json                    an update that is under way; not there else

It decides nothing: hub/update/install.py does. Each change is one rename, so that a cut leaves the old or the new.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from hub.update.release import UpdateError, parts_of

CURRENT, VERSIONS, KEYS, NOTE, LOCK = "current", "versions", "update-keys", "update.json", "update.lock"
PATIENCE_S = 120.0


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """An update under way. `old` and `new` are what the link points to; `forms` those of the data folder's files;
    `sealed_by` the file with the passphrase of the backup.
    """

    step: Literal["try", "back"]
    old: str
    new: str
    backup: str
    forms: dict[str, str]
    sealed_by: str = ""


class Box:
    """One root folder."""

    def __init__(self, root: Path) -> None:
        """It exists: the first installation made it."""
        self.root = root

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One update at a time. Raises UpdateError, OSError."""
        with (self.root / LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UpdateError(self.root, "", "another update runs here", right="wait until it has ended") from None
            yield

    @property
    def keys(self) -> Path:
        """Where the trusted keys are, unless the caller says another place."""
        return self.root / KEYS

    def current(self) -> str:
        """What the link points to, as `versions/1.2.3` or `.venv`. Raises UpdateError."""
        link = self.root / CURRENT
        if not link.is_symlink() or not (link / "bin" / "zhian").exists():
            right = f"once: ln -s .venv {link}, and {link}/bin/zhian in the service's unit (deploy/README.md)"
            raise UpdateError(link, "", "is no link to an installed version", right=right)
        return str(link.readlink())

    def folder(self, version: str) -> Path:
        """Where this version lies."""
        return self.root / VERSIONS / version

    def place(self, version: str) -> str:
        """What the link points to when this version runs."""
        return f"{VERSIONS}/{version}"

    def version_of(self, place: str) -> str:
        """As the program there says. Raises UpdateError."""
        program = self.root / place / "bin" / "zhian"
        try:
            said = subprocess.run(
                [program, "--version"], capture_output=True, text=True, timeout=PATIENCE_S, check=True
            )
            version = said.stdout.split()[-1] if said.stdout.split() else ""
            parts_of(version)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            raise UpdateError(program, "--version", f"does not say which it is: {error}", right="1.2.3") from None
        return version

    def switch(self, place: str) -> None:
        """Have the link point there: by one rename, and on the disk when this returns."""
        link, part = self.root / CURRENT, self.root / f"{CURRENT}.new"
        part.unlink(missing_ok=True)
        part.symlink_to(place)
        part.replace(link)
        self._sync()

    def note(self) -> Note | None:
        """The update that was begun and has not ended. Raises UpdateError."""
        path = self.root / NOTE
        try:
            return msgspec.json.decode(path.read_bytes(), type=Note)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            right = f"look where {CURRENT} points to, then take this file away"
            raise UpdateError(path, "", f"cannot be read: {error}", right=right) from None

    def write_note(self, note: Note) -> None:
        """In one rename, and on the disk when this returns."""
        part = self.root / f"{NOTE}.new"
        with part.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(note)))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.root / NOTE)
        self._sync()

    def drop_note(self) -> None:
        """The update has ended, one way or the other."""
        (self.root / NOTE).unlink(missing_ok=True)
        self._sync()

    def tidy(self) -> None:
        """Keep what runs and the newest that is older; what was begun, or is older still, goes."""
        current, folder = self.current(), self.root / VERSIONS
        running = parts_of(self.version_of(current))
        older = [path for path in folder.iterdir() if _is_older(path.name, running)] if folder.is_dir() else []
        before = max(older, key=lambda path: parts_of(path.name), default=None)
        for path in folder.iterdir() if folder.is_dir() else ():
            if path != before and self.place(path.name) != current:
                shutil.rmtree(path)

    def _sync(self) -> None:
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _is_older(name: str, running: tuple[int, ...]) -> bool:
    try:
        return parts_of(name) < running
    except ValueError:
        return False
