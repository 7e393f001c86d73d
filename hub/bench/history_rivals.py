"""The same readings in SQLite and, where it is installed, in InfluxDB 1.x: what the history's figures stand beside."""

import itertools
import shutil
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from hub.bench.history_walk import page
from hub.history.store import PAGE
from hub.journal.batches import Row, unpacked

_TABLE = """
CREATE TABLE reading (series INTEGER, ts INTEGER, seq INTEGER, lag INTEGER, value REAL, quality TEXT, detail TEXT,
  PRIMARY KEY (series, ts, seq)) WITHOUT ROWID
"""


class Rival(msgspec.Struct, frozen=True):
    """Readings durable a second, and bytes that each takes."""

    readings_per_s: float
    bytes_per_reading: float


def sqlite(journal: sqlite3.Connection, folder: Path, readings: int) -> Rival:
    """Clustered by series and time, as a chart wants it; a commit each 20,000, flushed to the disk."""
    path, numbers = folder / "rival.sqlite", dict[tuple[str, str], int]()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(_TABLE)
        begun, count = time.perf_counter(), 0
        for rows in _pages(journal, readings):
            db.execute("BEGIN")
            db.executemany("INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?, ?)", (_columns(row, numbers) for row in rows))
            db.execute("COMMIT")
            count += len(rows)
        took = time.perf_counter() - begun
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Rival(count / took, path.stat().st_size / count)


def influx(journal: sqlite3.Connection, folder: Path, readings: int) -> Rival | None:
    """By line protocol, 20,000 points a request, as the hub writes it; None where it is not installed."""
    if shutil.which("influxd") is None:
        return None
    from hub.history.influx import InfluxStore

    def refused(row: Row, words: str) -> None:
        raise AssertionError(f"{row.seq} was refused: {words}")

    with _influxd(folder) as url:
        store = InfluxStore(url, "", "bench", "", site="bench", refused=refused)
        begun, count = time.perf_counter(), 0
        for rows in _pages(journal, readings):
            store.append(rows, rows[-1].seq)
            count += len(rows)
        took = time.perf_counter() - begun
        store.close()
    files = [file for file in (folder / "influxd").rglob("*") if file.is_file()]
    return Rival(count / took, sum(file.stat().st_size for file in files) / count)


def _pages(journal: sqlite3.Connection, readings: int) -> Iterator[list[Row]]:
    rows = itertools.islice(_rows(journal), readings)
    while some := list(itertools.islice(rows, PAGE)):
        yield some


def _rows(journal: sqlite3.Connection) -> Iterable[Row]:
    after = 0
    while batches := page(journal, after):
        yield from unpacked([(batch.first, batch.text) for batch in batches], after)
        after = batches[-1].last


def _columns(row: Row, numbers: dict[tuple[str, str], int]) -> tuple[object, ...]:
    series = numbers.setdefault((row.device, row.quantity), len(numbers))
    return series, row.ts, row.seq, row.rx - row.ts, row.value, None if row.quality == "good" else row.quality, None


@contextmanager
def _influxd(folder: Path) -> Iterator[str]:
    home = folder / "influxd"
    home.mkdir()
    port, internal = _free_port(), _free_port()
    (home / "influxdb.conf").write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{internal}"\n'
        f'[meta]\ndir = "{home}/meta"\n[data]\ndir = "{home}/data"\nwal-dir = "{home}/wal"\n'
        f'[monitor]\nstore-enabled = false\n[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n'
    )
    quiet = subprocess.DEVNULL
    with subprocess.Popen(["influxd", "-config", home / "influxdb.conf"], stdout=quiet, stderr=quiet) as server:
        try:
            _wait_for(f"http://127.0.0.1:{port}/ping")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _wait_for(url: str) -> None:
    give_up = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310  # our own server on loopback
                return
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
