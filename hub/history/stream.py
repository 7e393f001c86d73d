"""Readings of any span, history and journal as one stream: each reading once, none missing at the seam, oldest first.

Who went where (passages, chips) is told for its legal life only, whether or not it was deleted in time.
"""

import contextlib
import heapq
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from hub.history.reach import Kept, Nothing, reach
from hub.history.store import Said, Sample, StoreError
from hub.history.tail import Tail
from hub.journal.batches import Row
from hub.keeping.retention import KEEP_TRACES_MS, TRACES
from hub.settings.site import Site

AHEAD_MS = 5_000  # a device's clock may be so far ahead of the hub's (firmware_bridge/wire/quick_json.py, MAX_SKEW_MS)


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Readings with since <= ts < until (ms since 1970). Without devices: of all; without quantities: all of them."""

    since: int
    until: int
    devices: tuple[str, ...] = ()
    quantities: tuple[str, ...] = ()

    def takes(self, row: Row) -> bool:
        """True for a reading that is meant."""
        return (
            self.since <= row.ts < self.until
            and (not self.devices or row.device in self.devices)
            and (not self.quantities or row.quantity in self.quantities)
        )


class Stream:
    """A selection of one data folder's readings. `warning`: the store cannot answer, but the journal has all of it."""

    def __init__(self, tail: Tail, kept: Kept, selection: Selection, now: int, warning: str = "") -> None:
        """Use `opened`."""
        self._tail, self._kept, self._selection = tail, kept, selection
        self._devices = kept.state().devices
        self._legal_from = now - KEEP_TRACES_MS
        self.warning = warning

    def devices(self) -> list[str]:
        """Those that were asked for; else all of which journal or history have something."""
        return list(self._selection.devices) or self.known()

    def known(self) -> list[str]:
        """All devices of which there is something."""
        return sorted({*self._devices, *self._tail.devices()})

    def readings(self, device: str) -> Iterator[Row]:
        """Of one device, oldest first. Raises StoreError when the history breaks off."""
        chosen = self._selection
        older = self._kept.readings(device, chosen.since, chosen.until, chosen.quantities)
        rows = heapq.merge(older, self._tail.readings(device), key=lambda row: (row.ts, row.seq))
        return (row for row in once(rows) if row.quantity not in TRACES or row.ts >= self._legal_from)

    def before(self, device: str, quantity: str, ts: int) -> Sample | Said | None:
        """What the history has of a series last before an instant. Raises StoreError."""
        return self._kept.last_before(device, quantity, ts)


@contextlib.contextmanager
def opened(
    journal: sqlite3.Connection, data: Path, site: Site | None, selection: Selection, now: int
) -> Iterator[Stream]:
    """Journal first, then history. Raises StoreError when the history is needed and cannot be had."""
    with contextlib.closing(Tail(journal, now, selection.takes)) as tail, contextlib.ExitStack() as stack:
        try:
            stream = Stream(tail, stack.enter_context(reach(data, site)), selection, now)
        except StoreError as error:
            if tail.reach.first_rx > selection.since - AHEAD_MS:
                raise
            stream = Stream(tail, Nothing(), selection, now, str(error))
        yield stream


def once(rows: Iterator[Row], twice: Callable[[Row], None] | None = None) -> Iterator[Row]:
    """Rows in order of ts without those that come again: the journal still has what the history has already."""
    at, seen = -1, set[tuple[int, str]]()
    for row in rows:
        if row.ts != at:
            at, seen = row.ts, set()
        key = (row.seq, row.quantity)
        if key not in seen:
            seen.add(key)
            yield row
        elif twice is not None:
            twice(row)
