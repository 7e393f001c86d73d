"""Those who look again go some at a time: nobody who opens a page stands behind hundreds of them. Decides nothing else.

While a page is being made few of them go: its making needs the interpreter that they all share.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator

ABREAST = 8  # in one turn of the loop
FEW = 3  # while a page is made
SLOW_S = 0.002  # and so long between them


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
        try:
            while self._waiting:
                for _ in range(min(len(self._waiting), FEW if self._making else ABREAST)):
                    if not (one := self._waiting.popleft()).done():  # else it has hung up
                        one.set_result(None)
                await asyncio.sleep(SLOW_S if self._making else 0.0)
        finally:
            self._pump = None
