"""How often a credential may be used: the makers' own limits, as sliding windows, with a part kept free for P1.

Pure: instants are arguments (ms). A window counts the uses of the last so many seconds; a bucket that fills again while
it is emptied would let almost twice the limit through in its first minute, and DingTalk then blocks for ten.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence

import msgspec

RESERVED = 4  # one part in so many of each window is for P1 alone


class Limit(msgspec.Struct, frozen=True):
    """At most so many uses in so many seconds."""

    most: int
    seconds: float

    def allowed(self, severity: str) -> int:
        """For P1 all of them; for the others what is not reserved."""
        return self.most if severity == "P1" else self.most - self.most // RESERVED


class Budgets:
    """The uses of every credential of the site, by key: two voices with one credential share its budget."""

    def __init__(self) -> None:
        """Nothing spent."""
        self._spent: dict[str, list[int]] = {}

    def spend(self, keys: Iterable[str], at: int, limits: Sequence[Limit]) -> None:
        """Each of `keys` is used at `at`; what no limit looks back to is forgotten."""
        longest = max((limit.seconds for limit in limits), default=0.0)
        for key in keys if limits else ():
            used = self._spent.setdefault(key, [])
            insort(used, at)
            del used[: bisect_right(used, at - round(longest * 1000))]

    def wait(self, keys: Iterable[str], severity: str, now: int, limits: Sequence[Limit]) -> int:
        """How many ms until all of `keys` may be used for this severity; 0: now."""
        waits = [0]
        for key in keys:
            for limit in limits:
                used = self._window(key, now, limit)
                over = len(used) - limit.allowed(severity)
                if over >= 0:
                    waits.append(used[over] + round(limit.seconds * 1000) - now)
        return max(waits)

    def left(self, keys: Iterable[str], severity: str, now: int, limits: Sequence[Limit]) -> int | None:
        """How often all of `keys` may be used at once, as far as windows of a minute or more say; None: no limit."""
        lefts = [
            limit.allowed(severity) - len(self._window(key, now, limit))
            for key in keys
            for limit in limits
            if limit.seconds >= 60
        ]
        return max(0, min(lefts)) if lefts else None

    def _window(self, key: str, now: int, limit: Limit) -> list[int]:
        """Uses inside the window. One after `now` was noted by a clock that has been set back: it counts as none."""
        used = self._spent.get(key, [])
        return used[bisect_right(used, now - round(limit.seconds * 1000)) : bisect_right(used, now)]
