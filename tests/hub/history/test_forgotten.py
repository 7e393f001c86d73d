"""What a site forgets, by quantity and grain; traces are in no file afterwards, archives and snapshots included."""

import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from device_profiles.door import Refusal
from hub.history.duck import DuckStore
from hub.history.duck_file import quoted
from hub.history.store import Grain
from hub.journal.batches import Row
from hub.keeping.agenda import nightly_backup
from hub.keeping.retention import DAY_MS, TRACES, ClockDoubt, forget_copies, forget_old, forget_traces, kept_days
from hub.settings.door import load_site
from hub.settings.site import History, Keep

if TYPE_CHECKING:
    from tests.hub.history.conftest import JournalFile, SetClock

MakeRow = Callable[..., Row]
T = 1_760_000_000_000
CHIP, CARD, TAG = "156000000000101", "card-7f3a91", "em4100:00000A1B2C"


def holding(folder: Path, scratch: Path, *texts: str) -> set[str]:
    """Names of all files that hold one of the texts, packed or not."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and any(_in(content, texts) for content in _contents(path, scratch))
    }


def _in(content: bytes, texts: tuple[str, ...]) -> bool:
    return any(text.encode() in content for text in texts)


def _contents(path: Path, scratch: Path) -> Iterator[bytes]:
    yield path.read_bytes()
    if path.suffix == ".parquet":
        with duckdb.connect() as db:
            yield repr(db.execute(f"FROM read_parquet({quoted(path)})").fetchall()).encode()
    if path.name.endswith(".tar.gz"):
        shutil.rmtree(scratch, ignore_errors=True)
        with tarfile.open(path) as tar:
            tar.extractall(scratch, filter="data")
        for inner in scratch.rglob("*"):
            if inner.is_file():
                yield from _contents(inner, scratch / "inner")


def beat(journal: "JournalFile", at: int) -> None:
    """The hub wrote something."""
    journal.ask("INSERT OR REPLACE INTO meta VALUES ('heartbeat', ?)", str(at))


def test_old_traces_are_in_no_file_and_no_archive(
    tmp_path: Path, journal: "JournalFile", clock: "SetClock", row: MakeRow
) -> None:
    """A passage, a chip and a tag of 30 days ago, night by night: a week after its end no file of any kind has them."""
    data, scratch = tmp_path / "data", tmp_path / "scratch"
    data.mkdir()
    site = tmp_path / "site.toml"
    site.write_text('[site]\nid = "zhongshan"\n')
    mine = type(journal)(data / "journal.sqlite")
    store = DuckStore(data / "history.duckdb", clock)
    traces = [
        row(1, "granted", quantity="passage", detail=f'{{"credential":"{CARD}"}}', ts=T),
        row(2, CHIP, quantity="chip", ts=T),
        row(3, TAG, quantity="other_chip", ts=T),
    ]
    store.append([*traces, row(4, 50.0, ts=T)], 4)
    mine.read(1, start=T, quantity="chip", value=CHIP)
    (data / f"history.duckdb.corrupt-{T}").write_text(CHIP)
    beat(mine, T)
    held: list[set[str]] = []
    for night in range(40):
        clock.at = T + night * DAY_MS
        beat(mine, clock.at)
        with pytest.raises(ClockDoubt) if night == 0 else nullcontext():
            forget_traces(store, data, clock.at)
        nightly_backup(store, data, site, clock.at)
        if night in (0, 29, 39):
            mine.ask("PRAGMA wal_checkpoint(TRUNCATE)")
            held.append(holding(data, scratch, CHIP, CARD, TAG))
    store.close()
    assert {name.split("/")[0] for name in held[0]} >= {"journal.sqlite", "history-snapshots", "backups"}
    assert {name.split("/")[0] for name in held[1]} >= {"journal.sqlite", "history-snapshots", "backups"}
    assert held[2] == set()
    assert holding(data, scratch, CHIP, CARD, TAG) == set()
    left = DuckStore(data / "history.duckdb", clock)
    assert [each.seq for each in left.readings("noise-1", 0, 2 * T)] == [4]
    left.close()


def test_old_copies_go_but_for_the_newest_archive(tmp_path: Path) -> None:
    """By the time in their names; what people put there themselves stays."""
    names = ["backups/zhian-20251001T000000Z.tar.gz", "backups/zhian-20251002T000000Z.tar.gz", "backups/mine.tar.gz"]
    names += [
        f"history.duckdb.corrupt-{T - 1}",
        f"history.duckdb.corrupt-{T - 1}.wal",
        f"history.duckdb.corrupt-{T + 1}",
    ]
    names += [f"history-snapshots/{T - 1}/reading.parquet", f"history-snapshots/{T + 1}/reading.parquet"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    assert forget_copies(tmp_path, T) == 4
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {names[1], names[2], names[5], names[7]}


def test_what_is_kept_is_told_by_quantity_and_grain() -> None:
    """The site's days count for all, a quantity's own instead of them; traces are never among them."""
    found = kept_days(History(raw_days=400, hour_days=3650, keep={"laeq": Keep(minute_days=90)}))
    assert found[Grain.MINUTE, 90] == ["laeq"]
    assert "laeq" not in found[Grain.RAW, 400]
    assert "temperature" in found[Grain.RAW, 400]
    assert not set(TRACES) & {name for names in found.values() for name in names}
    assert kept_days(History()) == {}


def test_old_readings_go_and_their_figures_stay(
    tmp_path: Path, journal: "JournalFile", duck: DuckStore, row: MakeRow
) -> None:
    """Raw for ten days, hours for ever; on a clock that is not trusted nothing goes."""
    duck.append([row(1, 50.0, ts=T - 20 * DAY_MS), row(2, 60.0, ts=T - DAY_MS)], 2)
    history = History(raw_days=10)
    beat(journal, T - DAY_MS)
    with pytest.raises(ClockDoubt):
        forget_old(duck, tmp_path, history, T - DAY_MS)
    assert duck.count() == 2
    beat(journal, T)
    assert forget_old(duck, tmp_path, history, T) == 1
    assert duck.count() == 1
    assert sum(each.count for each in duck.series("noise-1", "laeq", T - 30 * DAY_MS, T, 100)) == 2


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("trace_days = 0", ["history.trace_days", "0"]),
        ("[history.keep.laeqq]\nraw_days = 5", ["history.keep.laeqq", "laeq"]),
        ("[history.keep.chip]\nraw_days = 500", ["history.keep.chip", "trace_days"]),
        ("raw_days = -1", ["history.raw_days", "-1"]),
    ],
)
def test_wrong_days_are_refused(tmp_path: Path, lines: str, words: list[str]) -> None:
    """With the key, the value and what would be right."""
    path = tmp_path / "site.toml"
    head = '[site]\nid = "a"\nname = { zh = "甲", en = "A" }\ntimezone = "Asia/Shanghai"\nnoise_class = "2"\n'
    path.write_text(f"{head}[history]\n{lines}\n")
    with pytest.raises(Refusal) as refused:
        load_site(path)
    for word in words:
        assert word in str(refused.value)
