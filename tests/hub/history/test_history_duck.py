"""The history file: one transaction, set aside when it is not usable, begun anew when it is gone, really forgetting."""

import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from hub.history.duck import DuckStore
from hub.history.duck_snapshot import load_snapshot
from hub.history.store import StoreError
from hub.journal.batches import Row

if TYPE_CHECKING:
    from tests.hub.history.conftest import SetClock

MakeRow = Callable[..., Row]
T = 1_760_000_000_000


def _text(path: Path) -> None:
    path.write_text("nothing of ours " * 1000)


def _empty(path: Path) -> None:
    path.touch()


def _zeros(path: Path) -> None:
    path.write_bytes(bytes(20_000))


def _sqlite(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE reading (seq)")
    db.close()


def _other_duckdb(path: Path) -> None:
    db = duckdb.connect(str(path))
    db.execute("CREATE TABLE sales (id INTEGER)")
    db.close()


def _flipped(path: Path) -> None:
    db = duckdb.connect(str(path))
    db.execute("CREATE TABLE reading AS SELECT range AS seq FROM range(1000)")
    db.close()
    content = bytearray(path.read_bytes())
    for at in (4096 + 20, 8192 + 20):
        content[at] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [_text, _empty, _zeros, _sqlite, _other_duckdb, _flipped])
def test_a_damaged_or_foreign_file_is_set_aside(
    tmp_path: Path, clock: "SetClock", row: MakeRow, spoil: Callable[[Path], None]
) -> None:
    """It is moved whole, never deleted or written to; a new history begins; the reason is told."""
    path = tmp_path / "history.duckdb"
    spoil(path)
    before = path.read_bytes()
    store = DuckStore(path, clock)
    try:
        assert store.set_aside is not None
        assert store.set_aside.moved_to == tmp_path / f"history.duckdb.corrupt-{clock.at}"
        assert store.set_aside.moved_to.read_bytes() == before
        assert store.set_aside.reason
        store.append([row(1)], 1)
        assert (store.count(), store.cursor()) == (1, 1)
    finally:
        store.close()


def test_a_good_file_is_opened_again(tmp_path: Path, clock: "SetClock", row: MakeRow) -> None:
    """Rows and cursor are there after a restart, and nothing is set aside."""
    path = tmp_path / "history.duckdb"
    store = DuckStore(path, clock)
    store.append([row(1), row(2)], 2)
    store.close()
    again = DuckStore(path, clock)
    assert (again.count(), again.cursor(), again.set_aside) == (2, 2, None)
    again.close()


def test_a_file_that_another_process_holds_is_left_alone(tmp_path: Path, clock: "SetClock", row: MakeRow) -> None:
    """A lock is no damage: StoreError, and not a byte is moved."""
    path = tmp_path / "history.duckdb"
    store = DuckStore(path, clock)
    store.append([row(1)], 1)
    store.close()
    code = f"import duckdb; db = duckdb.connect({str(path)!r}); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreError, match="lock"):
            DuckStore(path, clock)
        holder.communicate(b"\n")
    assert [found.name for found in tmp_path.iterdir() if "corrupt" in found.name] == []
    again = DuckStore(path, clock)
    assert again.count() == 1
    again.close()


def test_a_block_that_went_bad_is_an_error_not_a_wrong_answer(tmp_path: Path, clock: "SetClock", row: MakeRow) -> None:
    """Checksums are per block: what cannot be read is refused, and years of other blocks are not thrown away."""
    noise = random.Random(1)
    path = tmp_path / "history.duckdb"
    store = DuckStore(path, clock)
    store.append([row(n, noise.random()) for n in range(1, 100_001)], 100_000)  # incompressible: several blocks
    store.close()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    store = DuckStore(path, clock)
    with pytest.raises(StoreError, match="checksum"):
        store.series("noise-1", "laeq", T, T + 1_000_000_000, 10)
    assert store.set_aside is None
    store.close()


def test_rows_and_cursor_are_one_transaction(duck: DuckStore, row: MakeRow) -> None:
    """When one row or the cursor cannot be stored, nothing of the append is, and the next one works."""
    duck.append([row(1)], 1)
    with pytest.raises(StoreError):
        duck.append([row(2), row(3, ts=2**70), row(4)], 4)
    with pytest.raises(StoreError):
        duck.append([row(2)], 2**70)  # the rows could be stored, the cursor cannot
    assert (duck.count(), duck.cursor()) == (1, 1)
    duck.append([row(2)], 2)
    assert (duck.count(), duck.cursor()) == (2, 2)


def test_a_file_removed_underneath_is_begun_anew(tmp_path: Path, duck: DuckStore, row: MakeRow) -> None:
    """The store does not write on into a file without a name: its cursor says 0, so that it is fed again."""
    duck.append([row(1), row(2)], 2)
    (tmp_path / "history.duckdb").unlink()
    assert duck.cursor() == 0
    duck.append([row(1)], 1)
    assert (duck.count(), duck.cursor()) == (1, 1)
    assert (tmp_path / "history.duckdb").exists()


def test_readers_never_see_half_an_append(duck: DuckStore, row: MakeRow) -> None:
    """While one thread appends, others count whole batches only."""
    seen: list[int] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.append(duck.count())

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for batch in range(30):
        duck.append([row(batch * 100 + n) for n in range(100)], batch * 100 + 100)
    done.set()
    for reader in readers:
        reader.join()
    assert {count % 100 for count in seen} == {0}
    assert duck.count() == 3000


def test_readers_outlive_the_file(tmp_path: Path, duck: DuckStore, row: MakeRow) -> None:
    """Questions asked while the file is removed and begun anew are answered or refused, never crash the process."""
    wrong: list[Exception] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            try:
                list(duck.readings("noise-1", T, T + 10_000_000))
            except StoreError as error:
                wrong.append(error)

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(5):
        duck.append([row(n) for n in range(200)], 200)
        (tmp_path / "history.duckdb").unlink()
        assert duck.cursor() == 0
    done.set()
    reader.join()
    assert wrong == []


def test_what_is_forgotten_is_in_no_file(tmp_path: Path, duck: DuckStore, row: MakeRow) -> None:
    """After forgetting, the credential's text is nowhere in the data folder, and the rest is intact."""
    secret = "credential-7f3a91"
    kept = [row(n, float(n)) for n in range(2, 5000)]
    duck.append([row(1, "granted", quantity="passage", detail=f'{{"credential": "{secret}"}}'), *kept], 5000)
    duck.close()
    assert _files_with(tmp_path, secret)
    store = DuckStore(tmp_path / "history.duckdb", duck._clock)
    assert store.forget(["passage"], T + 10_000) == 1
    assert list(store.readings("noise-1", T, T + 10_000_000)) == kept
    assert store.cursor() == 5000
    store.append([row(5001)], 5001)
    store.close()
    assert _files_with(tmp_path, secret) == []


def _files_with(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_a_snapshot_is_the_history_of_one_instant(tmp_path: Path, duck: DuckStore, row: MakeRow) -> None:
    """Rows and cursor come back from a snapshot as they were; rows that arrive later are not in it."""
    rows = [row(1), row(2, "open", quantity="gate", detail='{"by": "card"}')]
    duck.append(rows, 2)
    folder = tmp_path / "snapshot"
    folder.mkdir()
    told = duck.snapshot(folder)
    duck.append([row(3)], 3)
    assert (told.cursor, told.rows) == (2, 2)
    assert load_snapshot(folder, tmp_path / "copy.duckdb") == told
    copy = DuckStore(tmp_path / "copy.duckdb", duck._clock)
    assert list(copy.readings("noise-1", T, T + 10_000)) == rows
    assert copy.cursor() == 2
    copy.close()


def test_a_closed_store_says_so(tmp_path: Path, clock: "SetClock", row: MakeRow) -> None:
    """After close every call is a StoreError: a thread that is still at work must not bring the process down."""
    store = DuckStore(tmp_path / "history.duckdb", clock)
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.append([row(1)], 1)
    with pytest.raises(StoreError, match="closed"):
        store.count()
    with pytest.raises(StoreError, match="closed"):
        store.forget(["chip"], T)
