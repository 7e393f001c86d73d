"""Killed at each step of the hand-over to a server with a store beside it; and two offices at one file of history."""

import asyncio
import logging
import signal
import subprocess
import sys
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub.clock import Clock
from hub.history.duck import DuckStore
from hub.history.victoria import VictoriaStore
from hub.office import _store
from hub.settings.door import load_site

if TYPE_CHECKING:
    from tests.hub.history.conftest import JournalFile

ROOT = Path(__file__).parents[3]
T = 1_760_000_000_000
COUNT = 400

# A process that carries, and kills itself (-9) when it comes to the named step for the second time.
CHILD = """
import os, signal, sys
from pathlib import Path
from hub.clock import Clock
from hub.history import shipper
from hub.history.delivery import Delivery
from hub.history.duck import DuckStore
from hub.history.victoria import VictoriaStore

folder, url, site, step = Path(sys.argv[1]), *sys.argv[2:]
shipper.PAGE = shipper.BLOCK = 100
left = 2

def reached(name):
    global left
    if name == step:
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

def around(owner, attribute, name):
    inner = getattr(owner, attribute)
    def told(*given, **named):
        reached("before " + name)
        done = inner(*given, **named)
        reached("after " + name)
        return done
    setattr(owner, attribute, told)

if step == "control":  # texts and their cursor in two transactions, and death between them
    def put(self, rows, cursor):
        self.add(rows)
        reached("control")
        self.rewind(cursor)
    DuckStore.append = put
around(DuckStore, "append", "beside")
around(Delivery, "bring", "server")
around(shipper.Shipper, "_note", "note")

def refused(row, words):
    raise AssertionError(words)

beside = DuckStore(folder / "history.duckdb", Clock())
store = VictoriaStore(url, "", site=site, refused=refused, beside=beside)
carrier = shipper.Shipper(folder / "journal.sqlite", store, Clock())
while carrier.step():
    pass
store.close()
"""


class Hand:
    """A journal of numbers and texts, and a server that is to have the numbers."""

    def __init__(self, folder: Path, journal: "JournalFile", url: str) -> None:
        """Every fourth reading is a text."""
        self.folder, self.url, self.site = folder, url, f"zhongshan-{uuid.uuid4().hex}"
        journal.read(COUNT)
        text = "replace(replace(readings, 'laeq', 'gate'), '50.0', '\"open\"')"
        journal.ask(f"UPDATE batch SET readings = {text} WHERE last % 4 = 0")

    def carry(self, step: str) -> int:
        """Run the child to its death or its end; its exit code."""
        command = [sys.executable, "-c", CHILD, str(self.folder), self.url, self.site, step]
        return subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode

    def found(self) -> tuple[list[int], int]:
        """Every number that comes out, and how many texts lie beside."""
        beside = DuckStore(self.folder / "history.duckdb", Clock())
        with closing(VictoriaStore(self.url, "", site=self.site, refused=lambda *_: None, beside=beside)) as store:
            store._server.send("GET", "/internal/force_flush", {})
            return [row.seq for row in store.readings("noise-1", T - 1, T + 10_000_000)], beside.count()


@pytest.fixture
def hand(tmp_path: Path, journal: "JournalFile", victoria: str) -> Hand:
    """With the real server."""
    return Hand(tmp_path, journal, victoria)


@pytest.mark.parametrize("step", ["before beside", "after beside", "before server", "after server", "after note"])
def test_killed_at_any_step_every_reading_is_there_once(hand: Hand, step: str) -> None:
    """Between the store beside, the server and the note: numbers and texts come out once each, in order."""
    assert hand.carry(step) == -signal.SIGKILL
    assert hand.carry("none") == 0
    assert hand.found() == (list(range(1, COUNT + 1)), COUNT // 4)


def test_the_control_has_texts_twice(hand: Hand) -> None:
    """A store beside whose rows and cursor are two transactions fails the same test: so the test can fail."""
    assert hand.carry("control") == -signal.SIGKILL
    assert hand.carry("none") == 0
    assert hand.found()[1] > COUNT // 4


async def test_a_second_office_says_why_it_waits_and_goes_on_when_it_may(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the process that holds the history, writes nothing, and has it as soon as the other has ended."""
    monkeypatch.setattr("hub.office.RETRY_S", 0.05)
    caplog.set_level(logging.WARNING)
    (tmp_path / "site.toml").write_text((ROOT / "deploy" / "site.example.toml").read_text(encoding="utf-8"))
    site = load_site(tmp_path / "site.toml")
    code = (
        "import sys\nfrom pathlib import Path\nfrom hub.clock import Clock\nfrom hub.history.duck import DuckStore\n"
        "store = DuckStore(Path(sys.argv[1]), Clock())\nprint('held', flush=True)\ninput()\nstore.close()"
    )
    first = [sys.executable, "-c", code, str(tmp_path / "history.duckdb")]
    with subprocess.Popen(first, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:  # noqa: ASYNC220  # nothing else runs yet
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        size = (tmp_path / "history.duckdb").stat().st_size
        second = asyncio.create_task(_store(site, tmp_path, Clock()))
        async with asyncio.timeout(20):
            while f"process {holder.pid} holds the lock, and only one may write" not in caplog.text:
                await asyncio.sleep(0.01)
        assert not second.done()
        assert (tmp_path / "history.duckdb").stat().st_size == size
        await asyncio.to_thread(holder.communicate, b"\n")
    async with asyncio.timeout(20):
        store = await second
    assert store.count() == 0
    store.close()
