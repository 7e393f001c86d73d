"""What came within the last so many seconds, in at most 62 buckets however much comes: counts, sums, extremes.

It knows no quantity and no limit. An instant is ms since 1970; what is older than the newest bucket goes into it.
"""

import math
from collections import deque

BUCKETS = 60  # the window is exact to a sixtieth of itself, and rather longer than shorter


class Sums:
    """What a window, or one bucket of it, holds. `weight` is the time in ms that its readings stand for."""

    __slots__ = ("high", "index", "low", "n", "total", "weight")

    def __init__(self, index: int = 0) -> None:
        """Nothing yet."""
        self.index = index
        self.n, self.weight, self.total = 0, 0, 0.0
        self.low, self.high = math.inf, -math.inf

    def add(self, other: "Sums") -> None:
        """Put another one's readings to these."""
        self.n += other.n
        self.weight += other.weight
        self.total += other.total
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)


class Window:
    """The last `span` ms. `shift` moves it with a clock that was set."""

    __slots__ = ("_buckets", "_closed", "_known", "_origin", "_width", "span")

    def __init__(self, span: int) -> None:
        """Empty; a span of less than 60 ms is taken as 60 ms."""
        self.span = max(span, BUCKETS)
        self._width = self.span / BUCKETS
        self._origin = 0
        self._buckets: deque[Sums] = deque()
        self._closed = Sums()  # all buckets but the newest
        self._known = True  # _closed is up to date

    def add(self, at: int, value: float, weight: int = 0, total: float = 0.0) -> None:
        """One reading at `at`."""
        index = int((at - self._origin) // self._width)
        if not self._buckets or index > self._buckets[-1].index:
            self._buckets.append(Sums(index))
            self._known = False
            self._drop(index)
        bucket = self._buckets[-1]
        bucket.n += 1
        bucket.weight += weight
        bucket.total += total
        if value < bucket.low:
            bucket.low = value
        if value > bucket.high:
            bucket.high = value

    def sums(self, now: int) -> Sums:
        """Everything of the last `span` ms (and up to a sixtieth more)."""
        self._drop(int((now - self._origin) // self._width))
        if not self._known:
            self._closed = Sums()
            for bucket in list(self._buckets)[:-1]:
                self._closed.add(bucket)
            self._known = True
        found = Sums()
        found.add(self._closed)
        if self._buckets:
            found.add(self._buckets[-1])
        return found

    def until(self, now: int) -> int | None:
        """When the oldest readings will have gone, ms; None for an empty window."""
        if not self._buckets:
            return None
        leaves = math.ceil(self._origin + (self._buckets[0].index + BUCKETS + 1) * self._width)
        return max(leaves, now + 1)

    def shift(self, gap: int) -> None:
        """`gap` ms did not pass."""
        self._origin += gap

    def clear(self) -> None:
        """Nothing came."""
        self._buckets.clear()
        self._known = False

    def __len__(self) -> int:
        """How many buckets are held."""
        return len(self._buckets)

    def _drop(self, index: int) -> None:
        while self._buckets and self._buckets[0].index < index - BUCKETS:
            self._buckets.popleft()
            self._known = False
