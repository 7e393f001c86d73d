"""The siren with everything behind the yard down: outside broker, messenger's server, history and dashboard.

Only the field process runs, with a radar on a serial line and a relay board on a Modbus line, both simulated.
"""

import contextlib
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from device_profiles.door import Refusal
from hub.journal.query import journal_readings, open_journal
from tests.e2e.conftest import LAKE, QUIET, Installation, scene, wait_for

pytestmark = pytest.mark.timeout(120)

SITE = (
    LAKE
    + """
[[link]]
id = "mqtt"
kind = "mqtt"
url = "mqtt://127.0.0.1:$port_a"

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
url = "http://127.0.0.1:$port_a"
bucket = "x"
"""
)
SCRIPT = QUIET + scene("radar", 'presence = "present", distance = 1.2', 4.0)


class Yard(Installation):
    """The field process and its devices, and nothing else; a server takes connections and never says a word."""

    def __init__(self, folder: Path) -> None:
        """Starts at once."""
        self._silent = socket.create_server(("127.0.0.1", 0), backlog=50)
        super().__init__(folder, SITE.replace("$hangs", str(self._silent.getsockname()[1])), SCRIPT)
        robot = folder / "robot.url"
        robot.touch(0o600)
        robot.write_text("http://127.0.0.1:1/send?key=x", encoding="utf-8")
        self._start("field")
        self.start_devices()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:  # Any: as rows
        """None while there is no such table."""
        with contextlib.suppress(Refusal, sqlite3.OperationalError):
            return super().ask(sql)
        return []

    def first_seen(self) -> int:
        """When the hub received the first reading that somebody is there."""
        with closing(open_journal(self.data)) as db:
            found = journal_readings(db, "radar", 0)
            return min(line.rx for line in found if (line.quantity, line.value) == ("presence", "present"))

    def stop(self) -> None:
        """And the server."""
        super().stop()
        self._silent.close()


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """Started."""
    with Yard(tmp_path) as running:
        yield running


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
