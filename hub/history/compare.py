"""What the journal has beside what the store has, reading by reading: missing, changed, twice. Only reads.

Both are told in order of time, so that memory does not grow with them; late readings are asked for by themselves.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple

from hub.history.reach import Kept
from hub.history.tail import Tail
from hub.journal.batches import Row

NEAR_MS = 600_000  # readings so near to each other are asked for with one question


class Wrong(StrEnum):
    """How a reading of the store is not as the journal has it."""

    MISSING = "missing"
    CHANGED = "changed"
    TWICE = "twice"


class Difference(NamedTuple):
    """A reading as the journal has it (of TWICE: as the store has it), and what is wrong with it in the store."""

    wrong: Wrong
    row: Row


class Extra(NamedTuple):
    """A reading of the store that the journal does not have, at least not any more."""

    row: Row


def compare(tail: Tail, kept: Kept) -> Iterator[Difference | Extra]:
    """Every reading of the tail against the store. Raises StoreError."""
    for device in tail.devices():
        for since, until in _spans(tail.times(device)):
            yield from beside(tail.readings(device, since, until), kept.readings(device, since, until))


def beside(wanted: Iterable[Row], found: Iterable[Row]) -> Iterator[Difference | Extra]:
    """Two streams of one device, each in order of ts."""
    ours, theirs = groupby(wanted, _ts), groupby(found, _ts)
    ts, mine = next(ours, (None, iter(())))
    for other_ts, other in theirs:
        while ts is not None and ts < other_ts:
            yield from _instant(list(mine), [])
            ts, mine = next(ours, (None, iter(())))
        if ts == other_ts:
            yield from _instant(list(mine), list(other))
            ts, mine = next(ours, (None, iter(())))
        else:
            yield from _instant([], list(other))
    while ts is not None:
        yield from _instant(list(mine), [])
        ts, mine = next(ours, (None, iter(())))


def _instant(wanted: list[Row], found: list[Row]) -> Iterator[Difference | Extra]:
    """The readings of one device and one millisecond."""
    left = {(row.seq, row.quantity): row for row in wanted}
    seen = set[tuple[int, str]]()
    for row in found:
        key = (row.seq, row.quantity)
        ours = left.pop(key, None)
        if key in seen:
            yield Difference(Wrong.TWICE, row)
        elif ours is None:
            yield Extra(row)
        elif ours != row:
            yield Difference(Wrong.CHANGED, ours)
        seen.add(key)
    yield from (Difference(Wrong.MISSING, row) for row in left.values())


def _spans(times: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Half open spans that hold all the times, which are in order."""
    first = last = None
    for ts in times:
        if first is None or last is None:
            first = ts
        elif ts - last > NEAR_MS:
            yield first, last + 1
            first = ts
        last = ts
    if first is not None and last is not None:
        yield first, last + 1


def _ts(row: Row) -> int:
    return row.ts
