"""The supervisor's watch: what hangs is killed, with its stacks in the log; what is slow to start is not."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hub.processes import supervisor
from hub.processes.pulse import Pulse, beating
from hub.processes.state import BYTES, FILE, Board, Noted, Process, field_trouble, office_trouble, read_board
from hub.processes.supervisor import Child, Keeper, supervise

CHILD = """
import asyncio, os, sys, time
from hub.processes.pulse import beating, show_stacks
show_stacks()
async def main():
    log, how = sys.argv[1], sys.argv[2]
    if how == "slow":
        time.sleep(1.5)
    well = True
    async with beating(lambda: well):
        with open(log, "a") as file:
            file.write(f"{os.getpid()}\\n")
        await asyncio.sleep(1.2)
        if how == "blocks" and open(log).read().count("\\n") == 1:
            def stuck_here():
                time.sleep(60)
            stuck_here()
        if how == "gives-up" and open(log).read().count("\\n") == 1:
            well = False
        await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same steps in less time."""
    monkeypatch.setattr(supervisor, "PAUSE_FIRST_S", 0.02)
    monkeypatch.setattr(supervisor, "LOOK_S", 0.05)
    monkeypatch.setattr(supervisor, "ABORT_S", 0.5)


class Watched:
    """A supervised child in one of its moods."""

    def __init__(self, folder: Path, mood: str, silent_s: float = 2.5) -> None:
        """Not started."""
        self.log, self.data = folder / "log", folder
        argv = [sys.executable, "-c", CHILD, str(self.log), mood]
        self.child = Child(name="field", argv=argv, silent_s=silent_s)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Supervised until the end of the block."""
        stop, noted = asyncio.Event(), Noted(self.data)
        task = asyncio.create_task(supervise([self.child], stop, Keeper(noted)))
        try:
            yield
        finally:
            stop.set()
            await task
            noted.close()

    def numbers(self) -> list[int]:
        """The processes that came so far."""
        return [int(line) for line in self.log.read_text().split()] if self.log.exists() else []

    def noted(self) -> Process | None:
        """What stands on the board."""
        board = read_board(self.data, os.getpid())
        return board.processes.get("field") if board else None

    async def until(self, what: Callable[[], object], seconds: float = 30.0) -> None:
        """Until it is so."""
        async with asyncio.timeout(seconds):
            while not what():
                await asyncio.sleep(0.05)


async def test_a_stopped_process_is_killed_and_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """SIGSTOP: late, then killed (it cannot even take SIGABRT), and another runs; the board tells each step."""
    watched, seen = Watched(tmp_path, "works"), set[str]()
    async with watched.running():
        await watched.until(lambda: (note := watched.noted()) and note.state == "up")
        (first,) = watched.numbers()
        os.kill(first, signal.SIGSTOP)

        def again() -> bool:
            if note := watched.noted():
                seen.add(note.state)
            return len(watched.numbers()) == 2

        await watched.until(again)
        await watched.until(lambda: (note := watched.noted()) and note.state == "up")
        note = watched.noted()
    assert "silent" in seen
    assert note is not None
    assert (note.how, note.hung is not None, len(note.ends)) == ("SIGKILL", True, 1)
    assert "it hangs, and is killed" in caplog.text


@pytest.mark.parametrize("mood", ["blocks", "gives-up"])
async def test_a_loop_that_hangs_leaves_its_stack(tmp_path: Path, mood: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A blocked loop, and one whose work no longer goes on: SIGABRT, and the log shows the line that it stood in."""
    watched = Watched(tmp_path, mood)
    async with watched.running():
        await watched.until(lambda: len(watched.numbers()) == 2)
        note = watched.noted()
    assert note is not None
    assert note.how == "SIGABRT"
    said = capfd.readouterr().err
    assert "Fatal Python error: Aborted" in said
    assert ("stuck_here" in said) == (mood == "blocks")


async def test_a_slow_start_is_no_hang(tmp_path: Path) -> None:
    """Until its first beat a child has the time of a start; after that it beats, and lives."""
    watched = Watched(tmp_path, "slow", silent_s=1.4)
    async with watched.running():
        await watched.until(lambda: (note := watched.noted()) and note.state == "up")
        await asyncio.sleep(2.0)
        note = watched.noted()
        assert watched.numbers() == watched.numbers()[:1]
    assert note is not None
    assert note.ends == ()


async def test_a_start_that_never_ends_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a start is not endless."""
    monkeypatch.setattr(supervisor, "START_S", 0.3)
    silent = Child(name="field", argv=[sys.executable, "-c", "import time; time.sleep(60)"], silent_s=0.2)
    noted, stop = Noted(tmp_path), asyncio.Event()
    task = asyncio.create_task(supervise([silent], stop, Keeper(noted)))
    async with asyncio.timeout(20):
        while not (
            (board := read_board(tmp_path, os.getpid())) and (note := board.processes.get("field")) and note.hung
        ):
            await asyncio.sleep(0.05)
    stop.set()
    await task
    noted.close()


async def test_who_has_no_pulse_is_not_killed_for_it(tmp_path: Path) -> None:
    """mosquitto does not beat."""
    noted, stop = Noted(tmp_path), asyncio.Event()
    mute = Child(name="mosquitto", argv=[sys.executable, "-c", "import time; time.sleep(60)"])
    task = asyncio.create_task(supervise([mute], stop, Keeper(noted)))
    await asyncio.sleep(1.0)
    board = read_board(tmp_path, os.getpid())
    stop.set()
    await task
    noted.close()
    assert board is not None
    assert (board.processes["mosquitto"].state, board.processes["mosquitto"].ends) == ("up", ())


async def test_a_supervisor_that_did_not_run_itself_blames_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that stood still for longer than a child may be silent: the child is asked anew."""
    monkeypatch.setattr(supervisor, "LATE_S", 0.8)
    watched = Watched(tmp_path, "works")
    async with watched.running():
        await watched.until(lambda: (note := watched.noted()) and note.state == "up")
        os.kill(watched.numbers()[0], signal.SIGSTOP)
        await asyncio.to_thread(time.sleep, 0.1)
        time.sleep(3.0)  # noqa: ASYNC251  # this is the supervisor's loop
        os.kill(watched.numbers()[0], signal.SIGCONT)
        await asyncio.sleep(1.5)
        assert len(watched.numbers()) == 1


async def test_a_pulse_is_a_byte_a_second_while_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops with `well`; the descriptor is not handed on to processes that the child starts."""
    pulse, well = Pulse(), True
    monkeypatch.setattr("hub.processes.pulse.BEAT_S", 0.05)
    monkeypatch.setenv("ZHIAN_PULSE", str(os.dup(pulse.write)))
    async with beating(lambda: well):
        assert "ZHIAN_PULSE" not in os.environ
        await asyncio.sleep(0.2)
        assert pulse.heard()
        well = False
        await asyncio.sleep(0.2)
        pulse.heard()
        await asyncio.sleep(0.2)
        assert not pulse.heard()
    pulse.close()


# --- the board -----------------------------------------------------------------------------------------------------


def test_the_board_is_written_in_place(tmp_path: Path) -> None:
    """It never grows: a full disk cannot hide that a process died."""
    noted = Noted(tmp_path)
    for at in range(60):
        noted.ended("office", "exit 1" * 20, 1e6 + at, hung=at % 2 == 0)
    noted.close()
    assert (tmp_path / FILE).stat().st_size == BYTES
    board = read_board(tmp_path, os.getpid())
    assert board is not None
    assert len(board.processes["office"].ends) == 20
    assert read_board(tmp_path, os.getpid() + 1) is None


@pytest.mark.parametrize(
    ("office", "why"),
    [
        (Process(state="up", since=1.0), ""),
        (Process(state="starting", since=1.0), "start"),
        (Process(state="silent", since=1.0), "> 10 s"),
        (Process(state="down", since=1.0, how="SIGKILL", ends=(990.0,)), "SIGKILL"),
        (Process(state="up", since=1.0, how="exit 1", ends=(500.0, 900.0, 990.0)), "3× exit 1"),
        (Process(state="up", since=1.0, how="exit 1", ends=(399.0, 900.0, 990.0)), ""),
    ],
)
def test_when_the_office_does_not_do_its_work(office: Process, why: str) -> None:
    """Down, late, or dying again and again though it runs just now."""
    assert office_trouble(Board(1, {"office": office}), 1000.0) == why
    assert office_trouble(Board(1, {}), 1000.0) == ""


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (Process(state="up", since=1.0, ends=(990.0,), how="exit 1"), ""),
        (Process(state="up", since=1.0, ends=(990.0, 991.0, 992.0), how="exit 1"), "3× exit 1"),
        (Process(state="up", since=1.0, ends=(990.0,), hung=990.0, how="SIGABRT"), "1× SIGABRT"),
        (Process(state="up", since=1.0, ends=(300.0,), hung=300.0, how="SIGABRT"), ""),
    ],
)
def test_when_the_field_process_is_told_to_keep_dying(field: Process, why: str) -> None:
    """One death is healed by the next start; three in ten minutes, or one hang, are for a person."""
    assert field_trouble(Board(1, {"field": field}), 1000.0) == why
