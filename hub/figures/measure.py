"""From samples to hours: each reading counts for its own time, gaps count for nothing, and are named.

Streamed: one page of samples and one hour of levels are in memory. Decides no limit and no validity.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Sequence
from statistics import median_low

import msgspec

from hub.figures.levels import Tally
from hub.figures.periods import Cell
from hub.history.store import Sample

GAP_MS = 60_000  # a shorter hole lowers the coverage, and is not listed
MOST_GAPS = 200  # the longest are listed; all are counted
_REMEMBERED = 9  # spacings of which the median is the usual one
_HELD = 4096  # different levels of an hour before they go into its tally


class Gap(msgspec.Struct, frozen=True, order=True):
    """Nothing was measured from `start` to `end` (ms since 1970)."""

    length: int
    start: int
    end: int


class Measured(msgspec.Struct, frozen=True):
    """A tally for each cell; the longest gaps in order of time, and how many and how long all are together."""

    tallies: list[Tally]
    gaps: list[Gap]
    gap_count: int
    gap_ms: int


def measure(pages: Iterable[Sequence[Sample]], cells: Sequence[Cell], longest: int, now: int) -> Measured:
    """What the samples (oldest first, until `now`) say of each of the contiguous cells.

    A reading stands for the time since the reading before it: a meter that gives LAeq over a period says so at its
    end, and one that is asked for its momentary level is taken as steady between two questions. After a hole (more
    than one and a half times the usual spacing, the median of nine) it stands for the usual spacing alone. No
    reading stands for more than `longest` ms.
    """
    meter = _Meter(cells, longest, now)
    for page in pages:
        meter.take(page)
    return meter.done()


class _Meter:
    def __init__(self, cells: Sequence[Cell], longest: int, now: int) -> None:
        self._cells, self._longest = cells, longest
        self._end = min(cells[-1].end, now) if cells else 0
        self._tallies = [Tally() for _ in cells]
        self._at, self._held = 0, dict[float, float]()
        self._high = cells[0].end if cells else 0  # of the cell in hand
        self._readings = 0
        self._first: Sample | None = None  # waits for the second, which tells how far apart they are
        self._last = 0
        self._usual = 0
        self._spacings: deque[int] = deque(maxlen=_REMEMBERED)
        self._known = cells[0].start if cells else 0  # up to here everything is measured or a gap
        self._gaps: list[Gap] = []
        self._gap_count = self._gap_ms = 0

    def take(self, page: Sequence[Sample]) -> None:
        for ts, level in page:
            if not self._last:
                self._first, self._last = (ts, level), ts
                continue
            spacing = ts - self._last
            if spacing <= 0:  # a second reading of the same instant has no time of its own
                continue
            self._spacings.append(spacing)
            if self._last == self._known and ts <= self._high and 2 * spacing <= 3 * self._usual <= 6 * spacing:
                self._held[level] = self._held.get(level, 0) + spacing  # as nearly all: at its pace, within the hour
                self._readings += 1
                self._last = self._known = ts
                continue
            if 2 * spacing > 3 * self._usual or 2 * spacing < self._usual:
                self._usual = min(self._longest, median_low(self._spacings))
                if 2 * spacing > 3 * self._usual:
                    spacing = self._usual
            if self._first is not None:
                self._stand(*self._first, self._usual)
                self._first = None
            self._last = ts
            self._stand(ts, level, min(spacing, self._longest))
        if len(self._held) > _HELD:
            self._fold()

    def done(self) -> Measured:
        self._note_gap(self._end)
        self._fold()
        gaps = sorted(self._gaps, key=lambda gap: gap.start)
        return Measured(self._tallies, gaps, self._gap_count, self._gap_ms)

    def _stand(self, ts: int, level: float, length: int) -> None:
        """The level stood for `length` ms until `ts`."""
        start = ts - length
        if start > self._known:
            self._note_gap(start)
        self._known = max(self._known, ts)
        while start < ts and self._at < len(self._cells):
            cell = self._cells[self._at]
            if start >= cell.end:
                self._next()
                continue
            end, start = min(ts, cell.end), max(start, cell.start)
            if start < end:
                self._held[level] = self._held.get(level, 0) + end - start
                self._readings += end == ts
            start = max(start, end)

    def _next(self) -> None:
        self._fold()
        self._at += 1
        self._high = self._cells[self._at].end if self._at < len(self._cells) else 0

    def _fold(self) -> None:
        if self._at < len(self._tallies):
            self._tallies[self._at].add(self._held, self._readings)
        self._held.clear()
        self._readings = 0

    def _note_gap(self, until: int) -> None:
        until = min(until, self._end)
        length = until - self._known
        if length < GAP_MS:
            return
        self._gap_count += 1
        self._gap_ms += length
        heapq.heappush(self._gaps, Gap(length, self._known, until))
        if len(self._gaps) > MOST_GAPS:
            heapq.heappop(self._gaps)
