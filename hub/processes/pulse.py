"""The heartbeat of a child towards its supervisor: a byte a second down a pipe, from the loop that does the work.

A process that is stopped, whose loop is blocked, or that no longer comes through its work does not beat. It decides
nothing: what a silence means is hub/processes/supervisor.py's business.
"""

import asyncio
import contextlib
import faulthandler
import os
from collections.abc import AsyncIterator, Callable

ENVIRONMENT = "ZHIAN_PULSE"  # number of the descriptor to beat on
BEAT_S = 1.0


class Pulse:
    """The supervisor's two ends of one child's pipe. The child inherits `write`; after that it is let go of here."""

    def __init__(self) -> None:
        """Both open."""
        self._read, self.write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self.write, False)

    def given(self) -> None:
        """The child has its end."""
        if self.write >= 0:
            os.close(self.write)
            self.write = -1

    def heard(self) -> bool:
        """Whether there was a beat since the last look."""
        with contextlib.suppress(BlockingIOError):
            return bool(os.read(self._read, 4096))
        return False

    def close(self) -> None:
        """Let go of what is still open."""
        self.given()
        os.close(self._read)


def show_stacks() -> None:
    """From now on SIGABRT (and a crash) writes what every thread is doing to standard error, and then ends us."""
    faulthandler.enable(all_threads=True)


@contextlib.asynccontextmanager
async def beating(well: Callable[[], bool] = lambda: True) -> AsyncIterator[None]:
    """Beat from this loop while the block runs and `well()`; nothing where no supervisor listens."""
    number = os.environ.pop(ENVIRONMENT, "")
    if not number:
        yield
        return
    pipe = int(number)
    os.set_inheritable(pipe, False)
    task = asyncio.create_task(_beat(pipe, well), name="pulse")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        os.close(pipe)


async def _beat(pipe: int, well: Callable[[], bool]) -> None:
    while True:
        if well():
            with contextlib.suppress(BlockingIOError, BrokenPipeError):  # full: unread beats are beats, too
                os.write(pipe, b".")
        await asyncio.sleep(BEAT_S)
