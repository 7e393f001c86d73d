"""Sound levels by energy: the published vectors to the last digit given, and what must hold of any levels."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.figures.levels import (
    PERCENTS,
    Tally,
    day_night_level,
    exposure_level,
    mean_level,
    summed_level,
)

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "noise.json").read_text())["vectors"]
Vector = dict[str, Any]  # Any: as the file has them
FUNCTIONS: dict[str, Callable[[Vector], float | None]] = {
    "leq": lambda v: mean_level((level, 1.0) for level in v["levels"]),
    "sel": lambda v: exposure_level(v["levels"], v["seconds_per_level"]),
    "lden": lambda v: mean_level([(v["day"], 12), (v["evening"] + 5, 4), (v["night"] + 10, 8)]),
    "ldn_15_9": lambda v: day_night_level(v["day"], v["night"], 15, 9),
    "ldn_16_8": lambda v: day_night_level(v["day"], v["night"]),
    "sum": lambda v: summed_level(v["levels"]),
    "lex_8h": lambda v: exposure_level([v["level"]], v["hours"] / 8),  # the same energy, within eight hours
}

tenths = st.integers(200, 1400).map(lambda tenth: tenth / 10)
lengths = st.integers(1, 100_000)
parts = st.lists(st.tuples(tenths, lengths), min_size=1, max_size=40)


def tally_of(pieces: list[tuple[float, int]]) -> Tally:
    """What was measured in these pieces."""
    tally = Tally()
    for level, length in pieces:
        tally.add({level: length}, 1)
    return tally


def level_of(tally: Tally) -> float:
    """Its equivalent level, which it has."""
    assert tally.laeq is not None
    return tally.laeq


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["fn"] for vector in VECTORS])
def test_the_published_figures_come_out(vector: Vector) -> None:
    """All of tests/vectors/noise.json, within the tolerance that each states."""
    found = FUNCTIONS[vector["fn"]](vector)

    assert found == pytest.approx(vector["expect"], abs=vector["tol"])


@given(parts)
def test_the_energy_mean_lies_within_and_above_the_arithmetic_one(pieces: list[tuple[float, int]]) -> None:
    """Never below the mean of the dB values, never outside of what was read; equal levels are that level exactly."""
    found = level_of(tally_of(pieces))
    arithmetic = sum(level * length for level, length in pieces) / sum(length for _, length in pieces)

    assert min(level for level, _ in pieces) <= found <= max(level for level, _ in pieces)
    assert found >= arithmetic - 1e-9


@given(parts, st.randoms(use_true_random=False), st.integers(0, 40))
def test_parts_merged_are_the_whole(pieces: list[tuple[float, int]], random: Any, cut: int) -> None:  # Any: Random
    """In any order and from any parts: the same level, length, percentiles and extremes."""
    whole = tally_of(pieces)
    mixed = list(pieces)
    random.shuffle(mixed)
    merged = Tally().join([tally_of(mixed[:cut]), tally_of(mixed[cut:])])

    assert level_of(merged) == pytest.approx(level_of(whole), abs=1e-9)
    assert (merged.length, merged.readings, merged.low, merged.top) == (
        whole.length,
        whole.readings,
        whole.low,
        whole.top,
    )
    assert [merged.exceeded(n) for n in PERCENTS] == [whole.exceeded(n) for n in PERCENTS]


@given(parts)
def test_percentiles_are_those_of_the_sorted_time(pieces: list[tuple[float, int]]) -> None:
    """LN is the lowest level within the loudest N % of the time, by an oracle that lays out the time."""
    tally = tally_of(pieces)
    total = sum(length for _, length in pieces)
    for percent in (*PERCENTS, 1, 99, 100):
        reached = 0
        ordered = iter(sorted(pieces, reverse=True))
        while reached * 100 < percent * total:
            level, length = next(ordered)
            reached += length
        assert tally.exceeded(percent) == level
    order = [tally.exceeded(percent) or math.nan for percent in PERCENTS]
    assert order == sorted(order, reverse=True)


def test_l10_of_a_hundred_samples_is_the_tenth_from_above() -> None:
    """GB 3096-2008: 100 equal samples 1.0 to 100.0 dB, sorted from the loudest, L10 the tenth, L50 the fiftieth."""
    tally = tally_of([(float(n), 1) for n in range(1, 101)])

    assert [tally.exceeded(n) for n in PERCENTS] == [96.0, 91.0, 51.0, 11.0, 6.0]


def test_nothing_measured_is_no_level() -> None:
    """No number stands for nothing: not 0 dB, not NaN."""
    empty = Tally()

    assert (empty.laeq, empty.exceeded(50), mean_level([])) == (None, None, None)
    assert mean_level([(50.0, 0)]) is None
    assert exposure_level([], 1.0) is None


def test_a_day_without_its_night_has_no_ldn() -> None:
    """Both parts must be known; a part of no length (the county's night is all day long) is not asked for."""
    assert day_night_level(50.0, None) is None
    assert day_night_level(None, 40.0) is None
    assert day_night_level(None, 40.0, 0, 24) == pytest.approx(50.0)
    assert day_night_level(50.0, 40.0) == pytest.approx(50.0)
