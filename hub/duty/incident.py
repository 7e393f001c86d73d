"""What becomes of a matter that people have to deal with: classify, dispatch, accept, feed back, assess, archive.

A table and a pure step. Supervision (督办) is a level beside the state that time limits raise. What is kept in rows and
what alarms do to it is the business of hub.watch.
"""

from enum import StrEnum

import msgspec
from msgspec.structs import replace

from hub.duty.file import Limits

MOST_SUPERVISION = 3


class State(StrEnum):
    """Where it is. ARCHIVED and VOID are ends."""

    NEW = "new"
    CLASSIFIED = "classified"
    DISPATCHED = "dispatched"
    WORKING = "working"
    DONE = "done"
    ASSESSED = "assessed"
    DEFERRED = "deferred"
    ARCHIVED = "archived"
    VOID = "void"


class Event(StrEnum):
    """What people do (up to NOTE), and what time and the alarm do to it."""

    CLASSIFY = "classify"
    DISPATCH = "dispatch"  # to somebody
    ACCEPT = "accept"
    RETURN = "return"  # 回退: not mine, with a reason
    FEEDBACK = "feedback"  # it is dealt with: how
    PASS = "pass"  # assessed, and good  # noqa: S105  # a word, no password
    REWORK = "rework"
    DEFER = "defer"  # 挂账: cannot be done before a time
    RESUME = "resume"
    ARCHIVE = "archive"
    VOID = "void"  # there is no such matter
    NOTE = "note"
    LIMIT = "limit"  # the state's time is over
    CLEARED = "alarm-cleared"
    AGAIN = "alarm-again"


class Effect(StrEnum):
    """What a cell does besides leading somewhere. MOVE logs as well; NOTHING does not even log."""

    MOVE = "move"
    LOG = "log"
    SUPERVISE = "supervise"
    REJECT = "reject"
    FOLLOW = "follow"  # it is over: a new one is opened that follows this one
    NOTHING = "nothing"


class Cell(msgspec.Struct, frozen=True):
    """Where an event leads."""

    next: State
    effect: Effect


ENDED = frozenset({State.ARCHIVED, State.VOID})
PEOPLES = tuple(event for event in Event if event not in (Event.LIMIT, Event.CLEARED, Event.AGAIN))
_MOVES: dict[State, dict[Event, State]] = {
    State.NEW: {Event.CLASSIFY: State.CLASSIFIED, Event.DISPATCH: State.DISPATCHED, Event.VOID: State.VOID},
    State.CLASSIFIED: {
        Event.CLASSIFY: State.CLASSIFIED,
        Event.DISPATCH: State.DISPATCHED,
        Event.VOID: State.VOID,
    },
    State.DISPATCHED: {
        Event.DISPATCH: State.DISPATCHED,
        Event.ACCEPT: State.WORKING,
        Event.RETURN: State.CLASSIFIED,
        Event.FEEDBACK: State.DONE,
        Event.DEFER: State.DEFERRED,
        Event.VOID: State.VOID,
    },
    State.WORKING: {
        Event.DISPATCH: State.DISPATCHED,
        Event.ACCEPT: State.WORKING,
        Event.RETURN: State.CLASSIFIED,
        Event.FEEDBACK: State.DONE,
        Event.DEFER: State.DEFERRED,
    },
    State.DONE: {
        Event.FEEDBACK: State.DONE,
        Event.PASS: State.ASSESSED,
        Event.REWORK: State.DISPATCHED,
        Event.AGAIN: State.DISPATCHED,
    },
    State.ASSESSED: {
        Event.REWORK: State.DISPATCHED,
        Event.ARCHIVE: State.ARCHIVED,
        Event.AGAIN: State.DISPATCHED,
    },
    State.DEFERRED: {
        Event.DEFER: State.DEFERRED,
        Event.RESUME: State.DISPATCHED,
        Event.VOID: State.VOID,
        Event.LIMIT: State.DISPATCHED,
        Event.AGAIN: State.DISPATCHED,
    },
    State.ARCHIVED: {},
    State.VOID: {},
}
_ELSE = {Event.LIMIT: Effect.SUPERVISE, Event.CLEARED: Effect.LOG, Event.AGAIN: Effect.LOG, Event.NOTE: Effect.LOG}
_ENDED_ELSE = {**_ELSE, Event.LIMIT: Effect.NOTHING, Event.AGAIN: Effect.FOLLOW}


def _cell(state: State, event: Event) -> Cell:
    if event in _MOVES[state]:
        return Cell(_MOVES[state][event], Effect.MOVE)
    return Cell(state, (_ENDED_ELSE if state in ENDED else _ELSE).get(event, Effect.REJECT))


TABLE = {(state, event): _cell(state, event) for state in State for event in Event}
NEEDS_TEXT = frozenset(
    {Event.RETURN, Event.FEEDBACK, Event.REWORK, Event.DEFER, Event.VOID, Event.NOTE, Event.CLASSIFY}
)


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `supervision` 0 to 3; `due_at`: when its state's time is over; `follows`: the one before, of this alarm.

    `activations` of the occurrence, and whether it is `over`, as far as they were noted here.
    """

    id: int
    key: str
    occurrence: int
    severity: str
    opened: int
    state: State = State.NEW
    since: int = 0
    supervision: int = 0
    assignee: str = ""  # persons' ids, by commas
    kind: str = ""  # what it was classified as
    due_at: int | None = None
    activations: int = 1
    over: bool = False
    follows: int | None = None


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One event, by whom and with which words. `to`: persons (dispatch); `until`: ms (defer)."""

    event: Event
    actor: str = ""
    text: str = ""
    to: str = ""
    until: int | None = None


class Refused(Exception):
    """The move cannot be made now; the text says what can."""


def step(incident: Incident, move: Move, now: int, limits: Limits) -> Incident:
    """The incident after the move at `now` (ms); the same object where only a line is to be logged. Raises Refused."""
    cell = TABLE[incident.state, move.event]
    if cell.effect is Effect.REJECT:
        words = ", ".join(possible(incident.state)) or "nothing"
        raise Refused(f"{move.event} is not possible while it is {incident.state}; possible: {words}")
    _check(move, now)
    if cell.effect is Effect.SUPERVISE:
        level = min(MOST_SUPERVISION, incident.supervision + 1)
        due = _due(incident.state, now, limits, None) if level < MOST_SUPERVISION else None
        return replace(incident, supervision=level, due_at=due)
    if cell.effect is not Effect.MOVE:
        return incident
    return replace(
        incident,
        state=cell.next,
        since=incident.since if cell.next is incident.state else now,
        assignee=move.to or ("" if cell.next is State.CLASSIFIED else incident.assignee),
        kind=move.text if move.event is Event.CLASSIFY else incident.kind,
        due_at=_due(cell.next, now, limits, move.until),
    )


def possible(state: State) -> list[Event]:
    """What people can do with an incident in this state."""
    return [event for event in PEOPLES if TABLE[state, event].effect is not Effect.REJECT]


def _check(move: Move, now: int) -> None:
    if move.event in NEEDS_TEXT and not move.text.strip():
        raise Refused(f"{move.event} needs a word why")
    if move.event is Event.DISPATCH and not move.to:
        raise Refused("dispatch needs somebody to go to")
    if move.event is Event.DEFER and (move.until is None or move.until <= now):
        raise Refused("defer needs a time in the future")


def limit_of(state: State, limits: Limits) -> float:
    """Within how many seconds the state has to be left; 0: there is no such time."""
    return {
        State.NEW: limits.new,
        State.CLASSIFIED: limits.new,
        State.DISPATCHED: limits.dispatched,
        State.WORKING: limits.working,
        State.DONE: limits.done,
        State.ASSESSED: limits.done,
    }.get(state, 0.0)


def _due(state: State, now: int, limits: Limits, until: int | None) -> int | None:
    if state is State.DEFERRED:
        return until
    seconds = limit_of(state, limits)
    return now + round(seconds * 1000) if seconds else None
