"""Keeps the site's processes running: starts them, starts anew what dies, and leaves nothing behind when it stops.

It knows no devices and no journal. A child that dies at once again is started ever more slowly; each child asks the
kernel to be stopped when this process is gone, however it went.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

LOG = logging.getLogger("zhian.run")
PAUSE_FIRST_S, PAUSE_MOST_S = 0.3, 10.0
SETTLED_S = 20.0  # a child that lived so long starts again at once
STOP_S = 8.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """One process to keep running. `pass_fds` stay open in it."""

    name: str
    argv: Sequence[str]
    pass_fds: Sequence[int] = ()
    environment: Mapping[str, str] = {}


def zhian(*arguments: str) -> list[str]:
    """The command line of one of our own processes."""
    return [sys.executable, "-m", "hub", *arguments]


class Keeper:
    """The children that run now. `renew` them at the start, when they are to be others, and with none at the end."""

    def __init__(self) -> None:
        """None yet."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._children: dict[str, Child] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    async def renew(self, children: Sequence[Child], again: Collection[str] = ()) -> None:
        """Stop what is not wanted any more, the last first, and start what is new; `again`: though it is the same."""
        wanted = {child.name: child for child in children}
        for name in [*reversed(self._tasks)]:
            if wanted.get(name) != self._children[name] or name in again:
                await self._end(name)
        for name, child in wanted.items():
            if name not in self._tasks:
                self._children[name] = child
                self._tasks[name] = asyncio.create_task(self._keep(child), name=name)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Pass a signal on to a child; to none while it is being started again."""
        process = self._processes.get(name)
        if process is not None and process.returncode is None:
            process.send_signal(number)

    async def _end(self, name: str) -> None:
        task = self._tasks.pop(name)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _keep(self, child: Child) -> None:
        pause = PAUSE_FIRST_S
        while True:
            started = asyncio.get_running_loop().time()
            try:
                how = _how(await self._run_once(child))
            except OSError as error:  # no such program, no memory, too many processes: that may pass
                how = f"cannot be started: {error}"
            lived = asyncio.get_running_loop().time() - started
            pause = PAUSE_FIRST_S if lived > SETTLED_S else min(PAUSE_MOST_S, pause * 2)
            LOG.warning("%s ended (%s) after %.0f s; starting it again in %.1f s", child.name, how, lived, pause)
            await asyncio.sleep(pause)

    async def _run_once(self, child: Child) -> int:
        process = await asyncio.create_subprocess_exec(
            *child.argv,
            pass_fds=child.pass_fds,
            env={**os.environ, **child.environment},
            stdin=asyncio.subprocess.DEVNULL,
            preexec_fn=_die_with(os.getpid()),
            start_new_session=True,  # Ctrl-C reaches this process alone, which then stops the children in order
        )
        self._processes[child.name] = process
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                await _stop(process)


async def supervise(children: Sequence[Child], stop: asyncio.Event, keeper: Keeper | None = None) -> None:
    """Run all children until `stop` is set, then stop them in the opposite order."""
    keeper = keeper or Keeper()
    await keeper.renew(children)
    await stop.wait()
    await keeper.renew([])


def stop_on_signals(stop: asyncio.Event) -> None:
    """Ctrl-C, SIGTERM and a closed terminal set `stop`."""
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(name, stop.set)


def on_hangup(stop: asyncio.Event, reload: Callable[[], None]) -> None:
    """SIGHUP reloads, as `systemctl reload` and people mean it, unless the terminal that we run in was closed.

    Then a foreground run stops, as at Ctrl-C: else it would go on unseen. Under nohup it goes on.
    """
    had_terminal = _has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN

    def decide() -> None:
        if had_terminal and not _has_terminal():
            stop.set()
        else:
            reload()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, decide)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _die_with(parent: int) -> Callable[[], None]:
    """Run in the child before it becomes the program: TERM it when the parent dies, also when it died just now."""
    library = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def ask() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the child says otherwise: a reload must not kill it
        if library is not None:
            library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)

    return ask


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"
