"""Durations, increases, counts and levels against what counting millisecond by millisecond and pulse by pulse gives."""

import math
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.history.tally import Counts, Durations, Grid, Increases, Levels, Step, Tally
from hub.reading import Value

S = 1_000
spans = st.builds(lambda since, length: (since * S, (since + length) * S), st.integers(0, 60), st.integers(1, 60))
steps = st.sampled_from([1, 2, 5, 15, 60])
rows = st.lists(st.tuples(st.integers(0, 120), st.sampled_from(["open", "shut", None])), max_size=12).map(
    lambda found: sorted(((at * S, word) for at, word in found), key=lambda row: row[0])
)


def told(tally: Tally, said: Iterable[tuple[int, Value | None]]) -> list[Step]:
    """All steps of a series."""
    found = [step for at, value in said for step in tally.take(at, value)]
    return [*found, *tally.done()]


@given(said=rows, span=spans, step=steps, silent=st.integers(1, 50))
def test_durations_are_those_counted_by_the_second(
    said: list[tuple[int, str | None]], span: tuple[int, int], step: int, silent: int
) -> None:
    """The newest word holds while its device speaks at all; nothing is held in silence, or before the first."""
    wanted: dict[int, Counter[str]] = {}
    said = [row for row in said if row[0] < span[1]]
    for at in range(*span, S):
        past = [ts for ts, _ in said if ts <= at]
        ahead = [ts for ts, _ in said if ts > at]
        words = [word for ts, word in said if ts <= at and word]
        until = ahead[0] if ahead else span[1]
        if past and until - past[-1] <= silent * S and words:
            wanted.setdefault(max(span[0], at // (step * S) * step * S), Counter())[words[-1]] += 1
    found: dict[int, Counter[str]] = {}
    for each in told(Durations(Grid(step, UTC), *span, silent * S), said):
        if each.seconds:
            found.setdefault(each.since, Counter())[each.word] += int(each.seconds)
    assert found == wanted


@given(said=rows, span=spans, step=steps)
def test_counts_are_those_counted_one_by_one(
    said: list[tuple[int, str | None]], span: tuple[int, int], step: int
) -> None:
    """Each event in its step, those outside of the span in none; a step in which nobody listened has no count."""
    wanted = Counter((at, word) for at, word in said if word and span[0] <= at < span[1])
    found = told(Counts(Grid(step, UTC), *span, 5 * S, named=True), said)
    for each in found:
        inside = [word for at, word in wanted.elements() if each.since <= at < each.until]
        assert (each.count or 0) == inside.count(each.word)
        assert each.count is not None or not each.coverage
    assert sum(each.count or 0 for each in found) == wanted.total()


@given(
    pulses=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=30), span=spans, step=steps,
    end=st.sampled_from([None, 100]), start=st.integers(0, 99),
)  # fmt: skip
def test_increases_are_the_pulses(
    pulses: list[tuple[int, int]], span: tuple[int, int], step: int, end: int | None, start: int
) -> None:
    """A counter that is read now and then, and goes over its end where it has one: none is lost, none made up."""
    at, value, wanted = 0, start, Counter[int]()
    samples: list[tuple[int, Value | None]] = [(0, float(start))]
    for wait, count in pulses:
        at, value = at + wait, value + count
        value = value if end is None else value % end
        samples.append((at * S, float(value)))
        if span[0] <= at * S < span[1]:
            wanted[max(span[0], at // step * step * S)] += count
    found = told(Increases(Grid(step, UTC), *span, 99 * S, end=end), samples)
    assert {each.since: each.increase for each in found if each.increase} == +wanted
    assert not any(each.resets or each.in_gaps for each in found)


def test_a_reset_another_meter_and_a_gap_are_told_apart() -> None:
    """From nought it counts, elsewhere it does not; what rose in silence stands beside, and in no step's increase."""
    samples = [(0, 500.0), (10, 510.0), (20, 2.0), (30, 777.0), (40, 700.0), (50, 699.9), (100, 720.0)]
    (only,) = told(Increases(Grid(120, UTC), 0, 120 * S, 15 * S, end=None), [(at * S, value) for at, value in samples])
    assert only.increase == pytest.approx(10 + 2 + 775)
    assert only.in_gaps == pytest.approx(20.1)
    assert only.resets == 3


@given(
    levels=st.lists(st.tuples(st.integers(0, 59), st.floats(30, 120)), min_size=1, max_size=20), energy=st.booleans()
)
def test_levels_by_energy_and_all_else_by_the_mean(levels: list[tuple[int, float]], energy: bool) -> None:
    """10 lg of the mean of 10^(L/10) for sound, and never above the loudest."""
    said: list[tuple[int, Value | None]] = [(at * S, level) for at, level in sorted(levels)]
    (only,) = told(Levels(Grid(60, UTC), 0, 60 * S, 60 * S, energy=energy), said)
    values = [level for _, level in levels]
    mean = sum(10 ** (value / 10) for value in values) / len(values) if energy else sum(values) / len(values)
    assert only.mean == pytest.approx(10 * math.log10(mean) if energy else mean, abs=1e-6)
    assert (only.low, only.high, only.count) == (min(values), max(values), len(values))


def test_a_gap_is_a_step_without_figures() -> None:
    """Not nought, and not the level before: nothing, of which no part was heard."""
    said: list[tuple[int, Value | None]] = [(at * S, 50.0) for at in (0, 5, 10, 300, 305)]
    found = told(Levels(Grid(60, UTC), 0, 360 * S, 15 * S, energy=True), said)
    assert [each.mean for each in found] == [50.0, None, None, None, None, 50.0]
    assert [each.coverage for each in found] == pytest.approx([10 / 60, 0, 0, 0, 0, 5 / 60])


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [("Asia/Shanghai", "2026-03-29", 24), ("Europe/Berlin", "2026-03-29", 23), ("Europe/Berlin", "2026-10-25", 25)],
)
def test_steps_begin_at_the_sites_midnight(zone: str, day: str, hours: int) -> None:
    """A day is a day of the wall clock, also when the clocks are set."""
    there = ZoneInfo(zone)
    noon = int(datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=there).timestamp() * S)
    begin, end = Grid(86_400, there).around(noon)
    assert (begin, end - begin) == (
        int(datetime.fromisoformat(day).replace(tzinfo=there).timestamp() * S),
        hours * 3_600_000,
    )


@pytest.mark.parametrize("step", [0, 7, 100_000, 86_401])
def test_a_step_divides_a_day(step: int) -> None:
    """Else days would not begin where days begin."""
    with pytest.raises(ValueError, match=str(step)):
        Grid(step, UTC)
