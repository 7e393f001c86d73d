"""When a device was heard, and so when it was not: what a chart hatches. Pure; instants are ms since 1970."""

from itertools import pairwise


class Heard:
    """When something was heard, as spans without a gap: few of them, however many readings there were."""

    def __init__(self, longest: int) -> None:
        """Silence of more than `longest` ms is a gap."""
        self.longest = longest
        self._spans: list[list[int]] = []

    def at(self, ts: int) -> None:
        """Then; in order of time."""
        if self._spans and ts - self._spans[-1][1] <= self.longest:
            self._spans[-1][1] = max(ts, self._spans[-1][1])
        else:
            self._spans.append([ts, ts])

    def also(self, other: "Heard") -> None:
        """What the other heard as well."""
        both, self._spans = sorted([*self._spans, *other._spans]), []  # of the same class
        for first, last in both:
            self.at(first)
            self._spans[-1][1] = max(last, self._spans[-1][1])

    def gaps(self, since: int, until: int) -> list[tuple[int, int]]:
        """The gaps within a window. Where nothing is known of the time before it, silence begins with it."""
        spans = self._spans if self._spans and self._spans[0][0] <= since else [[since, since], *self._spans]
        silent = ((before[1], after[0]) for before, after in pairwise([*spans, [until, until]]))
        cut = ((max(a, since), min(b, until)) for a, b in silent if b - a > self.longest)
        return [(a, b) for a, b in cut if a < b]
