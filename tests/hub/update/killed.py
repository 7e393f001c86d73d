"""A program of its own that has an update killed (SIGKILL) before its n-th act, for every n, and tells what was left.

An act is what Python's audit hooks see: a file opened for writing, renamed, removed, a folder made, a program started.
`python -m tests.hub.update.killed FOLDER VERSION` prints one JSON line a kill.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import msgspec

from hub.clock import Clock
from hub.keeping.backup import backup
from hub.update.install import install
from hub.update.release import UpdateError
from tests.hub.update.yard import Yard

ACTS = {"os.rename", "os.remove", "os.symlink", "os.mkdir", "os.rmdir", "shutil.rmtree", "shutil.copyfile", "os.chown"}
ACTS |= {"subprocess.Popen", "sqlite3.connect", "tempfile.mkdtemp", "os.chmod"}


class Left(msgspec.Struct, frozen=True):
    """What a kill left behind (`at_once`), and what stands after `install` was called again."""

    act: int
    at_once: str
    link: str
    whole: bool
    afterwards: str
    link_afterwards: str
    rubbish: list[str]
    rows: list[str]


def main(folder: Path, version: str) -> None:
    """All kills, until one update comes to its end alive."""
    os.sync = lambda: None  # a kill takes nothing from the system's memory, and other tests write a lot
    template = Yard(folder / "template").furnish()
    template.release(version)
    kept = folder / "kept.tar.gz"
    backup(template.data, kept, Clock().now())
    act = 0
    while killed(template, folder / str(act), version, act):
        yard = _yard(folder / str(act), kept)
        at_once, link = yard.running, yard.link
        whole = (yard.root / link / "bin" / "zhian").exists()
        again(yard, version)
        left = Left(
            act, at_once, link, whole, yard.running, yard.link, rubbish(yard), yard.office_rows()
        )  # fmt: skip
        print(json.dumps(msgspec.to_builtins(left)), flush=True)  # noqa: T201  # it is what the test reads
        shutil.rmtree(yard.folder)
        act += 1


def killed(template: Yard, folder: Path, version: str, act: int) -> bool:
    """Whether a child that updates a copy of the box died of our hand before its n-th act."""
    shutil.copytree(template.folder, folder, symlinks=True)
    child = os.fork()
    if child == 0:
        _die_at(act)
        try:
            again(_yard(folder, template.folder.parent / "kept.tar.gz"), version)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def again(yard: Yard, version: str) -> None:
    """As a person calls it; that the version runs already is no mistake here."""
    try:
        install(yard.folder / f"zhian-{version}.update", yard.box, yard.means())
    except UpdateError as error:
        if "is not newer" not in error.problem:
            raise


def rubbish(yard: Yard) -> list[str]:
    """What is left in the root beside what belongs there, and what is under way."""
    known = {".venv", "current", "update-keys", "update.lock", "versions"}
    return sorted(path.name for path in yard.root.iterdir() if path.name not in known)


def _yard(folder: Path, kept: Path) -> Yard:
    yard = Yard(folder)
    yard.quick_backup = kept
    return yard


def _die_at(act: int) -> None:
    left = act

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        writes = event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if event in ACTS or writes:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
