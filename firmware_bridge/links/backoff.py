"""How long to wait before the next attempt: doubling from `first` to `most` seconds, with jitter.

Jitter keeps a hundred hubs from knocking at one broker at once after a power cut. Nothing here sleeps.
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
