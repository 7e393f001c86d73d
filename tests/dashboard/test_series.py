"""Charts: history and journal put together, gaps as gaps, limits by day and night."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from dashboard.charts.series import Point, gaps, merge
from hub.clock import Clock
from hub.history.duck import DuckStore
from hub.history.store import Bucket, StoreError
from hub.journal.batches import Row

if TYPE_CHECKING:
    from flask import Flask

    from tests.dashboard.conftest import Browser, Field, ListHistory

NOW = 1_760_000_000_000
URL = "/api/v1/devices/noise-east/series?quantity=laeq&range="


def test_history_goes_on_in_the_journal(admin: "Browser", field: "Field", history: "ListHistory") -> None:
    """What the store does not have yet comes from the journal, and nothing is counted twice."""
    field.all_well()
    old = field.read("noise-east", "laeq", 48.0, NOW - 30_000)
    field.put("cursor", name="history", seq=old, at=NOW)
    history.kept = [("noise-east", "laeq", NOW - 30_000, 48.0)]
    field.read("noise-east", "laeq", 51.0, NOW - 20_000)
    field.read("noise-north", "laeq", 99.0, NOW - 19_000)
    found = admin.client.get(f"{URL}1h").json
    assert [(ts, value) for ts, value in zip(found["ts"], found["mean"], strict=True) if value is not None] == [
        (NOW - 30_000, 48.0),
        (NOW - 20_000, 51.0),
    ]
    assert found["unit"] == "dB"


def test_a_store_that_cannot_answer_leaves_the_journal(
    admin: "Browser", field: "Field", history: "ListHistory", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead store costs the old readings, not the page."""
    field.all_well()
    seq = field.read("noise-east", "laeq", 48.0, NOW - 30_000)
    field.put("cursor", name="history", seq=seq, at=NOW)

    def down(*_: object) -> list[Bucket]:
        raise StoreError("connection refused")

    monkeypatch.setattr(history, "series", down)
    assert 48.0 in admin.client.get(f"{URL}1h").json["mean"]


def test_with_the_real_store(app: "Flask", admin: "Browser", field: "Field", tmp_path: Path) -> None:
    """DuckDB's buckets carry the band from lowest to highest."""
    field.all_well()
    store = DuckStore(tmp_path / "history.duckdb", Clock())
    store.append([Row(n, "noise-east", "laeq", NOW - 60_000 + n, NOW, 40.0 + n, "good") for n in range(3)], 3)
    office = app.extensions["zhian"]
    app.extensions["zhian"] = msgspec.structs.replace(office, history=store)
    found = admin.client.get(f"{URL}24h").json
    store.close()
    low, mean, high = (next(v for v in found[name] if v is not None) for name in ("min", "mean", "max"))
    assert (low, high) == (40.0, 42.0)
    assert mean == pytest.approx(41.08, abs=0.01)  # by energy, above the arithmetic 41


def test_silence_is_a_gap(admin: "Browser", field: "Field", history: "ListHistory") -> None:
    """A stretch without readings is null, never a line across it; the ends of the chart count too."""
    field.all_well()
    times = [NOW - 3_000_000 + n * 9000 for n in range(30)] + [NOW - 60_000 + n * 9000 for n in range(7)]
    history.kept = [("noise-east", "laeq", ts, 50.0) for ts in times]
    found = admin.client.get(f"{URL}1h").json
    assert found["gaps"] == [[NOW - 3_600_000, times[0]], [times[29], times[30]]]
    assert found["mean"].count(None) == 4
    assert len(found["ts"]) == len(found["limit"]) == len(found["min"]) == len(found["max"])


def test_gaps() -> None:
    """Longer than the patience, and only then."""
    points = [Point(ts, 1, 1, 1, 1) for ts in (0, 10, 21, 40)]
    assert gaps((point.ts for point in points), 0, 50, 10) == [(10, 21), (21, 40)]
    assert gaps([], 0, 50, 10) == [(0, 50)]


def test_levels_are_put_together_by_energy() -> None:
    """60 dB and 70 dB are 67.4 dB, and 65 of anything else."""
    news = [(5, 60.0), (6, 70.0)]
    (loud,) = merge([], news, 0, 10, by_energy=True)
    assert loud.mean == pytest.approx(10 * math.log10((1e6 + 1e7) / 2))
    (other,) = merge([Bucket(0, 60, 60, 60, 3)], [(9, 70.0)], 0, 10, by_energy=False)
    assert other == Point(0, 60, 62.5, 70, 4)


@pytest.mark.parametrize(
    ("query", "status"),
    [("quantity=laeq&range=2h", 400), ("quantity=gate&range=1h", 404), ("range=1h", 404), ("quantity=laeq", 200)],
)
def test_what_cannot_be_drawn(query: str, status: int, admin: "Browser", field: "Field") -> None:
    """Unknown quantities and spans are refused."""
    field.all_well()
    assert admin.client.get(f"/api/v1/devices/noise-east/series?{query}").status_code == status
