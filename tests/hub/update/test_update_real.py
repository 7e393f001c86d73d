"""The programs that an update calls, as they really are: pip without a network, /healthz over TLS, the command line."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dashboard.access.tls import Pair, Tls, make_own
from hub import authority
from hub.clock import Clock
from hub.processes.supervisor import zhian as own_process
from hub.update.programs import Failed, address_of, build, check, complete, is_well, run
from hub.update.release import UpdateError, Wheel, manifest_of
from tests.hub.update.yard import wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hub.update.yard import Yard

ROOT = Path(__file__).parents[3]
PROGRAM = """import sys
import helper

def main() -> None:
    print("zhian, version 1.0.1")
    sys.exit("no such key" if "wrong" in sys.argv[-1] else 0)
"""


def wheels_in(folder: Path) -> Path:
    """Zhian 1.0.1, a program that needs one other wheel."""
    folder.mkdir()
    entry = {"zhian-1.0.1.dist-info/entry_points.txt": "[console_scripts]\nzhian = fake:main\n"}
    wheel(folder, "zhian", "1.0.1", {"fake.py": PROGRAM, **entry}, ["Requires-Dist: helper==2.0"])
    wheel(folder, "helper", "2.0", {"helper.py": "x = 1\n"})
    return folder


def test_pip_installs_what_was_signed_and_nothing_else(tmp_path: Path) -> None:
    """A folder that runs by itself; not with another hash, and not with a wheel that is missing."""
    wheels, folder = wheels_in(tmp_path / "wheels"), tmp_path / "versions" / "1.0.1"
    manifest = manifest_of(wheels)
    complete(wheels, manifest)

    build(folder, wheels, manifest)
    (tmp_path / "site.toml").touch()
    check(folder, "1.0.1", tmp_path / "site.toml")
    with pytest.raises(Failed, match="says of itself"):
        check(folder, "1.0.2", tmp_path / "site.toml")
    (tmp_path / "wrong").touch()
    with pytest.raises(Failed, match="no such key"):
        check(folder, "1.0.1", tmp_path / "wrong")

    pip: list[str | Path] = [
        folder / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--ignore-installed",
        "--no-index",
    ]
    lines = (wheels / "requirements.txt").read_text().replace(manifest.wheels[0].sha256, "0" * 64)
    (wheels / "requirements.txt").write_text(lines)
    with pytest.raises(Failed, match="DO NOT MATCH THE HASHES"):
        run([*pip, "--require-hashes", "--find-links", wheels, "-r", wheels / "requirements.txt"], 60)
    (wheels / "requirements.txt").unlink()
    (wheels / "helper-2.0-py3-none-any.whl").unlink()
    with pytest.raises(UpdateError, match=r"helper==2\.0"):
        complete(wheels, manifest)


@contextmanager
def page(folder: Path, status: int, said: bytes) -> Iterator[str]:
    """A page of this machine that answers so, with a certificate that nobody vouches for."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    pair = Pair(folder / "page.crt", folder / "page.key", own=True)
    now = Clock().now()
    make_own(pair, authority.ours("garden", folder, now), ["localhost"], now)
    server = HTTPServer(("127.0.0.1", 0), Answer)
    server.socket = Tls(pair).context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}/healthz"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "said", "well"),
    [
        (200, b'{"status": "ok", "version": "1.2.3"}', True),
        (200, b'{"status": "ok", "version": ""}', True),
        (200, b'{"status": "ok"}', True),
        (200, b'{"status": "ok", "version": "1.2.2"}', False),
        (200, b"<h1>It works!</h1>", False),
        (503, b'{"status": "failing", "version": "1.2.3"}', False),
        (403, b"", False),
    ],
)
def test_well_is_what_healthz_says(tmp_path: Path, status: int, said: bytes, well: bool) -> None:
    """200 by the box's own certificate, of this version where one is named; no other program, and not silence."""
    with page(tmp_path, status, said) as address:
        assert is_well(address_of(address), "1.2.3") == well
    assert not is_well(address, "1.2.3")


def test_only_a_page_can_be_asked(tmp_path: Path) -> None:
    """A file is there even when the hub is not."""
    (tmp_path / "healthz").touch()
    with pytest.raises(UpdateError, match="no address of a page"):
        address_of(f"file://{tmp_path}/healthz")


def test_a_program_that_says_no_or_nothing() -> None:
    """Its own words, and an end to waiting."""
    with pytest.raises(Failed, match="ended with 3: broken"):
        run(["sh", "-c", "echo broken; exit 3"], 10)
    with pytest.raises(Failed, match="timed out"):
        run(["sleep", "5"], 0.1)
    with pytest.raises(Failed, match="no-such-program"):
        run(["no-such-program"], 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can do something as somebody else")
def test_what_belongs_to_the_data_folder_is_done_by_its_owner(tmp_path: Path) -> None:
    """A backup that root had written would be one that the hub cannot rotate."""
    os.chown(tmp_path, 65534, 65534)

    assert run(["id", "-u"], 10, as_owner_of=tmp_path).strip() == "65534"
    assert run(["id", "-G"], 10, as_owner_of=tmp_path).strip() == "65534"
    assert run(["id", "-u"], 10).strip() == "0"


def test_the_command_line(yard: Yard) -> None:
    """`check` says what is in the file; `install` of an older one exits 2 with what would be right, and no trace."""
    file, older = yard.release("1.0.1"), yard.release("0.9.0")

    checked = zhian("update", "check", str(file), "--root", str(yard.root))
    refused = zhian("update", "install", str(older), "--root", str(yard.root), "--data", str(yard.data))

    assert checked.stdout.startswith("zhian 1.0.0 -> 1.0.1, signed by the maker")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "is not newer; a version newer than 1.0.0, which runs here" in refused.stderr
    assert zhian("update", "check", str(file), "--root", str(yard.folder)).returncode == 2


def zhian(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the tree."""
    call = [sys.executable, "-m", "hub", *arguments]
    return subprocess.run(call, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)


def test_a_list_names_each_wheel_by_its_hash(tmp_path: Path) -> None:
    """As `sha256sum` says it: whoever doubts may look."""
    wheels = wheels_in(tmp_path / "wheels")
    said = subprocess.run(["sha256sum", *sorted(wheels.iterdir())], capture_output=True, text=True, check=True).stdout
    found = [
        Wheel(Path(path).name, Path(path).stat().st_size, digest) for digest, path in map(str.split, said.splitlines())
    ]

    assert manifest_of(wheels).wheels == found


def test_a_version_starts_its_own_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit starts it in /opt/zhian, where the tree of the first installation lies: that is not what is to run."""
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "__main__.py").write_text("print('an older tree')")
    (tmp_path / "hub" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    call = [sys.executable, "-m", "hub", "--version"]
    assert subprocess.run(call, cwd=tmp_path, capture_output=True, check=True).stdout == b"an older tree\n", "control"

    monkeypatch.chdir(tmp_path)
    said = subprocess.run(own_process("--version"), capture_output=True, check=True).stdout

    assert b", version " in said
