"""The siren with everything behind the yard down: outside broker, messenger's server, history and dashboard.

Only the field process runs, with a radar on a serial line and a relay board on a Modbus line, both simulated.
"""

import contextlib
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hub.query import journal_readings
from tests.e2e.conftest import wait_for

pytestmark = pytest.mark.timeout(120)

SITE = """
[site]
id = "lake"
name = { zh = "湖", en = "Lake" }
timezone = "Asia/Shanghai"

[[zone]]
id = "lake"
name = { zh = "湖", en = "Lake" }
closed = "00:00-24:00"
siren = { device = "board", command = "pulse_2", seconds = 8.0 }

[[link]]
id = "wire"
kind = "serial"
port = "$data/wire"
  [[link.device]]
  id = "radar"
  profile = "water/hlk-ld2410"
  zone = "lake"

[[link]]
id = "line"
kind = "modbus-rtu"
port = "$data/line"
  [[link.device]]
  id = "board"
  profile = "relay/waveshare-8ch"
  every = 0.5

[[link]]
id = "mqtt"
kind = "mqtt"
url = "mqtt://127.0.0.1:$dead"

[[voice]]
id = "broker"
kind = "mqtt"

[[voice]]
id = "group"
kind = "wecom"
webhook_file = "robot.url"

[[voice]]
id = "office"
kind = "webhook"
url = "http://127.0.0.1:$hangs/"

[history]
store = "influxdb"
url = "http://127.0.0.1:$dead"
bucket = "x"

[rule.water-presence]
on_delay = 0.0
"""
SCRIPT = """
round = 600.0
[[scene]]
at = 4.0
for = 590.0
device = "radar"
set = { presence = "present", distance = 1.2 }
note = { zh = "", en = "" }
"""


class Yard:
    """The field process and its devices."""

    def __init__(self, folder: Path) -> None:
        """The two cables' ends, and a server that takes connections and never says a word."""
        self.data = folder / "data"
        self.data.mkdir()
        self._silent = socket.create_server(("127.0.0.1", 0), backlog=50)
        with socket.create_server(("127.0.0.1", 0)) as gone:
            dead = str(gone.getsockname()[1])
        site = SITE.replace("$data", str(self.data)).replace("$dead", dead)
        self.site, self.script = folder / "site.toml", folder / "script.toml"
        self.site.write_text(site.replace("$hangs", str(self._silent.getsockname()[1])), encoding="utf-8")
        self.script.write_text(SCRIPT, encoding="utf-8")
        robot = folder / "robot.url"
        robot.touch(0o600)
        robot.write_text(f"http://127.0.0.1:{dead}/send?key=x", encoding="utf-8")
        self._output = (folder / "run.log").open("ab")
        self._processes = [self._start("field"), self._start("simulate", "--script", str(self.script))]

    def ask(self, sql: str) -> list[tuple[Any, ...]]:  # Any: the columns of any question
        """Rows of the journal; none while there is no such table."""
        try:
            with closing(sqlite3.connect(f"file:{self.data}/journal.sqlite?mode=ro", uri=True)) as db:
                return db.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []

    def first_seen(self) -> int:
        """When the hub received the first reading that somebody is there."""
        with closing(sqlite3.connect(f"file:{self.data}/journal.sqlite?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            found = journal_readings(db, "radar", 0)
            return min(line.rx for line in found if (line.quantity, line.value) == ("presence", "present"))

    def stop(self) -> None:
        """End both."""
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            process.wait(20)
        self._silent.close()
        self._output.close()

    def _start(self, command: str, *arguments: str) -> "subprocess.Popen[bytes]":
        whole = [sys.executable, "-m", "hub", command, str(self.site), "--data", str(self.data), *arguments]
        return subprocess.Popen(whole, stdout=self._output, stderr=self._output)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """Started."""
    running = Yard(tmp_path)
    yield running
    running.stop()


def test_the_siren_sounds_with_everything_else_down(yard: Yard) -> None:
    """From the radar's reading to the order on the cable within a second (five on a busy machine), and confirmed.

    Broker, messenger and office have not been told meanwhile: their rows wait.
    """
    confirmed = "SELECT sent, ended FROM orders WHERE target = 'board' AND state = 'confirmed'"
    wait_for(lambda: yard.ask(confirmed), seconds=60)

    ((sent, ended),) = yard.ask(confirmed)
    seen = yard.first_seen()
    assert 0 <= sent - seen < 5_000
    assert sent <= ended
    told = dict(
        yard.ask("SELECT voice, status FROM outbox WHERE flip = (SELECT flip FROM outbox WHERE voice = 'siren')")
    )
    assert told["siren"] == "accepted"
    assert set(told) == {"siren", "broker", "group", "office"}
    assert {told["broker"], told["group"], told["office"]} <= {"pending", "sending"}
