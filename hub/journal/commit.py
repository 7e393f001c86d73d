"""Group commit: every task that waits while one transaction is being written shares the next one.

Bounded without a queue of ours: each link waits for its own list before it reads on. On a full disk it writes on what
the reserve gives back, and then waits (nothing is acknowledged meanwhile); any other storage error ends the process:
a fresh open is the only safe cure.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias, TypeVar

from firmware_bridge.raw import Redelivery
from hub.journal.scarce import Space
from hub.journal.writer import Journal
from hub.outcome import Outcome

LOG = logging.getLogger("zhian.journal")
DISK_FULL_PAUSE_S = 1.0
_PASSES = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY)  # primary codes: SQLite's extended ones carry more in bits 8 on
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)  # the second: the WAL's index could not grow
T = TypeVar("T")
_Waiting: TypeAlias = "tuple[Outcome, Sequence[Redelivery], int, asyncio.Future[None]]"


class Committer:
    """Writes for many tasks through the journal's one thread. `run` must be running."""

    def __init__(self, journal: Journal, space: Space | None = None) -> None:
        """The journal is used from the committer's thread alone from now on, and so is `space`."""
        self._journal, self._space = journal, space or Space()
        self.refused = False  # the disk, or another writer, has said no, and it is tried again
        self.scarce = asyncio.Event()  # set when a part of the reserve had to be given back
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._waiting: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._over = False
        self.announced = asyncio.Event()  # set after each transaction that gives the voices something to say

    async def commit(self, outcome: Outcome, deliveries: Sequence[Redelivery] = (), heartbeat: int = 0) -> None:
        """Return when it is durable; cancelled when `run` has ended and it never will be."""
        done = asyncio.get_running_loop().create_future()
        if self._over:
            done.cancel()
        self._waiting.append((outcome, deliveries, heartbeat, done))
        self._wake.set()
        await done

    async def call(self, work: Callable[[Journal], T]) -> T:
        """Run something short on the journal's thread; again and again while the disk is full or the file locked.

        `work` must leave nothing behind when it fails: it is one transaction, or one statement at a time.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                done = await loop.run_in_executor(self._thread, work, self._journal)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode in _NO_ROOM and await loop.run_in_executor(self._thread, self._space.give):
                    self.scarce.set()
                    continue
                if error.sqlite_errorcode & 0xFF not in _PASSES:
                    raise
                self.refused = True
                LOG.error("journal cannot be written (%s): nothing is acknowledged until it can", error)
                await asyncio.sleep(DISK_FULL_PAUSE_S)
            else:
                self.refused = False
                return done

    async def run(self) -> None:
        """Write what waits, for ever. Raises sqlite3.Error on a storage fault other than a full disk."""
        batch: list[_Waiting] = []
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                batch, self._waiting = self._waiting, []
                await self._write(batch)
                for *_, done in batch:
                    if not done.done():
                        done.set_result(None)
                if any(flip.announce for outcome, *_ in batch for flip in outcome.flips):
                    self.announced.set()
        finally:
            self._over = True
            for *_, done in batch + self._waiting:
                done.cancel()  # nobody waits for ever for what nobody writes

    def close(self) -> None:
        """Stop the thread and close the journal."""
        self._thread.submit(self._journal.close)
        self._thread.shutdown()

    async def _write(self, batch: list[_Waiting]) -> None:
        outcomes = [outcome for outcome, *_ in batch]
        deliveries = [delivery for _, some, _, _ in batch for delivery in some]
        heartbeat = max(beat for *_, beat, _ in batch)
        await self.call(lambda journal: journal.write(outcomes, deliveries, heartbeat))
