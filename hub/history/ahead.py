"""Which rows of a server came before their turn: charts have them from the journal until all before them is there."""

from collections.abc import Sequence

from hub.journal.batches import Row


class Ahead:
    """Rows past number `cursor` up to `newest`, received since `since` (ms): sent, but not counted on yet."""

    def __init__(self) -> None:
        """None."""
        self.cursor, self.newest, self.since = 0, 0, 0

    def note(self, rows: Sequence[Row], cursor: int) -> None:
        """These were stored, and everything up to `cursor` is."""
        self.cursor = cursor
        early = [row for row in rows if row.seq > cursor]
        if early:
            first = min(row.rx for row in early)
            self.since = min(self.since, first) if self.newest > cursor else first
            self.newest = max(self.newest, early[-1].seq)

    @property
    def any(self) -> bool:
        """True while there are some."""
        return self.newest > self.cursor

    def holds(self, row: Row) -> bool:
        """True for one of them."""
        return self.cursor < row.seq <= self.newest and row.rx >= self.since
