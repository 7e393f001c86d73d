"""Those who look again go some at a time: nobody who opens a page stands behind hundreds of them. Decides nothing else.

While a page is being made they go at a measured pace: its making needs the interpreter that they all share.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator

ABREAST = 16  # in one turn of the loop
FEW, SLOW_S = 6, 0.002  # while a page is made so many in so long: each takes a tenth of a millisecond
MOST = 24  # at once, where the loop had no time for them before


class Lane:
    """Used in the event loop alone. Holds no more than there are connections."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._making = 0

    @contextlib.contextmanager
    def making(self) -> Iterator[None]:
        """A page is being made."""
        self._making += 1
        try:
            yield
        finally:
            self._making -= 1

    async def turn(self) -> None:
        """Wait for one's turn."""
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        if self._pump is None:
            self._pump = asyncio.ensure_future(self._run())
        await mine

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time() - SLOW_S
        try:
            while self._waiting:
                now, before = loop.time(), last
                last = now
                for _ in range(min(len(self._waiting), self._allowed(now - before))):
                    if not (one := self._waiting.popleft()).done():  # else it has hung up
                        one.set_result(None)
                await asyncio.sleep(SLOW_S if self._making else 0.0)
        finally:
            self._pump = None

    def _allowed(self, since_s: float) -> int:
        """How many may go. By the clock, not by turns: a busy loop has few of these."""
        return min(MOST, max(FEW, int(FEW * since_s / SLOW_S))) if self._making else ABREAST
