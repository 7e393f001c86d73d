"""How readings move on in the file: sorted, rolled up, forgotten; what is asked is answered the same at every level."""

import math
import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.history import duck_levels, duck_unpack
from hub.history.duck import DuckStore
from hub.history.duck_snapshot import load_snapshot
from hub.history.duck_tables import FRESH
from hub.history.store import HOUR_MS, MINUTE_MS, Bucket, Figure, Grain, Page
from hub.journal.batches import Batch, Row

if TYPE_CHECKING:
    from tests.hub.history.conftest import SetClock

MakeRow = Callable[..., Row]
DAY_MS = 24 * HOUR_MS
T = 1_760_000_000_000 // DAY_MS * DAY_MS


def settle(store: DuckStore) -> None:
    """Into runs, as when much has come."""
    store.write(duck_levels.settle)


def carry(store: DuckStore, rows: list[Row]) -> None:
    """As one batch of the journal: good numbers go into one of the tables of what is fresh, the rest into the other."""
    packed = [[row.device, row.quantity, row.value, row.ts, row.rx, row.quality, None] for row in rows]
    batch = Batch(rows[-1].seq, rows[0].seq, msgspec.json.encode(packed).decode())
    store.append_pages([Page([batch], rows[0].seq - 1)], lambda _, bad: None)


@pytest.fixture
def by_sql(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches too."""
    monkeypatch.setattr(duck_unpack, "_MANY", 0)


def sort_all(store: DuckStore) -> None:
    """For good, also what makes no whole group."""
    store.compact(1)


def nothing(store: DuckStore) -> None:
    """As it came."""


MOVES = [nothing, settle, sort_all]


def brute(rows: list[Row], device: str, quantity: str, width: int, anchor: int, since: int, until: int) -> list[Bucket]:
    """Buckets by the definition, from every row."""
    found: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        mine = (row.device, row.quantity) == (device, quantity) and since <= row.ts < until
        if mine and not isinstance(row.value, str) and row.quality != "retained":
            found[(row.ts - anchor) // width].append(row.value)
    return [_bucket(max(since, anchor + slot * width), found[slot], quantity) for slot in sorted(found)]


def _bucket(ts: int, values: list[float], quantity: str) -> Bucket:
    if quantity == "laeq":
        middle = 10 * math.log10(math.fsum(10 ** (value / 10) for value in values) / len(values))
    else:
        middle = math.fsum(values) / len(values)
    return Bucket(ts, min(values), middle, max(values), len(values))


def alike(found: list[Bucket], wanted: list[Bucket]) -> bool:
    """Equal, but for the last digits of means."""
    return [(b.ts, b.low, b.high, b.count) for b in found] == [(b.ts, b.low, b.high, b.count) for b in wanted] and all(
        math.isclose(a.mean, b.mean, abs_tol=2e-6) for a, b in zip(found, wanted, strict=True)
    )


plans = st.lists(st.tuples(st.sampled_from(MOVES), st.integers(1, 60)), min_size=1, max_size=6)


@pytest.mark.usefixtures("by_sql")
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    plan=plans,
    seed=st.integers(0, 2**32),
    since=st.integers(-MINUTE_MS, HOUR_MS),
    span=st.sampled_from([90_000, HOUR_MS, 7 * HOUR_MS + 13, 3 * DAY_MS, 40 * DAY_MS]),
    points=st.sampled_from([1, 7, 400]),
)
def test_charts_and_figures_are_those_of_every_reading(
    tmp_path: Path,
    clock: "SetClock",
    plan: list[tuple[Callable[[DuckStore], None], int]],
    seed: int,
    since: int,
    span: int,
    points: int,
) -> None:
    """Raw, by the minute, by the hour, late, replayed, in whatever level: each bucket holds what lies in it."""
    made = random.Random(seed)
    store = DuckStore(tmp_path / "history.duckdb", clock)
    rows: list[Row] = []
    try:
        for move, count in plan:
            new = [_random(made, len(rows) + n + 1, span) for n in range(count)]
            carry(store, new)
            rows += new
            move(store)
        a, b = T + since, T + since + span
        for quantity in ("laeq", "temperature"):
            found = store.series("noise-1", quantity, a, b, points)
            width, anchor = _grid(a, b, points)
            assert alike(found, brute(rows, "noise-1", quantity, width, anchor, a, b))
            assert len(found) <= points
            for step in (MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 90_000):
                begin, end = -(-a // step) * step, -(-b // step) * step
                figures: list[Figure] = store.figures("noise-1", quantity, a, b, step)
                wanted = brute(rows, "noise-1", quantity, step, 0, begin, end)
                assert alike([Bucket(f.ts, f.low, f.mean, f.high, f.count) for f in figures], wanted)
                assert all(0 < figure.coverage <= 1 for figure in figures)
    finally:
        store.close()
        (tmp_path / "history.duckdb").unlink()


def _random(made: random.Random, seq: int, span: int) -> Row:
    quality = made.choice(["good", "good", "late", "retained"])
    quantity = made.choice(["laeq", "temperature", "gate"])
    value = made.choice(["open", "shut"]) if quantity == "gate" else round(made.uniform(20, 120), 1)
    ts = T + made.randrange(-HOUR_MS, span + HOUR_MS)
    return Row(seq, made.choice(["noise-1", "noise-2"]), quantity, ts, ts + made.randrange(-99, 999), value, quality)


def _grid(since: int, until: int, points: int) -> tuple[int, int]:
    """Width and begin of a chart's buckets, by the contract: whole minutes or hours where two of them fit in one."""
    width = -(-(until - since) // points)
    grain = next((grain for grain in (HOUR_MS, MINUTE_MS) if width >= 2 * grain), 1)
    anchor = since // grain * grain
    return math.ceil(math.ceil((until - anchor) / points) / grain) * grain, anchor


@pytest.fixture
def moved(duck: DuckStore, row: MakeRow, by_sql: None) -> tuple[DuckStore, list[Row]]:
    """A store with rows in all three levels, and those rows."""
    kinds = [("laeq", 50.0, "good"), ("gate", "open", "late"), ("passage", "granted", "good"), ("laeq", 60.5, "late")]
    rows = []
    for n, move in enumerate([sort_all, settle, nothing]):
        new = [
            row(10 * n + k + 1, value, quantity=quantity, quality=quality, ts=T + (10 * n + k) * 1000)
            for k, (quantity, value, quality) in enumerate(kinds)
        ]
        carry(duck, new)
        rows += new
        move(duck)
    return duck, rows


def test_good_numbers_stand_apart_until_they_are_sorted(moved: tuple[DuckStore, list[Row]]) -> None:
    """They are nearly all: without three empty columns an append of them takes a sixth less."""
    store, rows = moved
    assert store._ask("SELECT seq FROM fresh_plain") == [(rows[-4].seq,)]
    assert sorted(store._ask("SELECT seq FROM fresh_other")) == [(row.seq,) for row in rows[-3:]]
    settle(store)
    assert store._ask(f"SELECT count(*) FROM {FRESH}") == [(0,)]
    assert list(store.readings("noise-1", 0, 2 * T)) == rows


def test_rows_are_the_same_at_every_level(moved: tuple[DuckStore, list[Row]]) -> None:
    """Number, value, times, quality and detail stay as they were, and so does what is asked of them."""
    store, rows = moved
    assert list(store.readings("noise-1", 0, 2 * T)) == rows
    assert store.count() == 12
    assert store.latest_ts() == rows[-1].ts
    assert store.last_before("noise-1", "gate", T + 9000) == (T + 1000, "open")
    assert [each.seq for each in store.events("noise-1", "passage", 0, 2 * T, 2)] == [23, 13]


def test_whole_groups_of_a_series_are_sorted_for_good(duck: DuckStore, row: MakeRow) -> None:
    """The oldest 2,048, 4,096 ... of each series: values that are packed together are of one series; the rest waits."""
    rows = [row(n, 50.0, ts=T + n * 10, device=("noise-1", "noise-2", "noise-2")[n % 3]) for n in range(9000)]
    duck.append(rows, 8999)
    assert duck.compact() == 2048 + 4096
    counts = "SELECT series, count(*), max(ts) FROM {} GROUP BY series ORDER BY series"
    (one, two), (left, right) = (duck._ask(counts.format(level)) for level in ("reading", "recent"))
    assert (one[1], two[1], left[1], right[1]) == (2048, 4096, 952, 1904)
    assert one[2] < left[2]
    assert duck.compact() == 0
    assert [each for name in ("noise-1", "noise-2") for each in duck.readings(name, 0, 2 * T)] == [
        each for name in ("noise-1", "noise-2") for each in rows if each.device == name
    ]


def test_much_is_sorted_while_it_is_written(duck: DuckStore, row: MakeRow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to ask for it: neither the unsorted rows nor the runs grow without end."""
    monkeypatch.setattr(duck_levels, "SETTLE_ROWS", 100)
    monkeypatch.setattr(duck_levels, "COMPACT_ROWS", 400)
    monkeypatch.setattr(duck_levels, "GROUP", 50)
    for n in range(20):
        duck.append([row(n * 50 + k, 50.0, ts=T + (n * 50 + k) * MINUTE_MS) for k in range(50)], n * 50 + 49)
    counts = [duck._ask(f"SELECT count(*) FROM {level}")[0][0] for level in (FRESH, "recent", "reading")]
    assert counts[0] <= 100
    assert counts[1] <= 500
    assert sum(counts) == 1000


def hours(store: DuckStore) -> list[Bucket]:
    """The figures of two months of noise-1, without their coverage."""
    found = store.figures("noise-1", "laeq", T - 60 * DAY_MS, T + DAY_MS, HOUR_MS)
    return [Bucket(each.ts, each.low, each.mean, each.high, each.count) for each in found]


def test_figures_that_were_lost_are_made_again(moved: tuple[DuckStore, list[Row]], row: MakeRow) -> None:
    """From the readings; those of readings that are gone by age stay."""
    store, _ = moved
    store.append([row(99, 70.0, ts=T - 50 * DAY_MS)], 99)
    sort_all(store)
    assert store.forget(["laeq"], T - DAY_MS) == 1
    wanted = hours(store)
    assert len(wanted) == 2
    store.write(lambda db: db.execute(f"DELETE FROM hour WHERE bucket >= {T // HOUR_MS}"))
    assert len(hours(store)) == 1
    store.rebuild()
    store.rebuild()
    assert alike(hours(store), wanted)


def test_grains_are_forgotten_one_by_one(duck: DuckStore, row: MakeRow) -> None:
    """Readings, then minutes, then hours: what is coarser stays and is charted; other quantities are untouched."""
    rows = [row(n, 50.0, ts=T + n * 10_000) for n in range(1000)]
    duck.append([*rows, row(1001, 20.0, quantity="temperature", ts=T)], 1001)
    sort_all(duck)
    until = T + DAY_MS
    assert duck.forget(["laeq"], until) == 1000
    assert duck.count() == 1
    assert sum(b.count for b in duck.series("noise-1", "laeq", T, until, 400)) == 1000
    assert duck.forget(["laeq"], until, Grain.MINUTE) == 167
    assert duck.series("noise-1", "laeq", T, until, 400) == []
    assert sum(b.count for b in duck.series("noise-1", "laeq", T, until, 10)) == 1000
    assert duck.forget(["laeq"], until, Grain.HOUR) == 3
    assert duck.series("noise-1", "laeq", T, until, 10) == []
    assert len(duck.series("noise-1", "temperature", T, until, 10)) == 1


@pytest.mark.parametrize("move", MOVES)
def test_numbers_are_not_forgotten_before_their_figures_are_kept(
    duck: DuckStore, row: MakeRow, move: Callable[[DuckStore], None]
) -> None:
    """Wherever they stand, and whole hours only, so that no figure is made of a part."""
    duck.append([row(1, 50.0, ts=T), row(2, 60.0, ts=T + HOUR_MS + 5)], 2)
    move(duck)
    assert duck.forget(["laeq"], T + HOUR_MS + 10) == 1
    assert duck.count() == 1
    assert [(each.low, each.count) for each in hours(duck)] == [(50.0, 1), (60.0, 1)]


OLD = """
CREATE TABLE reading (
  seq BIGINT NOT NULL, device VARCHAR NOT NULL, quantity VARCHAR NOT NULL, ts BIGINT NOT NULL, rx BIGINT NOT NULL,
  number DOUBLE, text VARCHAR, quality VARCHAR NOT NULL, detail VARCHAR
);
CREATE TABLE cursor (seq BIGINT NOT NULL);
INSERT INTO cursor VALUES (77);
INSERT INTO reading SELECT n, 'noise-' || n % 3, 'laeq', 1760000000000 + n * 1000, 1760000000005 + n * 1000, n / 10,
  NULL, 'good', NULL FROM range(1, 78) AS row(n);
INSERT INTO reading VALUES (78, 'gate-1', 'passage', 1760000000000, 1760000000001,
  NULL, 'granted', 'late', '{"by":"card"}');
"""


def test_a_file_of_the_first_layout_is_brought_over(tmp_path: Path, clock: "SetClock") -> None:
    """All its rows and its cursor, at the first opening; nothing is set aside, and it works on as any other."""
    path = tmp_path / "history.duckdb"
    old = duckdb.connect(str(path))
    old.execute(OLD)
    old.close()
    store = DuckStore(path, clock)
    assert store.set_aside is None
    assert (store.count(), store.cursor()) == (78, 77)
    found = list(store.readings("noise-1", 0, 2 * T))
    assert found[1] == Row(4, "noise-1", "laeq", 1760000004000, 1760000004005, 0.4, "good")
    assert len(found) == 26
    passage = Row(78, "gate-1", "passage", 1760000000000, 1760000000001, "granted", "late", '{"by":"card"}')
    assert list(store.readings("gate-1", 0, 2 * T)) == [passage]
    sort_all(store)
    (bucket,) = store.series("noise-1", "laeq", 1760000000000, 1760000000000 + DAY_MS, 1)
    assert (bucket.low, bucket.high, bucket.count) == (0.1, 7.6, 26)
    store.close()
    again = DuckStore(path, clock)
    assert again.count() == 78
    again.close()


def test_a_file_of_the_second_layout_is_brought_over(tmp_path: Path, clock: "SetClock", row: MakeRow) -> None:
    """What came lately stood in one table: all of it is there at the first opening, and it works on as any other."""
    path, rows = tmp_path / "history.duckdb", [row(1, 50.0), row(2, "open", quantity="gate", quality="late")]
    store = DuckStore(path, clock)
    store.append(rows, 2)
    store.close()
    with duckdb.connect(str(path)) as db:
        db.execute("DROP TABLE fresh_plain; ALTER TABLE fresh_other RENAME TO fresh")
    again = DuckStore(path, clock)
    assert again.set_aside is None
    again.append([row(3, 51.0)], 3)
    settle(again)
    assert (again.count(), again.cursor()) == (3, 3)
    assert list(again.readings("noise-1", 0, 2 * T)) == [*rows, row(3, 51.0)]
    again.close()


def test_a_first_layout_that_cannot_be_brought_over_is_set_aside(tmp_path: Path, clock: "SetClock") -> None:
    """Tables of the same names with other columns are another program's: moved whole, not mended."""
    path = tmp_path / "history.duckdb"
    other = duckdb.connect(str(path))
    other.execute("CREATE TABLE reading (page INTEGER); CREATE TABLE cursor (seq BIGINT)")
    other.close()
    store = DuckStore(path, clock)
    assert store.set_aside is not None
    assert "another program" in store.set_aside.reason
    assert store.count() == 0
    store.close()


def test_a_snapshot_brings_every_level_and_figure_back(moved: tuple[DuckStore, list[Row]], tmp_path: Path) -> None:
    """Also figures whose readings are gone; and what was not rolled up then is rolled up later, once."""
    store, _ = moved
    store.forget(["laeq"], T + HOUR_MS)
    before = hours(store)
    rows = list(store.readings("noise-1", 0, 2 * T))
    folder = tmp_path / "snapshot"
    folder.mkdir()
    told = store.snapshot(folder)
    assert load_snapshot(folder, tmp_path / "copy.duckdb") == told
    copy = DuckStore(tmp_path / "copy.duckdb", store._clock)
    assert list(copy.readings("noise-1", 0, 2 * T)) == rows
    assert hours(copy) == before
    sort_all(copy)
    assert alike(hours(copy), before)
    copy.close()
