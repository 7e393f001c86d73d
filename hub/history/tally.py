"""States as durations, counters as increases, events as counts, for each step of a span. Gaps stay gaps.

The first functions are pure, over readings in order of time; the last three ask a store, whichever it is.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from typing import TypeVar

import msgspec

from hub.history.store import HistoryStore, Said, Sample

_T = TypeVar("_T")
ROLL_OVER = 0.1  # a counter that falls by more than nine tenths of its range has rolled over; else it began anew


class Span(msgspec.Struct, frozen=True):
    """[since, until) in ms since 1970, cut into steps of `step` ms from `since` on; the last may be cut short."""

    since: int
    until: int
    step: int

    def slots(self, since: int, until: int) -> Iterator[tuple[int, int]]:
        """Each step that [since, until) touches, by its begin, and for how many ms."""
        at = max(since, self.since)
        end = min(until, self.until)
        while at < end:
            slot = self.since + (at - self.since) // self.step * self.step
            yield slot, min(end, slot + self.step) - at
            at = slot + self.step


def durations(said: Iterable[Said], span: Span, silent_ms: int) -> dict[int, dict[str, int]]:
    """Step -> state -> ms in it. A word holds until the next, for `silent_ms` at most: after that the state is unknown.

    Pass what was said last before the span first. What is missing to a step's width was unknown; a step of which
    nothing is known is absent.
    """
    held: dict[int, Counter[str]] = {}
    for (at, state), (following, _) in pairwise(chain(said, [(span.until, "")])):
        for slot, ms in span.slots(at, min(following, at + silent_ms)):
            held.setdefault(slot, Counter())[state] += ms
    return {slot: dict(states) for slot, states in held.items()}


def increases(samples: Iterable[Sample], span: Span, full: float | None = None) -> dict[int, float]:
    """Step -> by how much a counter rose up to the readings in it; steps without a reading are absent.

    Pass what it said last before the span first. A counter that falls has begun anew from zero, or, where `full` says
    how many values it has, gone over its end. A first reading of all says nothing of what was before.
    """
    risen: dict[int, float] = {}
    before: float | None = None
    for at, value in samples:
        if span.since <= at < span.until:
            slot = span.since + (at - span.since) // span.step * span.step
            risen[slot] = risen.get(slot, 0.0) + (0.0 if before is None else step_up(before, value, full))
        before = value
    return risen


def step_up(before: float, value: float, full: float | None) -> float:
    """From one reading of a counter to the next; never below zero."""
    if value >= before:
        return value - before
    if full is not None and before < full and full - before + value <= ROLL_OVER * full:
        return full - before + value
    return max(0.0, value)


def counts(said: Iterable[Said], span: Span) -> dict[int, dict[str, int]]:
    """Step -> event -> how often. A step without events is absent: whether anybody listened, coverage tells."""
    found: dict[int, Counter[str]] = {}
    for at, event in said:
        for slot, _ in span.slots(at, at + 1):
            found.setdefault(slot, Counter())[event] += 1
    return {slot: dict(events) for slot, events in found.items()}


def durations_of(
    store: HistoryStore, device: str, quantity: str, span: Span, silent_ms: int
) -> dict[int, dict[str, int]]:
    """As `durations`, of one series of a store. Raises StoreError."""
    before = store.last_before(device, quantity, span.since)
    said = [(before[0], before[1])] if before and isinstance(before[1], str) else []
    return durations(chain(said, _flat(store.states(device, quantity, span.since, span.until))), span, silent_ms)


def increases_of(
    store: HistoryStore, device: str, quantity: str, span: Span, full: float | None = None
) -> dict[int, float]:
    """As `increases`, of one series of a store. Raises StoreError."""
    before = store.last_before(device, quantity, span.since)
    told = [(before[0], before[1])] if before and not isinstance(before[1], str) else []
    return increases(chain(told, _flat(store.samples(device, quantity, span.since, span.until))), span, full)


def counts_of(store: HistoryStore, device: str, quantity: str, span: Span) -> dict[int, dict[str, int]]:
    """As `counts`, of one series of a store. Raises StoreError."""
    return counts(_flat(store.states(device, quantity, span.since, span.until)), span)


def _flat(pages: Iterable[Sequence[_T]]) -> Iterator[_T]:
    return chain.from_iterable(pages)
