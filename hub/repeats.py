"""A log that does not repeat itself: the same line of the same logger once a minute, with how often it was left out.

The one place for it: who reports a trouble each second may go on doing so. Nothing is decided by it.
"""

import logging
import time
from collections.abc import Callable

QUIET_S = 60.0
MOST = 500  # different lines that are remembered; older ones are said again sooner


class Repeats(logging.Filter):
    """For a handler. Lines that differ in a word, or in their level, are different lines."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing was said yet."""
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, int, str], tuple[float, int]] = {}  # when, and how often it was left out since

    def filter(self, record: logging.LogRecord) -> bool:
        """False: the line was said less than a minute ago."""
        now, line = self._clock(), (record.name, record.levelno, record.getMessage())
        at, left_out = self._said.pop(line, (now - QUIET_S, 0))
        if now - at < QUIET_S:
            self._said[line] = (at, left_out + 1)
            return False
        self._said[line] = (now, 0)
        if len(self._said) > MOST:
            del self._said[next(iter(self._said))]
        if left_out:
            record.msg = f"{line[2]} (and {left_out} times since the last such line)"
            record.args = ()
        return True
