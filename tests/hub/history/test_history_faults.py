"""Faults of the history: killed at each named step, file damaged, clock set back, two processes at once."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub.history import aside
from hub.history.aside import Aside
from hub.history.duck import DuckStore
from hub.history.shipper import Shipper
from hub.history.store import StoreError
from hub.journal.batches import Row

if TYPE_CHECKING:
    from tests.hub.history.conftest import JournalFile, SetClock

MakeRow = Callable[..., Row]
T = 1_760_000_000_000
ROOT = Path(__file__).parents[3]
COUNT = 900

# A process that carries, and kills itself (-9) when it comes to the named step for the second time.
CHILD = """
import os, signal, sys
from pathlib import Path
from hub.clock import Clock
from hub.history import duck, duck_levels, duck_unpack, shipper

folder, step = Path(sys.argv[1]), sys.argv[2]
shipper.EMBEDDED_PAGE, shipper.EMBEDDED_PAGES = 100, 4
duck_levels.SETTLE_ROWS = duck_levels.BEHIND_ROWS = 250
duck_levels.COMPACT_ROWS, duck_levels.GROUP = 300, 64
duck_unpack._MANY = 0  # split by SQL, also pages as small as these
left = 2

def reached(name):
    global left
    if name == step:
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

def before(module, attribute, name):
    inner = getattr(module, attribute)
    def told(*given, **named):
        reached(name)
        return inner(*given, **named)
    setattr(module, attribute, told)

def after(module, attribute, name):
    inner = getattr(module, attribute)
    def told(*given, **named):
        done = inner(*given, **named)
        reached(name)
        return done
    setattr(module, attribute, told)

before(duck.DuckStore, "append_pages", "begun")
before(duck, "take_apart", "read")
after(duck, "take_apart", "taken apart")  # beside the writing of the page before it
after(duck, "insert_page", "inserted")
after(shipper.Shipper, "_tell_damage", "committed")
after(duck.DuckStore, "append_pages", "all committed")
before(duck_levels, "settle", "settling")
before(duck_levels, "compact", "compacting")
before(duck_levels, "roll_up", "rolling up")
after(shipper.Shipper, "_note", "noted")

if step == "control":  # rows and cursor in two transactions, and death between them
    def put(self, pages, durable):
        for page in pages:
            self.add(duck_unpack.sound(page.batches, page.after)[0])
            reached("control")
            self.rewind(page.last)
            durable(page, [])
    duck.DuckStore.append_pages = put

store = duck.DuckStore(folder / "history.duckdb", Clock())
carrier = shipper.Shipper(folder / "journal.sqlite", store, Clock())
while carrier.step():
    pass
store.close()
"""
STEPS = ["begun", "read", "taken apart", "inserted", "committed", "all committed", "noted"]
STEPS += ["settling", "compacting", "rolling up"]


def carry(data: Path, step: str) -> int:
    """Run the child to its death or its end; its exit code."""
    return subprocess.run([sys.executable, "-c", CHILD, str(data), step], cwd=ROOT, check=False, timeout=60).returncode


def seqs(store: DuckStore) -> list[int]:
    """Every stored number in order, twice when it is there twice."""
    return sorted(row.seq for row in store.readings("noise-1", 0, 2 * T))


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_nothing_is_missing_and_nothing_twice(
    tmp_path: Path, journal: "JournalFile", clock: "SetClock", step: str
) -> None:
    """Between any two of journal read, append, commit, note, sorting, rolling up: readings and figures are exact."""
    journal.read(COUNT)
    assert carry(tmp_path, step) == -signal.SIGKILL
    assert carry(tmp_path, "none") == 0
    store = DuckStore(tmp_path / "history.duckdb", clock)
    store.compact(1)
    assert seqs(store) == list(range(1, COUNT + 1))
    hour = 3_600_000
    assert sum(each.count for each in store.figures("noise-1", "laeq", T - hour, T + hour, hour)) == COUNT
    assert (store.set_aside, journal.cursor(), store.cursor()) == (None, COUNT, COUNT)
    store.close()


def test_the_control_doubles_when_killed_between_rows_and_cursor(
    tmp_path: Path, journal: "JournalFile", clock: "SetClock"
) -> None:
    """A store whose rows and cursor are two transactions fails the same test: so the test can fail."""
    journal.read(COUNT)
    assert carry(tmp_path, "control") == -signal.SIGKILL
    assert carry(tmp_path, "none") == 0
    store = DuckStore(tmp_path / "history.duckdb", clock)
    assert len(seqs(store)) > COUNT
    assert sorted(set(seqs(store))) == list(range(1, COUNT + 1))
    store.close()


def damage(path: Path) -> None:
    """Both headers."""
    content = bytearray(path.read_bytes())
    for at in (4096 + 20, 8192 + 20):
        content[at] ^= 0xFF
    path.write_bytes(content)


@pytest.fixture
def nightly(tmp_path: Path, journal: "JournalFile", clock: "SetClock") -> Path:
    """A data folder whose history has 60 readings, 40 of them in last night's snapshot, 30 left in the journal."""
    journal.read(40)
    store = DuckStore(tmp_path / "history.duckdb", clock)
    shipper = Shipper(journal.path, store, clock)
    shipper.step()
    folder = tmp_path / "history-snapshots" / str(T)
    folder.mkdir(parents=True)
    store.snapshot(folder)
    journal.read(20, start=T + 1_000_000)
    shipper.step()
    journal.ask("DELETE FROM batch WHERE last <= 30")
    store.close()
    return tmp_path


def test_a_damaged_file_is_set_aside_and_filled_from_snapshot_and_journal(
    nightly: Path, journal: "JournalFile", clock: "SetClock"
) -> None:
    """Nothing twice, all that anything still has; the note beside the file says what happened, for the page."""
    damage(nightly / "history.duckdb")
    clock.at = T + 5_000_000
    store = DuckStore(nightly / "history.duckdb", clock)
    Shipper(journal.path, store, clock).step()
    assert seqs(store) == list(range(1, 61))
    assert store.set_aside is not None
    (note,) = aside.found(nightly)
    assert note == Aside(f"history.duckdb.corrupt-{clock.at}", store.set_aside.reason, clock.at, loaded=40, snapshot=T)
    assert (nightly / note.file).exists()
    store.close()


def test_a_snapshot_that_is_damaged_too_leaves_the_journal(
    nightly: Path, journal: "JournalFile", clock: "SetClock"
) -> None:
    """What the journal still has, and the note tells that nothing was loaded; a half-loaded file is never used."""
    damage(nightly / "history.duckdb")
    parquet = nightly / "history-snapshots" / str(T) / "reading.parquet"
    parquet.write_bytes(parquet.read_bytes()[:-40])
    store = DuckStore(nightly / "history.duckdb", clock)
    Shipper(journal.path, store, clock).step()
    assert seqs(store) == list(range(31, 61))
    assert [(note.loaded, note.snapshot) for note in aside.found(nightly)] == [(0, 0)]
    store.close()


def test_notes_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    """The newest first; whatever else lies there is nobody's note."""
    (tmp_path / "history.duckdb.corrupt-1.json").write_text("{")
    for at in (2, 3):
        note = {"file": f"history.duckdb.corrupt-{at}", "reason": "a", "at": at}
        (tmp_path / f"history.duckdb.corrupt-{at}.json").write_text(json.dumps(note))
    assert [each.at for each in aside.found(tmp_path)] == [3, 2]


def test_a_clock_that_steps_back_loses_nothing(journal: "JournalFile", duck: DuckStore, clock: "SetClock") -> None:
    """Readings of the same minutes again are other readings; the figures have all of them."""
    shipper = Shipper(journal.path, duck, clock)
    journal.read(100)
    shipper.step()
    duck.compact(1)
    clock.at = T - 3_600_000
    journal.read(100, value=60.0)
    journal.read(10, start=T - 3_600_000)
    shipper.step()
    duck.compact(1)
    assert seqs(duck) == list(range(1, 211))
    hour = 3_600_000
    figures = duck.figures("noise-1", "laeq", T - 2 * hour, T + hour, hour)
    assert [(each.low, each.high, each.count) for each in figures] == [(50.0, 50.0, 10), (50.0, 60.0, 200)]


def test_a_second_office_says_why_it_does_not_write(tmp_path: Path, clock: "SetClock", row: MakeRow) -> None:
    """It names the process that holds the file, touches nothing, and can take over when that one has ended."""
    path = tmp_path / "history.duckdb"
    code = (
        "import sys\nfrom pathlib import Path\nfrom hub.clock import Clock\nfrom hub.history.duck import DuckStore\n"
        "store = DuckStore(Path(sys.argv[1]), Clock())\nprint('held', flush=True)\ninput()\nstore.close()"
    )
    first = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(first, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreError, match=f"process {holder.pid} holds the lock, and only one may write"):
            DuckStore(path, clock)
        holder.communicate(b"\n")
    store = DuckStore(path, clock)
    store.append([row(1)], 1)
    assert store.count() == 1
    store.close()


def test_nobody_waits_for_a_writer(duck: DuckStore, row: MakeRow) -> None:
    """A question is answered while another thread is in the middle of its writing, with what was before it."""
    duck.append([row(1)], 1)
    inside, go_on = threading.Event(), threading.Event()

    def put(_: object) -> None:
        inside.set()
        assert go_on.wait(20)

    writer = threading.Thread(target=duck.write, args=(put,))
    writer.start()
    assert inside.wait(20)
    assert duck.count() == 1
    assert len(list(duck.readings("noise-1", T, T + 60_000))) == 1
    go_on.set()
    writer.join()
