"""What is still taken in when the disk is full, or the journal's budget is: alarms, orders, and what they stand on.

Ordinary messages of a broker stay there, unacknowledged; values that are polled drive the alarms and are not kept. It
decides over hub/journal/reserve.py and hub/journal/thinning.py, and is asked from the journal's thread.
"""

import sqlite3
from pathlib import Path

from msgspec.structs import replace

from device_profiles import vocabulary
from hub.journal.reserve import MB, Reserve
from hub.journal.thinning import Thinner
from hub.journal.writer import Journal
from hub.outcome import Outcome
from hub.reading import Kind, Reading

NEARLY, WELL = 0.90, 0.85  # of the budget: thinning begins, and ends


class Space:
    """The journal's space. Without a reserve (a test's, a bench's) there is always room."""

    def __init__(self, reserve: Reserve | None = None) -> None:
        """`look` once before the first commit."""
        self._reserve, self._thinner = reserve, Thinner()
        self.thinning = self._over = False  # nearly used; used up
        self._thinned = 0

    @property
    def scarce(self) -> bool:
        """Whether ordinary readings are not taken in now."""
        return self._over or (self._reserve is not None and self._reserve.spent)

    def give(self) -> bool:
        """The journal could not be written: a little of the reserve is given back; False when none is left."""
        return self._reserve is not None and self._reserve.give()

    def look(self, journal: Journal, now: int) -> None:
        """Measure, remake the reserve, thin. On the journal's thread. Raises OSError, sqlite3.Error."""
        if self._reserve is None:
            return
        self._reserve.look(_on_disk(journal.path))
        budget, used = self._reserve.budget, _used(journal.db)
        self.thinning = used > budget * (WELL if self.thinning else NEARLY)
        if self.thinning:
            self._thinned += self._thinner.work(journal.db, journal.site, now)
            used = _used(journal.db)
        elif self._thinned:
            self._thinner.rest()
            self._thinned = 0
        self._over = used > budget * (NEARLY if self._over else 1.0)

    def why_full(self) -> str:
        """In a figure, why readings are not kept; empty: they are."""
        if self._reserve is None or not self.scarce:
            return ""
        return f"{self._reserve.budget // MB} MB" if self._over else f"{self._free_mb()} MB"

    def why_thinned(self) -> str:
        """How many readings were taken out since the journal came near its budget, in thousands that do not flicker."""
        return f"> {10 ** (len(str(self._thinned)) - 1)}" if self._thinned else ""

    def _free_mb(self) -> int:
        """What is left, in the steps in which it is worth telling."""
        held = self._reserve.held() // MB if self._reserve is not None else 0
        return held - held % 8


def _on_disk(path: Path) -> int:
    """Bytes of the journal's files."""
    files = (path, path.with_name(path.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def _used(db: sqlite3.Connection) -> int:
    """Bytes that hold something: pages that were freed are written again before the file grows."""
    size, pages, free = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
    )
    return int(size * (pages - free))


def spare(outcome: Outcome, *, hold: bool) -> Outcome:
    """Leave in `outcome` what alarms stand on; returns the readings that were taken out of it.

    `hold`: they are to be written later (nothing was acknowledged). Else they are shown and drive alarms, and are not
    kept, but for events and for those of a source whose alarm has just changed.
    """
    speaking = {part for flip in outcome.flips for part in flip.key.split("/")[1:2]}
    kept = [] if hold else [item for item in outcome.readings if item.device in speaking or _is_event(item)]
    later = Outcome(readings=outcome.readings, sequences=outcome.sequences if hold else [])
    outcome.readings = kept
    outcome.sequences = [] if hold else outcome.sequences
    outcome.faults = [replace(fault, payload=None) for fault in outcome.faults]
    if not hold:
        left = {id(item) for item in kept}
        outcome.passing = [item for item in later.readings if id(item) not in left]
    return later


def _is_event(item: Reading) -> bool:
    word = vocabulary.find(item.quantity)
    return word is not None and word.quantity.kind is Kind.EVENT
