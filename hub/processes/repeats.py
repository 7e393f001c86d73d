"""A log that does not repeat itself: the same line of the same logger three times a minute, then how often it came.

The one place for it: who reports a trouble each second may go on doing so, and who asks twice is answered twice.
Nothing is decided by it.
"""

import logging
import time
from collections.abc import Callable

MINUTE_S = 60.0
OFTEN = 3  # times a minute: somebody who repeats an order wants its answer in the log each time
MOST = 500  # different lines that are remembered; older ones are said again sooner


class Repeats(logging.Filter):
    """For a handler. Lines that differ in a word, or in their level, are different lines."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing was said yet."""
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, int, str], tuple[float, int]] = {}  # since when, and how often

    def filter(self, record: logging.LogRecord) -> bool:
        """False: the line was said three times in this minute."""
        now, line = self._clock(), (record.name, record.levelno, record.getMessage())
        began, times = self._said.pop(line, (now, 0))
        if now - began < MINUTE_S:
            self._said[line] = (began, times + 1)
            self._forget()
            return times < OFTEN
        self._said[line] = (now, 1)
        if times > OFTEN:
            record.msg = f"{line[2]} (and {times - OFTEN} times more since)"
            record.args = ()
        return True

    def _forget(self) -> None:
        if len(self._said) > MOST:
            del self._said[next(iter(self._said))]
