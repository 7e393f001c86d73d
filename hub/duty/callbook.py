"""The rows of escalations and calls: what stands in the journal is compared with what should be, in one transaction.

Nothing is remembered in memory, so that a kill at any write changes nothing but when. It speaks to nobody: a call is a
line of the alarm's timeline and rows of the outbox, which the voices claim.
"""

import sqlite3
from collections.abc import Iterator
from functools import lru_cache

import msgspec

from hub.alarms.alarm import OperatorState
from hub.duty.escalate import Run, RunEvent, RunState, Take, advance, mended, skipped
from hub.duty.file import Escalation, Step
from hub.duty.incident import State
from hub.duty.roster import Roster, reached
from hub.journal.writer import put_order
from hub.outcome import Order
from hub.reading import Label
from hub.speaking import outbox

MOST_AT_ONCE = 50  # steps of one escalation in one look: more than a day of P1 repetitions is not said at once
MOST_BEGUN = 200  # in one look, the gravest first: a flood of alarms must not hold up the journal
REALARM_EXPIRES_MS = 600_000
ACTOR = "hub"
CALLED, UNREACHED = "called", "unreached"  # lines of the timeline
_STANDING = """
SELECT a.key, a.occurrence, a.severity, a.state, a.acked FROM alarm a
WHERE a.state <> 'normal' AND a.announced AND a.state <> 'latched-acked'
  AND a.shelved_until IS NULL AND a.suppressed = '[]' AND NOT a.out_of_service
ORDER BY a.severity
"""
_TOLD = "SELECT coalesce(max(id), 0) FROM outbox"
_INTO_TIMELINE = """
INSERT INTO flip (at, key, occurrence, event, before, after, actor, note, value)
VALUES (:at, :key, :occurrence, :event, :state, :state, :actor, :note,
  (SELECT value FROM occurrence WHERE key = :key AND occurrence = :occurrence)) RETURNING seq
"""
_WORKED_ON = (State.WORKING, State.DONE, State.ASSESSED, State.DEFERRED)
_AT_WORK = f"SELECT key FROM incident WHERE state IN ({', '.join('?' * len(_WORKED_ON))})"  # noqa: S608  # marks only


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm that people were told of, that is not hidden, and that wants somebody, or has one (`acked`, ms)."""

    key: str
    occurrence: int
    severity: str
    state: str
    acked: int | None = None


def look(db: sqlite3.Connection, roster: Roster, voices: frozenset[str], now: int) -> int:
    """Start, stop and go on with all escalations at `now` (ms). To be called within a transaction.

    Returns how many announcements to single people were put into the outbox.
    """
    before = db.execute(_TOLD).fetchone()[0]
    at_work = {str(row[0]) for row in db.execute(_AT_WORK, _WORKED_ON)}
    standing = {(row["key"], row["occurrence"]): _standing(row) for row in db.execute(_STANDING)}
    runs = {(run.key, run.occurrence): run for run in _running(db)}
    for about, run in runs.items():
        _follow(db, run, standing.get(about), now, roster, voices, at_work)
    new = (alarm for about, alarm in standing.items() if about not in runs and not _in_hand(alarm, at_work))
    begin = [(alarm, policy) for alarm in new if (policy := roster.duty.policy(alarm.severity)) is not None]
    for alarm, policy in begin[:MOST_BEGUN]:
        _follow(db, _idle(db, alarm, policy), alarm, now, roster, voices, at_work)
    outbox.drop(db, now)
    return int(db.execute(_TOLD).fetchone()[0] - before)


def exhausted(db: sqlite3.Connection) -> list[str]:
    """The P1 alarms for which everybody was called and nobody has reacted."""
    rows = db.execute("SELECT key FROM escalation WHERE state = ? AND severity = 'P1'", (RunState.EXHAUSTED,))
    return [str(row[0]) for row in rows]


def _follow(
    db: sqlite3.Connection,
    run: Run,
    alarm: Standing | None,
    now: int,
    roster: Roster,
    voices: frozenset[str],
    at_work: set[str],
) -> None:
    event = _event(alarm, at_work)
    state = alarm.state if alarm is not None else ""
    at = alarm.acked if event is RunEvent.ACK and alarm is not None and alarm.acked is not None else now
    was = run
    run, _ = advance(mended(run, now), event, min(at, now))
    for _ in range(MOST_AT_ONCE):
        run, deed = advance(run, RunEvent.DUE, now)
        if deed is None:
            break
        if deed.take is Take.REALARM:
            put_order(db, _realarm(run, now))
        elif deed.call is not None and not _call(db, run, deed.turn, deed.call, state, now, roster, voices):
            run = skipped(run, now)
    if run != was:
        _write(db, run)


def _in_hand(alarm: Standing, at_work: set[str]) -> bool:
    """Somebody has seen it and is at work on it: nobody is to be called."""
    return alarm.state == OperatorState.ACKED and alarm.key in at_work


def _event(alarm: Standing | None, at_work: set[str]) -> RunEvent:
    if alarm is None or _in_hand(alarm, at_work):
        return RunEvent.STOP
    return RunEvent.ACK if alarm.state == OperatorState.ACKED else RunEvent.START


def _call(
    db: sqlite3.Connection,
    run: Run,
    turn: int,
    step: Step,
    state: str,
    now: int,
    roster: Roster,
    voices: frozenset[str],
) -> bool:
    """False when the step reached nobody, which is written down as well."""
    told = [(person.id, voice) for person in roster.called(step, now) for voice in reached(person, step, voices)]
    line = {"at": now, "key": run.key, "occurrence": run.occurrence, "event": CALLED if told else UNREACHED}
    line |= {"state": state, "actor": ACTOR, "note": ", ".join(step.to)}
    flip = int(db.execute(_INTO_TIMELINE, line).fetchone()[0])
    note = Label(zh=f"尚无人确认，第 {turn + 1} 次呼叫", en=f"nobody has acknowledged yet: call {turn + 1}")
    for person, voice in told:
        outbox.outdo(db, flip, voice, person, now)
        outbox.put(db, flip, voice, now, person=person, note=note)
    return bool(told)


def _realarm(run: Run, now: int) -> Order:
    return Order(
        id=0,
        token=f"realarm/{run.key}/{run.occurrence}/{run.run}/{run.turn}",
        kind="realarm",
        target=run.key,
        occurrence=run.occurrence,
        actor=ACTOR,
        text="acknowledged, and nobody has dealt with it",
        issued=now,
        expires=now + REALARM_EXPIRES_MS,
    )


def _idle(db: sqlite3.Connection, alarm: Standing, policy: Escalation) -> Run:
    """The run that this alarm goes on with, by the policy as it is now."""
    row = db.execute(
        "SELECT * FROM escalation WHERE key = ? AND occurrence = ?", (alarm.key, alarm.occurrence)
    ).fetchone()
    if row is not None:
        return msgspec.structs.replace(_run(row), policy=policy)
    return Run(key=alarm.key, occurrence=alarm.occurrence, severity=alarm.severity, policy=policy)


def _running(db: sqlite3.Connection) -> Iterator[Run]:
    return map(_run, db.execute("SELECT * FROM escalation WHERE state <> 'idle'").fetchall())


def _run(row: sqlite3.Row) -> Run:
    fields = dict(zip(row.keys(), row, strict=True))
    fields["policy"] = _policy(fields["policy"])
    return Run(**{**fields, "state": RunState(fields["state"])})


@lru_cache(64)
def _policy(text: str) -> Escalation:
    """There are few policies, and many rows."""
    return msgspec.json.decode(text, type=Escalation)


def _standing(row: sqlite3.Row) -> Standing:
    return Standing(
        key=row["key"], occurrence=row["occurrence"], severity=row["severity"], state=row["state"], acked=row["acked"]
    )


def _write(db: sqlite3.Connection, run: Run) -> None:
    db.execute(
        "INSERT OR REPLACE INTO escalation (key, occurrence, severity, policy, state, run, turn, step, round, due_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            run.key,
            run.occurrence,
            run.severity,
            msgspec.json.encode(run.policy).decode(),
            run.state,
            run.run,
            run.turn,
            run.step,
            run.round,
            run.due_at,
        ),
    )
