"""`zhian history verify`: each kind of damage is found and named, a whole history is whole; `rebuild` mends."""

import asyncio
import json
import random
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.__main__ import main
from hub.clock import Clock
from hub.history import door
from hub.history.compare import Difference, Extra, Wrong, beside
from hub.history.duck import DuckStore
from hub.history.numbers import Range, Ticked, ranges
from hub.history.reach import _answers, reach
from hub.history.verify import Verdict, verify, without
from hub.journal.batches import Row
from hub.keeping.backup import take_snapshot
from hub.keeping.rebuild import rebuild
from hub.keeping.retention import KEEP_TRACES_MS

if TYPE_CHECKING:
    from tests.hub.history.conftest import JournalFile

NOW = 1_760_000_000_000
DAY = 86_400_000


class Seeded:
    """A hundred readings of three devices in the journal, all of them shipped, and what a test takes away again."""

    def __init__(self, folder: Path, journal: "JournalFile") -> None:
        """All is well."""
        self.folder, self.journal = folder, journal
        journal.read(100)
        for name, rest in (("noise-2", 1), ("gate-1", 2)):
            journal.ask("UPDATE batch SET readings = replace(readings, 'noise-1', ?) WHERE last % 3 = ?", name, rest)
        self.ship(self.rows())
        self.note(100)

    def rows(self) -> list[Row]:
        """As the journal has them."""
        names = "seq, device, quantity, ts, rx, value, quality, detail"
        return [Row(*found) for found in self.journal.ask(f"SELECT {names} FROM reading")]  # type: ignore[arg-type]

    def note(self, seq: int) -> None:
        """The shipper's note."""
        self.journal.ask("INSERT OR REPLACE INTO cursor VALUES ('history', ?, ?)", seq, NOW + 100_000)

    def ship(self, rows: list[Row], cursor: int = 100) -> None:
        """Into a history of its own."""
        (self.folder / "history.duckdb").unlink(missing_ok=True)
        with closing(DuckStore(self.folder / "history.duckdb", Clock())) as store:
            store.append(rows, cursor)

    def verify(self, *, deep: bool = False, now: int = NOW + 200_000) -> Verdict:
        """The verdict."""
        with closing(self.journal.connect()) as db, reach(self.folder, None) as kept:
            return verify(db, self.folder, kept, now, deep=deep)


@pytest.fixture
def seeded(tmp_path: Path, journal: "JournalFile") -> Seeded:
    """A whole history."""
    return Seeded(tmp_path, journal)


def test_a_whole_history_is_whole(seeded: Seeded) -> None:
    """The negative control: nothing is wrong, and all was really compared. Pruned is not missing."""
    found = seeded.verify()
    assert (found.whole, found.compared, found.first, found.last, found.held) == (True, 100, 1, 100, 100)
    seeded.journal.ask("DELETE FROM batch WHERE last <= 40")
    assert seeded.verify().whole
    assert seeded.verify(deep=True).whole
    assert seeded.verify().compared == 60


def test_what_waits_is_not_missing(seeded: Seeded) -> None:
    """Readings past the cursor are behind, not missing; how many and for how long is said."""
    seeded.ship(seeded.rows()[:80], 80)
    found = seeded.verify()
    assert (found.whole, found.behind, found.behind_ms) == (True, 20, 120_000)


@pytest.mark.parametrize("deep", [False, True])
def test_missing(seeded: Seeded, deep: bool) -> None:
    """In the journal and not in the store, though its cursor is past them."""
    seeded.ship([row for row in seeded.rows() if row.seq not in (7, 30, 31, 32, 100)])
    found = seeded.verify(deep=deep)
    assert (found.whole, found.missing) == (False, [Range(7, 7), Range(30, 32), Range(100, 100)])
    assert not found.lost


def test_a_late_reading_is_looked_for_where_it_is(seeded: Seeded) -> None:
    """A reading that is days older than its neighbours is found in the store, and missed when it is not there."""
    seeded.journal.read(1, start=NOW - 5 * DAY)
    seeded.ship(seeded.rows(), 101)
    assert seeded.verify().whole
    seeded.ship(seeded.rows()[:-1], 101)
    assert seeded.verify().missing == [Range(101, 101)]


def test_changed(seeded: Seeded) -> None:
    """The store tells another value than the journal."""
    seeded.ship([msgspec.structs.replace(row, value=51.0) if row.seq == 9 else row for row in seeded.rows()])
    found = seeded.verify()
    assert (found.whole, found.changed, found.missing) == (False, [Range(9, 9)], [])


@pytest.mark.parametrize("pruned", [0, 50])
def test_twice(seeded: Seeded, pruned: int) -> None:
    """A reading that the store holds twice; of what the journal has forgotten only a deep look tells."""
    seeded.ship([*seeded.rows(), *seeded.rows()[10:12]])
    seeded.journal.ask("DELETE FROM batch WHERE last <= ?", pruned)
    assert seeded.verify(deep=pruned > 0).twice == [Range(11, 12)]
    assert seeded.verify().whole is (pruned > 0)


def test_lost(seeded: Seeded) -> None:
    """Numbers that neither has: between batches, and before the journal's first, when nobody had shipped them."""
    rows = seeded.rows()
    seeded.ship([row for row in rows if not 20 <= row.seq <= 24])
    seeded.journal.ask("DELETE FROM batch WHERE last BETWEEN 20 AND 24")
    assert seeded.verify().lost == [Range(20, 24)]
    seeded.ship(rows)
    assert seeded.verify().whole  # the journal's hole alone is none: the store has them
    seeded.ship(rows[:10], 10)
    seeded.journal.ask("DELETE FROM batch WHERE last <= 50")
    assert seeded.verify().lost == [Range(11, 50)]


def test_lost_long_before(seeded: Seeded) -> None:
    """A deep look finds a hole in the years; so long ago that the law may have wanted it, it is no reproach."""
    seeded.ship([row for row in seeded.rows() if row.seq not in (5, 6)])
    seeded.journal.ask("DELETE FROM batch WHERE last <= 50")
    assert seeded.verify().whole
    assert seeded.verify(deep=True).lost == [Range(5, 6)]
    late = seeded.verify(deep=True, now=NOW + KEEP_TRACES_MS + DAY)
    assert (late.whole, late.old) == (True, [Range(5, 6)])


def test_what_is_explained_is_not_lost(seeded: Seeded) -> None:
    """Refused points and thinned stretches are told, and are no reproach; forgotten ones in a batch are neither."""
    rows = seeded.rows()
    seeded.ship([row for row in rows if row.seq not in (3, 20, 21, 40)])
    seeded.journal.ask("INSERT INTO quarantine VALUES (1, ?, 'noise-1', 'malformed', 'history: 400: no', ?)", NOW, msgspec.json.encode(rows[2]))  # fmt: skip  # noqa: E501
    seeded.journal.ask("CREATE TABLE IF NOT EXISTS thinned (id INTEGER PRIMARY KEY, at, step_s, first, last, since, until, readings)")  # fmt: skip  # noqa: E501
    seeded.journal.ask("INSERT INTO thinned VALUES (1, 0, 60, 20, 21, 0, 0, 2)")
    seeded.journal.ask("DELETE FROM batch WHERE last IN (20, 21)")
    seeded.journal.ask("UPDATE batch SET readings = '[null]' WHERE last = 40")
    found = seeded.verify()
    assert (found.whole, found.refused, [each.readings for each in found.thinned]) == (True, [Range(3, 3)], [2])


def test_damage(seeded: Seeded) -> None:
    """A batch that cannot be read, and a file that was set aside."""
    seeded.journal.ask("UPDATE batch SET readings = '[[' WHERE last = 4")
    assert (seeded.verify().whole, seeded.verify().damaged) == (False, [Range(4, 4)])
    seeded.journal.ask("DELETE FROM batch WHERE last = 4")
    assert seeded.verify().whole
    (seeded.folder / "history.duckdb.corrupt-17").write_bytes(b"xyz")
    found = seeded.verify()
    assert (found.whole, found.aside[0].file, found.aside[0].bytes) == (False, "history.duckdb.corrupt-17", 3)


@pytest.mark.parametrize("seed", range(4))
def test_seeded_damage_is_found_exactly(seeded: Seeded, seed: int) -> None:
    """Readings taken out, changed and doubled at random: the verdict names those and no others."""
    chance = random.Random(seed)
    gone, bent, twice = (set(some) for some in (lambda n: (n[:9], n[9:14], n[14:20]))(chance.sample(range(1, 101), 20)))
    rows = [row for row in seeded.rows() if row.seq not in gone]
    rows = [msgspec.structs.replace(row, quality="late") if row.seq in bent else row for row in rows]
    rows += [row for row in rows if row.seq in twice]
    chance.shuffle(rows)
    seeded.ship(rows)
    found = seeded.verify()
    assert found.missing == list(ranges(sorted(gone)))
    assert found.changed == list(ranges(sorted(bent)))
    assert found.twice == list(ranges(sorted(twice)))


def test_rebuild_from_the_journal(seeded: Seeded) -> None:
    """What is missing comes back, once; what is there is left alone, and so is the cursor."""
    seeded.ship([row for row in seeded.rows() if row.seq % 4])
    with closing(DuckStore(seeded.folder / "history.duckdb", Clock())) as store:
        assert rebuild(seeded.folder, store, NOW, snapshot=False) == door.Mended(journal=25, snapshot=0)
        assert rebuild(seeded.folder, store, NOW, snapshot=False) == door.Mended(journal=0, snapshot=0)
        assert (store.count(), store.cursor()) == (100, 100)
    assert seeded.verify(deep=True).whole


def test_rebuild_from_the_snapshot(seeded: Seeded) -> None:
    """After a file was set aside: what the journal has forgotten comes from the snapshot, passages by law alone."""
    old = Row(1, "gate-2", "passage", NOW - KEEP_TRACES_MS - 1, NOW, "granted", "good")
    with closing(DuckStore(seeded.folder / "history.duckdb", Clock())) as store:
        store.add([old])
        take_snapshot(store, seeded.folder, NOW)
    seeded.journal.ask("DELETE FROM batch WHERE last <= 50")
    seeded.ship(seeded.rows(), 100)
    with closing(DuckStore(seeded.folder / "history.duckdb", Clock())) as store:
        assert rebuild(seeded.folder, store, NOW, snapshot=True) == door.Mended(journal=0, snapshot=50)
        assert store.count() == 100
    assert seeded.verify(deep=True).whole


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs `zhian history`: exit code and what was said."""

    def ran(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["zhian", "history", *arguments, "--data", str(tmp_path)])
        with pytest.raises(SystemExit) if arguments[0] == "verify" else closing(sqlite3.connect(":memory:")) as end:
            main()
        code = end.value.code if isinstance(end, pytest.ExceptionInfo) else 0
        return int(code or 0), capsys.readouterr().out

    return ran


def test_the_command_tells_what_was_thinned(seeded: Seeded, run: Run) -> None:
    """From when to when, how many, and how many are left; exit 0: it is the stated policy, and no damage."""
    thinned = (
        "INSERT INTO thinned (id, at, step_s, first, last, since, until, readings) VALUES (1, 0, 60, 20, 21, ?, ?, 2)"
    )
    seeded.journal.ask(thinned, NOW, NOW + 3_600_000)
    seeded.journal.ask("DELETE FROM batch WHERE last IN (20, 21)")
    seeded.ship([row for row in seeded.rows() if row.seq not in (20, 21)])
    code, out = run("verify")
    (line,) = (line for line in out.splitlines() if line.startswith("thinned"))
    assert code == 0
    assert "2 readings (of 20 to 21) were given up, as the journal was nearly full: of each series one in 60 s" in line
    assert line.startswith("thinned: 2025-10-")


async def test_the_command_says_what_to_do(seeded: Seeded, run: Run) -> None:
    """Exit 1 with the numbers and the remedy; the remedy works beside a running office, and then exit 0."""
    assert run("verify")[0] == 0
    seeded.ship([row for row in seeded.rows() if row.seq not in (30, 31, 32)])
    code, out = run("verify")
    assert code == 1
    assert "missing: 3 readings (30 to 32)" in out
    assert "`zhian history rebuild` puts them back" in out
    assert out.endswith("THE HISTORY IS NOT WHOLE\n")
    with closing(DuckStore(seeded.folder / "history.duckdb", Clock())) as store:
        chores = door.Chores(rebuild=lambda wide: rebuild(seeded.folder, store, NOW, snapshot=wide))
        task = asyncio.create_task(door.serve(store, seeded.folder, chores))
        async with asyncio.timeout(10):
            while not _answers(seeded.folder / door.SOCKET):
                await asyncio.sleep(0.01)
        _, out = await asyncio.to_thread(run, "rebuild")
        assert "put back: 3 readings from the journal" in out
        code, out = await asyncio.to_thread(run, "verify", "--deep", "--json")
        task.cancel()
    assert (code, json.loads(out)["missing"]) == (0, [])


@given(st.sets(st.integers(1, 60)), st.integers(1, 60))
def test_numbers_ticked_off(numbers: set[int], first: int) -> None:
    """What was ticked and what was not are the range, without overlap."""
    whole = Range(first, first + 40)
    ticked = Ticked(whole)
    for number in numbers:
        ticked.tick(number, 7)
    inside = {n for n in numbers if whole.first <= n <= whole.last}
    assert [n for r in ticked.ticked() for n in range(r.first, r.last + 1)] == sorted(inside)
    rest = [n for r in ticked.rest() for n in range(r.first, r.last + 1)]
    assert rest == sorted(set(range(whole.first, whole.last + 1)) - inside)
    explained = list(without([whole], ranges(sorted(inside))))
    assert [n for r in explained for n in range(r.first, r.last + 1)] == rest


Keys = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5)), max_size=12)


@given(st.sets(st.tuples(st.integers(0, 4), st.integers(1, 5))), Keys)
def test_beside_is_what_sets_say(wanted: set[tuple[int, int]], found: list[tuple[int, int]]) -> None:
    """Two streams of any readings, against a comparison that holds all of them at once."""
    ours = [Row(seq, "d", "laeq", ts, ts, 1.0, "good") for ts, seq in sorted(wanted)]
    theirs = [Row(seq, "d", "laeq", ts, ts, 1.0, "good") for ts, seq in sorted(found, key=lambda key: key[0])]
    told = list(beside(iter(ours), iter(theirs)))

    def keys(*kinds: Wrong) -> list[tuple[int, int]]:
        chosen = [each.row for each in told if isinstance(each, Difference) and each.wrong in kinds]
        return sorted((row.ts, row.seq) for row in chosen)

    extra = {(each.row.ts, each.row.seq) for each in told if isinstance(each, Extra)}
    assert keys(Wrong.MISSING) == sorted(wanted - set(found))
    assert extra == set(found) - wanted
    assert keys(Wrong.TWICE) == sorted(key for key in set(found) for _ in range(found.count(key) - 1))
    assert keys(Wrong.CHANGED) == []
