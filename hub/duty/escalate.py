"""How an alarm that nobody acknowledges goes from one person to the next: a table, and a step that is pure.

Instants are ms and come in as arguments. What is kept in rows and said to people is hub.duty.callbook's business; who
is on duty is hub.duty.roster's.
"""

from enum import StrEnum

import msgspec
from msgspec.structs import replace

from hub.duty.file import Escalation, Step

ROUND_S = 60.0  # at least so long from the last step of a round to the first of the next


class RunState(StrEnum):
    """Of one escalation. IDLE: nobody is to be called (any more)."""

    IDLE = "idle"
    CALLING = "calling"
    EXHAUSTED = "exhausted"  # everybody was called, and nobody has acknowledged
    ACKED = "acked"  # somebody has seen it, and has yet to do something


class RunEvent(StrEnum):
    """START: the alarm wants somebody. DUE: its time has come. STOP: over, hidden, or somebody is at work on it."""

    START = "start"
    DUE = "due"
    FORCE = "force"
    ACK = "ack"
    STOP = "stop"


class Take(StrEnum):
    """What is done with a step's people."""

    NOTHING = "nothing"
    BEGIN = "begin"  # wait for the first step
    STEP = "step"  # call for this step, and wait for the next
    LAST = "last"  # call for the last step once more
    WAIT = "wait"  # for something to be done within `act_within`
    REALARM = "realarm"  # raise the alarm again


class Cell(msgspec.Struct, frozen=True):
    """Where the event leads (the step itself may lead on to EXHAUSTED), and what is done."""

    next: RunState
    take: Take = Take.NOTHING


_I, _C, _E, _A = RunState
TABLE: dict[tuple[RunState, RunEvent], Cell] = {
    (_I, RunEvent.START): Cell(_C, Take.BEGIN),
    (_I, RunEvent.DUE): Cell(_I),
    (_I, RunEvent.FORCE): Cell(_I),
    (_I, RunEvent.ACK): Cell(_A, Take.WAIT),
    (_I, RunEvent.STOP): Cell(_I),
    (_C, RunEvent.START): Cell(_C),
    (_C, RunEvent.DUE): Cell(_C, Take.STEP),
    (_C, RunEvent.FORCE): Cell(_C, Take.STEP),
    (_C, RunEvent.ACK): Cell(_A, Take.WAIT),
    (_C, RunEvent.STOP): Cell(_I),
    (_E, RunEvent.START): Cell(_E),
    (_E, RunEvent.DUE): Cell(_E, Take.LAST),
    (_E, RunEvent.FORCE): Cell(_E, Take.LAST),
    (_E, RunEvent.ACK): Cell(_A, Take.WAIT),
    (_E, RunEvent.STOP): Cell(_I),
    (_A, RunEvent.START): Cell(_C, Take.BEGIN),  # raised again
    (_A, RunEvent.DUE): Cell(_I, Take.REALARM),
    (_A, RunEvent.FORCE): Cell(_A),
    (_A, RunEvent.ACK): Cell(_A),
    (_A, RunEvent.STOP): Cell(_I),
}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One occurrence's escalation. `run` counts its starts, `turn` its calls since then; `step` is the one to come.

    `policy` is what was in force at the start: a change of the file counts for the next alarm. `due_at`: None = never.
    """

    key: str
    occurrence: int
    severity: str
    policy: Escalation
    state: RunState = RunState.IDLE
    run: int = 0
    turn: int = 0
    step: int = 0
    round: int = 1
    due_at: int | None = None


class Deed(msgspec.Struct, frozen=True):
    """What a step asks for: people to be called (`call`, with its `turn`), or the alarm to be raised again."""

    take: Take
    turn: int = 0
    call: Step | None = None


def advance(run: Run, event: RunEvent, at: int) -> tuple[Run, Deed | None]:
    """The escalation after `event` at `at`, and what is to be done. DUE before its time changes nothing."""
    if event is RunEvent.DUE and (run.due_at is None or at < run.due_at):
        return run, None
    cell = TABLE[run.state, event]
    match cell.take:
        case Take.BEGIN:
            first = at + _ms(run.policy.step[0].after)
            return replace(run, state=cell.next, run=run.run + 1, turn=0, step=0, round=1, due_at=first), None
        case Take.STEP:
            return _next(run, at), Deed(Take.STEP, run.turn, run.policy.step[run.step])
        case Take.LAST:
            return _again(run, at), Deed(Take.LAST, run.turn, run.policy.step[-1])
        case Take.WAIT:
            wait = at + _ms(run.policy.act_within) if run.policy.act_within else None
            return replace(run, state=cell.next, due_at=wait), None
        case Take.REALARM:
            return replace(run, state=cell.next, due_at=None), Deed(Take.REALARM)
    if cell.next is run.state:
        return run, None
    return replace(run, state=cell.next, due_at=None), None


def skipped(run: Run, at: int) -> Run:
    """The step that was just taken reached nobody: the next one is not waited for. Not while the last one repeats."""
    return replace(run, due_at=at) if run.state is RunState.CALLING and run.step else run


def mended(run: Run, now: int) -> Run:
    """A due time further ahead than any wait of this state was noted by a clock that has been set back since."""
    waits = {
        RunState.CALLING: _pause(run) if run.step == 0 and run.round > 1 else run.policy.step[run.step].after,
        RunState.EXHAUSTED: run.policy.again,
        RunState.ACKED: run.policy.act_within,
    }
    if run.due_at is None or run.state not in waits:
        return run
    return replace(run, due_at=min(run.due_at, now + _ms(waits[run.state])))


def _next(run: Run, at: int) -> Run:
    """To the next step, the next round, or the end. Waits count from when the step was due, not from when it was taken.

    So a hub that was away catches up: no step is lost, none comes later than it should.
    """
    due = at if run.due_at is None else min(at, run.due_at)
    if run.step + 1 < len(run.policy.step):
        after = run.policy.step[run.step + 1].after
        return replace(run, turn=run.turn + 1, step=run.step + 1, due_at=due + _ms(after))
    if run.round < run.policy.rounds:
        return replace(run, turn=run.turn + 1, step=0, round=run.round + 1, due_at=due + _ms(_pause(run)))
    return _again(replace(run, state=RunState.EXHAUSTED), at)


def _again(run: Run, at: int) -> Run:
    again = at + _ms(run.policy.again) if run.policy.again else None
    return replace(run, turn=run.turn + 1, due_at=again)


def _pause(run: Run) -> float:
    return max(ROUND_S, run.policy.step[0].after)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
