"""How the site's processes are, as the supervisor notes it for the others: one small file, written over in place.

Its 4 kB are taken once: a full disk cannot keep the supervisor from saying that a process died. Instants are seconds of
the machine's monotonic clock, which all processes of one start share and nobody sets.
"""

import logging
import os
from pathlib import Path

import msgspec

LOG = logging.getLogger("zhian.run")
FILE = "processes.json"
BYTES = 4096
MOST_ENDS = 20
LOOP_S, LOOP_ENDS = 600.0, 3  # three ends in ten minutes: it is not well, though it runs again each time


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One process. state: starting (has not beaten yet) | up | silent (late with its beat) | down (to be started)."""

    state: str
    since: float
    how: str = ""  # how it ended last, as "SIGKILL" or "exit 1"
    ends: tuple[float, ...] = ()  # when it ended without having been told to
    hung: float | None = None  # when it was last killed because it did not beat

    def ended_lately(self, now: float) -> int:
        """How often it ended by itself in the last ten minutes."""
        return sum(now - LOOP_S < at <= now for at in self.ends)

    def keeps_dying(self, now: float) -> bool:
        """So often that somebody should look, or at all by a hang."""
        hung = self.hung is not None and now - LOOP_S < self.hung <= now
        return hung or self.ended_lately(now) >= LOOP_ENDS


class Board(msgspec.Struct, frozen=True):
    """All of them, and whose word it is."""

    supervisor: int = 0
    processes: dict[str, Process] = {}


class Noted:
    """The supervisor's pen. A folder that cannot be written to costs the note, and nothing else."""

    def __init__(self, data: Path) -> None:
        """What an earlier supervisor noted is gone."""
        self._file: int | None = None
        self._processes: dict[str, Process] = {}
        try:
            self._file = os.open(data / FILE, os.O_RDWR | os.O_CREAT, 0o600)
            os.posix_fallocate(self._file, 0, BYTES)
        except OSError as error:
            LOG.error("%s cannot be written (%s): how the processes are is in this log alone", data / FILE, error)
        self._write()

    def started(self, name: str, now: float) -> None:
        """It begins, and has not beaten yet."""
        self._note(name, msgspec.structs.replace(self._of(name), state="starting", since=now))

    def heard(self, name: str, state: str, now: float) -> None:
        """It beats (up), or is late (silent)."""
        if self._of(name).state != state:
            self._note(name, msgspec.structs.replace(self._of(name), state=state, since=now))

    def ended(self, name: str, how: str, now: float, *, hung: bool) -> None:
        """It ended without having been told to."""
        was = self._of(name)
        ends = (*was.ends, now)[-MOST_ENDS:]
        self._note(name, Process(state="down", since=now, how=how, ends=ends, hung=now if hung else was.hung))

    def forget(self, name: str) -> None:
        """It was stopped on purpose."""
        self._processes.pop(name, None)
        self._write()

    def close(self) -> None:
        """No more notes."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _of(self, name: str) -> Process:
        return self._processes.get(name) or Process(state="starting", since=0.0)

    def _note(self, name: str, process: Process) -> None:
        self._processes[name] = process
        self._write()

    def _write(self) -> None:
        if self._file is None:
            return
        text = msgspec.json.encode(Board(os.getpid(), self._processes))
        try:
            os.pwrite(self._file, text[:BYTES].ljust(BYTES), 0)
        except OSError as error:
            LOG.error("how the processes are could not be noted: %s", error)


def read_board(data: Path, supervisor: int) -> Board | None:
    """What this supervisor noted last; None where it noted nothing, or is just writing."""
    try:
        board = msgspec.json.decode((data / FILE).read_bytes(), type=Board)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return board if board.supervisor == supervisor else None


def office_trouble(board: Board, now: float) -> str:
    """Why the office process does not do its work, shortly; empty: it does. Its short absences are the rule's delay."""
    office = board.processes.get("office")
    if office is None:
        return ""
    if office.keeps_dying(now):
        return f"{max(1, office.ended_lately(now))}× {office.how}"
    return {"up": "", "silent": "> 10 s", "down": office.how}.get(office.state, office.how or "start")


def field_trouble(board: Board, now: float) -> str:
    """How often the field process had to be started again, and why; empty: it is well."""
    field = board.processes.get("field")
    if field is None or not field.keeps_dying(now):
        return ""
    return f"{max(1, field.ended_lately(now))}× {field.how}"
