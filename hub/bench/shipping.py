"""Catching up a history server that was away: readings a second from the journal into InfluxDB 1.x and VictoriaMetrics.

Real servers of Debian's packages on this machine, a real journal, the hub's own shipper in this process. One that is
not installed is left out.
"""

import random
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from hub.bench.servers import Daemon, influxdb, victoriametrics
from hub.clock import Clock
from hub.history.duck import DuckStore
from hub.history.influx import InfluxStore
from hub.history.shipper import Shipper
from hub.history.store import FedStore, StoreError
from hub.history.victoria import VictoriaStore
from hub.journal import batches
from hub.journal.batches import Row
from hub.journal.file import FILE, connect
from hub.reading import Reading

SECONDS = 20.0
RATE = 50  # readings a second of the site
MADE_A_SECOND = 30_000  # so many go over in about a second: what `seconds` buys
DEVICES = 100
CALL_EVERY = 3000
START = 1_760_000_000_000
SCHEMA = Path(__file__).parents[1] / "journal" / "schema.sql"


class Caught(msgspec.Struct, frozen=True):
    """`times_real_time` = `readings` / 50 a second / the seconds that it took. `first_s`: until the newest were stored,
    `calls_s`: until every call for help of the whole time was. `lost`, `twice`: as the server counts.
    """

    readings_per_s: float
    times_real_time: float
    first_s: float
    calls_s: float
    cpu_us_per_reading: float
    lost: int
    twice: int


class Figures(msgspec.Struct, frozen=True):
    """`readings` waited in the journal; of a server that is not installed nothing is said."""

    readings: int
    hours_away: float
    influxdb: Caught | None
    victoriametrics: Caught | None


def measure(seconds: float, seed: int) -> Figures:
    """As many readings as go over in about `seconds`, to each server that is installed."""
    readings = int(seconds / 2 * MADE_A_SECOND)
    with tempfile.TemporaryDirectory(prefix="zhian-bench-") as folder:
        make_journal(Path(folder) / FILE, readings, seed)
        found = {name: _catch_up(Path(folder), name, readings) for name in ("influxdb", "victoriametrics")}
    return Figures(readings=readings, hours_away=readings / RATE / 3600, **found)


def make_journal(path: Path, readings: int, seed: int) -> None:
    """Noise meters that walk by tenths, a commit a second, and now and then a call for help."""
    seeded, levels = random.Random(seed), [50.0] * DEVICES
    with closing(connect(path)) as db:
        db.executescript(SCHEMA.read_text(encoding="utf-8"))
        db.execute("BEGIN")
        for first in range(1, readings + 1, RATE):
            rows = []
            for number in range(first, min(first + RATE, readings + 1)):
                at, which = START + (number - 1) * 1000 // RATE, number % DEVICES
                levels[which] = round(levels[which] + seeded.choice((-0.1, 0.0, 0.1)), 1)
                call = number % CALL_EVERY == 0
                word, value = ("sos", "active") if call else ("laeq", levels[which])
                rows.append(Reading(device=f"device-{which}", quantity=word, value=value, ts=at, rx=at))
            batches.add(db, first, rows)
        db.execute("COMMIT")


def _catch_up(folder: Path, name: str, readings: int) -> Caught | None:
    own = folder / name
    own.mkdir()
    program = "influxd" if name == "influxdb" else "victoria-metrics"
    if shutil.which(program) is None:
        return None
    server = influxdb(own) if name == "influxdb" else victoriametrics(own)
    try:
        store = _store(server, own)
        try:
            return _carried(folder / FILE, store, readings)
        finally:
            store.close()
    finally:
        server.kill()


def _store(server: Daemon, folder: Path) -> FedStore:
    if "influxd" in server.command[0]:
        return InfluxStore(server.url, "", "zhian", "", site="bench", refused=_refused)
    beside = DuckStore(folder / "beside.duckdb", Clock())
    return VictoriaStore(server.url, "", site="bench", refused=_refused, beside=beside)


def _carried(journal: Path, store: FedStore, readings: int) -> Caught:
    shipper = Shipper(journal, store, Clock())
    _unsay(journal)
    began, cpu = time.perf_counter(), time.process_time()
    first = calls = 0.0
    while shipper.step():
        so_far = time.perf_counter() - began
        first = first or so_far
        if not calls and shipper.calls_are_over:
            calls = so_far
    took = time.perf_counter() - began
    cpu = time.process_time() - cpu
    kept = _settled(store.count, readings)
    return Caught(
        readings_per_s=readings / took,
        times_real_time=readings / RATE / took,
        first_s=first,
        calls_s=calls,
        cpu_us_per_reading=cpu / readings * 1e6,
        lost=max(0, readings - kept),
        twice=max(0, kept - readings),
    )


def _unsay(journal: Path) -> None:
    """As if no shipper had seen it."""
    with closing(connect(journal)) as db:
        db.execute("DELETE FROM cursor")


def _settled(count: Callable[[], int], readings: int) -> int:
    """What is there, once it shows: VictoriaMetrics takes seconds."""
    give_up = time.perf_counter() + 30
    while (found := count()) < readings and time.perf_counter() < give_up:
        time.sleep(0.5)
    return found


def _refused(row: Row, words: str) -> None:
    raise StoreError(f"{row.seq}: {words}")
