"""What came within the last so many seconds, in 61 buckets however much comes: counts, sums, extremes.

It knows no quantity and no limit. An instant is ms since 1970; what is older than the newest bucket goes into it.
"""

import math
from collections import deque
from typing import NamedTuple

BUCKETS = 60  # the window is exact to a sixtieth of itself, and rather longer than shorter


class Sums(NamedTuple):
    """What a window holds. `weight` is the time in ms that its readings stand for."""

    n: int
    weight: int
    total: float
    low: float
    high: float


class Window:
    """The last `span` ms. `shift` moves it with a clock that was set.

    The newest bucket lies in plain attributes: most readings touch nothing else.
    """

    __slots__ = ("_closed", "_high", "_low", "_n", "_newest", "_next", "_origin", "_total", "_weight", "_width", "span")

    _low: float
    _high: float

    def __init__(self, span: int) -> None:
        """Empty."""
        self.span = max(span, BUCKETS)
        self._width = -(-self.span // BUCKETS)
        self._origin = 0
        self.clear()

    def clear(self) -> None:
        """Nothing came."""
        self._newest, self._next = -1, -1  # the newest bucket's index, and when it is over
        self._closed: deque[tuple[int, Sums]] = deque()
        self._open()

    def add(self, at: int, value: float, weight: int = 0, total: float = 0.0) -> None:
        """One reading at `at`."""
        if at >= self._next:
            self._advance(at)
        self._n += 1
        self._weight += weight
        self._total += total
        if value < self._low:
            self._low = value
        if value > self._high:
            self._high = value

    def sums(self, now: int) -> Sums:
        """Everything of the last `span` ms (and up to a sixtieth more)."""
        if now >= self._next:
            self._advance(now)
        if not self._closed:
            return self._bucket()
        counts, weights, totals, lows, highs = zip(*(bucket for _, bucket in self._closed), self._bucket(), strict=True)
        return Sums(sum(counts), sum(weights), math.fsum(totals), min(lows), max(highs))

    def edge(self, now: int) -> int:
        """When the next bucket begins, ms: until then what is asked of the window is as good as it was."""
        return self._origin + ((now - self._origin) // self._width + 1) * self._width

    def leaves(self, now: int) -> int | None:
        """When the oldest readings will have gone, ms; None for an empty window."""
        oldest = self._closed[0][0] if self._closed else self._newest
        if not self._closed and not self._n:
            return None
        return max(self._origin + (oldest + BUCKETS + 1) * self._width, now + 1)

    def shift(self, gap: int) -> None:
        """`gap` ms did not pass."""
        self._origin += gap
        self._next += gap

    def __len__(self) -> int:
        """How many buckets hold anything."""
        return len(self._closed) + (self._n > 0)

    def _bucket(self) -> Sums:
        return Sums(self._n, self._weight, self._total, self._low, self._high)

    def _open(self) -> None:
        self._n, self._weight, self._total = 0, 0, 0.0
        self._low, self._high = math.inf, -math.inf

    def _advance(self, at: int) -> None:
        """Close the newest bucket, open that of `at`, and let go of those that are too old then."""
        index = (at - self._origin) // self._width
        if self._n:
            self._closed.append((self._newest, self._bucket()))
            self._open()
        self._newest, self._next = index, self._origin + (index + 1) * self._width
        while self._closed and self._closed[0][0] < index - BUCKETS:
            self._closed.popleft()
