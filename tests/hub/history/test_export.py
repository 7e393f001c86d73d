"""`zhian readings` and `zhian export`: files for spreadsheets, whole or not at all, bounded in memory."""

import asyncio
import csv
import json
import sqlite3
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import duckdb
import pytest

from hub.clock import Clock
from hub.history import door, outfile
from hub.history.duck import DuckStore
from hub.history.influx import InfluxStore
from hub.history.reach import _answers
from hub.history.sheet import Cell, Sheet, safe
from hub.journal.batches import Row
from hub.keeping.retention import KEEP_TRACES_MS
from hub.settings.door import load_site

if TYPE_CHECKING:
    from tests.hub.history.conftest import JournalFile, Run

ROOT = Path(__file__).parents[3]
DAY = 86_400_000
ROWS = 2_000


@pytest.fixture
def now(journal: "JournalFile", tmp_path: Path) -> int:
    """A site with a history of two devices, and a journal that goes on; the clock is the machine's."""
    now = Clock().now()
    (tmp_path / "site.toml").write_text((ROOT / "deploy" / "site.example.toml").read_text(encoding="utf-8"))
    journal.ask("INSERT INTO meta VALUES ('site_file', ?)", str(tmp_path / "site.toml"))
    with closing(DuckStore(tmp_path / "history.duckdb", Clock())) as store:
        store.append([
            Row(1, "noise-north", "laeq", now - DAY, now - DAY, 48.25, "good"),
            Row(2, "gate-north", "gate", now - DAY + 1, now - DAY + 1, "open", "good"),
            Row(3, "gate-north", "passage", now - DAY + 2, now - DAY + 2, "granted", "good", '{"direction":"in"}'),
            Row(4, "gate-north", "passage", now - KEEP_TRACES_MS - 1, now, "granted", "good"),
            Row(5, "=cmd|' /C calc'!A0", "laeq", now - DAY + 3, now - DAY + 3, -5.0, "good"),
        ], 5)  # fmt: skip
    journal.ask("INSERT INTO batch VALUES (5, 5, ?, '[null]')", now - 60_000)
    journal.read(3, start=now - 10_000)
    return now


def cells(file: Path) -> list[dict[str, str]]:
    """As a spreadsheet reads it."""
    with file.open(encoding="utf-8-sig", newline="") as text:
        return list(csv.DictReader(text))


def test_readings_of_any_span(run: "Run", now: int) -> None:
    """Days back to now in one stream, as lines or JSON; quantities by choice; an until is not included."""
    _, out, _ = run("readings", "noise-1", "--since", "3d", "--json")
    assert [json.loads(line)["ts"] for line in out.splitlines()] == [now - 10_000, now - 9_000, now - 8_000]
    _, out, _ = run("readings", "gate-north", "--since", "3d", "--quantity", "gate")
    assert out.split()[:2] == ["gate-north", "gate"]
    until = datetime.fromtimestamp((now - DAY + 2) / 1000, ZoneInfo("Asia/Shanghai")).isoformat()
    _, out, _ = run("readings", "gate-north", "--since", "40d", "--until", until, "--json")
    assert [json.loads(line)["value"] for line in out.splitlines()] == ["open"]


def test_a_table_that_excel_opens_in_chinese(run: "Run", now: int, tmp_path: Path) -> None:
    """Byte order mark, Chinese heads and names, local time beside UTC, units, states in words."""
    code, _, err = run("export", "noise-north", "gate-north", "--since", "40d", "--out", str(tmp_path / "x.csv"))
    assert (code, (tmp_path / "x.csv").read_bytes()[:3]) == (0, b"\xef\xbb\xbf")
    level, gate, passage = cells(tmp_path / "x.csv")
    there = datetime.fromtimestamp((now - DAY) / 1000, ZoneInfo("Asia/Shanghai"))
    assert level["时间（当地）"] == there.strftime("%Y-%m-%d %H:%M:%S.") + f"{(now - DAY) % 1000:03d}"
    assert (level["时区"], level["时间戳（UTC 毫秒）"]) == ("UTC+08:00", str(now - DAY))
    assert (level["设备名称"], level["区域"], level["量"]) == ("北门噪声计", "北门", "等效声级")
    assert (level["值"], level["单位"], level["个人信息，须删除于"]) == ("48.25", "dB", "")
    assert (gate["值"], gate["值（文字）"]) == ("open", "打开")
    gone = datetime.fromtimestamp((now - DAY + 2 + KEEP_TRACES_MS) / 1000, ZoneInfo("Asia/Shanghai"))
    assert passage["个人信息，须删除于"].startswith(gone.strftime("%Y-%m-%d %H:%M"))
    assert "1 of them say who went where" in err
    assert "3 readings of 2 devices" in err


def test_in_english_by_zone_and_quantity(run: "Run", now: int, tmp_path: Path) -> None:
    """Heads and names in the other language; only what was chosen."""
    out = str(tmp_path / "x.csv")
    code, _, _ = run(
        "export", "--zone", "north-gate", "--quantity", "laeq", "--since", "2d", "--lang", "en", "--out", out
    )
    assert code == 0
    (row,) = cells(tmp_path / "x.csv")
    assert (row["device"], row["quantity name"], row["area"]) == ("noise-north", "Sound level LAeq", "North gate")


def test_everything_is_everything(run: "Run", now: int, tmp_path: Path) -> None:
    """`--all` has devices that the site has no more, from history and journal; a name that is a formula is a text."""
    run("export", "--all", "--since", "2d", "--out", str(tmp_path / "x.csv"))
    found = [row["设备编号"] for row in cells(tmp_path / "x.csv")]
    assert found == ["'=cmd|' /C calc'!A0", "gate-north", "gate-north", *["noise-1"] * 3, "noise-north"]
    assert cells(tmp_path / "x.csv")[0]["值"] == "-5.0"  # a number stays a number


def test_parquet(run: "Run", now: int, tmp_path: Path) -> None:
    """Typed columns, the values in two of them, instants in UTC; texts are not bent for spreadsheets."""
    code, _, _ = run("export", "--all", "--since", "2d", "--out", str(tmp_path / "x.parquet"))
    assert code == 0
    with closing(duckdb.connect()) as db:
        asked = f"SELECT device, number, text, epoch_ms(time_utc), ts FROM '{tmp_path}/x.parquet'"
        found = db.execute(asked).fetchall()
    assert found[0] == ("=cmd|' /C calc'!A0", -5.0, None, now - DAY + 3, now - DAY + 3)
    assert found[1] == ("gate-north", None, "open", now - DAY + 1, now - DAY + 1)
    assert sorted(path.name for path in tmp_path.glob("x*")) == ["x.parquet"]
    assert (tmp_path / "x.parquet").stat().st_mode & 0o777 == 0o600


REFUSED = [
    (["--all", "--out", "{}/x.xls"], "FILE.csv or FILE.parquet"),
    (["--all", "--out", "{}/there.csv"], "is there already; choose another name, or --force"),
    (["--all", "--out", "{}/no/x.csv"], "its folder does not exist"),
    (["--out", "{}/x.csv"], "name devices, --zone, --quantity or --all"),
    (["gate-nort", "--out", "{}/x.csv"], "gate-north"),
    (["--zone", "lak", "--out", "{}/x.csv"], "lake"),
    (["--quantity", "laeqq", "--out", "{}/x.csv"], "laeq"),
    (["--all", "--since", "1d", "--until", "2d", "--out", "{}/x.csv"], "does not lie before"),
    (["--all", "--since", "gestern", "--out", "{}/x.csv"], "2026-01-31T22:00"),
]


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_mistakes_are_named(run: "Run", now: int, tmp_path: Path, call: list[str], words: str) -> None:
    """Exit 2 with what would be right; no file is written, none is replaced."""
    (tmp_path / "there.csv").write_text("mine")
    code, _, err = run("export", *(part.format(tmp_path) for part in call))
    assert (code, words in err) == (2, True), err
    assert (tmp_path / "there.csv").read_text() == "mine"
    assert list(tmp_path.glob("x*")) == []


def test_force_replaces(run: "Run", now: int, tmp_path: Path) -> None:
    """Only when it is asked for."""
    (tmp_path / "there.csv").write_text("mine")
    code, _, _ = run("export", "--all", "--since", "2d", "--force", "--out", str(tmp_path / "there.csv"))
    assert (code, len(cells(tmp_path / "there.csv"))) == (0, 7)


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_half_a_file_is_none(name: str, tmp_path: Path) -> None:
    """A history that breaks off leaves no file, and the one that was there as it was."""

    def breaking() -> Iterator[Row]:
        yield Row(1, "d", "laeq", 1, 1, 1.0, "good")
        raise OSError(28, "No space left on device")

    (tmp_path / name).write_text("before")
    with pytest.raises(OSError, match=r"No space.*x\."):
        outfile.writer_for(tmp_path / name, force=True)(tmp_path / name, breaking(), Sheet(None, ZoneInfo("UTC"), "zh"))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "before")]


CELLS: list[tuple[Cell, Cell]] = [
    ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\t=x", "'\t=x"), ("\r=x", "'\r=x"),
    ("  =x", "'  =x"), ("＝1", "'＝1"), ("1234567890123456", "'1234567890123456"),
    ("156000000000101", "156000000000101"),
    ("open", "open"), ("", ""), (-5.0, -5.0), ("北门", "北门"), ("a=b", "a=b"),
]  # fmt: skip


@pytest.mark.parametrize(("cell", "shown"), CELLS)
def test_no_text_is_a_formula(cell: Cell, shown: Cell) -> None:
    """What begins like a formula, also in full width, is marked as a text; so are long rows of digits."""
    assert safe(cell) == shown


def test_the_hour_that_comes_twice() -> None:
    """When clocks are put back the local time alone is ambiguous: zone and UTC tell the two apart."""
    sheet = Sheet(None, ZoneInfo("Europe/Berlin"), "en")
    first, second = 1_761_436_800_123, 1_761_440_400_123  # 2025-10-26, 02:00 summer time and 02:00 again
    assert sheet.local(first) == ("2025-10-26 02:00:00.123", "UTC+02:00")
    assert sheet.local(second) == ("2025-10-26 02:00:00.123", "UTC+01:00")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Ten times the readings need no more memory; the control, a list of them, does."""

    def peak(count: int, through: Callable[[Iterator[Row]], object]) -> int:
        rows = (Row(n, "noise-1", "laeq", n, n, 50.0, "good") for n in range(count))
        tracemalloc.start()
        try:
            through(rows)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    sheet = Sheet(None, ZoneInfo("UTC"), "zh")
    few, many = (peak(n, lambda rows: outfile.write_csv(tmp_path / "x.csv", rows, sheet)) for n in (ROWS, 10 * ROWS))
    listed, listed_many = (peak(n, list) for n in (ROWS, 10 * ROWS))
    assert many < few + 500_000
    assert listed_many > 5 * listed


async def test_through_the_office(run: "Run", now: int, tmp_path: Path) -> None:
    """While the office process holds the file, it answers at its door: the same file."""
    call = ("export", "--all", "--since", "2d", "--force", "--out", str(tmp_path / "x.csv"))
    await asyncio.to_thread(run, *call)
    alone = cells(tmp_path / "x.csv")
    with closing(DuckStore(tmp_path / "history.duckdb", Clock())) as store:
        task = asyncio.create_task(door.serve(store, tmp_path, door.Chores()))
        async with asyncio.timeout(10):
            while not _answers(tmp_path / door.SOCKET):
                await asyncio.sleep(0.01)
        code, _, _ = await asyncio.to_thread(run, *call)
        task.cancel()
    assert (code, cells(tmp_path / "x.csv")) == (0, alone)
    assert len(alone) == 7


def test_from_influxdb(run: "Run", journal: "JournalFile", tmp_path: Path, influxd: str) -> None:
    """Where InfluxDB is the store and no office runs, the site file says where it is."""
    now, bucket = Clock().now(), f"zhian-{uuid.uuid4().hex}"
    text = (ROOT / "deploy" / "site.example.toml").read_text(encoding="utf-8")
    (tmp_path / "site.toml").write_text(
        f'{text}\n[history]\nstore = "influxdb"\nurl = "{influxd}"\nbucket = "{bucket}"\n'
    )
    site = load_site(tmp_path / "site.toml")
    journal.ask("INSERT INTO meta VALUES ('site_file', ?)", str(tmp_path / "site.toml"))
    with closing(InfluxStore(influxd, "", bucket, "", site=site.id, refused=lambda *_: None)) as store:
        store.append([Row(1, "noise-1", "laeq", now - DAY, now - DAY, 44.0, "good")], 1)
    journal.ask("INSERT INTO batch VALUES (1, 1, ?, '[null]')", now - DAY)
    journal.read(2, start=now - 5_000)

    code, out, err = run("readings", "noise-1", "--since", "2d", "--json")
    assert (code, err) == (0, "")
    assert [json.loads(line)["value"] for line in out.splitlines()] == [44.0, 50.0, 50.0]


def test_a_journal_of_a_site_that_is_gone(run: "Run", now: int, tmp_path: Path) -> None:
    """Without a site file devices go by their ids, and the readings are told all the same."""
    (tmp_path / "site.toml").unlink()
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM batch").fetchone()[0] == 4
    code, _, _ = run("export", "noise-north", "--since", "2d", "--out", str(tmp_path / "x.csv"))
    (row,) = cells(tmp_path / "x.csv")
    assert (code, row["设备编号"], row["设备名称"], row["值"]) == (0, "noise-north", "", "48.25")
