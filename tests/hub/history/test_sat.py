"""A calibration that was written down afterwards: its span is in no figure of any store, and stays to be read."""

from __future__ import annotations

import sqlite3
import uuid
from bisect import bisect_left
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.history.duck import DuckStore
from hub.history.influx import InfluxStore
from hub.history.sat import Charts, beside, within
from hub.history.store import Bucket, Grain, StoreError
from hub.history.stream import Selection, opened
from hub.history.victoria import VictoriaStore
from hub.reading import Quality

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from hub.journal.batches import Row
    from tests.hub.history.conftest import JournalFile, SetClock

    MakeRow = Callable[..., Row]

HOUR = 3_600_000
T = 1_760_000_400_000 // HOUR * HOUR
SPAN = (T + 20 * 60_000, T + 33 * 60_000 + 500)
LOUD, CALM, FAR = 94.0, 50.0, T + 30 * HOUR


class Seen(VictoriaStore):
    """Shows what was stored at once: else it takes seconds."""

    def append(self, rows: Sequence[Row], cursor: int) -> None:
        """And then the server is told to show it."""
        super().append(rows, cursor)
        self._server.send("GET", "/internal/force_flush", {})


@pytest.fixture(params=["duckdb", "influxdb", "victoriametrics"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock
) -> Iterator[DuckStore | InfluxStore | VictoriaStore]:
    """Of each kind, against its real server."""
    name = f"zhian-{uuid.uuid4().hex}"
    made: DuckStore | InfluxStore | VictoriaStore
    if request.param == "influxdb":
        made = InfluxStore(request.getfixturevalue("influxd"), "", name, "", site=name, refused=_refused)
    else:
        made = DuckStore(tmp_path / "history.duckdb", clock)
    if request.param == "victoriametrics":
        made = Seen(request.getfixturevalue("victoria"), "", site=name, refused=_refused, beside=made)
    yield made
    made.close()


def _refused(row: Row, words: str) -> None:
    raise AssertionError(f"{row} was refused: {words}")


def hours(row: MakeRow, *, loud: float = LOUD, count: int = 4 * 360) -> list[Row]:
    """Ten seconds apart from T on; a calibrator in the span, calm elsewhere."""
    return [row(n + 1, loud if within([SPAN], at) else CALM, ts=at) for n in range(count) for at in [T + n * 10_000]]


def sat(journal: JournalFile, since: int, until: int, device: str = "noise-1") -> None:
    """As the hub writes it when somebody says so afterwards."""
    sql = (
        "INSERT INTO upkeep (device, at, kind, actor, note, until, ended) VALUES (?, ?, 'calibration', 'li', 'x', ?, ?)"
    )
    journal.ask(sql, device, since, until, until)


def without(row: MakeRow) -> list[Row]:
    """What the place itself made heard."""
    return [each for each in hours(row) if not within([SPAN], each.ts)]


def test_every_store_leaves_the_span_out(
    store: DuckStore | InfluxStore | VictoriaStore, journal: JournalFile, row: MakeRow
) -> None:
    """Charts of every width, samples and the value before; the control, without the note, is full of it."""
    store.append(hours(row), 4 * 360)
    store.compact()
    charts = Charts(store, journal.path)
    assert max(bucket.high for bucket in charts.series("noise-1", "laeq", T, T + 4 * HOUR, 4)) == LOUD
    sat(journal, *SPAN)
    sat(journal, *SPAN, device="noise-2")
    place = without(row)
    for points in (1, 4, 16, 240, 1440):
        found = charts.series("noise-1", "laeq", T, T + 4 * HOUR, points)
        assert {(each.low, each.high) for each in found} == {(CALM, CALM)}
        assert all(each.mean == pytest.approx(CALM) for each in found)
        assert sum(each.count for each in found) == len(place)
    pages = charts.samples("noise-1", "laeq", T, T + 4 * HOUR)
    assert [sample for page in pages for sample in page] == [(each.ts, CALM) for each in place]
    before = max(each.ts for each in place if each.ts < SPAN[0])
    assert charts.last_before("noise-1", "laeq", SPAN[1]) == (before, CALM)
    assert charts.last_before("noise-1", "laeq", SPAN[1] + 60_000) != (before, CALM)
    assert len(list(store.readings("noise-1", T, FAR))) == 4 * 360  # kept as it was


def test_both_ends_are_out(duck: DuckStore, journal: JournalFile, row: MakeRow) -> None:
    """A reading given when the calibrator came off is of the minute before; a millisecond further it is the place's."""
    sat(journal, T + 1000, T + 2000)
    sat(journal, T + 5000, T + 5000)  # a finding without any time
    duck.append([row(n, 50.0, ts=T + at) for n, at in enumerate((999, 1000, 2000, 2001, 5000))], 4)
    (page,) = Charts(duck, journal.path).samples("noise-1", "laeq", T, FAR)
    assert [ts - T for ts, _ in page] == [999, 2001, 5000]


def test_sounds_alone(duck: DuckStore, journal: JournalFile, row: MakeRow) -> None:
    """The meter's battery has nothing to do with a calibrator."""
    sat(journal, *SPAN)
    duck.append([row(1, 80.0, ts=SPAN[0] + 1, quantity="battery_level")], 1)
    assert Charts(duck, journal.path).series("noise-1", "battery_level", T, T + HOUR, 1) == [
        Bucket(T, 80.0, 80.0, 80.0, 1)
    ]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    since=st.integers(0, 4 * HOUR), length=st.integers(1, 5 * HOUR), points=st.integers(1, 500),
    start=st.integers(0, 3 * HOUR), span=st.integers(60_000, 2 * HOUR),
)  # fmt: skip
def test_it_is_as_if_they_had_not_been_read(
    duck: DuckStore, journal: JournalFile, row: MakeRow, since: int, length: int, points: int, start: int, span: int
) -> None:
    """Any chart and any span: each bucket has the count, extremes and energy mean of what lies beside the span."""
    if duck.count() == 0:
        duck.append([row(n + 1, 40.0 + n % 37, ts=T + n * 10_000) for n in range(4 * 360)], 4 * 360)
        duck.compact()
    journal.ask("DELETE FROM upkeep")
    plain = [each for page in duck.samples("noise-1", "laeq", T, FAR) for each in page]
    sat(journal, T + start, T + start + span)
    begin, end = T + since, T + since + length
    found = Charts(duck, journal.path).series("noise-1", "laeq", begin, end, points)
    assert len(found) <= points
    out = [(T + start, T + start + span + 1)]
    left = [each for each in plain if begin <= each[0] < end and not within(out, each[0])]
    times = [ts for ts, _ in left]
    for bucket, until in pairwise([*found, Bucket(end, 0, 0, 0, 0)]):
        levels = [level for _, level in left[bisect_left(times, bucket.ts) : bisect_left(times, until.ts)]]
        energy = sum(10 ** (level / 10) for level in levels) / len(levels)
        assert (bucket.low, bucket.high, bucket.count) == (min(levels), max(levels), len(levels))
        assert 10 ** (bucket.mean / 10) == pytest.approx(energy, rel=1e-5)
    assert sum(bucket.count for bucket in found) == len(left)


def test_figures_that_outlive_their_readings_hold_none_of_it(
    duck: DuckStore, journal: JournalFile, row: MakeRow
) -> None:
    """Readings gone by age: the minutes at the span's ends go with it, and what is left was never the calibrator's."""
    duck.append(hours(row, count=30 * 360), 30 * 360)
    duck.compact(1)
    assert duck.forget(["laeq"], FAR, Grain.RAW) == 30 * 360
    sat(journal, *SPAN)
    found = Charts(duck, journal.path).series("noise-1", "laeq", T, T + 24 * HOUR, 6)
    assert [each.high for each in found] == [CALM] * 6
    assert sum(each.count for each in found) == 24 * 360 - 14 * 6  # 20:00 to 34:00: the last minute is half the place's
    duck.forget(["laeq"], FAR, Grain.MINUTE)
    assert sum(each.count for each in Charts(duck, journal.path).series("noise-1", "laeq", T, T + 24 * HOUR, 6)) == (
        23 * 360
    )


def test_a_journal_that_cannot_be_asked_makes_no_figure(
    duck: DuckStore, journal: JournalFile, row: MakeRow, tmp_path: Path
) -> None:
    """Nobody knows then what is a calibrator's: no number is better than a wrong one."""
    duck.append(hours(row), 4 * 360)
    journal.path.write_bytes(b"this was a journal" * 1000)
    (tmp_path / "journal.sqlite-wal").unlink(missing_ok=True)
    with pytest.raises(StoreError, match=r"journal\.sqlite"):
        Charts(duck, journal.path).series("noise-1", "laeq", T, T + HOUR, 4)


def test_files_and_readings_say_what_it_is(tmp_path: Path, journal: JournalFile, row: MakeRow, clock: SetClock) -> None:
    """Whatever goes through the stream (`zhian readings`, `zhian export`, its steps) has the calibrator's quality."""
    rows = hours(row, count=360)
    with closing(DuckStore(tmp_path / "history.duckdb", clock)) as store:
        store.append(rows, 360)
    sat(journal, *SPAN)
    chosen = Selection(since=T, until=FAR, devices=("noise-1",))
    with (
        closing(sqlite3.connect(journal.path, isolation_level=None)) as db,
        opened(db, tmp_path, None, chosen, FAR) as stream,
    ):
        found = {each.ts: each.quality for each in stream.readings("noise-1")}
    assert {ts for ts, quality in found.items() if quality == Quality.CALIBRATION} == {
        each.ts for each in rows if within([SPAN], each.ts)
    }
    assert len(found) == 360


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=4), st.integers(0, 50), st.integers(0, 50))
def test_what_is_beside_is_all_that_is_not_within(spans: list[tuple[int, int]], begin: int, end: int) -> None:
    """Every instant once, whatever overlaps."""
    whole = sorted((a, b) for a, b in spans if a < b)
    left = [at for a, b in beside(whole, begin, end) for at in range(a, b)]
    assert left == [at for at in range(begin, end) if not within(whole, at)]
