"""One alarm's whole status, and what each event makes of it: the three machines of hub.alarms.alarm put together.

The gate at the end of every step is the only place that says "raised" or "cleared" to people. Pure, like them.
"""

from enum import StrEnum

import msgspec
from msgspec.structs import replace

from hub.alarms.alarm import (
    Closed,
    Deed,
    Edge,
    Filter,
    FilterState,
    Manners,
    OperatorEvent,
    OperatorState,
    Overlay,
    Rejected,
    ShelfEvent,
    Truth,
    may_shelve,
    observe,
    step_operator,
    step_shelf,
    suppress,
    unsuppress,
)


class Told(StrEnum):
    """The last thing that people were told of this occurrence."""

    NOTHING = "nothing"
    RAISED = "raised"
    CLEARED = "cleared"


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Machines 1, 2 and 3 of one alarm, and what was told."""

    filter: Filter = Filter()
    state: OperatorState = OperatorState.NORMAL
    overlay: Overlay = Overlay()
    told: Told = Told.NOTHING


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one alarm. `speak`: RAISED or CLEARED when voices are to say so."""

    deed: Deed
    before: OperatorState
    after: OperatorState
    closed: Closed | None = None
    rejected: Rejected | None = None
    speak: Told = Told.NOTHING


_UR, _UL = OperatorState.RETURNED, OperatorState.LATCHED_UNACKED
_ACTIVE = (OperatorState.UNACKED, OperatorState.ACKED)


def evaluate(status: Status, before: Truth, truth: Truth, at: int, manners: Manners) -> tuple[Status, tuple[Step, ...]]:
    """The rule says `truth` at `at` (ms), and said `before` until then."""
    filtered, edge = observe(status.filter, before, truth, at, manners)
    status = replace(status, filter=filtered)
    if edge is None:
        return status, ()
    return operate(status, OperatorEvent.RAISE if edge is Edge.RAISE else OperatorEvent.CLEAR, at, manners)


def operate(status: Status, event: OperatorEvent, at: int, manners: Manners) -> tuple[Status, tuple[Step, ...]]:
    """Machine 2 takes an event of the filter or of a person. A rejected one gives one REJECTED step and no change."""
    cell = step_operator(status.state, event, manners)
    step = Step(deed=cell.deed, before=status.state, after=cell.next, closed=cell.closed, rejected=cell.rejected)
    if cell.rejected is not None:
        return status, (step,)
    if event is OperatorEvent.CLEAR:
        status = replace(status, overlay=step_shelf(status.overlay, ShelfEvent.CLEAR, at))
    if event is OperatorEvent.WITHDRAW:
        status = replace(status, overlay=Overlay(), filter=Filter(FilterState.OFF, at, at))
    if cell.deed is Deed.COUNTED:
        return _gate(status, None)
    if cell.deed is Deed.RAISED:
        status = replace(status, told=Told.NOTHING)
    return _gate(replace(status, state=cell.next), step)


def shelve(
    status: Status, until: int | None, now: int, manners: Manners, *, once: bool = False
) -> tuple[Status, tuple[Step, ...]]:
    """Hide it until `until`, or (`once`) until it next clears and no longer than that."""
    if (why := may_shelve(until, now, manners)) is not None:
        return status, (Step(deed=Deed.REJECTED, before=status.state, after=status.state, rejected=why),)
    event = ShelfEvent.SHELVE_ONCE if once else ShelfEvent.SHELVE
    return _overlaid(status, step_shelf(status.overlay, event, now, until), Deed.SHELVED)


def unshelve(status: Status, now: int) -> tuple[Status, tuple[Step, ...]]:
    """Take it from the shelf; nothing happens when it lies on none."""
    return _overlaid(status, step_shelf(status.overlay, ShelfEvent.UNSHELVE, now), Deed.UNSHELVED)


def time_out(status: Status, now: int) -> tuple[Status, tuple[Step, ...]]:
    """Take it from the shelf if its time is over."""
    return _overlaid(status, step_shelf(status.overlay, ShelfEvent.TIMEOUT, now), Deed.UNSHELVED)


def hide(status: Status, source: str) -> tuple[Status, tuple[Step, ...]]:
    """Suppress it by `source`, as "link:rs485-east"."""
    return _overlaid(status, suppress(status.overlay, source), Deed.SUPPRESSED)


def unhide(status: Status, source: str) -> tuple[Status, tuple[Step, ...]]:
    """`source` does not suppress it any more."""
    return _overlaid(status, unsuppress(status.overlay, source), Deed.UNSUPPRESSED)


def serve(status: Status, at: int, manners: Manners, *, in_service: bool) -> tuple[Status, tuple[Step, ...]]:
    """Out of service for maintenance, or back: then what is active is told anew, whoever had seen it before."""
    deed = Deed.IN_SERVICE if in_service else Deed.OUT_OF_SERVICE
    after, steps = _overlaid(status, replace(status.overlay, out_of_service=not in_service), deed)
    told = any(step.speak is Told.RAISED for step in steps)
    if not steps or after.overlay.hidden or told or after.state not in _ACTIVE:
        return after, steps
    after, again = operate(after, OperatorEvent.REALARM, at, manners)
    return after, steps + again


def _overlaid(status: Status, overlay: Overlay, deed: Deed) -> tuple[Status, tuple[Step, ...]]:
    if overlay == status.overlay:
        return status, ()
    return _gate(replace(status, overlay=overlay), Step(deed=deed, before=status.state, after=status.state))


def _gate(status: Status, step: Step | None) -> tuple[Status, tuple[Step, ...]]:
    """Say what has to be said, once; close what came and went while nobody was to be told."""
    if step is not None and step.deed in (Deed.CLEARED, Deed.WITHDRAWN) and status.told is Told.RAISED:
        # Even when hidden: who was told "raised" is told the end (Alertmanager 226 is about leaving this out).
        return replace(status, told=Told.CLEARED), (replace(step, speak=Told.CLEARED),)
    if status.overlay.hidden:
        return status, (step,) if step is not None else ()
    if status.state is OperatorState.UNACKED:
        again = step is not None and step.deed is Deed.RENOTIFIED
        if step is not None and (again or status.told is not Told.RAISED):
            step = replace(step, speak=Told.RAISED)
            status = replace(status, told=Told.RAISED)
    steps = (step,) if step is not None else ()
    if status.told is Told.NOTHING and status.state in (_UR, _UL):
        return _unannounced(status, steps)
    return status, steps


def _unannounced(status: Status, steps: tuple[Step, ...]) -> tuple[Status, tuple[Step, ...]]:
    """Returned without a word: close it; a latched one counts as seen, and still waits for its reset."""
    if status.state is _UR:
        step = Step(deed=Deed.CLOSED, before=_UR, after=OperatorState.NORMAL, closed=Closed.UNANNOUNCED)
    else:
        step = Step(deed=Deed.ACKED, before=_UL, after=OperatorState.LATCHED_ACKED)
    return replace(status, state=step.after), (*steps, step)
