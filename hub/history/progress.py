"""How far the history is behind the journal, as figures for a person. Read from the journal; it decides nothing."""

import sqlite3

import msgspec

from hub.history import notes
from hub.journal import batches

_LOOK_BACK = 20_000  # readings whose arrival and size tell the present rate
_OLDEST = "SELECT rx FROM batch WHERE last > ? ORDER BY last LIMIT 1"
_SAMPLE = "SELECT first, rx FROM batch WHERE last > ? ORDER BY last LIMIT 1"
_SIZE = "SELECT sum(length(readings)), sum(last - first + 1) FROM (SELECT * FROM batch ORDER BY last DESC LIMIT 100)"
_OVERHEAD = 1.2  # of a file of pages, over the text in it
LEAST_MS = 10_000


class Backlog(msgspec.Struct, frozen=True):
    """`readings` wait, the first of them since `oldest` (ms since 1970). The journal has all since `held_since`.

    `rate`: readings a second that arrive now; `size`: bytes of the journal that one takes.
    """

    readings: int
    oldest: int | None
    held_since: int | None
    rate: float
    size: float

    def room_s(self, free_bytes: int) -> float | None:
        """For how many seconds so much free disk holds what arrives; None when nothing does."""
        per_second = self.rate * self.size
        return free_bytes / per_second if per_second > 0 else None

    def caught_up_s(self, pace: float) -> float | None:
        """In how many seconds nothing waits at `pace` readings a second; None when it does not get less."""
        return self.readings / (pace - self.rate) if pace > self.rate else None


def backlog(journal: sqlite3.Connection, now: int) -> Backlog:
    """As it is now. Raises sqlite3.Error."""
    noted = notes.read(journal)
    cursor, last = noted.noted if noted else 0, batches.last_seq(journal)
    oldest = journal.execute(_OLDEST, (cursor,)).fetchone()
    held = journal.execute(_OLDEST, (0,)).fetchone()
    sample = journal.execute(_SAMPLE, (last - _LOOK_BACK,)).fetchone()
    size, count = journal.execute(_SIZE).fetchone()
    return Backlog(
        readings=0 if oldest is None else last - cursor,
        oldest=None if oldest is None else int(oldest[0]),
        held_since=None if held is None else int(held[0]),
        rate=0.0 if sample is None else (last - sample[0] + 1) * 1000 / max(LEAST_MS, now - sample[1]),
        size=_OVERHEAD * size / count if count else 0.0,
    )
