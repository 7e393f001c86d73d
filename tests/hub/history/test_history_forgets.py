"""A server that says "stored" and forgets is found out and fed again: real ones that are killed, and marks alone."""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub.history import notes
from hub.history.duck import DuckStore
from hub.history.influx import InfluxStore
from hub.history.marks import LOOK_S, MARK_S, VISIBLE_S, Mark, Marks
from hub.history.notes import Notes, moved
from hub.history.server import number_of
from hub.history.shipper import Shipper
from hub.history.store import FedStore
from hub.history.victoria import VictoriaStore
from hub.journal.batches import Row
from hub.keeping import retention

if TYPE_CHECKING:
    from hub.bench.servers import Daemon
    from tests.hub.history.conftest import JournalFile, SetClock, V2Server

MakeRow = Callable[..., Row]
T = 1_760_000_000_000
HOUR = 3_600_000


def _refused(row: Row, words: str) -> None:
    raise AssertionError(f"{row} was refused: {words}")


def _numbers(store: FedStore) -> list[int]:
    return sorted(row.seq for row in store.readings("noise-1", 0, 2 * T))


def _shown(store: VictoriaStore) -> list[int]:
    store._server.send("GET", "/internal/force_flush", {})
    return _numbers(store)


@pytest.fixture
def victoria_store(own_victoria: "Daemon", tmp_path: Path, clock: "SetClock") -> Iterator[VictoriaStore]:
    """On a server of its own, texts beside."""
    beside = DuckStore(tmp_path / "history.duckdb", clock)
    store = VictoriaStore(own_victoria.url, "", site="zhongshan", refused=_refused, beside=beside)
    yield store
    store.close()


def test_victoriametrics_that_forgets_is_fed_again(
    own_victoria: "Daemon",
    victoria_store: VictoriaStore,
    journal: "JournalFile",
    clock: "SetClock",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says 204 and is killed at once: rows are gone (the control), and come back from the journal, each once.

    A power cut ends both: another process of ours finds it out by the mark that is gone, or of an older start.
    """
    monkeypatch.setattr("hub.history.shipper.PAGE", 50)  # in lanes: the text is of the page that overtakes
    shipper = Shipper(journal.path, victoria_store, clock)
    journal.read(200)
    journal.read(1, start=T + 500_000, quantity="passage", value="granted")
    while shipper.step():
        pass
    assert victoria_store._beside.count() == 1
    assert journal.cursor() == 201
    own_victoria.kill()
    time.sleep(1)  # its start is told in whole seconds
    own_victoria.start()
    lost = _shown(victoria_store)
    assert len(lost) < 201, "the control: it forgot nothing, so this proves nothing"
    beside = victoria_store._beside
    another = VictoriaStore(own_victoria.url, "", site="zhongshan", refused=_refused, beside=beside)
    assert another.forgot() is True
    another._server.close()
    victoria_store._marks.doubt()  # as any trouble does, and else half a minute
    while shipper.step():
        pass
    give_up = time.monotonic() + 20  # a server just started shows a new series a little later
    while _shown(victoria_store) != list(range(1, 202)):
        assert time.monotonic() < give_up, _shown(victoria_store)
        time.sleep(0.2)
    assert journal.cursor() == 201


def test_a_server_that_only_was_away_is_not_fed_again(
    influxd: str, journal: "JournalFile", clock: "SetClock", request: pytest.FixtureRequest
) -> None:
    """Another process of ours finds its mark of the same start: it goes on where the note says."""
    database = f"zhian-{request.node.name}"
    first = InfluxStore(influxd, "", database, "", site="zhongshan", refused=_refused)
    shipper = Shipper(journal.path, first, clock)
    journal.read(10)
    shipper.step()
    first.close()
    second = InfluxStore(influxd, "", database, "", site="zhongshan", refused=_refused)
    assert second.forgot() is False
    assert Shipper(journal.path, second, clock).step() == 0
    second.close()


def test_an_influxdb_put_back_from_an_older_copy_is_fed_again(
    influx_with: Callable[[str], "Daemon"], journal: "JournalFile", clock: "SetClock", tmp_path: Path
) -> None:
    """Its files as they were ten readings ago: what the journal still has of the rest comes back, each once."""
    server = influx_with("")
    store = InfluxStore(server.url, "", "zhian", "", site="zhongshan", refused=_refused)
    shipper = Shipper(journal.path, store, clock)
    journal.read(20)
    shipper.step()
    server.kill()
    for name in ("data", "wal", "meta"):
        shutil.copytree(tmp_path / name, tmp_path / f"copy-{name}")
    server.start()
    journal.read(10)
    shipper.step()
    server.kill()
    for name in ("data", "wal", "meta"):
        shutil.rmtree(tmp_path / name)
        (tmp_path / f"copy-{name}").rename(tmp_path / name)
    server.start()
    assert _numbers(store) == list(range(1, 21))
    store._marks.doubt()
    shipper.step()
    assert _numbers(store) == list(range(1, 31))
    store.close()


def test_an_influxdb_restarted_in_the_middle_of_a_batch(
    influx_with: Callable[[str], "Daemon"], journal: "JournalFile", clock: "SetClock", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while batches go over, again and again: in the end every reading is there once."""
    server = influx_with("")
    store = InfluxStore(server.url, "", "zhian", "", site="zhongshan", refused=_refused)
    monkeypatch.setattr("hub.history.shipper.PAGE", 500)
    shipper = Shipper(journal.path, store, clock)
    journal.read(6000)
    post, count = store._server.post, 0

    def kills(lines: list[str]) -> object:
        nonlocal count
        count += 1
        answer = post(lines)
        if count in (2, 5):
            server.kill()
            server.start()
            raise marks_module_trouble
        return answer

    marks_module_trouble = OSError("broken off")
    monkeypatch.setattr(store._delivery, "_post", kills)
    for _ in range(40):
        try:
            if not shipper.step():
                break
        except OSError:
            store._marks.doubt()
    assert _numbers(store) == list(range(1, 6001))
    assert count > 6000 // 500
    store.close()


def test_a_v2_server_that_lost_its_last_second_is_fed_again(
    v2: "V2Server", journal: "JournalFile", clock: "SetClock"
) -> None:
    """Its start is another one and the newest rows are gone, mark and all."""
    store = InfluxStore(v2.url, "district", "zhian", "secret", site="zhongshan", refused=_refused)
    shipper = Shipper(journal.path, store, clock)
    journal.read(30)
    shipper.step()
    before = dict(v2.points)
    journal.read(5)
    shipper.step()
    assert v2.stored() == list(range(1, 36))
    v2.points, v2.started = before, v2.started + 60
    assert shipper.step() == 0  # within half a minute nobody looks
    store._marks.doubt()
    shipper.step()
    assert v2.stored() == list(range(1, 36))
    store.close()


class Watched:
    """Marks with a server that is played, and a clock that a test sets."""

    def __init__(self) -> None:
        """Started once, nothing stored."""
        self.started, self.now = "1", 0.0
        self.newest: Mark | None = None
        self.marks = self.again()

    def again(self) -> Marks:
        """As a new process of ours would."""
        return Marks(lambda: self.started, lambda since: self.read(since), number_of, lambda: self.now)

    def read(self, since: int) -> Mark | None:
        """The newest mark from there on."""
        return self.newest if self.newest is not None and self.newest.at >= since else None

    def store(self, row: Row, cursor: int) -> None:
        """One append."""
        mark = self.marks.due([row], cursor)
        if mark:
            self.newest = mark
            self.marks.wrote(mark)


@pytest.fixture
def watched(row: MakeRow) -> Watched:
    """Looked at once, one row stored."""
    made = Watched()
    assert made.marks.forgot() is True  # nothing is known yet
    made.store(row(1), 1)
    return made


def test_a_server_is_looked_at_every_half_minute(watched: Watched) -> None:
    """Not with every batch; told once."""
    watched.started = "2"
    watched.now += LOOK_S - 1
    assert watched.marks.forgot() is False
    watched.now += 1
    assert watched.marks.forgot() is True
    assert watched.marks.forgot() is False


def test_a_mark_that_is_gone_tells_it_without_a_restart(watched: Watched, row: MakeRow) -> None:
    """A database dropped and made again; but only after the time that a server may take to show what it has."""
    watched.newest = None
    watched.now += VISIBLE_S - 1
    assert watched.marks.forgot() is False
    watched.now += LOOK_S
    assert watched.marks.forgot() is True
    watched.store(row(2), 2)
    watched.now += VISIBLE_S + LOOK_S
    assert watched.marks.forgot() is False


def test_marks_are_few_and_each_newer_than_the_last(watched: Watched, row: MakeRow) -> None:
    """One in ten seconds, at the time of the newest row, and past the mark before it if rows come from the past."""
    first = watched.newest
    watched.store(row(2), 2)
    assert watched.newest is first
    watched.now += MARK_S
    watched.store(row(3, ts=T - 9_000_000), 3)
    assert first is not None
    assert watched.newest == Mark(3, number_of("1"), first.at + 1)


def test_a_server_that_does_not_tell_its_start_is_doubted_after_any_trouble(watched: Watched) -> None:
    """And after each start of ours: fed again rather once too often."""
    watched.started = ""
    watched.now += LOOK_S
    assert watched.marks.forgot() is True
    watched.now += LOOK_S
    assert watched.marks.forgot() is False
    watched.marks.doubt()
    assert watched.marks.forgot() is True
    assert watched.again().forgot() is True


def test_the_journal_keeps_an_hour_past_every_note() -> None:
    """`kept` follows the note after one hour at the earliest, however fast a backlog went over."""
    told = moved(None, 0, T)
    for minute in range(1, 300):
        told = moved(told, minute * 1000, T + minute * 60_000)
        assert told.kept <= max(0, minute - 60) * 1000
        assert told.kept >= max(0, minute - 122) * 1000


def test_a_note_taken_back_and_a_clock_set_back_begin_the_hour_anew() -> None:
    """Never kept less than an hour because of either."""
    told = Notes(noted=500, kept=100, waiting=400, since=T)
    assert moved(told, 300, T + HOUR) == Notes(noted=300, kept=100, waiting=300, since=T + HOUR)
    assert moved(told, 50, T + HOUR) == Notes(noted=50, kept=50, waiting=50, since=T + HOUR)
    assert moved(told, 600, T - HOUR) == Notes(noted=600, kept=100, waiting=400, since=T - HOUR)
    assert moved(told, 600, T + HOUR) == Notes(noted=600, kept=400, waiting=600, since=T + HOUR)


def test_pruning_spares_what_has_just_been_caught_up(
    journal: "JournalFile", duck: DuckStore, clock: "SetClock"
) -> None:
    """A day that waited went over in one minute: old as it is, it stays until it has been in the store for an hour."""
    clock.at = T + 24 * HOUR
    shipper = Shipper(journal.path, duck, clock)
    shipper.step()
    journal.read(100, start=T)
    journal.read(1, start=clock.at)
    shipper.step()
    assert journal.cursor() == 101
    assert retention.prune_journal(journal.path, clock.at).reading == 0
    for _ in range(3):
        clock.at += HOUR
        journal.read(1, start=clock.at)
        shipper.step()
    assert (
        retention.prune_journal(journal.path, clock.at).reading == 102
    )  # the day, and what is older than an hour since


def test_a_journal_of_an_older_release_is_not_pruned_further_than_noted(journal: "JournalFile") -> None:
    """It has the one note: that is what was kept, and the hour begins."""
    journal.ask("INSERT INTO cursor VALUES ('history', 7, ?)", T)
    with closing(sqlite3.connect(journal.path)) as db:
        assert notes.read(db) == Notes(noted=7, kept=7, waiting=7, since=T)


def test_looking_takes_no_time(influxd: str) -> None:
    """A real server tells its start by the same page as the others."""
    store = InfluxStore(influxd, "", "zhian-look", "", site="zhongshan", refused=_refused)
    started = store._server.started()
    assert float(started) > T / 1000
    assert store._server.started() == started
    store.close()
