"""Durations, increases and counts against what counting millisecond by millisecond and pulse by pulse gives."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.batches import Row
from hub.history.tally import Span, counts, counts_of, durations, durations_of, increases, increases_of, step_up

if TYPE_CHECKING:
    from hub.history.duck import DuckStore

T = 1_760_000_000_000
spans = st.builds(
    lambda since, length, step: Span(since, since + length, step),
    st.integers(0, 60), st.integers(1, 60), st.integers(1, 70),
)  # fmt: skip
said = st.lists(st.tuples(st.integers(0, 120), st.sampled_from(["open", "shut", "stuck"])), max_size=12).map(
    lambda rows: sorted(rows, key=lambda row: row[0])
)


def slot(span: Span, at: int) -> int:
    """The step that an instant lies in."""
    return span.since + (at - span.since) // span.step * span.step


@given(said=said, span=spans, silent=st.integers(1, 50))
def test_durations_are_those_counted_by_the_millisecond(said: list[tuple[int, str]], span: Span, silent: int) -> None:
    """At each instant the newest word holds if it is young enough; nothing is held in silence, or before the first."""
    wanted: dict[int, Counter[str]] = {}
    for at in range(span.since, span.until):
        past = [row for row in said if row[0] <= at]
        if past and at < past[-1][0] + silent:
            wanted.setdefault(slot(span, at), Counter())[past[-1][1]] += 1
    assert durations([row for row in said if row[0] < span.until], span, silent) == wanted


@given(said=said, span=spans)
def test_counts_are_those_counted_one_by_one(said: list[tuple[int, str]], span: Span) -> None:
    """Each event in its step, those outside of the span in none."""
    wanted: dict[int, Counter[str]] = {}
    for at, event in said:
        if span.since <= at < span.until:
            wanted.setdefault(slot(span, at), Counter())[event] += 1
    assert counts(said, span) == wanted


@given(
    pulses=st.lists(
        st.tuples(st.integers(1, 9), st.integers(0, 9), st.sampled_from(["", "", "", "reset"])), max_size=30
    ),
    span=spans,
    full=st.sampled_from([None, 100]),
    start=st.integers(0, 99),
)
def test_increases_are_the_pulses(pulses: list[tuple[int, int, str]], span: Span, full: int | None, start: int) -> None:
    """A counter of pulses that is read now and then, rolls over where it has an end, and is reset: none made up.

    Pulses between the last reading and a reset are lost with the counter; a reset is told from a roll-over where the
    counter is not at its very end.
    """
    at, value, wanted = 0, start, dict[int, int]()
    samples: list[tuple[int, float]] = [(0, float(start))]
    if span.since == 0:
        wanted[0] = 0
    for wait, count, event in pulses:
        at += wait
        reset = event == "reset" and (full is None or value < 0.8 * full)
        value = count if reset else value + count
        if full is not None:
            value %= full
        samples.append((at, float(value)))
        if span.since <= at < span.until:
            where, rise = slot(span, at), count
            if reset and count >= samples[-2][1]:
                rise = int(count - samples[-2][1])  # nobody can tell
            wanted[where] = wanted.get(where, 0) + rise
    assert increases(samples, span, full) == wanted


@pytest.mark.parametrize(
    ("before", "value", "full", "risen"),
    [
        (5, 9, None, 4), (9, 5, None, 5), (65_530, 4, 65_536, 10), (30_000, 4, 65_536, 4), (99_999, 3, 65_536, 3),
        (5, -1, None, 0),
    ],
)  # fmt: skip
def test_a_counter_that_falls(before: float, value: float, full: float | None, risen: float) -> None:
    """Began anew from zero, or went over its end; a reading past the end is no place to roll over from."""
    assert step_up(before, value, full) == risen


def test_a_store_is_asked_for_what_was_before_the_span(duck: "DuckStore", row: Callable[..., Row]) -> None:
    """A gate that has been open since yesterday is open at midnight, and a counter's first step is no loss."""
    duck.append(
        [
            row(1, "open", quantity="gate", ts=T - 100),
            row(2, "shut", quantity="gate", ts=T + 150),
            row(3, 7.0, quantity="energy", ts=T - 100),
            row(4, 9.5, quantity="energy", ts=T + 150),
            row(5, "granted", quantity="passage", ts=T + 10),
        ],
        5,
    )
    span = Span(T, T + 200, 100)
    assert durations_of(duck, "noise-1", "gate", span, 10_000) == {T: {"open": 100}, T + 100: {"open": 50, "shut": 50}}
    assert increases_of(duck, "noise-1", "energy", span) == {T + 100: 2.5}
    assert counts_of(duck, "noise-1", "passage", span) == {T: {"granted": 1}}
    assert durations_of(duck, "noise-1", "energy", span, 10_000) == {}
