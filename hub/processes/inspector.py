"""The hub looks at itself: its disk, the machine's clock, its other processes, whether a broker throws away.

What it finds are answers of `self` rules (hub/rules/hub.toml); words are numbers, for the page says the rest. A broker
that is gone is `link-down` already.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from hub.clock import Clock
from hub.core import Core
from hub.journal.commit import Committer
from hub.journal.scarce import Space
from hub.journal.writer import FILE
from hub.keeping.retention import prune_journal
from hub.outcome import Outcome
from hub.processes.state import field_trouble, office_trouble, read_board

LOG = logging.getLogger("zhian.inspector")
LOOK_S = 10.0
DISK_LOW, DISK_WELL = 10.0, 11.0  # per cent free, as rule disk-low has it for other computers
LAG_MOST_S, LAG_WELL_S = 900.0, 300.0  # as rule store-behind
STEP_S, STEP_TOLD_S = 2.0, 600.0  # a clock that was set by more is told for so long
LOST_TOLD_S = 600.0
COUNT_EVERY = 6  # looks: a broker is asked once a minute
_TIME_ERROR, _TIMEX_BYTES = 5, 256  # adjtimex(2): the clock is not synchronised; struct timex has 208 bytes on Linux
SPOKE_MS = 30 * 86_400_000
_OVERDUE = """
SELECT device FROM upkeep WHERE level IS NOT NULL AND device IN (SELECT source FROM health WHERE last_rx > ?)
GROUP BY device HAVING max(valid_until) <= ? ORDER BY device
"""
_BEHIND = "SELECT rx FROM batch WHERE last > (SELECT seq FROM cursor WHERE name = 'history') ORDER BY last LIMIT 1"


class Found(msgspec.Struct, frozen=True):
    """What one look found. None: it cannot be known here."""

    free_percent: float
    lag_s: float
    wall_s: float
    running_s: float  # by a clock that nobody sets
    synchronised: bool | None
    dropped: int | None = None  # by the brokers, since they were started
    full: str = ""  # why readings are not kept
    thinned: str = ""  # how many readings were taken out
    office: str = ""  # why the office process does not do its work
    uncalibrated: str = ""  # noise meters whose calibration does not count any more
    field: str = ""  # how often this process had to be started again


class Verdicts:
    """Looks one after the other, each with what stood before: a figure at its limit does not come and go."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self._low = self._behind = False
        self._offset: float | None = None
        self._stepped: tuple[float, float] | None = None  # until when it is told, and by how much
        self._dropped: int | None = None
        self._lost: tuple[float, int] | None = None  # until when it is told, and how many

    def judge(self, found: Found) -> dict[str, str]:
        """Id of a `self` rule -> why it is so, or empty."""
        self._low = found.free_percent < (DISK_WELL if self._low else DISK_LOW)
        self._behind = found.lag_s > (LAG_WELL_S if self._behind else LAG_MOST_S)
        offset = found.wall_s - found.running_s
        if self._offset is not None and abs(offset - self._offset) > STEP_S:
            self._stepped = (found.running_s + STEP_TOLD_S, offset - self._offset)
        self._offset = offset
        if found.dropped is not None:
            more = found.dropped - (found.dropped if self._dropped is None else self._dropped)
            if more > 0:
                self._lost = (found.running_s + LOST_TOLD_S, more)
            self._dropped = found.dropped
        lost = self._lost is not None and found.running_s < self._lost[0]
        stepped = self._stepped is not None and found.running_s < self._stepped[0]
        return {
            "hub-disk-low": f"{found.free_percent:.0f} %" if self._low else "",
            "hub-store-behind": f"{LAG_MOST_S:.0f} s" if self._behind else "",
            "hub-clock-stepped": f"{self._stepped[1]:+.0f} s" if self._stepped and stepped else "",
            "hub-broker-drops": f"{self._lost[1]}" if self._lost and lost else "",
            "hub-clock-free": "NTP" if found.synchronised is False else "",
            "hub-disk-full": found.full,
            "hub-journal-thinned": found.thinned,
            "hub-office-down": found.office,
            "hub-field-restarts": found.field,
            "hub-calibration-overdue": found.uncalibrated,
        }


class Inspector:
    """Looks once in a while. `take` writes what the core says."""

    def __init__(
        self,
        core: Core,
        committer: Committer,
        take: Callable[[Outcome], Awaitable[None]],
        data: Path,
        clock: Clock,
        dropped: Callable[[], Awaitable[int | None]],
        space: Space,
    ) -> None:
        """`data`: the folder whose disk counts. `dropped`: what the brokers say that they have thrown away."""
        self._core, self._committer, self._take, self._data, self._clock = core, committer, take, data, clock
        self._dropped, self._space = dropped, space
        self._verdicts, self._looks = Verdicts(), 0
        self._noted = ("", "")
        self.room = asyncio.Event()  # set at each look that finds room
        self.told: dict[str, str] = {}

    async def run(self) -> None:
        """Look until cancelled; at once when the disk is full."""
        while True:
            await self.look()
            self._committer.scarce.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S / self._clock.speed):
                    await self._committer.scarce.wait()

    async def look(self) -> None:
        """One look; what is new becomes news of the core."""
        now = self._clock.now()
        await self.measure()
        lag = await self._committer.call(lambda journal: lag_s(journal.db, now))
        disk = shutil.disk_usage(self._data)
        free = 100.0 * disk.free / max(1, disk.used + disk.free)  # what root keeps for itself is not ours
        full, thinned = self._space.why_full(), self._space.why_thinned()
        office, field = self._others()
        uncalibrated = await self._committer.call(lambda journal: overdue(journal.db, now))
        found = Found(
            free, lag, now / 1000, time.monotonic() * self._clock.speed, synchronised(), await self._thrown_away(),
            full, thinned, office, uncalibrated, field,
        )  # fmt: skip
        told = self._verdicts.judge(found)
        news = {rule: why for rule, why in told.items() if self.told.get(rule) != why}
        if news:
            self.told |= news
            await self._take(self._core.know(news, now))

    async def measure(self) -> None:
        """The journal's space. A disk that fails otherwise than by being full is the writer's to find out."""
        now = self._clock.now()
        try:
            if self._space.thinning:  # what has been taken by the history goes first; the office may be down
                await asyncio.to_thread(prune_journal, self._data / FILE, now)
            await self._committer.call(lambda journal: self._space.look(journal, now))
        except OSError as error:
            LOG.error("the journal's reserve cannot be kept: %s", error)
        except sqlite3.Error as error:
            LOG.error("the journal could not be thinned: %s", error)
        if not self._space.scarce:
            self.room.set()

    async def _thrown_away(self) -> int | None:
        self._looks += 1
        return await self._dropped() if self._looks % COUNT_EVERY == 1 else None

    def _others(self) -> tuple[str, str]:
        """What the supervisor noted of the office process, and of this one."""
        board = read_board(self._data, os.getppid())
        if board is not None:
            now = time.monotonic()
            self._noted = office_trouble(board, now), field_trouble(board, now)
        return self._noted


def lag_s(db: sqlite3.Connection, now: int) -> float:
    """Age in seconds of the oldest reading that the history has not taken; 0 where no history was ever kept."""
    row = db.execute(_BEHIND).fetchone()
    return max(0.0, (now - row[0]) / 1000) if row is not None else 0.0


def overdue(db: sqlite3.Connection, now: int) -> str:
    """Noise meters whose newest calibration does not count any more, and that have spoken in the last month."""
    return ", ".join(str(device) for (device,) in db.execute(_OVERDUE, (now - SPOKE_MS, now)))


def synchronised() -> bool | None:
    """Whether the kernel believes the clock to be (adjtimex(2)); None where it does not say."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None:
        return None
    state: int = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))  # zeros: modes 0, which sets nothing
    return None if state < 0 else state != _TIME_ERROR
