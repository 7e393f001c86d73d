"""From samples to hours: what a reading counts for, what is missing, and that pages make no difference."""

import math
from collections.abc import Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.calendar.schedule import parse_span
from hub.figures import measure as room
from hub.figures.levels import Tally
from hub.figures.measure import Measured, measure
from hub.figures.periods import cells
from hub.history.store import Sample

HOURS = cells(date(2026, 10, 1), date(2026, 10, 1), parse_span("22:00-06:00"), ZoneInfo("Asia/Shanghai"))
START, END = HOURS[0].start, HOURS[-1].end
HOUR, MINUTE = 3_600_000, 60_000
LONGEST = 90_000


def found(samples: Sequence[Sample], longest: int = LONGEST, now: int = END) -> Measured:
    """Measured from one page."""
    return measure([samples], HOURS, longest, now)


def steady(step: int, count: int, level: float = 50.0, start: int = START) -> list[Sample]:
    """Readings at the end of each of `count` periods."""
    return [(start + step * (n + 1), level) for n in range(count)]


@pytest.mark.parametrize("step", [1000, 5000, 60_000])
def test_a_meter_at_its_pace_covers_all(step: int) -> None:
    """Readings of any period count for their period: the whole day is measured, and nothing is called a gap."""
    result = found(steady(step, (END - START) // step))

    assert [tally.length for tally in result.tallies] == [HOUR] * 24
    assert sum(tally.readings for tally in result.tallies) == (END - START) // step
    assert (result.gaps, result.gap_count, result.gap_ms) == ([], 0, 0)


def test_a_period_over_the_hour_is_shared() -> None:
    """A minute's LAeq given at half past the edge belongs to both hours by halves."""
    result = found(steady(MINUTE, 60, 60.0, START + 30_000))

    assert [result.tallies[0].length, result.tallies[1].length] == [HOUR - 30_000, 30_000]


def test_a_gap_counts_for_nothing_and_is_named() -> None:
    """After ten minutes of silence the next reading counts for its own second; the hour has so much less coverage."""
    samples = steady(1000, 1200) + steady(1000, 1800, start=START + 1800_000)
    result = found(samples, now=START + HOUR)

    assert result.tallies[0].length == HOUR - 600_000
    assert [(gap.start, gap.end) for gap in result.gaps] == [(START + 1200_000, START + 1800_000)]
    assert (result.gap_count, result.gap_ms) == (1, 600_000)


def test_a_loud_reading_after_a_gap_does_not_fill_it() -> None:
    """Were a bang at the end of an hour's silence taken for the hour, the level would be wrong by tens of dB."""
    result = found([*steady(1000, 600), (START + 1800_000, 110.0), (START + 1801_000, 50.0)], now=START + 1801_000)
    level = result.tallies[0].laeq

    assert result.tallies[0].length == 602_000
    assert level == pytest.approx(10 * math.log10((601_000 * 10**5 + 1000 * 10**11) / 602_000))


def test_no_reading_stands_for_longer_than_silence_lasts() -> None:
    """A meter that has been silent is silent, whatever its pace was."""
    result = found([(START + n * 600_000, 50.0) for n in range(1, 7)])

    assert sum(tally.length for tally in result.tallies) == 6 * LONGEST
    assert result.gap_count == 7


def test_the_pace_may_change() -> None:
    """A meter that is asked each second from noon on counts for a second, and not for the minute of before."""
    half = (END - START) // 2
    samples = steady(MINUTE, half // MINUTE) + steady(1000, 3600, start=START + half)
    result = found(samples, now=START + half + 3_600_000)

    assert sum(tally.length for tally in result.tallies) == half + 3_600_000
    assert result.gap_count == 0


def test_two_readings_of_one_instant_are_one_length() -> None:
    """The second of them has no time of its own."""
    samples = [sample for sample in steady(1000, 100) for _ in range(2)]

    assert sum(tally.length for tally in found(samples).tallies) == 100_000


def test_nothing_is_one_gap_until_now() -> None:
    """An empty history is a gap from the first hour to now, and no level; the future is no gap."""
    result = found([], now=START + 2 * HOUR)

    assert [(gap.start, gap.end) for gap in result.gaps] == [(START, START + 2 * HOUR)]
    assert {tally.laeq for tally in result.tallies} == {None}
    assert measure([], [], LONGEST, END).tallies == []


def test_of_many_gaps_the_longest_are_named_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, and the count says that there were more."""
    monkeypatch.setattr(room, "MOST_GAPS", 3)
    samples: list[Sample] = []
    at = START
    for minutes in (2, 9, 3, 8, 2, 7):
        samples += steady(1000, 60, start=at)
        at = samples[-1][0] + minutes * MINUTE
    result = found(samples, now=samples[-1][0])

    assert [gap.length // MINUTE for gap in result.gaps] == [9, 3, 8]
    assert (result.gap_count, result.gap_ms // MINUTE) == (5, 24)


@given(
    st.lists(st.tuples(st.integers(1, 200_000), st.integers(300, 1100)), min_size=2, max_size=200),
    st.lists(st.integers(1, 50), min_size=1, max_size=10),
)
def test_pages_make_no_difference_and_time_is_never_invented(steps: list[tuple[int, int]], sizes: list[int]) -> None:
    """However the samples are cut into pages the figures are the same, and no hour is longer than it is."""
    at, samples = START, list[Sample]()
    for step, tenths in steps:
        at += step
        samples.append((at, tenths / 10))
    pages: list[Any] = []
    rest = list(samples)
    while rest:
        size = sizes[len(pages) % len(sizes)]
        pages, rest = [*pages, rest[:size]], rest[size:]
    whole, cut = found(samples), measure(pages, HOURS, LONGEST, END)

    assert [(t.length, t.laeq, t.readings) for t in whole.tallies] == [
        (t.length, t.laeq, t.readings) for t in cut.tallies
    ]
    assert all(0 <= tally.length <= HOUR for tally in whole.tallies)
    together = Tally().join(whole.tallies)
    assert together.length <= at - START
    assert together.length + whole.gap_ms <= END - START
