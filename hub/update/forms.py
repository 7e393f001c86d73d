"""Which form the files of a data folder have, and how one that a newer version has changed is put back.

A program refuses a file of a newer form (dashboard/access/schema.py, hub/journal/writer.py), so a way back needs
the old file. What the newer version wrote stays beside it, under another name; it is not merged.
"""

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from hub.keeping.archive import unpack

UNREADABLE = "unreadable"
_STAGING = ".zhian-update-"


def forms_of(data: Path) -> dict[str, str]:
    """File -> form of each SQLite file of the folder, as its program numbers it."""
    return {path.name: _form(path) for path in sorted(data.glob("*.sqlite"))}


def changed(data: Path, before: dict[str, str]) -> list[str]:
    """The files that have another form than `before`, or are gone."""
    now = forms_of(data)
    return [name for name, form in before.items() if now.get(name) != form]


def put_back(data: Path, names: list[str], archive: Path, newer: str) -> list[str]:
    """Put each file back as it is in the backup; where the newer ones lie now. Nobody may have them open.

    Raises BackupError, OSError.
    """
    for left in data.glob(f"{_STAGING}*"):  # of a time when this was cut off
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=_STAGING, dir=data) as staging:
        unpack(archive, Path(staging), "")
        return [_swap(data / name, Path(staging) / name, f"{name}.of-{newer}") for name in names]


def _swap(path: Path, restored: Path, aside: str) -> str:
    if path.exists():
        with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA journal_mode = DELETE")  # all of it into the one file
        owner = path.stat()
        for end in ("-wal", "-shm"):  # still there where it is damaged: never beside another file
            with suppress(FileNotFoundError):
                path.with_name(f"{path.name}{end}").replace(path.with_name(f"{aside}{end}"))
        os.chown(restored, owner.st_uid, owner.st_gid)
        path.replace(path.with_name(aside))
    else:
        owner = path.parent.stat()
        os.chown(restored, owner.st_uid, owner.st_gid)
    restored.replace(path)
    return aside


def _form(path: Path) -> str:
    """`user_version` and, where the program keeps a number in a table `meta`, that too."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as db:
            (number,) = db.execute("PRAGMA user_version").fetchone()
            has_meta = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
            row = db.execute("SELECT value FROM meta WHERE key = 'version'").fetchone() if has_meta else None
    except sqlite3.Error:
        return UNREADABLE
    return f"{number}/{row[0] if row else ''}"
