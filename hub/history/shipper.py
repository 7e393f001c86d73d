"""The shipper carries rows from the journal into the history store, and notes in the journal how far it has come.

It decides nothing about readings. A store that holds its own cursor is believed; one on a server holds none, takes a
row that comes again as the same row, and is fed the last hours again where it may have forgotten them.
"""

import asyncio
import itertools
import logging
import random
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path

import msgspec

from device_profiles import vocabulary
from hub.clock import Clock
from hub.history import notes
from hub.history.lanes import BLOCK, Lane, Lanes, Span
from hub.history.store import PAGE, FedStore, HistoryStore, Page, StoreError
from hub.history.verdict import Unavailable
from hub.journal import batches
from hub.journal.batches import Batch, Damaged, Row
from hub.reading import Label

EMBEDDED_PAGE = 250_000  # readings handed to the embedded store, as text of some 20 MB: it splits them itself
EMBEDDED_PAGES = 8  # at most in one step: then the journal is told, and whoever waits for the store has a turn
IDLE_S = 1.0
LONGEST_PAUSE_S = 60.0
BUSY_S = 5.0
PACE_S = 60.0

log = logging.getLogger(__name__)


class Shipping(msgspec.Struct, frozen=True):
    """How the carrying goes: since when, and in words for a log when it does not; `said`: the store's own alone."""

    well: bool
    since: int
    words: Label
    said: str = ""


class Lag(msgspec.Struct, frozen=True):
    """How far the store is behind the journal: rows, and the age in seconds of the oldest of them."""

    rows: int
    seconds: float


class Shipper:
    """Carries rows from the journal file to a store. Its only write to the journal is its own row of `cursor`."""

    def __init__(
        self, journal: Path, store: HistoryStore, clock: Clock, damaged: Callable[[Damaged], None] | None = None
    ) -> None:
        """The journal need not be there yet. `damaged` is told of what the journal itself cannot give any more."""
        self._journal = journal
        self._store = store
        self._clock = clock
        self._damaged = damaged or _log_damage
        self._lanes: Lanes | None = None
        self._more = False
        self._carried: deque[tuple[float, int]] = deque(maxlen=600)  # when, and how many: of the last minute
        self.state = Shipping(well=True, since=clock.now(), words=_WELL)

    async def run(self) -> None:
        """Carry for ever; an error is told in `state`, and tried again after a growing pause, or when it asks for."""
        failures = 0
        while True:
            try:
                self._carried.append((time.monotonic(), await asyncio.to_thread(self.step)))
            except (StoreError, sqlite3.Error, OSError) as error:
                failures += 1
                self._tell(well=False, words=_trouble(str(error)), said=str(error))
                pause = min(LONGEST_PAUSE_S, 2.0 ** min(failures, 10)) * random.uniform(0.5, 1.0)
                asked = error.pause_s if isinstance(error, Unavailable) else 0.0
                await self._clock.sleep(max(pause, asked))
            else:
                failures = 0
                self._tell(well=True, words=_WELL)
                await self._clock.sleep(0.0 if self._more else IDLE_S)

    def step(self) -> int:
        """Carry a page, or some (whole batches); returns the rows. Raises StoreError, sqlite3.Error or OSError."""
        with self._open() as journal:
            if isinstance(self._store, FedStore):
                return self._feed(journal, self._store)
            return self._append(journal, self._store)

    @property
    def calls_are_over(self) -> bool:
        """True when no call for help waits behind other rows."""
        return self._lanes is None or self._lanes.called <= self._lanes.low

    def pace(self) -> float:
        """Readings a second that went over in the last minute."""
        since = time.monotonic() - PACE_S
        return sum(count for at, count in list(self._carried) if at >= since) / PACE_S

    def lag(self) -> Lag:
        """How far behind, by the journal's note. Raises sqlite3.Error while there is no journal."""
        with self._open() as journal:
            noted = notes.read(journal)
            cursor = noted.noted if noted else 0
            first = next(batches.after(journal, cursor), None)
            if first is None:
                return Lag(rows=0, seconds=0.0)
            last = batches.last_seq(journal)
            return Lag(rows=last - first.seq + 1, seconds=max(0.0, (self._clock.now() - first.rx) / 1000))

    def _append(self, journal: sqlite3.Connection, store: HistoryStore) -> int:
        """One step for the embedded store: it takes one page apart while it writes the one before."""
        self._more = False
        last = begin = self._agree(journal)
        count = 0

        def durable(page: Page, bad: list[Damaged]) -> None:
            nonlocal last, count
            last, count, self._more = page.last, count + page.readings, page.more
            self._tell_damage(bad)

        if begin < batches.last_seq(journal):
            store.append_pages(itertools.islice(pages(journal, begin), EMBEDDED_PAGES), durable)
            self._note(journal, last)  # only now: the next page was read meanwhile, by the same connection
        return count

    def _feed(self, journal: sqlite3.Connection, store: FedStore) -> int:
        """One step for a store on a server, in lanes where it is far behind; returns its rows, 0 when all is there."""
        low, last = self._agree_fed(journal, store), batches.last_seq(journal)
        lanes = self._lanes
        if lanes is None or not lanes.apart or lanes.low != low:
            lanes = Lanes.begin(low, last, PAGE)
        self._lanes = None  # until this is done nothing is known but what is noted
        count = 0
        while not count and lanes.low < last:  # a look back that finds no calls is not a step
            for span in lanes.spans(last):
                carried, lanes = self._carry(journal, store, lanes, span)
                count += carried
        self._lanes = lanes
        self._more = lanes.apart or count >= PAGE
        return count

    def _carry(self, journal: sqlite3.Connection, store: FedStore, lanes: Lanes, span: Span) -> tuple[int, Lanes]:
        """Bring one span to the store, and note it when everything up to somewhere is there."""
        room = BLOCK if span.lane is Lane.CALLS else PAGE
        found = [each for each in batches.packed_after(journal, span.after, room) if each.first <= span.upto]
        rows, bad = batches.sound(_calls(found) if span.lane is Lane.CALLS else found, span.after)
        if span.lane is Lane.CALLS:
            rows = [row for row in rows if row.seq <= span.upto and is_call(row.quantity)]
        reached = lanes.after(span, found[-1].last if found else span.upto)
        self._put(store, rows, reached.low)
        if span.lane is Lane.REST:
            self._tell_damage(bad)
        if reached.low != lanes.low:
            self._note(journal, reached.low)
        return len(rows), reached

    def _put(self, store: FedStore, rows: list[Row], low: int) -> None:
        """A page at a time; `low` is what is complete once they are stored."""
        for at in range(0, len(rows), PAGE):
            page = rows[at : at + PAGE]
            store.append(page, min(low, page[-1].seq))

    def _agree(self, journal: sqlite3.Connection) -> int:
        """From which row on to carry. A store that was emptied is fed again from the first row that still exists."""
        found, held, last = notes.read(journal), self._store.cursor(), batches.last_seq(journal)
        # No note: no shipper has seen this journal, so what the store holds came from another one.
        # A cursor beyond the last row: an older journal was put back.
        begin = 0 if found is None else min(found.noted if held is None else held, last)
        if held is not None and held != begin:
            self._store.rewind(begin)
        if found is None or found.noted != begin:
            self._note(journal, begin)
        return begin

    def _agree_fed(self, journal: sqlite3.Connection, store: FedStore) -> int:
        """The same for a store on a server: when it may have forgotten, back to what it has held for an hour."""
        forgot, found, last = store.forgot(), notes.read(journal), batches.last_seq(journal)
        begin = 0 if found is None else min(found.kept if forgot else found.noted, last)
        if found is None or found.noted > last:  # another journal, or an older one put back
            store.rewind(begin)
        if found is None or found.noted != begin:
            if found is not None and forgot:
                log.warning("history: the server was started anew; from reading %d on it is fed again", begin + 1)
            self._note(journal, begin)
        if forgot:
            self._lanes = None
        return begin

    def _note(self, journal: sqlite3.Connection, seq: int) -> None:
        now = self._clock.now()
        notes.write(journal, notes.moved(notes.read(journal), seq, now), now)

    def _tell_damage(self, bad: list[Damaged]) -> None:
        for each in bad:
            self._damaged(each)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The journal, opened anew each time: the hub may have put another file in its place. Never creates it."""
        uri = f"{self._journal.absolute().as_uri()}?mode=rw"
        db = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        with closing(db) as journal:
            journal.execute("PRAGMA synchronous = FULL")  # a first note that a power cut takes back would ship twice
            yield journal

    def _tell(self, *, well: bool, words: Label, said: str = "") -> None:
        if well != self.state.well:
            log.log(logging.INFO if well else logging.WARNING, "history: %s", words.en)
            self.state = Shipping(well=well, since=self._clock.now(), words=words, said=said)
        elif words != self.state.words:
            self.state = msgspec.structs.replace(self.state, words=words, said=said)


def pages(journal: sqlite3.Connection, after: int) -> Iterator[Page]:
    """What the embedded store is given: all past number `after`, up to the first page that is not full."""
    more = True
    while more and (found := batches.packed_after(journal, after, EMBEDDED_PAGE)):
        page = Page(found, after)
        more = page.readings >= EMBEDDED_PAGE
        yield page._replace(more=more)
        after = page.last


_WELL = Label(zh="历史库正常", en="the history store takes every reading")


def _trouble(words: str) -> Label:
    return Label(
        zh=f"历史库暂不可用，读数留在日志库中，恢复后补写：{words}",
        en=f"the history store is not available; readings wait in the journal: {words}",
    )


@lru_cache(maxsize=1024)
def is_call(quantity: str) -> bool:
    """True for what lives hang on, as the vocabulary says."""
    word = vocabulary.find(quantity)
    return word is not None and word.quantity.urgent


def _calls(found: list[Batch]) -> list[Batch]:
    """The batches that may hold a call: a look at the text costs a tenth of reading it."""
    marks = [f'"{name}' for name, word in vocabulary.quantities().items() if word.urgent]
    return [batch for batch in found if any(mark in batch.text for mark in marks)]


def _log_damage(damaged: Damaged) -> None:
    log.error("history: readings %d to %d are lost: %s", damaged.first, damaged.last, damaged.words)
