"""How long to wait before the next attempt: a pause that doubles, with jitter, and a pace that many attempts share.

Jitter keeps a hundred hubs from knocking at one broker at once after a power cut, the pace one hub from knocking at a
thousand devices. Nothing here sleeps or asks for the time.
"""

import random


class Backoff:
    """Call `next()` after each failure and `reset()` after a success. Each pause is cut by up to the part `jitter`."""

    def __init__(self, first: float = 0.5, most: float = 10.0, jitter: float = 0.3) -> None:
        """`first` and `most` in seconds; `jitter` 0 (none) to 1."""
        self._first, self._most, self._jitter = first, most, jitter
        self._pause = first

    def next(self) -> float:
        """Seconds to wait now; the one after will be twice as long, up to `most`."""
        pause, self._pause = self._pause, min(2 * self._pause, self._most)
        return pause * (1 - self._jitter * random.random())

    def reset(self) -> None:
        """It went well: the next failure starts from `first` again."""
        self._pause = self._first


class Pace:
    """At most `burst` at once, and `per_second` of them from then on, in the order of asking."""

    def __init__(self, per_second: float, burst: int) -> None:
        """Nobody has asked yet."""
        self._apart = 1 / per_second
        self._ahead = (burst - 1) * self._apart
        self._next = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds until it is this asker's turn, which is taken with the question."""
        turn = max(self._next, now - self._ahead)
        self._next = turn + self._apart
        return max(0.0, turn - now)
