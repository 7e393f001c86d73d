"""A community with three noise meters and hostile names, a real history in DuckDB, and a journal with alarms.

For annotations: `from tests.hub.reports.conftest import Community` under TYPE_CHECKING.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from hub.clock import Clock
from hub.history.duck import DuckStore
from hub.journal.batches import Row
from hub.reading import Label
from hub.reports.noise import NoiseReport, noise_report
from hub.settings.door import load_site

SCHEMA = Path(__file__).parents[3] / "hub" / "journal" / "schema.sql"
EVIL = '=HYPERLINK(\\"http://evil\\")<script>&\\u0007'
SITE = f"""
[site]
id = "garden"
name = {{ zh = "花园", en = "Garden" }}
timezone = "Asia/Shanghai"
noise_class = 1
[[zone]]
id = "square"
name = {{ zh = "{EVIL}", en = "{EVIL}" }}
[[zone]]
id = "hall"
name = {{ zh = "大厅", en = "Hall" }}
[[zone]]
id = "quiet"
name = {{ zh = "静区", en = "Quiet" }}
[[link]]
id = "mqtt"
kind = "mqtt"
[[link.device]]
id = "meter-1"
name = {{ zh = "@SUM(1)", en = "{EVIL}" }}
profile = "noise/json-mqtt"
zone = "square"
silent_after = 600.0
[[link.device]]
id = "meter-2"
profile = "noise/json-mqtt"
zone = "square"
silent_after = 600.0
[[link]]
id = "line"
kind = "modbus-tcp"
host = "127.0.0.1"
[[link.device]]
id = "meter-3"
profile = "noise/generic-rs485"
zone = "hall"
"""
PERIOD = 300_000


class SetClock(Clock):
    """Shows what the test says."""

    at = 0

    def now(self) -> int:
        """What the test says."""
        return self.at


class Community:
    """A data folder as the office process finds it."""

    def __init__(self, data: Path, store: DuckStore, clock: SetClock) -> None:
        """Writes the site file and the journal."""
        self.data, self.store, self.clock = data, store, clock
        path = data / "site.toml"
        path.write_text(SITE, encoding="utf-8")
        self.site = load_site(path)
        self.clock.at = self.local("2026-11-02T07:00")
        self._seq = 0
        with closing(sqlite3.connect(data / "journal.sqlite", isolation_level=None)) as db:
            db.executescript(SCHEMA.read_text())  # which leaves alone what is there
            db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('site_file', ?)", (str(path),))

    def local(self, text: str) -> int:
        """An instant on the site's wall clock, in ms since 1970."""
        return int(datetime.fromisoformat(text).replace(tzinfo=self.site.tz).timestamp() * 1000)

    def hear(
        self, device: str, since: str, until: str, level: Callable[[datetime], float], quantity: str = "laeq"
    ) -> None:
        """A reading for each five minutes, given at their end."""
        rows = []
        for at in range(self.local(since) + PERIOD, self.local(until) + 1, PERIOD):
            self._seq += 1
            value = level(datetime.fromtimestamp((at - 1) / 1000, self.site.tz))
            rows.append(Row(self._seq, device, quantity, at, at, value, "good", None))
        self.store.append(rows, self._seq)

    def alarm(self, rule: str, source: str, raised: str, cleared: str | None, zone: str = "square") -> None:
        """An occurrence in the journal."""
        with closing(sqlite3.connect(self.data / "journal.sqlite", isolation_level=None)) as db:
            row = (f"{rule}/{source}/{raised}", rule, source, zone, self.local(raised), cleared and self.local(cleared))
            db.execute(
                'INSERT INTO occurrence (key, occurrence, rule, source, zone, severity, quantity, value, "limit", '
                "raised, cleared, closed) VALUES (?, 1, ?, ?, ?, 'P3', 'laeq', 62.0, 55.0, ?, ?, 'cleared')",
                row,
            )

    def upkeep(self, **row: object) -> None:
        """Something that was done to meter-1."""
        with closing(sqlite3.connect(self.data / "journal.sqlite", isolation_level=None)) as db:
            names = ", ".join(row)
            marks = ", ".join("?" * len(row))
            db.execute(f"INSERT INTO upkeep (device, {names}) VALUES ('meter-1', {marks})", [*row.values()])

    def report(self, zone: str = "square", month: str = "2026-10") -> NoiseReport:
        """The report of a zone."""
        place = self.site.zones_by_id()[zone]
        return noise_report(
            self.site, place, month, self.store, self.data / "journal.sqlite", title, self.clock.at, lambda share: None
        )


def title(rule: str) -> Label:
    """A rule's title."""
    return Label(zh=f"规则 {rule}", en=f"rule {rule}")


def begin(data: Path) -> Community:
    """A community of this data folder. It is the second of November."""
    clock = SetClock()
    return Community(data, DuckStore(data / "history.duckdb", clock), clock)


@pytest.fixture
def community(tmp_path: Path) -> Iterator[Community]:
    """Nothing was measured yet."""
    made = begin(tmp_path)
    yield made
    made.store.close()


@pytest.fixture(scope="session")
def october_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of October: quiet, a loud evening on the 2nd, a loud night on the 3rd, a hole on the 4th."""
    made = begin(tmp_path_factory.mktemp("october"))

    def level(at: datetime) -> float:
        if at.day == 2 and at.hour in (19, 20):
            return 68.0
        return (50.0 if 6 <= at.hour < 22 else 40.0) + (8.0 if at.day == 4 and at.hour < 6 else 0.0)

    made.hear("meter-1", "2026-10-01T06:00", "2026-10-04T08:00", level)
    made.hear("meter-1", "2026-10-04T15:00", "2026-10-05T06:00", level)
    made.hear("meter-1", "2026-10-01T06:00", "2026-10-05T06:00", lambda at: level(at) + 10.0, "lafmax")
    made.hear("meter-1", "2026-10-02T23:26", "2026-10-02T23:31", lambda at: 77.7, "lafmax")
    made.alarm("noise-laeq", "meter-1", "2026-10-02T19:05", "2026-10-02T21:02")
    made.alarm("device-silent", "meter-1", "2026-10-04T08:01", "2026-10-04T15:00")
    made.alarm("noise-laeq", "meter-1", "2026-11-01T19:05", None)
    made.store.close()
    return made.data


@pytest.fixture
def october(october_data: Path, tmp_path: Path) -> Iterator[Community]:
    """A copy of these four days, for one test."""
    shutil.copytree(october_data, tmp_path, dirs_exist_ok=True)
    made = begin(tmp_path)
    yield made
    made.store.close()
