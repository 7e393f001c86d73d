"""VictoriaMetrics and the store beside it: `zhian history verify` on a real server, mending, snapshot, restore."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from hub.clock import Clock
from hub.history import open_store
from hub.history.duck import DuckStore
from hub.history.store import HistoryStore
from hub.history.victoria import VictoriaStore
from hub.journal.batches import Row
from hub.keeping.agenda import nightly_backup
from hub.keeping.backup import newest_snapshot, restore
from hub.settings.door import load_site

if TYPE_CHECKING:
    from hub.bench.servers import Daemon
    from tests.hub.history.conftest import JournalFile, Run

ROOT = Path(__file__).parents[3]


class Town:
    """A data folder whose site keeps its numbers on the server: 60 readings, every fifth of them a text."""

    def __init__(self, folder: Path, journal: "JournalFile", server: "Daemon") -> None:
        """Nothing is shipped yet."""
        self.folder, self.server, self.now = folder, server, Clock().now()
        text = (ROOT / "deploy" / "site.example.toml").read_text(encoding="utf-8")
        self.site = folder / "site.toml"
        self.site.write_text(f'{text}\n[history]\nstore = "victoriametrics"\nurl = "{server.url}"\n')
        journal.ask("INSERT INTO meta VALUES ('site_file', ?)", str(self.site))
        for n in range(12):
            journal.read(4, start=self.now - 300_000 + n * 5_000)
            journal.read(1, start=self.now - 300_000 + n * 5_000 + 4_000, quantity="gate", value="open")
        journal.ask("INSERT INTO cursor VALUES ('history', 60, ?)", self.now)
        names = "seq, device, quantity, ts, rx, value, quality, detail"
        self.rows = [Row(*found) for found in journal.ask(f"SELECT {names} FROM reading ORDER BY seq")]  # type: ignore[arg-type]

    def open(self) -> HistoryStore:
        """As an office does."""
        return open_store(load_site(self.site), self.folder, Clock(), _refused)

    def ship(self, rows: Sequence[Row]) -> None:
        """These alone, and the server is told to show them."""
        with closing(self.open()) as store:
            assert isinstance(store, VictoriaStore)
            store.append(rows, 60)
            store._server.send("GET", "/internal/force_flush", {})

    def show(self) -> None:
        """What was written a moment ago."""
        with closing(self.open()) as store:
            assert isinstance(store, VictoriaStore)
            store._server.send("GET", "/internal/force_flush", {})


def _refused(row: Row, words: str) -> None:
    raise AssertionError(f"{row} was refused: {words}")


@pytest.fixture
def town(tmp_path: Path, journal: "JournalFile", own_victoria: "Daemon") -> Town:
    """On a server of its own."""
    return Town(tmp_path, journal, own_victoria)


def verdict(run: "Run", *more: str) -> dict[str, object]:
    """What `zhian history verify` says."""
    _, out, err = run("history", "verify", "--json", *more)
    assert err == ""
    found: dict[str, object] = json.loads(out)
    return found


def test_a_whole_history_is_whole(town: Town, run: "Run") -> None:
    """Numbers on the server and texts beside it, also when all of it is gone through."""
    town.ship(town.rows)
    assert run("history", "verify")[:1] == (0,)
    assert run("history", "verify", "--deep")[:1] == (0,)
    assert verdict(run)["compared"] == 60


def test_numbers_that_the_server_lost_and_texts_that_are_gone_are_named_and_mended(town: Town, run: "Run") -> None:
    """Each by its number; `rebuild` puts them where they belong, on the server and beside it."""
    gone = {7, 8, 9, 10, 41}  # two of them texts
    assert {row.quantity for row in town.rows if row.seq in gone} == {"laeq", "gate"}
    town.ship([row for row in town.rows if row.seq not in gone])
    code, out, _ = run("history", "verify")
    assert (code, "missing: 5 readings (7 to 10, 41)" in out) == (1, True), out
    assert "put back: 5 readings" in run("history", "rebuild")[1]
    town.show()
    assert verdict(run, "--deep")["missing"] == []
    assert run("history", "verify")[0] == 0


def test_a_number_that_is_another_one_is_named(town: Town, run: "Run") -> None:
    """The server says 99 dB where the journal has 50."""
    town.ship([replace(row, value=99.0) if row.seq == 12 else row for row in town.rows])
    assert verdict(run)["changed"] == [{"first": 12, "last": 12}]


def test_a_server_that_is_down_is_no_empty_one(town: Town, run: "Run") -> None:
    """Nothing is called missing because nobody answers."""
    town.ship(town.rows)
    town.server.kill()
    code, out, err = run("history", "verify")
    assert (code, "missing" in out, "cannot be asked now" in err) == (1, False, True)


def test_what_lies_beside_is_in_the_nightly_backup_and_comes_back(
    town: Town, run: "Run", tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The texts, with a word of where the numbers are; the restored folder goes on with the same server, whole."""
    town.ship(town.rows)
    with closing(town.open()) as store:
        assert store.compact() >= 0
        made = nightly_backup(store, town.folder, town.site, town.now)
    assert newest_snapshot(town.folder) is not None
    assert made.manifest.history.rows == 12
    assert f"its numbers are in {town.server.url}" in str(made)
    folder = tmp_path_factory.mktemp("new") / "data"
    restore(made.path, folder)
    with closing(DuckStore(folder / "history.duckdb", Clock())) as beside:
        assert {row.quantity for row in beside.readings("noise-1", 0, 2 * town.now)} == {"gate"}
        assert (beside.count(), beside.cursor()) == (12, 60)
    (town.folder / "history.duckdb").unlink()
    (folder / "history.duckdb").rename(town.folder / "history.duckdb")
    assert run("history", "verify", "--deep")[0] == 0
