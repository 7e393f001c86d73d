"""What every history store must do: DuckDB in a file, a real InfluxDB, a real VictoriaMetrics. One test for all."""

import json
import math
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.history.duck import DuckStore
from hub.history.influx import InfluxStore
from hub.history.store import Bucket, FedStore, Figure, HistoryStore, Page
from hub.history.victoria import VictoriaStore
from hub.journal.batches import Batch, Damaged, Row

if TYPE_CHECKING:
    from tests.hub.history.conftest import SetClock

MakeRow = Callable[..., Row]
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "noise.json").read_text())["vectors"]
T = 1_760_000_000_000


class Seen(VictoriaStore):
    """Shows what was stored at once: else it takes seconds. A site of its own stands for a database of its own."""

    def append(self, rows: Sequence[Row], cursor: int) -> None:
        """And then the server is told to show it."""
        super().append(rows, cursor)
        self.show()

    def show(self) -> None:
        """What it has."""
        self._server.send("GET", "/internal/force_flush", {})


@pytest.fixture(params=["duckdb", "influxdb", "victoriametrics"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: "SetClock") -> Iterator[HistoryStore]:
    """A store that is empty, of any kind; a point that it refuses fails the test."""
    made: HistoryStore
    if request.param == "influxdb":
        database = f"zhian-{uuid.uuid4().hex}"
        url = request.getfixturevalue("influxd")
        made = InfluxStore(url, "", database, "", site="zhongshan", refused=_refused)
    else:
        made = DuckStore(tmp_path / "history.duckdb", clock)
    if request.param == "victoriametrics":
        url = request.getfixturevalue("victoria")
        made = Seen(url, "", site=f"zhongshan-{uuid.uuid4().hex}", refused=_refused, beside=made)
    yield made
    made.close()


def _refused(row: Row, words: str) -> None:
    raise AssertionError(f"{row} was refused: {words}")


def test_rows_come_back_as_they_went_in(store: HistoryStore, row: MakeRow) -> None:
    """Every column survives the way there and back, for numbers and for texts."""
    rows = [
        row(1, 55.5, detail='{"range": "A"}'),
        row(2, "granted", quantity="passage", detail='{"direction": "in", "credential": "0x1f"}'),
        row(3, "open", quantity="gate", quality="late"),
        row(4, 7, device="noise-2"),
    ]
    store.append(rows, 4)
    assert list(store.readings("noise-1", T, T + 60_000)) == rows[:3]
    assert list(store.readings("noise-2", T, T + 60_000)) == [row(4, 7.0, device="noise-2")]
    assert store.count() == 4
    assert store.latest_ts() == T + 4000


def test_an_empty_store_says_so(store: HistoryStore) -> None:
    """Nothing kept: no bucket, no row, no newest instant, and no error."""
    assert store.count() == 0
    assert store.latest_ts() is None
    assert store.series("noise-1", "laeq", T, T + 1000, 10) == []
    assert store.events("noise-1", "gate", T, T + 1000, 10) == []
    assert list(store.readings("noise-1", T, T + 1000)) == []


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["fn"] == "leq"], ids=lambda v: str(v["expect"]))
def test_sound_levels_are_averaged_by_energy(store: HistoryStore, row: MakeRow, vector: dict[str, Any]) -> None:
    """The mean of a bucket of levels is the published LAeq, and above the arithmetic mean."""
    levels: list[float] = vector["levels"]
    store.append([row(n + 1, level) for n, level in enumerate(levels)], len(levels))
    (bucket,) = store.series("noise-1", "laeq", T, T + 60_000, 1)
    assert bucket.mean == pytest.approx(vector["expect"], abs=vector["tol"])
    assert bucket.mean > math.fsum(levels) / len(levels)
    assert (bucket.low, bucket.high, bucket.count) == (min(levels), max(levels), len(levels))


def test_other_quantities_are_averaged_arithmetically(store: HistoryStore, row: MakeRow) -> None:
    """10 and 30 degrees are 20, not 27."""
    store.append([row(1, 10.0, quantity="temperature"), row(2, 30.0, quantity="temperature")], 2)
    (bucket,) = store.series("noise-1", "temperature", T, T + 60_000, 1)
    assert bucket == Bucket(T, 10.0, 20.0, 30.0, 2)


def test_gaps_stay_gaps(store: HistoryStore, row: MakeRow) -> None:
    """A bucket without readings is absent; nothing is interpolated or carried on."""
    store.append([row(1, 50.0, ts=T), row(2, 60.0, ts=T + 9_999)], 2)
    assert store.series("noise-1", "laeq", T, T + 10_000, 10) == [
        Bucket(T, 50.0, 50.0, 50.0, 1),
        Bucket(T + 9_000, 60.0, 60.0, 60.0, 1),
    ]


@pytest.mark.parametrize(("span", "points"), [(10_007, 7), (86_400_000, 600), (5, 10), (999, 1)])
def test_a_span_is_cut_into_at_most_so_many_buckets(store: HistoryStore, row: MakeRow, span: int, points: int) -> None:
    """Buckets begin at the span's start, never exceed `points`, and hold what lies in [since, until)."""
    since = T + 137
    inside = [row(n, 50.0, ts=since + n * (span - 1) // 49) for n in range(50)]
    outside = [row(60, 90.0, ts=since - 1), row(61, 90.0, ts=since + span)]
    store.append([*inside, *outside], 61)
    buckets = store.series("noise-1", "laeq", since, since + span, points)
    assert 1 <= len(buckets) <= points
    assert sum(bucket.count for bucket in buckets) == 50
    assert buckets[0].ts == since
    assert {bucket.high for bucket in buckets} == {50.0}


def test_series_are_of_one_device_and_quantity(store: HistoryStore, row: MakeRow) -> None:
    """Another device's or quantity's readings never enter a bucket."""
    store.append([row(1, 50.0), row(2, 90.0, device="noise-2"), row(3, 90.0, quantity="lafmax")], 3)
    assert [bucket.high for bucket in store.series("noise-1", "laeq", T, T + 60_000, 5)] == [50.0]


def test_events_are_the_newest_first_and_limited(store: HistoryStore, row: MakeRow) -> None:
    """Of many events within the span the newest `limit` come, newest first."""
    rows = [row(n, "granted", quantity="passage") for n in range(1, 10)]
    store.append(rows, 9)
    assert store.events("noise-1", "passage", T, T + 9000, 3) == [rows[7], rows[6], rows[5]]


def test_two_readings_of_one_millisecond_stay_two(store: HistoryStore, row: MakeRow) -> None:
    """The sequence number tells them apart."""
    store.append([row(1, "granted", quantity="passage", ts=T), row(2, "denied", quantity="passage", ts=T)], 2)
    assert [found.value for found in store.readings("noise-1", T, T + 1)] == ["granted", "denied"]


def test_long_readings_come_page_by_page_in_order(store: HistoryStore, row: MakeRow) -> None:
    """More rows than one page, of two quantities in turn: each once, by time."""
    rows = [row(n, 50.0, quantity=("laeq", "lafmax")[n % 2], ts=T + n // 3) for n in range(1, 21_000)]
    store.append(rows[:10_000], 10_000)
    store.append(rows[10_000:], 20_999)
    assert list(store.readings("noise-1", T, T + 100_000)) == rows


@pytest.mark.parametrize("quality", ["retained", "calibration"])
def test_samples_are_every_number_that_was_measured(store: HistoryStore, row: MakeRow, quality: str) -> None:
    """More numbers than a page, in order; texts, what a broker replayed and what a calibrator said are left out."""
    rows = [row(n, 50.0 + n % 7, ts=T + n // 3) for n in range(1, 21_000)]
    odd = [row(21_000, "stuck", ts=T + 1), row(21_001, 99.0, ts=T + 2, quality=quality)]
    store.append([*rows, *odd], 21_001)
    found = [sample for page in store.samples("noise-1", "laeq", T, T + 100_000) for sample in page]
    assert found == [(kept.ts, kept.value) for kept in rows]
    buckets = store.series("noise-1", "laeq", T, T + 60_000, 10)
    assert (max(bucket.high for bucket in buckets), sum(bucket.count for bucket in buckets)) == (56.0, len(rows))
    assert max(each.high for each in store.figures("noise-1", "laeq", T // 60_000 * 60_000, T + 60_000, 60_000)) == 56.0
    assert any(each.quality == quality for each in store.readings("noise-1", T, T + 60_000))  # it is kept all the same


def append(store: HistoryStore, batches: list[Batch], after: int) -> list[Damaged]:
    """As one page; returns what cannot be read."""
    bad: list[Damaged] = []
    store.append_pages([Page(batches, after)], lambda _, each: bad.extend(each))
    return bad


def _batch(rows: list[Row]) -> Batch:
    """As the journal keeps them."""
    return Batch(rows[-1].seq, rows[0].seq, json.dumps([_packed(row) for row in rows]))


def _packed(row: Row) -> list[object]:
    detail = json.loads(row.detail) if row.detail else None
    return [row.device, row.quantity, row.value, row.ts, row.rx, row.quality, detail]


def test_batches_are_taken_as_the_journal_keeps_them(store: HistoryStore, row: MakeRow) -> None:
    """Numbers, texts, details; nothing up to `after`, nothing of forgotten readings; whole numbers are numbers."""
    rows = [
        row(1, 50.5),
        row(2, "granted", quantity="passage", detail='{"by":"卡"}'),
        row(3, 7, quantity="distance"),
        row(4, 'a"b\\,],[é\n', quantity="passage", device="gate 2"),
        row(5, "12", quantity="chip"),
        row(6, -1e-7, quality="late"),
    ]
    first, second = _batch(rows[:3]), _batch(rows[3:])
    gap = Batch(9, 7, "[null," + json.dumps(_packed(row(8, 51.0)))[:-1] + "], null]")
    assert append(store, [first, second, gap], 1) == []
    assert list(store.readings("noise-1", T, T + 60_000)) == [*rows[1:3], *rows[4:], row(8, 51.0)]
    assert list(store.readings("gate 2", T, T + 60_000)) == [rows[3]]
    assert store.cursor() in (9, None)


@pytest.mark.parametrize(
    "text", ["[[", "{}", "null", '[["noise-1"]]', '[["noise-1","laeq",50,"x",1,"good",null]]', "[7]", "", '["\udcff"]']
)
def test_a_batch_that_cannot_be_read_holds_nothing_up(store: HistoryStore, row: MakeRow, text: str) -> None:
    """It is passed over whole and told with its numbers; what stands before and after it is stored."""
    bad = append(store, [_batch([row(1)]), Batch(4, 2, text), _batch([row(5)])], 0)
    assert [(each.first, each.last) for each in bad] == [(2, 4)]
    assert isinstance(bad[0], Damaged)
    assert bad[0].words
    assert list(store.readings("noise-1", T, T + 60_000)) == [row(1), row(5)]
    assert store.cursor() in (5, None)


def test_figures_have_the_share_of_time_that_is_covered(store: HistoryStore, row: MakeRow) -> None:
    """A reading each 10 s, and none in the second half of the second minute; a minute without any is absent."""
    start = T - T % 60_000
    kept = [*range(9), *range(18, 24)]
    store.append([row(n + 1, 50.0 + n, ts=start + n * 10_000) for n in kept], 24)
    assert store.figures("noise-1", "temperature", start, start + 240_000, 60_000) == []
    found = store.figures("noise-1", "laeq", start, start + 240_000, 60_000)
    assert [(each.ts - start, each.low, each.high, each.count, each.coverage) for each in found] == [
        (0, 50.0, 55.0, 6, 1.0),
        (60_000, 56.0, 58.0, 3, 0.5),
        (180_000, 68.0, 73.0, 6, 1.0),
    ]
    assert found[0].mean == pytest.approx(10 * math.log10(sum(10 ** (5 + n / 10) for n in range(6)) / 6))
    assert isinstance(found[0], Figure)


def test_states_come_in_order_with_what_was_before(store: HistoryStore, row: MakeRow) -> None:
    """Texts only, oldest first, replayed ones left out; the last word before an instant is found however old."""
    said = ["open", "closed", "stuck", "open"]
    rows = [row(n + 1, text, quantity="gate", ts=T + n * 1000) for n, text in enumerate(said)]
    store.append([*rows, row(9, "moving", quantity="gate", ts=T + 1500, quality="retained"), row(10, 5.0)], 10)
    assert [each for page in store.states("noise-1", "gate", T, T + 3000) for each in page] == [
        (T, "open"), (T + 1000, "closed"), (T + 2000, "stuck"),
    ]  # fmt: skip
    assert store.last_before("noise-1", "gate", T + 2000) == (T + 1000, "closed")
    assert store.last_before("noise-1", "laeq", T + 60_000) == (T + 10_000, 5.0)
    assert store.last_before("noise-1", "gate", T) is None


def test_forgetting_takes_old_traces_only(store: HistoryStore, row: MakeRow) -> None:
    """Only the named quantities go, only before the instant, and the count is told."""
    rows = [row(1, "a", quantity="chip"), row(2, "b", quantity="passage"), row(3, "c", quantity="chip"), row(4, 50.0)]
    store.append(rows, 4)
    assert store.forget(["chip", "passage"], T + 3000) == 2
    assert list(store.readings("noise-1", T, T + 60_000)) == rows[2:]
    assert store.forget(["chip", "passage"], T + 3000) == 0


def test_what_came_before_its_turn_is_left_to_the_journal_by_charts(store: HistoryStore, row: MakeRow) -> None:
    """A chart adds what is beyond the cursor from the journal: a row that overtook must not count twice meanwhile."""
    if not isinstance(store, FedStore):
        pytest.skip("takes rows in order only")
    store.append([row(1, 50.0, ts=T), row(2, 50.0, ts=T + 1)], 2)
    store.append([row(9, 60.0, ts=T + 2)], 2)
    assert [(bucket.count, bucket.high) for bucket in store.series("noise-1", "laeq", T, T + 60_000, 1)] == [(2, 50.0)]
    assert len(list(store.readings("noise-1", T, T + 60_000))) == 3
    store.append([row(n, 55.0, ts=T + n) for n in range(3, 9)] + [row(9, 60.0, ts=T + 2)], 9)
    assert [(bucket.count, bucket.high) for bucket in store.series("noise-1", "laeq", T, T + 60_000, 1)] == [(9, 60.0)]
    store.append([row(20, 70.0, ts=T + 20)], 9)
    other = row(11, 40.0, ts=T + 30, device="noise-2")
    store.append([other], 11)
    assert [bucket.count for bucket in store.series("noise-2", "laeq", T, T + 60_000, 1)] == [1]


@pytest.mark.parametrize("server", ["influxdb", "victoriametrics"])
def test_what_is_added_leaves_the_cursor_alone(
    server: str, tmp_path: Path, request: pytest.FixtureRequest, row: MakeRow, clock: "SetClock"
) -> None:
    """No mark is written with it: a mark says how far the journal had come."""
    store: InfluxStore | VictoriaStore
    if server == "influxdb":
        url = request.getfixturevalue("influxd")
        store = InfluxStore(url, "", f"zhian-{uuid.uuid4().hex}", "", site="zhongshan", refused=_refused)
    else:
        url = request.getfixturevalue("victoria")
        beside = DuckStore(tmp_path / "history.duckdb", clock)
        store = Seen(url, "", site=f"zhongshan-{uuid.uuid4().hex}", refused=_refused, beside=beside)
    store.append([row(5)], 5)
    before = list(store._marks._written)
    store.add([row(3), row(4)])
    if isinstance(store, Seen):
        store.show()
    assert [found.seq for found in store.readings("noise-1", T, T + 60_000)] == [3, 4, 5]
    assert list(store._marks._written) == before
    assert store.count() == 3
    assert (store._reader if isinstance(store, Seen) else store).devices() == ["noise-1"]
    store.close()


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=40), min_size=1, max_size=30))
def test_any_text_comes_back_as_it_was(store: HistoryStore, row: MakeRow, texts: list[str]) -> None:
    """Quotes, backslashes, newlines, NUL and emoji in values and details stay data, in their own row."""
    device = f"reader-{uuid.uuid4().hex}"
    first = store.count() + 1
    said = [(n, {"quantity": "passage", "device": device, "ts": T + n, "detail": text}) for n, text in enumerate(texts)]
    rows = [row(first + n, texts[n], **more) for n, more in said]
    store.append(rows, rows[-1].seq)
    assert list(store.readings(device, T, T + 60_000)) == rows


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(device=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\\"), min_size=1))
def test_any_device_name_is_its_own_series(store: HistoryStore, row: MakeRow, device: str) -> None:
    """Commas, equals signs, blanks and quotes in a name never lead to another series."""
    before = store.count()
    known = len(list(store.readings(device, T, T + 60_000)))
    store.append([row(before + 1, 1.0, device=device, ts=T + before)], 1)
    assert len(list(store.readings(device, T, T + 60_000))) == known + 1
    assert store.count() == before + 1


def test_which_devices_are_kept(store: HistoryStore, row: MakeRow) -> None:
    """Each once, sorted, whether the site still has them or not."""
    assert store.devices() == []
    store.append([row(1), row(2, device="gate-1", quantity="gate", value="open"), row(3), row(4, device="a b")], 4)

    assert store.devices() == ["a b", "gate-1", "noise-1"]


def test_what_was_missing_is_added(store: HistoryStore, row: MakeRow) -> None:
    """Readings of before take their place in time; the cursor stays where it is."""
    store.append([row(1), row(5)], 5)
    store.add([row(2), row(3)])

    assert [found.seq for found in store.readings("noise-1", 0, 2 * 1_760_000_000_000)] == [1, 2, 3, 5]
    assert store.cursor() in (None, 5)
