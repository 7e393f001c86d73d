"""A box that is updated for real: wheels, pip without a network, a real `zhian run` under a small service manager.

Wheels are packed from what is installed here and from the tree, as no test may fetch any; `pip wheel` is the maker's.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import tomllib
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

import pytest
from packaging.requirements import Requirement

from tests.conftest import free_port
from tests.e2e.conftest import COURT, wait_for
from tests.hub.update.yard import wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ROOMS = ("device_profiles", "firmware_bridge", "hub", "dashboard")
# A version that passes every check and cannot run.
BROKEN = 'import sys\n\ndef main() -> None:\n    print("zhian, version 0.3.0")\n    sys.exit(sys.argv[1] == "run")\n'


def needed() -> Iterator[Distribution]:
    """Everything that Zhian needs to run, as it is installed here."""
    todo, seen = list(PROJECT["dependencies"]), set[str]()
    while todo:
        wanted = Requirement(todo.pop())
        if wanted.name in seen or (wanted.marker is not None and not wanted.marker.evaluate({"extra": ""})):
            continue
        seen.add(wanted.name)
        yield (found := distribution(wanted.name))
        todo += found.requires or ()


def packed(found: Distribution, folder: Path) -> None:
    """The wheel of what is installed, with the tag that it came with."""
    tag = re.search(r"^Tag: ((?:py3|cp3)\S+)", found.read_text("WHEEL") or "", re.MULTILINE)
    assert tag
    name = re.sub(r"[-_.]+", "_", found.name)
    with zipfile.ZipFile(folder / f"{name}-{found.version}-{tag[1]}.whl", "w") as archive:
        for file in found.files or ():
            if not str(file).startswith("..") and file.suffix != ".pyc":
                archive.write(str(file.locate()), str(file))


def ours(folder: Path, version: str) -> None:
    """The wheel of the tree as it is, under another version."""
    head = ["Metadata-Version: 2.1", "Name: zhian", f"Version: {version}"]
    metadata = "\n".join([*head, *(f"Requires-Dist: {text}" for text in PROJECT["dependencies"]), ""])
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()]
    info = f"zhian-{version}.dist-info"
    texts = {"METADATA": metadata, "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    texts |= {"entry_points.txt": "[console_scripts]\nzhian = hub.__main__:main\n"}
    with zipfile.ZipFile(folder / f"zhian-{version}-py3-none-any.whl", "w") as archive:
        for path in files:
            if "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(ROOT))
        for name, text in texts.items():
            archive.writestr(f"{info}/{name}", text)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in archive.namelist()))


class Service:
    """As systemd: runs what the link points to, starts it again when it dies, and restarts it when a file asks."""

    def __init__(self, folder: Path) -> None:
        """The first version is the tree itself, installed as `make install` does."""
        self.root, self.data, self.site = folder / "opt", folder / "data", folder / "site.toml"
        self.port, self.asked, self.log = free_port(), folder / "asked", folder / "run.log"
        self.site.write_text(COURT)
        program = self.root / ".venv" / "bin" / "zhian"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m hub "$@"\n')
        program.chmod(0o755)
        (self.root / "current").symlink_to(".venv")
        (self.root / "hub").mkdir()  # the tree of the first installation: no later version may run it
        (self.root / "hub" / "__main__.py").write_text("raise SystemExit('an older tree')")
        self._over, self._process = threading.Event(), cast("subprocess.Popen[bytes] | None", None)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        """With an administrator, as nothing else answers before."""
        self.zhian("user", "add", "admin", "--role", "admin", "--data", str(self.data))
        self._thread.start()
        wait_for(lambda: self._look() == 0)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def zhian(self, *arguments: str, code: int = 0) -> str:
        """A command of the version that the link points to."""
        call = [str(self.root / "current" / "bin" / "zhian"), *arguments]
        done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == code, f"{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def install(self, file: Path, code: int = 0) -> str:
        """`zhian update install`, with what stands for systemctl here."""
        restart = f"sh -c 'touch {self.asked}; while [ -e {self.asked} ]; do sleep 0.1; done'"
        options = ["--root", str(self.root), "--site", str(self.site), "--data", str(self.data), "--restart", restart]
        options += ["--stop", "false", "--health", f"http://127.0.0.1:{self.port}/healthz", "--steady", "3"]
        return self.zhian("update", "install", str(file), *options, "--within", "40" if code == 0 else "4", code=code)

    def runs(self) -> str:
        """The first word of the running process' command line: the Python of its version's folder."""
        assert self._process is not None
        return Path(f"/proc/{self._process.pid}/cmdline").read_bytes().split(b"\0")[0].decode()

    def _look(self) -> int:
        call = [sys.executable, "-c", f"import urllib.request as u; u.urlopen('http://127.0.0.1:{self.port}/healthz')"]
        return subprocess.run(call, capture_output=True, check=False).returncode

    def _serve(self) -> None:
        self._start()
        while not self._over.wait(0.1):
            if self.asked.exists():
                self._stop()
                self._start()
                self.asked.unlink()
            elif self._process is not None and self._process.poll() is not None:
                self._start()
        self._stop()

    def _start(self) -> None:
        call = [str(self.root / "current" / "bin" / "zhian"), "run", str(self.site), "--data", str(self.data)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*call, "--plain", "--port", str(self.port)], stdout=log, stderr=log, cwd=self.root
            )

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_a_box_without_internet_is_updated_and_goes_back(tmp_path: Path) -> None:
    """The tree's own wheel is installed by pip, runs and is well; the next one cannot run, and this one runs again."""
    wheels, broken, key = tmp_path / "wheels", tmp_path / "broken", tmp_path / "maker.key"
    wheels.mkdir()
    broken.mkdir()
    for each in needed():
        packed(each, wheels)
    ours(wheels, "0.2.0")
    wheel(
        broken,
        "zhian",
        "0.3.0",
        {"z.py": BROKEN, "zhian-0.3.0.dist-info/entry_points.txt": "[console_scripts]\nzhian = z:main\n"},
    )
    with Service(tmp_path) as box:
        (box.root / "update-keys").write_text(f"{box.zhian('update', 'key', str(key)).strip()} the maker\n")
        good, bad = tmp_path / "good.update", tmp_path / "bad.update"
        assert "zhian 0.2.0" in box.zhian("update", "make", str(wheels), "--key", str(key), "--out", str(good))
        assert "zhian 0.1.0 -> 0.2.0, signed by the maker" in box.zhian(
            "update", "check", str(good), "--root", str(box.root)
        )

        assert "versions/0.2.0 runs and is well" in box.install(good)
        assert box.runs().startswith(str(box.root / "versions" / "0.2.0"))
        assert box.zhian("--version").split()[-1] == "0.2.0"

        box.zhian("update", "make", str(broken), "--key", str(key), "--out", str(bad))
        assert "NOT UPDATED" in box.install(bad, code=1)
        wait_for(lambda: box.runs().startswith(str(box.root / "versions" / "0.2.0")))
        assert box.zhian("--version").split()[-1] == "0.2.0"
        assert "is not newer" in box.install(good, code=2)
