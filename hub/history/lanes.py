"""Which rows go next to a server that is far behind: the newest, then calls for help, then the rest. Pure.

Only for stores that take a row twice as once. Nothing here need be remembered: the note in the journal says up to where
every row is there, and a lane that is forgotten is sent again.
"""

from enum import StrEnum

import msgspec

BLOCK = 100_000  # rows that one look back for calls covers


class Lane(StrEnum):
    """What a span of rows is read for."""

    FRESH = "fresh"  # what came lately and comes now
    CALLS = "calls"  # of what waits, what lives hang on (`urgent` in the vocabulary), newest first
    REST = "rest"  # everything that waits, oldest first


class Span(msgspec.Struct, frozen=True):
    """Rows past number `after`, to `upto` or a page of them."""

    lane: Lane
    after: int
    upto: int


class Lanes(msgspec.Struct, frozen=True):
    """Stored are all rows up to `low`, those past `start` up to `head`, and calls past `called` up to `start`.

    With `start` = `low` there is one lane, and nothing waits but what has just come.
    """

    low: int
    start: int
    head: int
    called: int

    @classmethod
    def begin(cls, low: int, last: int, page: int) -> "Lanes":
        """Where to go on from: in lanes when more than two pages wait."""
        start = low if last - low <= 2 * page else last - page
        return cls(low=low, start=start, head=start, called=start)

    @property
    def apart(self) -> bool:
        """True while older rows wait behind newer ones that are stored."""
        return self.low < self.start

    def spans(self, last: int) -> list[Span]:
        """What the next step carries, in this order: what is fresh, and one piece of what waits."""
        if not self.apart:
            return [Span(Lane.REST, self.low, last)]
        fresh = [Span(Lane.FRESH, self.head, last)] if self.head < last else []
        if self.called > self.low:
            return [*fresh, Span(Lane.CALLS, max(self.low, self.called - BLOCK), self.called)]
        return [*fresh, Span(Lane.REST, self.low, self.start)]

    def after(self, span: Span, stored: int) -> "Lanes":
        """The lanes once the span's rows up to number `stored` are in the store."""
        match span.lane:
            case Lane.FRESH:
                return msgspec.structs.replace(self, head=max(self.head, stored))
            case Lane.CALLS:
                return msgspec.structs.replace(self, called=span.after)
            case Lane.REST:
                return self._joined(stored)

    def _joined(self, low: int) -> "Lanes":
        if low < self.start:
            return msgspec.structs.replace(self, low=low)
        low = max(low, self.head)
        return Lanes(low=low, start=low, head=low, called=low)
