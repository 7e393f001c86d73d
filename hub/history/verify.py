"""Is the history whole? Journal, store and cursor beside each other, and whatever explains a difference. Only reads.

The journal's hours are compared reading by reading. With `deep` every reading of the store is gone through, and numbers
that never come up are looked for: that takes minutes, and an eighth of a byte a reading.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from hub.history.compare import NEAR_MS, Difference, Extra, Wrong, beside, compare
from hub.history.numbers import Range, Ticked, ranges
from hub.history.reach import FILE, Kept
from hub.history.tail import Hole, Tail
from hub.journal.batches import Row
from hub.journal.thinning import Thinned, thinned
from hub.keeping.retention import KEEP_TRACES_MS

NOTED = "history"  # the shipper's note in the journal's table `cursor`
AHEAD_MS = 86_400_000  # past now, for a machine whose clock was ahead


class Aside(msgspec.Struct, frozen=True):
    """A history file that could not be used and was moved out of the way."""

    file: str
    bytes: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. Ranges are of the journal's numbers, instants ms since 1970.

    `missing`: the journal has them, the store should and has not. `lost`: neither has them. `old`: the same, so long
    ago that they may be passages which the law wants forgotten, or past what is kept. `held` None: it has no cursor.
    """

    first: int
    last: int
    noted: int
    held: int | None
    behind: int
    behind_ms: int
    compared: int
    deep: bool
    missing: list[Range]
    changed: list[Range]
    twice: list[Range]
    lost: list[Range]
    old: list[Range]
    damaged: list[Range]
    refused: list[Range]
    thinned: list[Thinned]
    aside: list[Aside]

    @property
    def whole(self) -> bool:
        """True when nothing is wrong or missing that nothing explains."""
        return not (self.missing or self.changed or self.twice or self.lost or self.damaged or self.aside)


def verify(journal: sqlite3.Connection, data: Path, kept: Kept, now: int, *, deep: bool = False) -> Verdict:
    """Compare. Raises StoreError, sqlite3.Error."""
    (noted, noted_at), state = noted_of(journal), kept.state()
    past = noted if state.cursor is None else state.cursor
    with closing(Tail(journal, now, lambda row: row.seq <= past)) as tail:
        first, last = tail.reach.first, tail.reach.last
        found = _Found(Range(first, max(first, last)))
        for each in compare(tail, kept):
            found.take(each)
        between = [hole for hole in tail.holes if hole.numbers.first <= past]
        holes = _Holes(_before(tail, past, noted_at, deep=deep) + between, (0, now + AHEAD_MS) if deep else None)
        holes.search(kept, [*tail.devices(), *state.devices], found)
        refused, gone = list(ranges(sorted(_refused(journal)))), thinned(journal)
        known = [*refused, *(Range(each.first, each.last) for each in gone)]
        lost, old = holes.rest(known, now)
        return Verdict(
            first=first, last=last, noted=noted, held=state.cursor, behind=max(0, last - past),
            behind_ms=_waiting_ms(journal, past, now), compared=tail.count(), deep=deep,
            missing=list(without(found.missing.ticked(), refused)), changed=list(found.changed.ticked()),
            twice=list(ranges(sorted(found.twice))), lost=lost, old=old,
            damaged=[Range(each.first, each.last) for each in tail.damaged],
            refused=refused, thinned=gone, aside=_aside(data),
        )  # fmt: skip


class _Found:
    """Differences by number."""

    def __init__(self, whole: Range) -> None:
        self.missing, self.changed, self.twice = Ticked(whole), Ticked(whole), set[int]()

    def take(self, each: Difference | Extra) -> None:
        match each:
            case Difference(Wrong.MISSING, row):
                self.missing.tick(row.seq)
            case Difference(Wrong.CHANGED, row):
                self.changed.tick(row.seq)
            case Difference(Wrong.TWICE, row) if len(self.twice) < _MOST_TWICE:
                self.twice.add(row.seq)


_MOST_TWICE = 1_000_000  # where more are there twice, the first million says enough


class _Holes:
    """Numbers that the journal does not have, ticked off where the store has them."""

    def __init__(self, holes: list[Hole], everything: tuple[int, int] | None) -> None:
        """`everything`: for a deep look, the span of all readings."""
        self._holes = [(hole, Ticked(hole.numbers)) for hole in holes]
        self._everything = everything

    def search(self, kept: Kept, devices: Iterable[str], found: _Found) -> None:
        """Ask for all readings of about then; deep: for all."""
        near = [(max(0, hole.since - NEAR_MS), hole.until + NEAR_MS) for hole, _ in self._holes]
        spans = [self._everything] if self._everything else near
        for device in sorted(set(devices)) if spans else ():
            for since, until in spans:
                for each in beside((), kept.readings(device, since, until)):
                    found.take(each)
                    if isinstance(each, Extra):
                        self._tick(each.row)

    def _tick(self, row: Row) -> None:
        for hole, ticked in self._holes:
            if hole.numbers.first <= row.seq <= hole.numbers.last:
                ticked.tick(row.seq, row.rx)

    def rest(self, explained: list[Range], now: int) -> tuple[list[Range], list[Range]]:
        """What is lost, and what is so long ago that it may have been forgotten on purpose."""
        lost: list[Range] = []
        old: list[Range] = []
        for hole, ticked in self._holes:
            for each in without(ticked.rest(), explained):
                at = ticked.around(each.first) or hole.until
                (old if at < now - KEEP_TRACES_MS else lost).append(each)
        return lost, old


def without(wanted: Iterable[Range], explained: Iterable[Range]) -> Iterator[Range]:
    """The ranges, without the numbers that something explains."""
    left = list(wanted)
    for known in explained:
        left = [
            part
            for each in left
            for part in (
                Range(each.first, min(each.last, known.first - 1)),
                Range(max(each.first, known.last + 1), each.last),
            )
            if part.first <= part.last
        ]  # fmt: skip
    yield from left


def _before(tail: Tail, past: int, noted_at: int, *, deep: bool) -> list[Hole]:
    """What is older than the journal: all of it for a deep look, else what went before the store had taken it."""
    first = 1 if deep else past + 1
    return [Hole(Range(first, tail.reach.first - 1), noted_at, tail.reach.first_rx)] if first < tail.reach.first else []


def noted_of(journal: sqlite3.Connection) -> tuple[int, int]:
    row = journal.execute("SELECT seq, at FROM cursor WHERE name = ?", (NOTED,)).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _waiting_ms(journal: sqlite3.Connection, past: int, now: int) -> int:
    row = journal.execute("SELECT rx FROM batch WHERE last > ? ORDER BY last LIMIT 1", (past,)).fetchone()
    return max(0, now - int(row[0])) if row else 0


def _refused(journal: sqlite3.Connection) -> Iterator[int]:
    """Readings that the store would not take, as the office put them into the quarantine."""
    for (payload,) in journal.execute("SELECT payload FROM quarantine WHERE detail LIKE 'history: %'"):
        try:
            yield msgspec.json.decode(payload, type=Row).seq
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue  # a payload that was cut


def _aside(data: Path) -> list[Aside]:
    files = sorted(path for path in data.glob(f"{FILE}.corrupt-*") if path.suffix != ".wal")
    return [Aside(path.name, path.stat().st_size) for path in files]
