"""Sudden noise at night: readings of LAFmax more than 15 dB above the night's limit (GB 3096-2008, 5.4).

Pure. A meter that gives no LAFmax is not judged: its loudest LAeq would say less than was there.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

import msgspec

from hub.figures.periods import Cell, Part
from hub.history.store import Sample
from hub.rules.noise import exceeds

APART_MS = 60_000  # maxima that are closer together are one event
MOST_EVENTS = 200  # are listed; all are counted


class Bang(msgspec.Struct, frozen=True):
    """One event: from its first to its last reading, and the highest."""

    start: int
    end: int
    lafmax: float


class Sudden(msgspec.Struct, frozen=True):
    """The first events of the month's nights, how many there were, and the limit of LAFmax in dB(A)."""

    events: list[Bang]
    count: int
    limit: float


class Maxima(msgspec.Struct, frozen=True):
    """The highest LAFmax in each cell (None: none was given), and the sudden noises."""

    of_cells: list[float | None]
    sudden: Sudden | None


def maxima(pages: Iterable[Sequence[Sample]], cells: Sequence[Cell], limit: float) -> Maxima:
    """What the meter's own maxima say (oldest first). A maximum is given at the end of its period, so at 06:00:00 it
    is the night's.
    """
    tops: list[float | None] = [None] * len(cells)
    ends = [cell.end for cell in cells]
    events: list[Bang] = []
    count = seen = 0
    for ts, level in (sample for page in pages for sample in page):
        at = bisect_left(ends, ts)
        if at == len(cells) or ts <= cells[0].start:
            continue
        seen += 1
        tops[at] = max(level, tops[at] or level)
        if cells[at].part is not Part.NIGHT or not exceeds(level, limit):
            continue
        last = events[-1] if events else None
        if last is not None and ts - last.end <= APART_MS:
            events[-1] = Bang(last.start, ts, max(last.lafmax, level))
            continue
        count += 1
        if len(events) < MOST_EVENTS:
            events.append(Bang(ts, ts, level))
    return Maxima(tops, Sudden(events, count, limit) if seen else None)
