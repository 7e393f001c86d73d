"""What is deleted because of its age, and what never is: unread rows, and anything while the clock may be wrong."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.history.duck import DuckStore
from hub.journal.batches import Row
from hub.keeping.retention import ClockDoubt, forget_traces, prune_journal, require_trusted

if TYPE_CHECKING:
    from tests.hub.history.conftest import JournalFile

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
T = 1_760_000_000_000


def note(journal: "JournalFile", name: str, seq: int) -> None:
    """Set a reader's cursor."""
    journal.ask("INSERT OR REPLACE INTO cursor VALUES (?, ?, ?)", name, seq, T)


def heartbeat(journal: "JournalFile", at: int) -> None:
    """The hub wrote something at this instant."""
    journal.ask("INSERT OR REPLACE INTO meta VALUES ('heartbeat', ?)", str(at))


def left(journal: "JournalFile") -> list[object]:
    """The seqs that are still there."""
    return [seq for (seq,) in journal.ask("SELECT seq FROM reading ORDER BY seq")]


def test_readings_go_an_hour_after_every_cursor_passed(journal: "JournalFile") -> None:
    """The slowest reader decides, and the last hour stays in any case."""
    journal.read(180, step=MINUTE)  # three hours; now is the end of the third
    note(journal, "history", 180)
    note(journal, "district", 100)
    now = T + 180 * MINUTE
    assert prune_journal(journal.path, now).reading == 100
    assert left(journal) == list(range(101, 181))
    note(journal, "district", 180)
    assert prune_journal(journal.path, now).reading == 20
    assert left(journal) == list(range(121, 181))
    assert prune_journal(journal.path, now).reading == 0


def test_without_any_cursor_a_day_is_kept(journal: "JournalFile") -> None:
    """While nobody ships rows away the journal is all there is: 24 h of it stay, and no more."""
    journal.read(48, step=HOUR)
    assert prune_journal(journal.path, T + 48 * HOUR).reading == 24
    assert left(journal) == list(range(25, 49))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cursors=st.dictionaries(st.sampled_from(["history", "district", "audit"]), st.integers(0, 60)),
    rx=st.lists(st.integers(-3 * DAY, DAY), max_size=60),
    now=st.integers(0, 400 * DAY),
)
def test_pruning_never_passes_a_cursor(
    journal: "JournalFile", cursors: dict[str, int], rx: list[int], now: int
) -> None:
    """Whatever the clock, the stamps and the readers' places: a row that some reader has not had is never deleted."""
    journal.ask("DELETE FROM cursor")
    journal.ask("DELETE FROM batch")
    for stamp in rx:
        journal.read(1, start=T + stamp)
    for name, seq in cursors.items():
        note(journal, name, seq)
    prune_journal(journal.path, T + now)
    if cursors:
        unread = range(min(cursors.values()) + 1, len(rx) + 1)
        assert [seq for seq in left(journal) if seq in unread] == list(unread)
    assert all(now_seq in left(journal) for now_seq, stamp in enumerate(rx, 1) if stamp >= now - HOUR)


def test_a_clock_that_leapt_ahead_does_not_make_rows_old(journal: "JournalFile") -> None:
    """Age is measured from what the hub last wrote when the clock shows later than that."""
    journal.read(10)
    heartbeat(journal, T + 10_000)
    journal.ask("INSERT INTO fault VALUES ('noise-1', 'checksum', ?, 1, '')", T // MINUTE)
    pruned = prune_journal(journal.path, T + 365 * DAY)
    assert (pruned.reading, pruned.fault) == (0, 0)
    assert len(left(journal)) == 10


def test_more_than_one_chunk_is_pruned(journal: "JournalFile") -> None:
    """Large amounts go in several short transactions, and all of it goes."""
    journal.read(5001)
    note(journal, "history", 5001)
    assert prune_journal(journal.path, T + DAY).reading == 5000  # the numbers go on from the newest


def test_old_faults_orders_and_payloads_go(journal: "JournalFile") -> None:
    """Faults after 30 days, ended orders after 180, payloads beyond the newest 10,000; open orders stay for ever."""
    for age in (31, 29):
        journal.ask("INSERT INTO fault VALUES ('noise-1', 'checksum', ?, 1, '')", (T - age * DAY) // MINUTE)
    for token, ended in (("old", T - 181 * DAY), ("new", T - 179 * DAY), ("open", None)):
        journal.ask(
            "INSERT INTO orders (token, kind, target, actor, issued, expires, ended)"
            " VALUES (?, 'ack', '', '', 0, 0, ?)",
            token,
            ended,
        )
    journal.ask(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12500) "
        "INSERT INTO quarantine (rx, source, kind, detail, payload) SELECT ?, '', '', '', x'00' FROM n",
        T,
    )
    pruned = prune_journal(journal.path, T)
    assert (pruned.fault, pruned.orders, pruned.quarantine) == (1, 1, 2500)
    assert journal.ask("SELECT token FROM orders ORDER BY id") == [("new",), ("open",)]
    assert journal.ask("SELECT count(*), min(seq) FROM quarantine") == [(10_000, 2501)]


def test_the_hub_writes_while_it_is_pruned(journal: "JournalFile") -> None:
    """No chunk holds the file for long: a writer that waits half a second at most is never refused."""
    journal.read(40_000)
    note(journal, "history", 40_000)
    done = threading.Event()
    written: list[int] = []
    refused: list[sqlite3.Error] = []

    def write() -> None:
        with closing(sqlite3.connect(journal.path, isolation_level=None, timeout=0.5)) as db:
            while not done.is_set():
                try:
                    db.execute("INSERT OR REPLACE INTO meta VALUES ('heartbeat', ?)", (str(T + DAY),))
                except sqlite3.Error as error:
                    refused.append(error)
                written.append(1)
                time.sleep(0.001)

    hub = threading.Thread(target=write)
    hub.start()
    pruned = prune_journal(journal.path, T + 2 * DAY)
    done.set()
    hub.join()
    assert pruned.reading == 39_999
    assert refused == []
    assert len(written) > 20


def watch(data: Path, journal: "JournalFile", *looks: int) -> None:
    """The clock is looked at at these instants, the hub being alive each time."""
    for at in looks:
        heartbeat(journal, at)
        with pytest.raises(ClockDoubt):
            require_trusted(data, at, at)


def test_traces_older_than_30_days_are_gone_everywhere(
    tmp_path: Path, journal: "JournalFile", duck: DuckStore, row: Callable[..., Row]
) -> None:
    """Passages and chips go from history, journal, last values and quarantine; other readings and newer traces stay."""
    old, new = T - 31 * DAY, T - 29 * DAY
    secret, chip = "credential-7f3a91", "156000000000101"
    duck.append(
        [
            row(1, "granted", quantity="passage", ts=old, detail=secret),
            row(2, chip, quantity="chip", ts=old),
            row(3, "granted", quantity="passage", ts=new),
            row(4, 50.0, ts=old),
        ],
        4,
    )
    journal.read(1, start=old, quantity="chip", value=chip)
    journal.ask("INSERT INTO latest VALUES ('chip-1', 'chip', ?, ?, ?, 'good', NULL)", old, old, chip)
    journal.ask("INSERT INTO quarantine (rx, source, kind, detail, payload) VALUES (?, '', '', '', ?)", old, secret)
    for number, ended in ((1, old), (2, new)):
        key = f"chips/chip-1/{chip}" if ended == old else "chips/chip-1/156000000000102"
        journal.ask(
            "INSERT INTO occurrence (key, occurrence, quantity, value, raised, closed, ended, rule, source, zone,"
            " severity) VALUES (?, ?, 'chip', ?, ?, 'acked', ?, 'chips', 'chip-1', '', 'P3')",
            key, number, key[-15:], ended, ended,
        )  # fmt: skip
        journal.ask(
            "INSERT INTO flip (at, key, occurrence, event, before, after) VALUES (?, ?, ?, 'raised', '', '')",
            ended, key, number,
        )  # fmt: skip
        journal.ask("INSERT INTO outbox (flip, voice, kind, next_try) VALUES (?, 'log', 'raised', 0)", number)
    watch(tmp_path, journal, T - DAY)
    heartbeat(journal, T)
    assert forget_traces(duck, tmp_path, T) == 3
    for table in ("occurrence", "flip", "outbox"):
        assert journal.ask(f"SELECT count(*) FROM {table}") == [(1,)]
    assert [found.seq for found in duck.readings("noise-1", 0, 2 * T)] == [4, 3]
    duck.close()
    journal.ask("PRAGMA wal_checkpoint(TRUNCATE)")
    holding = [path.name for path in tmp_path.iterdir() if path.is_file() and _holds(path, secret, chip)]
    assert holding == []


def _holds(path: Path, *texts: str) -> bool:
    content = path.read_bytes()
    return any(text.encode() in content for text in texts)


@pytest.mark.parametrize(
    ("looks", "newest", "now", "why"),
    [
        ([T], T + DAY, T + DAY - 2 * MINUTE, "behind"),
        ([T], T, T + DAY + MINUTE, "ahead"),
        ([], T, T, "watched"),
        ([T], T + HOUR, T + HOUR, "watched"),
        ([T - DAY, T], T + 365 * DAY, T + 365 * DAY, "watched"),
        ([T + 365 * DAY], T, T, "watched"),
    ],
    ids=["set back", "nobody writes", "first look", "too soon", "leapt a year ahead", "came back from a year ahead"],
)
def test_a_doubtful_clock_deletes_nothing(
    tmp_path: Path,
    journal: "JournalFile",
    duck: DuckStore,
    row: Callable[..., Row],
    looks: list[int],
    newest: int,
    now: int,
    why: str,
) -> None:
    """Retention refuses to run, and says why, until the clock was steady for 20 h and fits what the hub writes."""
    duck.append([row(1, "granted", quantity="passage", ts=T - 29 * DAY)], 1)
    for at in looks:
        heartbeat(journal, at)
        with pytest.raises(ClockDoubt) if at == looks[0] else nullcontext():
            forget_traces(duck, tmp_path, at)
    heartbeat(journal, newest)
    with pytest.raises(ClockDoubt, match=why):
        forget_traces(duck, tmp_path, now)
    assert duck.count() == 1


def test_a_leap_that_stays_is_believed_after_a_day(
    tmp_path: Path, journal: "JournalFile", duck: DuckStore, row: Callable[..., Row]
) -> None:
    """A hub that was off for a month deletes on the second night, not on the first."""
    duck.append([row(1, "granted", quantity="passage", ts=T - 29 * DAY)], 1)
    watch(tmp_path, journal, T, T + 40 * DAY)
    heartbeat(journal, T + 41 * DAY)
    assert forget_traces(duck, tmp_path, T + 41 * DAY) == 1
