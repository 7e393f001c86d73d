"""`zhian export --step`: figures of each step of the site's clock, with every gap, as CSV and as Parquet."""

import asyncio
import csv
import math
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from hub.clock import Clock
from hub.history import door
from hub.history.duck import DuckStore
from hub.history.reach import _answers
from hub.history.sheet import Sheet
from hub.history.steps import Known, Stepped, steps, wider
from hub.history.stream import Selection, opened
from hub.history.tally import Grid
from hub.journal.batches import Row
from hub.settings.door import load_site

if TYPE_CHECKING:
    from tests.hub.history.conftest import JournalFile, Run

ROOT = Path(__file__).parents[3]
HOUR = 3_600_000
DAY = 24 * HOUR


@pytest.fixture
def begin(journal: "JournalFile", tmp_path: Path) -> int:
    """Of an hour of the site two days ago, in which its history has a sound level each 10 s, a gate and passages."""
    (tmp_path / "site.toml").write_text((ROOT / "deploy" / "site.example.toml").read_text(encoding="utf-8"))
    journal.ask("INSERT INTO meta VALUES ('site_file', ?)", str(tmp_path / "site.toml"))
    at = (Clock().now() - 2 * DAY) // HOUR * HOUR
    said: list[tuple[str, str, int, float | str]] = [("gate-north", "gate", at - 30 * DAY, "closed")]
    said += [("noise-north", "laeq", at + n * 10_000, 40.0 + 20 * (n % 2)) for n in range(180)]
    said += [("gate-north", "tamper", at + n * 60_000, "normal") for n in range(60)]
    said += [("gate-north", "gate", at + 10 * 60_000, "open"), ("gate-north", "gate", at + 15 * 60_000, "closed")]
    said += [("gate-north", "passage", at + 10 * 60_000 + n, "granted") for n in range(3)]
    with closing(DuckStore(tmp_path / "history.duckdb", Clock())) as store:
        store.append([Row(n, d, q, ts, ts, v, "good") for n, (d, q, ts, v) in enumerate(said, 1)], len(said))
    journal.ask("INSERT INTO batch VALUES (?, ?, ?, '[null]')", len(said) + 1, len(said) + 1, Clock().now() - 60_000)
    journal.ask("INSERT INTO cursor VALUES ('history', ?, 0)", len(said))
    return at


def span(begin: int, hours: int = 1) -> list[str]:
    """`--since` and `--until` with their offsets."""
    return [
        part
        for name, at in (("--since", begin), ("--until", begin + hours * HOUR))
        for part in (
            name,
            f"{Sheet(None, load_site(ROOT / 'deploy' / 'site.example.toml').tz, 'en').local(at).time[:19]}",
        )
    ]


def cells(file: Path) -> list[dict[str, str]]:
    """As a spreadsheet reads it."""
    with file.open(encoding="utf-8-sig", newline="") as text:
        return list(csv.DictReader(text))


def test_levels_by_energy_with_their_gap(run: "Run", begin: int, tmp_path: Path) -> None:
    """Lowest, energy mean, highest, count and coverage of each step; half an hour without readings stands there too."""
    out = tmp_path / "x.csv"
    code, _, err = run("export", "noise-north", "--quantity", "laeq", *span(begin), "--step", "15m", "--out", str(out))
    assert code == 0, err
    found = cells(out)
    mean = f"{10 * math.log10((10**4 + 10**6) / 2):.2f}"
    assert [row["平均值（声级按能量）"] for row in found] == [mean, mean, "", ""]
    assert [(row["最小值"], row["最大值"], row["读数或事件个数"]) for row in found[:2]] == [("40.0", "60.0", "90")] * 2
    assert [row["有数据的时间占比"] for row in found] == ["1.0", "0.9889", "0.0", "0.0"]
    assert "180 readings of 1 devices in 4 lines" in err


def test_states_last_and_events_are_counted(run: "Run", begin: int, tmp_path: Path) -> None:
    """A gate told closed a month ago is closed while its device speaks; its five open minutes are seconds."""
    out = str(tmp_path / "x.csv")
    code, _, err = run("export", "gate-north", *span(begin), "--step", "1h", "--lang", "en", "--out", out)
    assert code == 0, err
    found = {(row["quantity"], row["state or event"]): row for row in cells(tmp_path / "x.csv")}
    assert found["gate", "open"]["seconds"] == "300.0"
    assert found["gate", "closed"]["seconds"] == "3300.0"
    assert found["gate", "open"]["state or event in words"] == "open"
    assert found["passage", "granted"]["readings or events"] == "3"
    assert "personal data" not in err  # counts say of nobody where he went


def test_parquet_and_what_was_thinned(run: "Run", begin: int, journal: "JournalFile", tmp_path: Path) -> None:
    """Typed columns; a step in which readings had to be given up says so, and so does the command."""
    thinned = "INSERT INTO thinned (at, step_s, first, last, since, until, readings) VALUES (?, 60, 1, 9, ?, ?, 9)"
    journal.ask(thinned, begin, begin + 20 * 60_000, begin + 25 * 60_000)
    out = tmp_path / "x.parquet"
    code, _, err = run("export", "noise-north", *span(begin), "--step", "15m", "--out", str(out))
    assert (code, "readings were given up" in err) == (0, True), err
    with closing(duckdb.connect()) as db:
        found = db.execute(f"SELECT mean, count, thinned, epoch_ms(time_utc) FROM '{out}' ORDER BY ts").fetchall()
    assert [row[2] for row in found] == [False, True, False, False]
    assert [row[3] for row in found] == [begin + n * HOUR // 4 for n in range(4)]
    assert found[3][:2] == (None, 0)
    run("export", "noise-north", *span(begin), "--out", str(tmp_path / "y.csv"))
    assert len(cells(tmp_path / "y.csv")) == 180


def test_a_step_that_divides_no_day_is_refused(run: "Run", begin: int, tmp_path: Path) -> None:
    """Exit 2, with what would be right; no file."""
    for step in ("7m", "2d", "500ms"):
        code, _, err = run("export", "noise-north", "--since", "3d", "--step", step, "--out", str(tmp_path / "x.csv"))
        assert (code, "--step" in err, "15m" in err) == (2, True, True), err
    assert not (tmp_path / "x.csv").exists()


async def test_through_the_office_it_is_the_same(run: "Run", begin: int, tmp_path: Path) -> None:
    """While the office holds the file, the state before the span is asked at its door."""
    call = ("export", "gate-north", *span(begin), "--step", "30m", "--force", "--out", str(tmp_path / "x.csv"))
    await asyncio.to_thread(run, *call)
    alone = cells(tmp_path / "x.csv")
    with closing(DuckStore(tmp_path / "history.duckdb", Clock())) as store:
        task = asyncio.create_task(door.serve(store, tmp_path, door.Chores()))
        async with asyncio.timeout(10):
            while not _answers(tmp_path / door.SOCKET):
                await asyncio.sleep(0.01)
        code, _, err = await asyncio.to_thread(run, *call)
        task.cancel()
    assert (code, cells(tmp_path / "x.csv")) == (0, alone), err
    assert any(row["状态或事件代号"] == "open" for row in alone)


def test_memory_does_not_grow_with_the_span(begin: int, journal: "JournalFile", tmp_path: Path) -> None:
    """Four times the steps need no more than one time; the control, a list of them, does."""
    site = load_site(tmp_path / "site.toml")

    def peak(days: int, through: Callable[[Iterator[Stepped]], object]) -> int:
        chosen = Selection(since=begin - days * DAY, until=begin, devices=("noise-north",), quantities=("laeq",))
        with closing(journal.connect()) as db, opened(db, tmp_path, site, wider(chosen), Clock().now()) as stream:
            tracemalloc.start()
            try:
                through(steps(stream, chosen, Grid(3600, site.tz), Known(site.devices(), {}), lambda _: None))
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    few, many = (peak(days, lambda found: deque(found, maxlen=0)) for days in (30, 120))
    listed, listed_many = (peak(days, list) for days in (30, 120))
    assert many < few + 100_000
    assert listed_many > listed + 100_000
