"""Keeps the site's processes running: starts them, starts anew what dies or hangs, and leaves nothing behind.

It knows no devices and no journal. A child that dies at once again is started ever more slowly; each child asks the
kernel to be stopped when this process is gone, however it went. How they are it notes for the others (processes.py).
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from hub.processes.notify import notify, watchdog_s
from hub.processes.pulse import ENVIRONMENT, Pulse
from hub.processes.state import Noted

LOG = logging.getLogger("zhian.run")
PAUSE_FIRST_S, PAUSE_MOST_S = 0.3, 10.0
SETTLED_S = 20.0  # a child that lived so long starts again at once
STOP_S = 8.0
LOOK_S = 0.5  # how often the pulses are felt
LATE_S = 10.0  # a beat so late is noted; what it means is decided at the child's own `silent_s`
START_S = 300.0  # until the first beat: imports, and a journal that is recovered after a power cut, on a slow card
ABORT_S = 3.0  # to write its stacks in, before it is killed
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_SYSTEMD = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """One process to keep running. `pass_fds` stay open in it; `silent_s`: killed when it has not beaten so long."""

    name: str
    argv: Sequence[str]
    pass_fds: Sequence[int] = ()
    environment: Mapping[str, str] = {}
    silent_s: float | None = None  # None: it does not beat, as mosquitto


def zhian(*arguments: str) -> list[str]:
    """The command line of one of our own processes: this version, also where an older tree is the working directory."""
    beside = Path(__file__).parents[2].samefile(".")
    return [sys.executable, *([] if beside else ["-P"]), "-m", "hub", *arguments]


class Keeper:
    """The children that run now. `renew` them at the start, when they are to be others, and with none at the end."""

    def __init__(self, noted: Noted | None = None) -> None:
        """None yet. `noted`: where it is written how they are."""
        self._noted = noted
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._children: dict[str, Child] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._hung: set[str] = set()  # is being killed for it

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
        if self._noted is not None:
            self._noted.forget(name)

    async def _keep(self, child: Child) -> None:
        pause, loop = PAUSE_FIRST_S, asyncio.get_running_loop()
        while True:
            started, hung = loop.time(), False
            try:
                code, hung = await self._run_once(child)
                how = _how(code)
            except OSError as error:  # no such program, no memory, too many processes: that may pass
                how = f"cannot be started: {error}"
            lived = loop.time() - started
            pause = PAUSE_FIRST_S if lived > SETTLED_S else min(PAUSE_MOST_S, pause * 2)
            if self._noted is not None:
                self._noted.ended(child.name, how, loop.time(), hung=hung)
            LOG.warning("%s ended (%s) after %.0f s; starting it again in %.1f s", child.name, how, lived, pause)
            await asyncio.sleep(pause)

    async def _run_once(self, child: Child) -> tuple[int, bool]:
        """How it ended, and whether it had to be killed because it hung."""
        with contextlib.closing(Pulse()) as pulse:
            beats = child.silent_s is not None
            process = await asyncio.create_subprocess_exec(
                *child.argv,
                pass_fds=[*child.pass_fds, *([pulse.write] if beats else [])],
                env={**_ours(), **child.environment, **({ENVIRONMENT: str(pulse.write)} if beats else {})},
                stdin=asyncio.subprocess.DEVNULL,
                preexec_fn=_die_with(os.getpid()),
                start_new_session=True,  # Ctrl-C reaches this process alone, which then stops the children in order
            )
            pulse.given()
            self._processes[child.name] = process
            watching = asyncio.create_task(self._watch(child, process, pulse), name=f"pulse of {child.name}")
            try:
                code = await process.wait()
                return code, child.name in self._hung
            finally:
                self._hung.discard(child.name)
                watching.cancel()
                if process.returncode is None:
                    await _stop(process)

    async def _watch(self, child: Child, process: asyncio.subprocess.Process, pulse: Pulse) -> None:
        """Returns only when it did not beat for too long, and was killed for it."""
        loop, name = asyncio.get_running_loop(), child.name
        self._note(name, "starting" if child.silent_s else "up")
        if child.silent_s is None:
            await asyncio.Event().wait()
            return
        begun, beat, looked = False, loop.time(), loop.time()
        while loop.time() - beat <= (child.silent_s if begun else START_S):
            await asyncio.sleep(LOOK_S)
            if loop.time() - looked > LATE_S / 2:  # we ourselves did not run: its silence is ours
                beat = max(beat, loop.time() - LATE_S / 2)
            looked = loop.time()
            if pulse.heard():
                begun, beat = True, looked
                self._note(name, "up")
            elif begun and looked - beat > min(LATE_S, child.silent_s / 2):
                self._note(name, "silent")
        LOG.error("%s has not beaten for %.0f s: it hangs, and is killed. What it did:", name, loop.time() - beat)
        self._hung.add(name)
        await _kill_hung(process)

    def _note(self, name: str, state: str) -> None:
        if self._noted is None:
            return
        now = asyncio.get_running_loop().time()
        if state == "starting":
            self._noted.started(name, now)
        else:
            self._noted.heard(name, state, now)


async def supervise(children: Sequence[Child], stop: asyncio.Event, keeper: Keeper | None = None) -> None:
    """Run all children until `stop` is set, then stop them in the opposite order."""
    keeper = keeper or Keeper()
    await keeper.renew(children)
    notify("READY=1")
    telling = asyncio.create_task(_tell_watchdog())
    await stop.wait()
    notify("STOPPING=1")
    telling.cancel()
    await keeper.renew([])


async def _tell_watchdog() -> None:
    """systemd starts us again when this loop no longer turns."""
    while (every := watchdog_s()) is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(every)


def _ours() -> dict[str, str]:
    """The environment without what systemd told this process alone."""
    return {name: word for name, word in os.environ.items() if name not in _SYSTEMD}


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


async def _kill_hung(process: asyncio.subprocess.Process) -> None:
    """SIGABRT, for its stacks (faulthandler); a process that is stopped, or deaf, is killed after that."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGABRT)
        try:
            async with asyncio.timeout(ABORT_S):
                await process.wait()
        except TimeoutError:
            process.kill()


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
    return signal.Signals(-code).name if code < 0 else f"exit {code}"
