"""A stream of readings as steps: of each series of each device one Step after the other, by the site's clock.

Streaming: of a device one step of each of its series is in memory. What a step says of a series is `tally.py`'s.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from device_profiles import vocabulary
from device_profiles.counting import end_of
from hub.history.stream import Selection, Stream
from hub.history.tally import Grid, Manner, Step, Tally, tally
from hub.journal.batches import Row
from hub.reading import UNMEASURED, Kind
from hub.settings.site import Device

BEFORE_MS = 3_600_000  # so far back of a span it is looked whether its devices spoke: what no history has yet, and more
LEAST_GAP_MS = 15_000
_WORDS = re.compile(r"[\w-]+(\|[\w-]+)*")  # an event of one of these; a chip's number is somebody's, and left out
PATIENCE_MS = 90_000  # of a device that the site has no more


class Known(NamedTuple):
    """What is known of the devices besides their readings; `exchanges`: when one became another one, in ms."""

    devices: Mapping[str, Device]
    exchanges: Mapping[str, Sequence[int]]


class Stepped(NamedTuple):
    """One step of one series."""

    device: str
    quantity: str
    step: Step


def wider(chosen: Selection) -> Selection:
    """What must be read for the steps of a selection: a little of before, and what tells that a device is there."""
    counted = all(_kind(name) in (Kind.GAUGE, Kind.COUNTER) for name in chosen.quantities)
    quantities = chosen.quantities if counted else ()
    return replace(chosen, since=chosen.since - BEFORE_MS, quantities=quantities)


def steps(
    stream: Stream, chosen: Selection, grid: Grid, known: Known, seen: Callable[[Row], None]
) -> Iterator[Stepped]:
    """Of a stream of `wider(chosen)`; `seen` is told of each reading. Raises StoreError."""
    for name in stream.devices():
        device = _Device(stream, name, chosen, grid, known)
        for row in stream.readings(name):
            seen(row)
            yield from device.take(row)
        yield from device.done()


class _Device:
    """The series of one device."""

    def __init__(self, stream: Stream, device: str, chosen: Selection, grid: Grid, known: Known) -> None:
        self._stream, self._device, self._chosen, self._grid = stream, device, chosen, grid
        self._site = site = known.devices.get(device)
        self._exchanges = known.exchanges.get(device, ())
        silent = PATIENCE_MS if site is None else int(site.options.silent_after * 1000)
        self._longest = max(silent, LEAST_GAP_MS)
        self._tallies: dict[str, Tally] = {}
        for quantity in site.profile.reading if site else ():
            if self._wanted(quantity):
                self._begin(quantity)

    def take(self, row: Row) -> Iterator[Stepped]:
        """One reading: of its own series, and a sign of life for those that speak now and then only."""
        if row.quality == "retained":
            return
        if row.quantity not in self._tallies and self._wanted(row.quantity):
            self._begin(row.quantity)
        for quantity, each in self._tallies.items():
            own = quantity == row.quantity
            if own and row.quality not in UNMEASURED:
                yield from self._named(quantity, each.take(row.ts, row.value))
            elif _kind(quantity) in (Kind.STATE, Kind.EVENT):
                yield from self._named(quantity, each.take(row.ts, None))

    def done(self) -> Iterator[Stepped]:
        """The rest of each series."""
        for quantity, each in self._tallies.items():
            yield from self._named(quantity, each.done())

    def _wanted(self, quantity: str) -> bool:
        return not self._chosen.quantities or quantity in self._chosen.quantities

    def _begin(self, quantity: str) -> None:
        kind, word = _kind(quantity), vocabulary.find(quantity)
        span = self._chosen.since, self._chosen.until
        manner = Manner(
            kind=kind,
            quantity=quantity,
            longest=self._longest,
            end=end_of(self._site.profile, quantity) if self._site else None,
            exchanges=self._exchanges,
            named=word is not None and _WORDS.fullmatch(word.quantity.pattern) is not None,
        )
        made = tally(manner, self._grid, *span)
        self._tallies[quantity] = made
        if kind in (Kind.STATE, Kind.COUNTER):
            before = self._stream.before(self._device, quantity, span[0] - BEFORE_MS)
            if before is not None:
                list(made.take(*before))  # of before the span: no step is over

    def _named(self, quantity: str, found: Iterator[Step]) -> Iterator[Stepped]:
        return (Stepped(self._device, quantity, step) for step in found)


def _kind(quantity: str) -> Kind:
    word = vocabulary.find(quantity)
    return Kind.EVENT if word is None else word.quantity.kind


def within(spans: Sequence[tuple[int, int]], step: Step) -> bool:
    """True when one of the spans [a, b) touches the step."""
    return any(a < step.until and step.since < b for a, b in spans)
