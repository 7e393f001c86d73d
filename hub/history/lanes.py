"""Which rows go next to a server that is far behind: the newest, then calls for help, then the rest. Pure.

Only for stores that take a row twice as once: what overtook is sent again in its turn. So `low` alone says what is
there, nothing else need be remembered, and a store may leave of an overtaking row what it must have in order.
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
    """Stored are all rows up to `low`; sent before their turn were those past `start` up to `head`, and calls past
    `called` up to `start`. With `start` = `low` there is one lane, and nothing waits but what has just come.
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
                if stored < self.start:
                    return msgspec.structs.replace(self, low=stored)
                return Lanes(low=stored, start=stored, head=stored, called=stored)
