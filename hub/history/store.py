"""What a history store can do: the rows, the buckets of a chart, and the interface that every store fulfils.

All instants are ms since 1970 (UTC); spans are half open, [since, until). The hub never waits for a store.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import msgspec

from device_profiles import vocabulary
from hub.journal.batches import Batch, Damaged, Row

PAGE = 20_000  # rows that are held in memory at once, in both directions
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


class Bucket(msgspec.Struct, frozen=True, gc=False):
    """`count` readings from `ts` on, within one bucket's width: their lowest, mean and highest value."""

    ts: int
    low: float
    mean: float
    high: float
    count: int


class Figure(msgspec.Struct, frozen=True, gc=False):
    """A bucket, and the share of its width in which valid data came by the series' own cadence (0 to 1)."""

    ts: int
    low: float
    mean: float
    high: float
    count: int
    coverage: float


class Grain(StrEnum):
    """How finely something is kept: every reading, or the figures of a minute or an hour."""

    RAW = "raw"
    MINUTE = "minute"
    HOUR = "hour"


class Snapshot(msgspec.Struct, frozen=True):
    """What a snapshot folder holds: all rows up to journal seq `cursor`, as it was at `at`."""

    at: int
    cursor: int
    rows: int


class Page(NamedTuple):
    """Batches of the journal that become durable together: their readings past number `after`, up to the last's end.

    `more`: others follow at once, so that whatever puts the readings into order can wait.
    """

    batches: Sequence[Batch]
    after: int
    more: bool = False

    @property
    def last(self) -> int:
        """The number of its last reading."""
        return self.batches[-1].last

    @property
    def readings(self) -> int:
        """How many these are, as their numbers say."""
        return sum(batch.last - max(batch.first - 1, self.after) for batch in self.batches)


class StoreError(Exception):
    """The store cannot do it now, in words; nothing was lost. Worth trying again later."""


Sample: TypeAlias = tuple[int, float]
"""Instant in ms since 1970, and the value in the quantity's unit."""

Said: TypeAlias = tuple[int, str]
"""Instant in ms since 1970, and the state or event."""

Refused: TypeAlias = Callable[[Row, str], None]
"""Told of a row that the store will never take, with the store's own words: for the quarantine."""

Durable: TypeAlias = Callable[[Page, list[Damaged]], None]
"""Told of a page once it is durable, and which of its batches cannot be read."""


class HistoryStore(Protocol):
    """Readings for years. Every method may be called from any thread, and raises StoreError when it cannot.

    `elsewhere`: what of it lies on which server, whose backup is its own; empty when all is in the data folder.
    """

    elsewhere: str

    def cursor(self) -> int | None:
        """The last journal seq that is durable here (0: none yet); None = this store does not hold it."""

    def rewind(self, seq: int) -> None:
        """Say that the journal's rows after `seq` are not here, because that journal is another one."""

    def append(self, rows: Sequence[Row], cursor: int) -> None:
        """Make all rows and the cursor durable, or nothing."""

    def add(self, rows: Sequence[Row]) -> None:
        """Make these durable as well, or nothing: what was missing here. The cursor stays where it is."""

    def append_pages(self, pages: Iterable[Page], durable: Durable) -> None:
        """Make each page and the cursor (its end) durable, or nothing of it nor of the next ones, in their order.

        The fast way from the journal. A batch that cannot be read is passed over and told; it holds nothing up. The
        next page may be taken, in another thread, before the one before it is durable.
        """

    def series(self, device: str, quantity: str, since_ms: int, until_ms: int, points: int) -> list[Bucket]:
        """At most `points` buckets of equal width; empty ones are absent. Sound levels are averaged by energy.

        Where the width is minutes or more, buckets may begin at whole minutes (the first is then cut short), so that
        they can be put together from figures kept by the minute or the hour.
        """

    def figures(self, device: str, quantity: str, since_ms: int, until_ms: int, step_ms: int) -> list[Figure]:
        """Figures of each whole `step_ms` (minutes or hours, counted from 1970) that begins in the span."""

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sequence[Sample]]:
        """Every number of one series that was measured (hub.reading.UNMEASURED), oldest first, a page at a time."""

    def states(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sequence[Said]]:
        """Every text of one series but replayed old ones, oldest first, a page at a time."""

    def last_before(self, device: str, quantity: str, before_ms: int) -> Sample | Said | None:
        """What the series said last before an instant, replayed old readings left out; None when nothing is kept."""

    def events(self, device: str, quantity: str, since_ms: int, until_ms: int, limit: int) -> list[Row]:
        """The newest `limit` states or events, newest first."""

    def readings(self, device: str, since_ms: int, until_ms: int) -> Iterator[Row]:
        """Every reading of the device, oldest first, a page at a time."""

    def devices(self) -> list[str]:
        """Every device of which readings are kept, also those that the site does not have any more; sorted."""

    def latest_ts(self) -> int | None:
        """The newest `ts`, or None while nothing is kept."""

    def count(self) -> int:
        """How many readings are kept."""

    def forget(self, quantities: Collection[str], before_ms: int, grain: Grain = Grain.RAW) -> int:
        """Delete readings of these quantities older than `before_ms` so that no file holds them; returns how many.

        With a grain of minute or hour: the figures kept at that grain. A store that keeps none has none to delete.
        """

    def compact(self) -> int:
        """Sort for good what lies in the data folder; how many rows. 0 where nothing does."""

    def snapshot(self, folder: Path) -> Snapshot | None:
        """Write what lies in the data folder as files of `folder`, consistent; None where nothing does."""

    def close(self) -> None:
        """Let go of file or connection."""


@runtime_checkable
class FedStore(HistoryStore, Protocol):
    """A store on a server: it holds no cursor, takes a row that comes again as the same row, and may forget."""

    def forgot(self) -> bool:
        """True when it may have forgotten some of what it took lately (told once): the journal feeds it again."""


def on_server(what: str, url: str) -> str:
    """As `elsewhere` says it."""
    return f"{what} in {url}, which has a backup of its own"


def by_energy(quantity: str) -> bool:
    """True for sound levels: their mean is 10 lg(mean(10^(L/10))), as LAeq is defined in IEC 61672-1."""
    word = vocabulary.find(quantity)
    return word is not None and word.quantity.aggregate == "energy"


def bucket_width(since_ms: int, until_ms: int, points: int) -> int:
    """The width in ms that cuts the span into at most `points` buckets; at least 1."""
    return max(1, -(-(until_ms - since_ms) // max(1, points)))
