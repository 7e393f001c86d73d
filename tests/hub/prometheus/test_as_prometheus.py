"""Our filter, deadband, votes and windows against Prometheus itself, tick by tick; and faults that this must notice.

Where ours differs by design (silence never clears), the PromQL of the case is written so that Prometheus does the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from hub.alarms.alarm import FILTER, Edge, FilterCell, FilterState, Since, Truth, Wait
from tests.hub.prometheus.conftest import LOOKBACK, Batch, Case, Ours

if TYPE_CHECKING:
    from collections.abc import Callable

OFF, RISING, ON, FALLING = FilterState
T, F, _ = Truth


def test_every_tick_is_as_prometheus_says(batches: list[Batch]) -> None:
    """Firing, pending and active since: 480 random cases, 43,200 ticks, no disagreement."""
    assert sum(len(batch.cases) for batch in batches) >= 400
    assert [found for batch in batches for found in batch.disagreements()] == []


def test_prometheus_had_something_to_say(batches: list[Batch]) -> None:
    """Each kind of case was pending or firing often enough for the agreement to mean something."""
    states: dict[str, list[str]] = {}
    for batch in batches:
        kinds = {case.number: case.kind for case in batch.cases}
        for (number, _), said in batch.answers.items():
            if said is not None:
                states.setdefault(kinds[number], []).append(said[0])
    assert set(states) == {"plain", "deadband", "vote", "hold", "count", "max"}
    assert all(each.count("firing") > 300 for each in states.values())
    assert all(each.count("pending") > 30 for kind, each in states.items() if kind != "hold")


CELLS = {
    "a raise without its delay": ((OFF, T), FilterCell(ON, Edge.RAISE)),
    "a delay that begins anew each time": (
        (RISING, T),
        FilterCell(ON, Edge.RAISE, Wait.ON_DELAY, RISING, Since.NOW),
    ),
    "false does not end the waiting": ((RISING, F), FilterCell(RISING)),
    "a clear without its delay": ((ON, F), FilterCell(OFF, Edge.CLEAR)),
    "true again does not end the falling": ((FALLING, T), FilterCell(FALLING)),
    "falling is counted from the raise": ((ON, F), FilterCell(OFF, Edge.CLEAR, Wait.OFF_DELAY, FALLING)),
    "falling by the wrong delay": ((FALLING, F), FilterCell(OFF, Edge.CLEAR, Wait.ON_DELAY, FALLING)),
    "never over": ((FALLING, F), FilterCell(FALLING)),
    "falling turns into normal at once": ((FALLING, F), FilterCell(OFF, Edge.CLEAR)),
}


@pytest.mark.parametrize("fault", CELLS)
def test_a_wrong_cell_is_noticed(fault: str, batches: list[Batch], monkeypatch: pytest.MonkeyPatch) -> None:
    """One cell of the filter's table changed: Prometheus disagrees."""
    key, cell = CELLS[fault]
    assert FILTER[key] != cell
    monkeypatch.setitem(FILTER, key, cell)
    assert any(batch.disagreements() for batch in batches)


def _short_sight(case: Case) -> Ours:
    """A sample that is exactly as old as the lookback is not seen any more."""
    return Ours(case, LOOKBACK)


def _long_sight(case: Case) -> Ours:
    return Ours(case, LOOKBACK + 60)


class _NoStale(Ours):
    """A stale marker is no news."""

    def _give(self, series: object, at: int, value: float | None) -> None:
        if value is not None:
            super()._give(series, at, value)  # type: ignore[arg-type]  # passed on as it came


class _Late(Ours):
    """Delays that are over only when they are past."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.manners = replace(self.manners, on_delay=self.manners.on_delay + 1)


class _Tardy(Ours):
    """The same of the clearing."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.manners = replace(self.manners, off_delay=self.manners.off_delay and self.manners.off_delay + 1)


class _Lenient(Ours):
    """Unknown counts as it should not: normal where it is to be held, held where it is to be normal."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        turned = Truth.FALSE if self.manners.on_unknown is Truth.UNKNOWN else Truth.UNKNOWN
        self.manners = replace(self.manners, on_unknown=turned)


DRIVERS: dict[str, Callable[[Case], Ours]] = {
    "short sight": _short_sight,
    "long sight": _long_sight,
    "no stale markers": _NoStale,
    "more than the on delay": _Late,
    "more than the off delay": _Tardy,
    "unknown turned round": _Lenient,
}


@pytest.mark.parametrize("fault", DRIVERS)
def test_a_wrong_driver_is_noticed(fault: str, batches: list[Batch]) -> None:
    """Staleness, delays and unknowns that are off by the least: Prometheus disagrees."""
    assert any(batch.disagreements(DRIVERS[fault]) for batch in batches)
