"""Numbers of readings: ranges of them, and a set that is large and almost full. Pure; knows nothing of readings.

A million numbers take 125 kB, so that the years of one site fit into the memory of its small box.
"""

import re
from collections.abc import Iterable, Iterator

import msgspec

A_BLOCK = 4096
_INVERTED = bytes(255 - byte for byte in range(256))


class Range(msgspec.Struct, frozen=True):
    """Numbers from `first` to `last`, both included."""

    first: int
    last: int

    @property
    def count(self) -> int:
        """How many."""
        return self.last - self.first + 1


class Ticked:
    """The numbers of a range, of which one after another is ticked off; and around when, as far as was said."""

    def __init__(self, whole: Range) -> None:
        """None is ticked."""
        self._whole = whole
        self._bits = bytearray(-(-whole.count // 8))
        self._at: dict[int, int] = {}

    def tick(self, number: int, at: int = 0) -> None:
        """This one is there, and came at `at` (ms). Others than those of the range are none of ours."""
        index = number - self._whole.first
        if 0 <= index < self._whole.count:
            self._bits[index >> 3] |= 1 << (index & 7)
            block = index // A_BLOCK
            self._at[block] = max(at, self._at.get(block, 0))

    def ticked(self) -> Iterator[Range]:
        """What was, as ranges in order."""
        return self._ones(bytes(self._bits))

    def rest(self) -> Iterator[Range]:
        """What was not, as ranges in order."""
        return self._ones(bytes(self._bits.translate(_INVERTED)))

    def around(self, number: int) -> int | None:
        """When the ticked ones near a number came (ms), none of them before it; None when there are none."""
        block = (number - self._whole.first) // A_BLOCK
        later = (at for other, at in sorted(self._at.items()) if other >= block)
        return next(later, None)

    def _ones(self, bits: bytes) -> Iterator[Range]:
        ones = (
            index
            for found in re.finditer(rb"[^\0]+", bits)
            for index in range(found.start() * 8, min(found.end() * 8, self._whole.count))
            if bits[index >> 3] >> (index & 7) & 1
        )
        return ranges(self._whole.first + index for index in ones)


def ranges(numbers: Iterable[int]) -> Iterator[Range]:
    """Numbers in rising order, put together where one follows the other."""
    first = last = None
    for number in numbers:
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        elif number > last:
            yield Range(first, last)
            first = last = number
    if first is not None and last is not None:
        yield Range(first, last)
