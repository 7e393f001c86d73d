"""The bench of the history runs the real store beside its rivals, and prints every figure that is promised."""

import msgspec
import pytest

from hub.bench import history

PROMISED = {
    "append_readings_per_s", "sqlite_readings_per_s", "bytes_per_reading", "chart_24h_p95_ms", "chart_30d_p95_ms",
    "readings", "factor",
}  # fmt: skip


def test_every_figure_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short run with a month of three days: all readings there, charts drawn while others arrive."""
    monkeypatch.setattr(history, "DAYS", 3)
    figures = history.measure(0.5, 1)
    assert set(msgspec.structs.asdict(figures)) >= PROMISED
    assert figures.appended >= 50_000
    assert figures.readings == 2 * 3 * 8640
    assert figures.factor == pytest.approx(history.FULL / figures.readings, abs=0.01)
    assert figures.append_readings_per_s >= figures.sorted_readings_per_s > 0
    assert 0 < figures.bytes_per_reading < figures.sqlite_bytes_per_reading
    assert 0 < figures.chart_24h_p50_ms <= figures.chart_24h_p95_ms
    assert figures.arriving_per_s > 0
