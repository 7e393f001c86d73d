"""Alarms as the journal remembers them: the status that a row stands for, and the end of one whose rule is gone.

Pure. The living alarm is hub.alarms.instance.
"""

import msgspec
from msgspec.structs import replace

from hub.alarms import gate
from hub.alarms.alarm import Closed, Deed, Filter, FilterState, Manners, OperatorEvent, OperatorState, Overlay
from hub.alarms.gate import Status, Step, Told
from hub.outcome import Alarm, Flip, Occurrence


class Kept(msgspec.Struct, omit_defaults=True):
    """The text of an Inner row."""

    question: str = ""
    raises: list[int] = []
    folded: bool = False


def restored(row: Alarm, now: int) -> Status:
    """The status that a row stands for. An instant after `now` means that the clock was wrong then: it is cut."""
    told = Told.NOTHING
    if row.announced:
        active = row.state in (OperatorState.UNACKED, OperatorState.ACKED)
        told = Told.RAISED if active and row.cleared is None else Told.CLEARED
    overlay = Overlay(
        shelved_until=row.shelved_until,
        one_shot=row.one_shot,
        suppressed=row.suppressed,
        out_of_service=row.out_of_service,
    )
    late = min(0, now - row.last)
    return Status(
        filter=Filter(FilterState(row.filter), row.since + late, row.last + late),
        state=OperatorState(row.state),
        overlay=overlay,
        told=told,
    )


def withdrawn(row: Alarm, chapter: Occurrence | None, now: int) -> tuple[Alarm, Occurrence | None, Flip | None]:
    """The rows of an alarm whose rule or device is gone; no flip when it was normal anyway."""
    status, steps = gate.operate(restored(row, now), OperatorEvent.WITHDRAW, now, Manners())
    gone = replace(row, filter=FilterState.OFF.value, since=now, last=now, state=status.state.value)
    gone = replace(gone, shelved_until=None, one_shot=False, suppressed=(), out_of_service=False)
    if not steps:
        return gone, None, None
    told = "cleared" if steps[0].speak is Told.CLEARED else ""
    closed = replace(chapter or chapter_of(row), closed=Closed.WITHDRAWN.value, ended=now)
    flip = Flip(
        at=now,
        key=row.key,
        occurrence=row.occurrence,
        event=Deed.WITHDRAWN.value,
        before=row.state,
        after=status.state.value,
        note="its rule or its device is gone",
        value=row.value,
        announce=told,
        severity=row.severity,
    )
    return gone, closed, flip


def continued(chapter: Occurrence, step: Step, now: int, actor: str) -> Occurrence:
    """An occurrence after one more step; the same object when the step changes nothing of it."""
    if step.deed is Deed.CLEARED:
        chapter = replace(chapter, cleared=now)
    elif step.deed is Deed.ACKED and actor:
        chapter = replace(chapter, acked=now, acked_by=actor)
    elif step.deed is Deed.REACTIVATED:
        chapter = replace(chapter, activations=chapter.activations + 1, acked=None, acked_by="")
    elif step.deed is Deed.RENOTIFIED:
        chapter = replace(chapter, acked=None, acked_by="")
    if step.speak is Told.RAISED:
        chapter = replace(chapter, cleared=None)  # set until people were told that it is back
    return chapter if step.closed is None else replace(chapter, closed=step.closed.value, ended=now)


def chapter_of(row: Alarm) -> Occurrence:
    """The occurrence that an alarm's row speaks of, where it is not among the open ones."""
    return Occurrence(
        key=row.key,
        occurrence=row.occurrence,
        rule=row.rule,
        source=row.source,
        zone=row.zone,
        severity=row.severity,
        quantity=row.quantity,
        raised=row.raised if row.raised is not None else row.since,
        value=row.value,
        peak=row.value,
        limit=row.limit,
        cleared=row.cleared,
        acked=row.acked,
        acked_by=row.acked_by,
        activations=row.activations,
    )
