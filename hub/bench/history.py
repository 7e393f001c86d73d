"""The embedded history: readings taken a second, bytes that each takes, and charts of a day and a month under load.

SQLite and InfluxDB are given the same readings beside it. The files lie in the folder for temporary files.
"""

import random
import resource
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from hub.bench import history_rivals
from hub.bench.history_walk import CADENCE_MS, SERIES, START, Walk, write_journal
from hub.clock import Clock
from hub.history.duck import DuckStore
from hub.history.duck_file import quoted
from hub.history.shipper import pages
from hub.history.store import HOUR_MS, Page
from hub.journal.batches import Damaged

SECONDS = 60.0
DAY_MS = 24 * HOUR_MS
DAYS = 30
FULL = 259_200_000  # 1,000 devices, 30 days, each 10 s, one quantity
POINTS = 400
RATE = 10_000  # readings a second that arrive while charts are drawn


class Figures(msgspec.Struct, frozen=True):
    """`append_*`: journal batches made durable, as a backlog is carried. `sorted_*`: the same with all that follows
    (sorting, minutes, hours). `append_cpu_us`: processor time a reading, which other work on the machine changes less.

    `bytes_per_reading`: of the readings alone; `bytes_with_rollups`: with minutes and hours. `chart_*`: milliseconds.
    `readings` is how many the charts' file holds, `factor` how many times more the full scale of 259 million is.
    """

    append_readings_per_s: float
    append_cpu_us: float
    sorted_readings_per_s: float
    appended: int
    sqlite_readings_per_s: float
    influx_readings_per_s: float | None
    bytes_per_reading: float
    bytes_with_rollups: float
    sqlite_bytes_per_reading: float
    influx_bytes_per_reading: float | None
    series: int
    readings: int
    factor: float
    file_mb: float
    chart_24h_p50_ms: float
    chart_24h_p95_ms: float
    chart_30d_p50_ms: float
    chart_30d_p95_ms: float
    charts: int
    arriving_per_s: float
    rss_mb: float


def measure(seconds: float, seed: int) -> Figures:
    """Six tenths of the time go to the charts' file: at 600 s it has its full scale."""
    with tempfile.TemporaryDirectory(prefix="zhian-bench-") as name:
        folder = Path(name)
        appended = write_journal(folder / "journal.sqlite", int(min(6_300_000, max(50_000, seconds * 105_000))), seed)
        with closing(sqlite3.connect(folder / "journal.sqlite", check_same_thread=False)) as journal:
            append_s, cpu_s, sorted_s, sizes = _append(journal, folder, appended)
            few = max(40_000, appended // 10)
            sqlite = history_rivals.sqlite(journal, folder, few)
            influx = history_rivals.influx(journal, folder, few)
        charts = _charts(folder, max(2, min(1_000, round(seconds / 0.6))), seconds, seed)
    return Figures(
        append_readings_per_s=round(appended / append_s),
        append_cpu_us=round(cpu_s / appended * 1e6, 3),
        sorted_readings_per_s=round(appended / sorted_s),
        appended=appended,
        sqlite_readings_per_s=round(sqlite.readings_per_s),
        influx_readings_per_s=round(influx.readings_per_s) if influx else None,
        bytes_per_reading=round(sizes[0] / appended, 2),
        bytes_with_rollups=round(sizes[1] / appended, 2),
        sqlite_bytes_per_reading=round(sqlite.bytes_per_reading, 1),
        influx_bytes_per_reading=round(influx.bytes_per_reading, 1) if influx else None,
        series=SERIES,
        rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        **charts,
    )


def _append(journal: sqlite3.Connection, folder: Path, readings: int) -> tuple[float, float, float, tuple[int, int]]:
    """Seconds until all is durable, of the processor, until it is sorted; bytes of the readings alone, and of all."""
    path = folder / "history.duckdb"
    store = DuckStore(path, Clock())
    begun, cpu = time.perf_counter(), time.process_time()
    store.append_pages((each._replace(more=True) for each in pages(journal, 0)), _durable)  # sorted later, as a backlog
    durable, cpu = time.perf_counter() - begun, time.process_time() - cpu
    store.compact()
    took = time.perf_counter() - begun
    if store.count() != readings:
        raise AssertionError(f"{store.count()} of {readings} readings are there")
    store.close()
    return durable, cpu, took, (_alone(path, folder / "alone.duckdb"), _used(path))


def _alone(path: Path, copy: Path) -> int:
    """Bytes of a file with the readings and their series, and nothing else."""
    with closing(duckdb.connect(str(copy))) as db:
        db.execute(f"ATTACH {quoted(path)} AS whole (READ_ONLY)")
        db.execute("CREATE TABLE series AS FROM whole.series")
        db.execute("CREATE TABLE reading AS FROM whole.reading")
        db.execute("CREATE TABLE recent AS FROM whole.recent")
    return copy.stat().st_size


def _used(path: Path) -> int:
    """Bytes of the file's blocks in use: what is free is written over next."""
    with closing(duckdb.connect(str(path), read_only=True)) as db:
        return int(db.execute("SELECT used_blocks * block_size FROM pragma_database_size()").fetchall()[0][0])


def _charts(folder: Path, devices: int, seconds: float, seed: int) -> dict[str, Any]:  # Any: counts and milliseconds
    path = folder / "charts.duckdb"
    readings = _fill(path, devices, seed)
    store = DuckStore(path, Clock())
    done, arrived = threading.Event(), list[int]()
    load = threading.Thread(target=_arrive, args=(store, done, arrived, seed))
    load.start()
    begun = time.perf_counter()
    try:
        time.sleep(min(5.0, seconds / 10))
        made = random.Random(seed)
        end, each = START + DAYS * DAY_MS, seconds / 8
        day = _timed(lambda: _chart(store, made, devices, end, DAY_MS), each)
        month = _timed(lambda: _chart(store, made, devices, end, DAYS * DAY_MS), each)
    finally:
        done.set()
        load.join()
    rate = sum(arrived) / (time.perf_counter() - begun)
    store.close()
    return {
        "readings": readings,
        "factor": round(FULL / readings, 2),
        "file_mb": round(_used(path) / 1e6, 1),
        **{f"chart_24h_{name}_ms": value for name, value in _percentiles(day).items()},
        **{f"chart_30d_{name}_ms": value for name, value in _percentiles(month).items()},
        "charts": len(day) + len(month),
        "arriving_per_s": round(rate),
    }


_DAY = """
INSERT INTO recent SELECT device, ts, seq, 0, tenths / 10.0, NULL, NULL, NULL FROM (
  SELECT device, $first + turn * $devices + device + (hash(turn, device) % 30)::BIGINT AS seq,
    $start + turn * $cadence + (hash(device) % $cadence)::BIGINT + (hash(device, turn) % 50)::BIGINT AS ts,
    (500 + 100 * sin(turn / 700.0 + device) + hash(turn, device, $seed) % 30)::INTEGER AS tenths
  FROM range($turns) AS a(turn), range(1, $devices + 1) AS b(device))
"""


def _fill(path: Path, devices: int, seed: int) -> int:
    """A month, day by day, sorted for good each night as in life; returns the number of readings."""
    turns = DAY_MS // CADENCE_MS
    store = DuckStore(path, Clock())

    def names(db: duckdb.DuckDBPyConnection) -> None:
        db.execute("INSERT INTO series SELECT n, 'noise-' || n, 'laeq', true FROM range(1, ? + 1) AS a(n)", [devices])

    store.write(names)  # by the journal a month would take an hour
    for day in range(DAYS):
        given: dict[str, int] = {
            "start": START + day * DAY_MS,
            "cadence": CADENCE_MS,
            "turns": turns,
            "devices": devices,
            "seed": seed,
        }
        given["first"] = day * turns * devices
        store.write(partial(_put, given=given))
        store.compact()
    store.close()
    return devices * turns * DAYS


def _put(db: duckdb.DuckDBPyConnection, given: dict[str, int]) -> None:
    db.execute(_DAY, given)


def _arrive(store: DuckStore, done: threading.Event, arrived: list[int], seed: int) -> None:
    """10,000 readings a second of other series, in commits as the hub makes them, an append each second."""
    walk, last, due = Walk(seed + 1), 0, time.perf_counter()
    while not done.is_set():
        batches, count = [], 0
        while count < RATE:
            batches.append(walk.batch(last + 1))
            count, last = count + batches[-1].last - last, batches[-1].last
        store.append_pages([Page(batches, last - count)], _durable)
        arrived.append(count)
        due += count / RATE
        done.wait(max(0.0, due - time.perf_counter()))


def _durable(_: Page, bad: list[Damaged]) -> None:
    if bad:
        raise AssertionError(bad[0].words)


def _chart(store: DuckStore, made: random.Random, devices: int, end: int, span: int) -> None:
    until = end - made.randrange(max(1, DAYS * DAY_MS - span))
    if not store.series(f"noise-{made.randint(1, devices)}", "laeq", until - span, until, POINTS):
        raise AssertionError("an empty chart")


def _timed(ask: Callable[[], None], seconds: float) -> list[float]:
    took: list[float] = []
    give_up = time.perf_counter() + seconds
    while len(took) < 20 or time.perf_counter() < give_up:
        begun = time.perf_counter()
        ask()
        took.append((time.perf_counter() - begun) * 1000)
        time.sleep(0.01)  # people look at it meanwhile
    return sorted(took)


def _percentiles(took: list[float]) -> dict[str, float]:
    return {name: round(took[int(share * len(took))], 1) for name, share in (("p50", 0.5), ("p95", 0.95))}
