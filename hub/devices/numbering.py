"""Messages that their devices have numbered: what is left of each, what is missing, and who waits for a receipt.

Pure: the field process asks once a message and once a second, and writes `rows` in the transaction of the readings.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from device_profiles import vocabulary
from hub.devices.sequence import Count, Word
from hub.outcome import Sequence
from hub.reading import Kind, News, Quality, Reading, Serial


class Sequences:
    """All devices of a site that number their messages."""

    def __init__(self, rows: Iterable[Sequence], now: int) -> None:
        """`rows` as the journal remembers them."""
        self._counts = {row.device: Count(row.device, row, now) for row in rows}
        self._changed: dict[Count, None] = {}
        self._wanted: list[tuple[str, int]] = []

    def take(self, device: str, serial: Serial, said: Iterable[News], now: int) -> list[News]:
        """What is left of a message: it, it as history, or nothing where it came before; and what is missing."""
        count = self._counts.get(device)
        if count is None:
            count = self._counts[device] = Count(device, None, now)
        word = count.hear(serial, now)
        self._changed[count] = None
        if serial.wants_receipt:
            self._wanted.append((device, serial.seq))
        missed, count.lost = count.lost, []
        if word is Word.REPEATED:
            return list(missed)
        return [*missed, *(map(_as_history, said) if word is Word.LATE else said)]

    def tick(self, now: int) -> list[News]:
        """Once a second: what is missing for good, and what was said again."""
        faults: list[News] = []
        for count in self._counts.values():
            told = count.settle(now)
            faults += told
            if told:
                self._changed[count] = None
        return faults

    def rows(self) -> list[Sequence]:
        """What has changed since the last call, for the transaction that holds its cause."""
        rows = [row for count in self._changed if (row := count.row()) is not None]
        self._changed.clear()
        return rows

    def receipts(self) -> list[tuple[str, int]]:
        """Device and number of the messages that wanted a receipt since the last call; due once they are durable."""
        wanted, self._wanted = self._wanted, []
        return wanted


def _as_history(item: News) -> News:
    """A device with a clock dates its readings itself; without one, only the order tells that this is not news.

    An event stays one: nothing that came later took its place.
    """
    if not isinstance(item, Reading) or item.ts != item.rx or item.quality is Quality.RETAINED:
        return item
    return item if _is_event(item.quantity) else replace(item, quality=Quality.LATE)


def _is_event(quantity: str) -> bool:
    word = vocabulary.find(quantity)
    return word is not None and word.quantity.kind is Kind.EVENT
