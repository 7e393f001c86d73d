"""Readings for the history's bench: sound levels that walk by tenths of a decibel, as journal batches and as rows.

Seeded, so that each store is given the same. It measures nothing.
"""

import random
import sqlite3
from pathlib import Path

import msgspec

from hub.journal.batches import Batch, packed_after

DEVICES = 1_000
QUANTITIES = ("laeq", "lafmax", "lafmin")
SERIES = DEVICES * len(QUANTITIES)
CADENCE_MS = 10_000
COMMIT = 333 * len(QUANTITIES)  # readings a batch, as at full load
START = 1_760_054_400_000  # a midnight (UTC)
PAGE = 250_000  # readings an append: the most that a shipper with a backlog hands over

_pack = msgspec.json.Encoder().encode


class Walk:
    """Each device speaks every 10 s at its own moment, up to 50 ms late; each level goes up, down or stays."""

    def __init__(self, seed: int) -> None:
        """At 50 dB everywhere."""
        self._random = random.Random(seed)
        self._tenths = [500] * SERIES
        self._phase = sorted(self._random.randrange(CADENCE_MS) for _ in range(DEVICES))
        self._said = 0

    def message(self) -> list[tuple[object, ...]]:
        """The next device's readings, as the journal has them."""
        turn, device = divmod(self._said, DEVICES)
        self._said += 1
        ts = START + turn * CADENCE_MS + self._phase[device] + self._random.randrange(50)
        said: list[tuple[object, ...]] = []
        for at, quantity in enumerate(QUANTITIES, device * len(QUANTITIES)):
            tenths = self._tenths[at] = min(1000, max(300, self._tenths[at] + self._random.choice((-1, 0, 1))))
            said.append((f"noise-{device}", quantity, tenths / 10, ts, ts, "good", None))
        return said

    def batch(self, first: int) -> Batch:
        """The next commit."""
        said = [reading for _ in range(COMMIT // len(QUANTITIES)) for reading in self.message()]
        return Batch(first + COMMIT - 1, first, _pack(said).decode())


def write_journal(path: Path, readings: int, seed: int) -> int:
    """A journal's table `batch` with at least so many readings; returns how many."""
    walk, last = Walk(seed), 0
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE batch (last INTEGER PRIMARY KEY, first INTEGER, rx INTEGER, readings TEXT)")
    while last < readings:
        made = walk.batch(last + 1)
        db.execute("INSERT INTO batch VALUES (?, ?, 0, ?)", (made.last, made.first, made.text))
        last = made.last
    db.commit()
    db.close()
    return last


def page(journal: sqlite3.Connection, after: int) -> list[Batch]:
    """What is handed to a store at once."""
    return packed_after(journal, after, PAGE)
