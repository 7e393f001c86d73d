"""Batches split by SQL are what reading their JSON gives, whatever stands in them; a bad one holds nothing up."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.history import duck_unpack
from hub.history.duck import DuckStore
from hub.history.store import Page
from hub.journal.batches import Batch, Damaged, Row, sound

if TYPE_CHECKING:
    from tests.hub.history.conftest import SetClock

T = 1_760_000_000_000
ODD = [
    "plain",
    "a,b",
    "a],[b",
    'q"',
    "back\\slash",
    "null",
    "12",
    "",
    "-",
    "门 2",
    "new\nline",
    "{",
    "[[",
    "]]",
    "'",
    "good",
]
texts = st.sampled_from(ODD) | st.text(st.characters(codec="utf-8"), max_size=8)
values = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**9), 10**9) | texts
details = st.none() | st.dictionaries(texts, texts, max_size=2)


@st.composite
def readings(draw: st.DrawFn) -> list[object]:
    """As the journal writes one."""
    quality = draw(st.sampled_from(["good", "late", "retained", "best-effort"]))
    ts = T + draw(st.integers(0, 10_000))
    return [draw(texts), draw(texts), draw(values), ts, ts + draw(st.integers(-50, 50)), quality, draw(details)]


batches = st.lists(st.lists(st.none() | readings(), min_size=1, max_size=5), min_size=1, max_size=6)
HOLES = st.lists(st.integers(0, 2), min_size=6, max_size=6)


def _numbered(content: list[list[list[object] | None]], holes: list[int]) -> list[Batch]:
    """Batches with numbers, some of which are missing in between."""
    made, last = [], 0
    for each, hole in zip(content, holes, strict=False):
        first = last + 1 + hole
        last = first + len(each) - 1
        made.append(Batch(last, first, json.dumps(each, ensure_ascii=False, separators=(",", ":"))))
    return made


def _all(store: DuckStore, rows: list[Row]) -> list[Row]:
    return sorted(
        (row for device in {row.device for row in rows} for row in store.readings(device, 0, 2 * T)), key=_seq
    )


def _seq(row: Row) -> int:
    return row.seq


def append(store: DuckStore, made: list[Batch], after: int) -> list[Damaged]:
    """As one page; returns what cannot be read."""
    bad: list[Damaged] = []
    store.append_pages([Page(made, after)], lambda _, each: bad.extend(each))
    return bad


@pytest.fixture
def by_sql(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches too."""
    monkeypatch.setattr(duck_unpack, "_MANY", 0)


@pytest.mark.usefixtures("by_sql")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=batches, holes=HOLES, after=st.integers(0, 8), known=st.booleans())
def test_sql_takes_apart_what_json_says(
    tmp_path: Path,
    clock: "SetClock",
    content: list[list[list[object] | None]],
    holes: list[int],
    after: int,
    known: bool,
) -> None:
    """Same rows, whether its series are new or known; nothing up to `after`; commas and escapes in any text."""
    made = _numbered(content, holes)
    wanted, bad = sound(made, after)
    assert bad == []
    store = DuckStore(tmp_path / "history.duckdb", clock)
    try:
        before = store.count()
        if known:  # the same series, at another time
            store.append([Row(0, row.device, row.quantity, 5, 5, 1.0, "good") for row in wanted], 0)
        store.rewind(after)
        assert append(store, made, after) == []
        assert [row for row in _all(store, wanted) if row.ts > 5] == wanted
        assert store.count() == before + len(wanted) * (2 if known else 1)
        assert store.cursor() == made[-1].last
    finally:
        store.close()
        (tmp_path / "history.duckdb").unlink()


@pytest.mark.usefixtures("by_sql")
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=batches, at=st.integers(0, 5), cut=st.integers(1, 40))
def test_a_damaged_batch_is_told_and_the_others_are_there(
    tmp_path: Path, clock: "SetClock", content: list[list[list[object] | None]], at: int, cut: int
) -> None:
    """Half a batch never becomes half of its readings, nor takes its neighbours with it."""
    made = _numbered(content, [0] * 6)
    at %= len(made)
    made[at] = made[at]._replace(text=made[at].text[:-cut])
    wanted, damaged = sound(made, 0)
    assert [each.first for each in damaged] == [made[at].first]
    store = DuckStore(tmp_path / "history.duckdb", clock)
    try:
        assert append(store, made, 0) == damaged
        assert _all(store, wanted) == wanted
    finally:
        store.close()
        (tmp_path / "history.duckdb").unlink()


def test_many_plain_batches_are_not_read_as_json(
    tmp_path: Path, clock: "SetClock", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fast way is taken: of a hundred batches of known series only the odd one is read one by one."""
    rows: list[list[object] | None] = [
        [f"noise-{n % 7}", "laeq", 50 + n / 10, T + n, T + n, "good", None] for n in range(5000)
    ]
    made = _numbered([list(rows[n : n + 50]) for n in range(0, 5000, 50)], [0] * 100)
    odd = _numbered([[["noise-1", "laeq", "a,b", T, T, "late", {"x": "y"}]] * 50], [0])[0].text
    store = DuckStore(tmp_path / "history.duckdb", clock)
    append(store, made, 0)
    store.rewind(0)
    made[40] = made[40]._replace(text=odd)
    read: list[int] = []

    def watched(batches: list[Batch], after: int) -> object:
        read.extend(batch.first for batch in batches)
        return sound(batches, after)

    monkeypatch.setattr(duck_unpack, "sound", watched)
    assert append(store, made, 0) == []
    assert set(read) == {made[40].first}
    assert store.count() == 10_000
    store.close()
