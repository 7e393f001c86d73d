"""The supervisor: what dies is started again, what is stopped is gone, and nothing outlives it."""

import asyncio
import os
import pty
import signal
import sys
import time
from pathlib import Path

import pytest

from hub.processes import supervisor
from hub.processes.supervisor import Child, Keeper, supervise

WRITES_ITS_NUMBER = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(60)"


def a_child(log: Path) -> Child:
    """A process that notes its number and waits."""
    return Child(name="child", argv=[sys.executable, "-c", WRITES_ITS_NUMBER, str(log)])


async def numbers(log: Path, count: int) -> list[int]:
    """The process numbers that were noted, once there are `count` of them."""
    async with asyncio.timeout(20):
        while True:
            noted = await asyncio.to_thread(lambda: log.read_text().split() if log.exists() else [])
            if len(noted) >= count:
                return [int(number) for number in noted]
            await asyncio.sleep(0.02)


def alive(number: int) -> bool:
    """True while the process exists and is not a zombie."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def test_a_child_that_dies_comes_back_and_stop_stops_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL on the child: another one runs; after stop none does."""
    monkeypatch.setattr(supervisor, "PAUSE_FIRST_S", 0.02)
    log, stop = tmp_path / "log", asyncio.Event()
    running = asyncio.create_task(supervise([a_child(log)], stop))

    (first,) = await numbers(log, 1)
    os.kill(first, signal.SIGKILL)
    second = (await numbers(log, 2))[1]
    stop.set()
    await running

    assert first != second
    assert not alive(second)


async def test_a_child_that_ignores_term_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that does not listen to SIGTERM is killed after a while."""
    monkeypatch.setattr(supervisor, "STOP_S", 0.3)
    log, stop = tmp_path / "log", asyncio.Event()
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WRITES_ITS_NUMBER
    child = Child(name="deaf", argv=[sys.executable, "-c", deaf, str(log)])
    running = asyncio.create_task(supervise([child], stop))

    (number,) = await numbers(log, 1)
    stop.set()
    await running

    assert not alive(number)


async def test_a_program_that_is_not_there_stops_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A child that cannot be started is tried again, in words; the others run, and stop ends them all."""
    monkeypatch.setattr(supervisor, "PAUSE_FIRST_S", 0.02)
    log, stop, program = tmp_path / "log", asyncio.Event(), tmp_path / "program"
    missing = Child(name="missing", argv=[str(program), str(tmp_path / "other")])
    running = asyncio.create_task(supervise([a_child(log), missing], stop))

    (number,) = await numbers(log, 1)
    async with asyncio.timeout(20):
        while caplog.text.count("missing ended (cannot be started") < 2:
            await asyncio.sleep(0.02)
    program.write_text(f"#!{sys.executable}\n{WRITES_ITS_NUMBER}\n")
    program.chmod(0o700)
    (other,) = await numbers(tmp_path / "other", 1)
    stop.set()
    await running

    assert not alive(number)
    assert not alive(other)


PARENT = """
import asyncio, sys
from hub.processes.supervisor import Child, Keeper, supervise
child = Child(name="child", argv=[sys.executable, "-c", sys.argv[1], sys.argv[2]])
asyncio.run(supervise([child], asyncio.Event()))
"""


async def test_children_go_when_the_parent_is_killed(tmp_path: Path) -> None:
    """The kernel stops the children when the supervisor is killed with SIGKILL."""
    log = tmp_path / "log"
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, WRITES_ITS_NUMBER, str(log))
    (number,) = await numbers(log, 1)

    parent.kill()
    await parent.wait()

    deadline = time.monotonic() + 10
    while alive(number) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    assert not alive(number)


async def test_other_children_and_the_same_ones(tmp_path: Path) -> None:
    """What stays is not touched, what is gone is stopped, what is new is started, `again` is started anew."""
    keeper = Keeper()
    stays, goes, comes, again = (
        Child(name=name, argv=[sys.executable, "-c", WRITES_ITS_NUMBER, str(tmp_path / name)])
        for name in ("stays", "goes", "comes", "again")
    )
    await keeper.renew([stays, goes, again])
    before = {name: (await numbers(tmp_path / name, 1))[0] for name in ("stays", "goes", "again")}
    await keeper.renew([stays, again, comes], again={"again"})
    (new,) = await numbers(tmp_path / "comes", 1)
    second = (await numbers(tmp_path / "again", 2))[1]
    assert [alive(number) for number in (*before.values(), new, second)] == [True, False, False, True, True]
    await keeper.renew([])
    assert not any(alive(number) for number in (before["stays"], new, second))


HANGS_UP = """
import asyncio, os, signal, sys
from hub.processes.supervisor import on_hangup
async def main():
    stop = asyncio.Event()
    on_hangup(stop, lambda: print("reload", flush=True))
    print("ready", flush=True)
    await stop.wait()
    print("stop", flush=True)
if "nohup" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
asyncio.run(main())
"""


class Foreground:
    """A program that runs in a terminal of its own (or in none), with what it says in a file."""

    def __init__(self, said: Path, *arguments: str, terminal: bool = True) -> None:
        """`terminal`: it leads a session on a new pty, as a program in a terminal window does."""
        self.said = said
        command = [sys.executable, "-c", HANGS_UP, *arguments]
        fork = pty.fork if terminal else lambda: (os.fork(), -1)
        self.number, self.master = fork()
        if self.number == 0:
            if not terminal:
                os.setsid()
            log = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may themselves run under nohup
            os.execv(command[0], command)

    def close(self) -> None:
        """The terminal window is closed."""
        os.close(self.master)
        self.master = -1

    async def until(self, *words: str) -> None:
        """Until it has said exactly this."""
        async with asyncio.timeout(20):
            while (self.said.read_text().split() if self.said.exists() else []) != list(words):
                await asyncio.sleep(0.02)

    def end(self) -> None:
        """Leave nothing behind."""
        os.kill(self.number, signal.SIGKILL)
        os.waitpid(self.number, 0)
        if self.master >= 0:
            os.close(self.master)


@pytest.mark.parametrize("terminal", [True, False])
async def test_hanging_up_reloads(tmp_path: Path, terminal: bool) -> None:
    """SIGHUP means reload, under a service manager and in a terminal that is still there."""
    program = Foreground(tmp_path / "said", terminal=terminal)
    try:
        await program.until("ready")
        os.kill(program.number, signal.SIGHUP)
        await program.until("ready", "reload")
        os.kill(program.number, signal.SIGHUP)
        await program.until("ready", "reload", "reload")
    finally:
        program.end()


@pytest.mark.parametrize(("arguments", "then"), [((), "stop"), (("nohup",), "reload")])
async def test_a_closed_terminal_stops_a_foreground_run(tmp_path: Path, arguments: tuple[str, ...], then: str) -> None:
    """A closed window stops what runs in it, as Ctrl-C does; under nohup it goes on."""
    program = Foreground(tmp_path / "said", *arguments)
    try:
        await program.until("ready")
        program.close()
        await program.until("ready", then)
    finally:
        program.end()
