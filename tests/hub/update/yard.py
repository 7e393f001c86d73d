"""A box in a folder: small wheels, a data folder with two real files, and a service that is one line in a file.

Its programs are shell scripts, so that hundreds of updates are tried in seconds; test_update_real.py has real ones.
"""

import base64
import hashlib
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path

from hub.clock import Clock
from hub.keeping.backup import backup
from hub.settings.secret import read_secret
from hub.update.box import Box
from hub.update.install import Means
from hub.update.keys import make_key
from hub.update.programs import Failed, check
from hub.update.release import Manifest, make_release, manifest_of

KNOWN_FORM = 3  # of office.sqlite, by the old version


def wheel(folder: Path, name: str, version: str, files: Mapping[str, str], about: Iterable[str] = ()) -> Path:
    """A wheel as pip takes it. `about` are further lines of its METADATA."""
    info = f"{name}-{version}.dist-info"
    meta = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *about, ""])
    texts = {**files, f"{info}/METADATA": meta}
    texts[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    rows = []
    for path, text in texts.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text.encode())}\n")
    texts[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"])
    target = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in texts.items():
            archive.writestr(path, text)
    return target


class Yard:
    """One box that runs 1.0.0. `good` are the versions that are well; 1.2.0 numbers the office's file anew."""

    def __init__(self, folder: Path) -> None:
        """Where `furnish` was called once; a copy of such a folder is a box too."""
        self.folder, self.root, self.data = folder, folder / "opt", folder / "data"
        self.box, self.key = Box(self.root), folder / "maker.key"
        self.good = {"1.0.0", "1.0.1", "1.1.0"}
        self.forms = {"1.2.0": KNOWN_FORM + 1}
        self.said: list[str] = []
        self.checked: Callable[[Path, str, Path], None] = check
        self.quick_backup: Path | None = None

    def furnish(self) -> "Yard":
        """Program, link, trusted key, site file and data folder of the first installation."""
        for folder in (self.root, self.data):
            folder.mkdir(parents=True)
        script(self.root / ".venv", "1.0.0")
        (self.root / "current").symlink_to(".venv")
        (self.root / "update-keys").write_text(f"{make_key(self.key)} the maker\n")
        (self.root / "update-keys").chmod(0o644)
        (self.folder / "site.toml").write_text("")
        for name, form in (("office.sqlite", KNOWN_FORM), ("journal.sqlite", 0)):
            with closing(sqlite3.connect(self.data / name)) as db:
                db.executescript(f"CREATE TABLE row (v); INSERT INTO row VALUES ('old'); PRAGMA user_version = {form}")
        with closing(sqlite3.connect(self.data / "journal.sqlite")) as db:
            db.executescript("CREATE TABLE meta (key, value); INSERT INTO meta VALUES ('version', '2')")
        self._run("1.0.0")
        return self

    def release(self, version: str) -> Path:
        """A signed file of this version, with one other wheel."""
        wheels = self.folder / f"wheels-{version}"
        wheels.mkdir()
        wheel(wheels, "zhian", version, {"zhian_fake.py": ""}, ["Requires-Dist: helper==2.0"])
        wheel(wheels, "helper", "2.0", {"helper.py": "x = 1\n"})
        target = self.folder / f"zhian-{version}.update"
        make_release(wheels, manifest_of(wheels), self.key, target)
        return target

    @property
    def running(self) -> str:
        """The version that the service runs; empty: none."""
        return (self.folder / "running").read_text()

    @property
    def link(self) -> str:
        """Where `current` points to."""
        return str((self.root / "current").readlink())

    def means(self) -> Means:
        """How things are done here, in no time."""
        return Means(
            site=self.folder / "site.toml", data=self.data, keys=self.root / "update-keys", build=self._build,
            check=self.checked, back_up=self._back_up, restart=self.restart, stop=lambda: self._run(""),
            well=self.well, say=self.said.append, within_s=0.03, steady_s=0.03,
        )  # fmt: skip

    def well(self, version: str) -> bool:
        """As /healthz, which says which version answers."""
        return self.running in self.good and version in ("", self.running)

    def restart(self) -> None:
        """What the link points to; it brings the office's file to its own form, or refuses one that is newer."""
        version = self.box.version_of("current")
        mine = self.forms.get(version, KNOWN_FORM)
        with closing(sqlite3.connect(self.data / "office.sqlite")) as db:
            (found,) = db.execute("PRAGMA user_version").fetchone()
            if found < mine:
                db.executescript(f"BEGIN; INSERT INTO row VALUES ('{version}'); PRAGMA user_version = {mine}; COMMIT")
        self._run(version if found <= mine else "")

    def office_rows(self) -> list[str]:
        """What stands in the office's file."""
        with closing(sqlite3.connect(self.data / "office.sqlite")) as db:
            return [str(value) for (value,) in db.execute("SELECT v FROM row")]

    def _run(self, version: str) -> None:
        part = self.folder / "running.new"  # a service runs or does not: nothing in between
        part.write_text(version)
        part.replace(self.folder / "running")

    def _build(self, folder: Path, wheels: Path, manifest: Manifest) -> None:
        if {path.name for path in wheels.iterdir()} != {each.name for each in manifest.wheels}:
            raise Failed("not the wheels of the list")
        script(folder, manifest.version)

    def _back_up(self, program: Path, data: Path, target: Path, passphrase_file: str) -> None:
        if not program.exists():
            raise Failed("no program")
        if self.quick_backup is None:
            passphrase = read_secret(passphrase_file) if passphrase_file else ""
            backup(data, target, Clock().now(), force=True, passphrase=passphrase)
            return
        target.parent.mkdir(exist_ok=True)
        shutil.copy(self.quick_backup, target)


def script(folder: Path, version: str) -> None:
    """A program that says its version, and yes to everything else."""
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "zhian"
    program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "zhian, version {version}"\nexit 0\n')
    program.chmod(0o755)
