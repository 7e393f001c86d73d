"""Fixtures behind the journal: a journal file with rows in it, a clock that a test sets, real servers on loopback.

For annotations: `from tests.hub.history.conftest import JournalFile` under TYPE_CHECKING.
"""

import contextlib
import gzip
import re
import socket
import sqlite3
import struct
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from hub.__main__ import main
from hub.bench.servers import Daemon, influxdb, victoriametrics
from hub.clock import Clock
from hub.history.duck import DuckStore
from hub.journal import batches
from hub.journal.batches import Row
from hub.reading import Reading, Value

NOW = 1_760_000_000_000
Run = Callable[..., tuple[int, str, str]]
SCHEMA = Path(__file__).parents[3] / "hub" / "journal" / "schema.sql"


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
            db.execute("BEGIN IMMEDIATE")  # as the hub: a shipper may write its note
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


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs `zhian` on the test's data folder: exit code, standard output, standard error."""

    def ran(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zhian", *arguments, "--data", str(tmp_path)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        output = capsys.readouterr()
        return code, output.out, output.err

    return ran


class Sent:
    """One write as the v2 server got it."""

    def __init__(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """Unpacks what was sent."""
        parts = urllib.parse.urlsplit(path)
        self.path = parts.path
        self.query = dict(urllib.parse.parse_qsl(parts.query))
        self.token = headers.get("Authorization", "")
        self.zipped = headers.get("Content-Encoding") == "gzip"
        self.lines = (gzip.decompress(body) if self.zipped else body).decode().split("\n")


class Said(msgspec.Struct):
    """What the v2 server answers to a write: `fault` may be "hang" or "reset" instead, `kept` stores it before."""

    status: int = 204
    words: str = ""
    headers: dict[str, str] = {}
    fault: str = ""
    kept: bool = False


class V2Server:
    """A server of the 2.x write API on loopback, written from its reference: keeps points by series and time.

    There is no InfluxDB 2 or 3 in Debian. It refuses what the reference does not name; InfluxQL it answers only so far
    as to give its newest mark back.
    """

    def __init__(self, version: str = "v2.7.1") -> None:
        """Takes everything until `judge` says otherwise."""
        self.version = version
        self.started = 1_760_000_000
        self.sent: list[Sent] = []
        self.points: dict[tuple[str, int], str] = {}
        self.judge: Callable[[list[str]], Said] = lambda _: Said()
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_V2Handler,), {"owner": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def keep(self, lines: list[str]) -> None:
        """As a database: the same series and time are one point."""
        for text in lines:
            head, _, rest = text.rpartition(" ") if re.search(r" \d+$", text) else (text, "", "0")
            series = re.split(r"(?<!\\) ", head, maxsplit=1)[0]
            self.points[series, int(rest)] = head

    def marks(self) -> list[list[int]]:
        """Time, cursor and start of each mark, oldest first."""
        found = [(at, re.search(r" cursor=(\d+)i,boot=(\d+)i$", head)) for (_, at), head in sorted(self.points.items())]
        return [[at, int(each[1]), int(each[2])] for at, each in found if each]

    def stored(self) -> list[int]:
        """The number of every reading that is there."""
        found = (re.search(r",seq=(\d+)i", head) for head in self.points.values())
        return sorted(int(each[1]) for each in found if each)

    def close(self) -> None:
        """Stop."""
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _V2Handler(BaseHTTPRequestHandler):
    owner: V2Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        if parts.path == "/ping":
            self._answer(204, b"")
        elif parts.path == "/metrics":
            self._answer(200, f"process_start_time_seconds {self.owner.started}\n".encode())
        elif parts.path == "/query":
            marks = self.owner.marks()[-1:]
            series = [{"name": "zhian_cursor", "columns": ["time", "last", "boot"], "values": marks}] if marks else []
            self._answer(200, msgspec.json.encode({"results": [{"statement_id": 0, "series": series}]}))
        else:
            self._answer(404, b"")

    def do_POST(self) -> None:
        sent = Sent(self.path, self.headers, self.rfile.read(int(self.headers.get("Content-Length", 0))))  # type: ignore[arg-type]  # headers are a mapping
        if sent.path != "/api/v2/write" or set(sent.query) != {"org", "bucket", "precision"}:
            self._answer(404, b"")
            return
        self.owner.sent.append(sent)
        said = self.owner.judge(sent.lines)
        if said.status == 204 or said.kept:
            self.owner.keep(sent.lines)
        if said.fault == "hang":
            self.owner.released.wait(20)
        if said.fault:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        body = msgspec.json.encode({"code": "said", "message": said.words}) if said.words else b""
        self._answer(said.status, body, said.headers)

    def _answer(self, status: int, body: bytes, more: Mapping[str, str] = {}) -> None:  # never changed
        self.send_response(status)
        self.send_header("X-Influxdb-Version", self.owner.version)
        for name, value in more.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def finish(self) -> None:
        """Nobody is told of a connection that was broken off on purpose."""
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Refusals(list[tuple[int, str]]):
    """Collects what a store refused: seq and the server's words."""

    def __call__(self, row: Row, words: str) -> None:
        """One row."""
        self.append((row.seq, words))


@pytest.fixture
def refused() -> Refusals:
    """Empty."""
    return Refusals()


@pytest.fixture
def v2() -> Iterator[V2Server]:
    """On a free port."""
    server = V2Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real InfluxDB 1.x, started once."""
    server = influxdb(tmp_path_factory.mktemp("influxd"))
    yield server.url
    server.kill()


@pytest.fixture
def influx_with(tmp_path: Path) -> Iterator[Callable[[str], Daemon]]:
    """Starts an InfluxDB of the test's own, with more lines in its configuration."""
    made: list[Daemon] = []

    def start(more: str = "") -> Daemon:
        made.append(influxdb(tmp_path, more))
        return made[-1]

    yield start
    for server in made:
        server.kill()


@pytest.fixture
def own_victoria(tmp_path: Path) -> Iterator[Daemon]:
    """A VictoriaMetrics of the test's own."""
    server = victoriametrics(tmp_path)
    yield server
    server.kill()


@pytest.fixture(scope="session")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real VictoriaMetrics, started once."""
    server = victoriametrics(tmp_path_factory.mktemp("victoria"))
    yield server.url
    server.kill()
