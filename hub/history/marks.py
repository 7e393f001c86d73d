"""Whether a history server may have forgotten what it said it had stored: marks in its own data, read back.

A server that syncs lazily says "stored" and loses seconds of it when it dies. So a mark goes with the rows: how far
the journal had come, and which start of the server took it. It decides only; how marks lie there is the store's.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from hub.journal.batches import Row

MARKS = "zhian_cursor"  # the name of their series
LOOK_S = 30.0  # between two looks; after any trouble at once
MARK_S = 10.0  # between two marks: they are rows too
VISIBLE_S = 60.0  # what was stored is looked for after this: VictoriaMetrics shows it seconds later
_KEPT = 32


class Mark(msgspec.Struct, frozen=True):
    """The journal's rows up to `seq` had been stored by the server that was started as `boot` (0: unknown)."""

    seq: int
    boot: int
    at: int  # ms since 1970: strictly increasing, so that the last one is the newest


class Marks:
    """`started`: a word that changes with each start of the server (empty: it tells none). `read`: its newest mark from
    an instant (ms) on.
    """

    def __init__(
        self,
        started: Callable[[], str],
        read: Callable[[int], Mark | None],
        number_of: Callable[[str], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is asked yet."""
        self._started, self._read, self._number_of, self._monotonic = started, read, number_of, monotonic
        self._boot: str | None = None  # None: not looked since this process began
        self._looked: float | None = None
        self._at = 0
        self._written: deque[tuple[float, Mark]] = deque(maxlen=_KEPT)

    def doubt(self) -> None:
        """There was trouble: look again before anything else is believed."""
        self._looked = None

    def forgot(self) -> bool:
        """True when the server may have forgotten some of what it took lately; told once. Raises StoreError."""
        now = self._monotonic()
        if self._looked is not None and now - self._looked < LOOK_S:
            return False
        boot = self._started()
        forgot = not self._holds(boot, now)
        if forgot:
            self._written.clear()
        self._boot, self._looked = boot, now
        return forgot

    def due(self, rows: Sequence[Row], cursor: int) -> Mark | None:
        """The mark to write after these rows, when it is time for one."""
        now = self._monotonic()
        if not rows or (self._written and now - self._written[-1][0] < MARK_S):
            return None
        self._at = max(self._at + 1, max(row.rx for row in rows))
        return Mark(cursor, self._number_of(self._boot) if self._boot else 0, self._at)

    def wrote(self, mark: Mark) -> None:
        """The server said that it has this mark."""
        self._written.append((self._monotonic(), mark))

    def _holds(self, boot: str, now: float) -> bool:
        if self._boot is None:  # another process of ours fed it: believed where its mark is of the same start
            found = self._read(0)
            self._at = found.at if found else 0
            return bool(boot) and found is not None and found.boot == self._number_of(boot)
        if boot != self._boot or (not boot and self._looked is None):
            return False
        old = [mark for at, mark in self._written if now - at >= VISIBLE_S]
        if not old:
            return True
        found = self._read(old[-1].at)
        return found is not None and found.seq >= old[-1].seq
