"""Fixtures behind the journal: a journal file with rows in it, a clock that a test sets, a real influxd on loopback.

For annotations: `from tests.hub.history.conftest import JournalFile` under TYPE_CHECKING.
"""

import shutil
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hub import batches
from hub.batches import Row
from hub.clock import Clock
from hub.history.duck import DuckStore
from hub.reading import Reading, Value

NOW = 1_760_000_000_000
SCHEMA = Path(__file__).parents[3] / "hub" / "schema.sql"


class SetClock(Clock):
    """A clock that shows what the test says."""

    def __init__(self, at: int = NOW) -> None:
        """Shows `at` until `at` is changed."""
        super().__init__()
        self.at = at

    def now(self) -> int:
        """What the test says."""
        return self.at


class JournalFile:
    """A journal as the hub leaves it, written directly."""

    def __init__(self, path: Path) -> None:
        """Makes the file when there is none."""
        self.path = path
        with closing(self.connect()) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(SCHEMA.read_text())

    def connect(self) -> sqlite3.Connection:
        """Autocommit, as the hub's own."""
        return sqlite3.connect(self.path, isolation_level=None, timeout=5.0)

    def read(self, count: int, *, start: int = NOW, step: int = 1000, quantity: str = "laeq", **more: Value) -> None:
        """Add `count` readings of noise-1, `step` ms apart, each in a batch of its own."""
        value = more.get("value", 50.0)
        with closing(self.connect()) as db:
            db.execute("BEGIN")
            for at in range(start, start + count * step, step):
                reading = Reading(device="noise-1", quantity=quantity, value=value, ts=at, rx=at)
                batches.add(db, batches.last_seq(db) + 1, [reading])
            db.execute("COMMIT")

    def ask(self, sql: str, *parameters: object) -> list[tuple[object, ...]]:
        """All rows of a question, or of a statement."""
        with closing(self.connect()) as db:
            return db.execute(sql, parameters).fetchall()

    def cursor(self) -> object:
        """The shipper's note."""
        found = self.ask("SELECT seq FROM cursor WHERE name = 'history'")
        return found[0][0] if found else None


@pytest.fixture
def clock() -> SetClock:
    """At NOW until the test moves it."""
    return SetClock()


@pytest.fixture
def journal(tmp_path: Path) -> JournalFile:
    """An empty journal in the test's data folder."""
    return JournalFile(tmp_path / "journal.sqlite")


@pytest.fixture
def duck(tmp_path: Path, clock: SetClock) -> Iterator[DuckStore]:
    """A history in the same folder."""
    store = DuckStore(tmp_path / "history.duckdb", clock)
    yield store
    store.close()


@pytest.fixture
def row() -> Callable[..., Row]:
    """Makes rows: only what a test is about has to be said."""

    def make(seq: int, value: Value = 50.0, **more: object) -> Row:
        told: dict[str, object] = {"device": "noise-1", "quantity": "laeq", "ts": NOW + seq * 1000, "quality": "good"}
        told |= more
        return Row(seq=seq, value=value, rx=int(str(told["ts"])) + 5, **told)  # type: ignore[arg-type]  # as the test says

    return make


class Daemon:
    """A real server of a test's own folder, which can be killed and started again on the same port."""

    def __init__(self, command: list[str], url: str, log: Path) -> None:
        """Starts it; `command` stays in the foreground."""
        self.command, self.url, self._log = command, url, log
        self.start()

    def start(self) -> None:
        """Returns once it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log)
        _wait_for(self.url, self._process, self._log)

    def kill(self) -> None:
        """As a power cut ends it, but for the disk's own cache."""
        self._process.kill()
        self._process.wait(10)


def influx_daemon(folder: Path, more: str = "") -> Daemon:
    """A real InfluxDB 1.x (Debian's `influxdb`, which `make test` installs)."""
    assert shutil.which("influxd"), "needs influxd: apt-get install influxdb"
    port, internal = _free_port(), _free_port()
    (folder / "influxdb.conf").write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{internal}"\n'
        f'[meta]\ndir = "{folder}/meta"\n[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"\n'
        f'[monitor]\nstore-enabled = false\n[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n{more}'
    )
    url = f"http://127.0.0.1:{port}"
    return Daemon(["influxd", "-config", str(folder / "influxdb.conf")], url, folder / "log")


def victoria_daemon(folder: Path) -> Daemon:
    """A real VictoriaMetrics (Debian's `victoria-metrics`, which `make test` installs)."""
    assert shutil.which("victoria-metrics"), "needs victoria-metrics: apt-get install victoria-metrics"
    port = _free_port()
    flags = [f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=100y"]
    return Daemon(["victoria-metrics", *flags, "-loggerLevel=ERROR"], f"http://127.0.0.1:{port}", folder / "log")


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real InfluxDB 1.x, started once."""
    server = influx_daemon(tmp_path_factory.mktemp("influxd"))
    yield server.url
    server.kill()


@pytest.fixture(scope="session")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real VictoriaMetrics, started once."""
    server = victoria_daemon(tmp_path_factory.mktemp("victoria"))
    yield server.url
    server.kill()


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"{url}/ping", timeout=5):
                return
        except urllib.error.HTTPError:
            return  # it answers, if only that it wants a password
        except (urllib.error.URLError, ConnectionError) as error:
            if server.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(log.read_text()) from error
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
