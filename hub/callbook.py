"""The rows of escalations and calls: what stands in the journal is compared with what should be, in one transaction.

Nothing is remembered in memory, so that a kill at any write changes nothing but when. It speaks to nobody (hub.calls).
"""

import sqlite3
from collections.abc import Iterator
from functools import lru_cache

import msgspec

from hub.alarm import OperatorState
from hub.duty import Escalation
from hub.escalate import Deed, Run, RunEvent, RunState, Take, advance, mended, skipped
from hub.incident import State
from hub.journal import put_order
from hub.outcome import Order
from hub.roster import Roster, reached

MOST_AT_ONCE = 50  # steps of one escalation in one look: more than a day of P1 repetitions is not said at once
MOST_BEGUN = 200  # in one look, the gravest first: a flood of alarms must not hold up the journal
REALARM_EXPIRES_MS = 600_000
ACTOR = "hub"
_STANDING = """
SELECT a.key, a.occurrence, a.severity, a.state, a.acked FROM alarm a
WHERE a.state <> 'normal' AND a.announced AND a.state <> 'latched-acked'
  AND a.shelved_until IS NULL AND a.suppressed = '[]' AND NOT a.out_of_service
ORDER BY a.severity
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


def look(db: sqlite3.Connection, roster: Roster, voices: frozenset[str], now: int) -> None:
    """Start, stop and go on with all escalations at `now` (ms). To be called within a transaction."""
    at_work = {str(row[0]) for row in db.execute(_AT_WORK, _WORKED_ON)}
    standing = {(row["key"], row["occurrence"]): _standing(row) for row in db.execute(_STANDING)}
    runs = {(run.key, run.occurrence): run for run in _running(db)}
    for about, run in runs.items():
        _follow(db, run, standing.get(about), now, roster, voices, at_work)
    new = (alarm for about, alarm in standing.items() if about not in runs and not _in_hand(alarm, at_work))
    begin = [(alarm, policy) for alarm in new if (policy := roster.duty.policy(alarm.severity)) is not None]
    for alarm, policy in begin[:MOST_BEGUN]:
        _follow(db, _idle(db, alarm, policy), alarm, now, roster, voices, at_work)


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
    was, event = run, _event(alarm, at_work)
    at = alarm.acked if event is RunEvent.ACK and alarm is not None and alarm.acked is not None else now
    run, _ = advance(mended(run, now), event, min(at, now))
    if run.state in (RunState.IDLE, RunState.ACKED) and was.state is not run.state:
        _drop(db, run, now)
    for _ in range(MOST_AT_ONCE):
        due = run.due_at
        run, deed = advance(run, RunEvent.DUE, now)
        if deed is None:
            break
        if not _do(db, run, deed, now if due is None else due, now, roster, voices):
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


def _do(
    db: sqlite3.Connection, run: Run, deed: Deed, due: int, now: int, roster: Roster, voices: frozenset[str]
) -> bool:
    """False when the step reached nobody, which is written down as well."""
    if deed.take is Take.REALARM:
        put_order(db, _realarm(run, now))
        return True
    if deed.call is None:
        return True
    step = deed.call
    told = [(person.id, voice) for person in roster.called(step, now) for voice in reached(person, step, voices)]
    status, detail = ("pending", "") if told else ("failed", f"nobody could be reached: {', '.join(step.to)}")
    db.executemany(
        "INSERT OR IGNORE INTO call (key, occurrence, run, turn, person, voice, at, status, next_try, detail)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (run.key, run.occurrence, run.run, deed.turn, person, voice, due, status, now, detail)
            for person, voice in told or [("", "")]
        ],
    )
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


def _drop(db: sqlite3.Connection, run: Run, now: int) -> None:
    """Nobody is to be told any more what is still waiting to be said."""
    db.execute(
        "UPDATE call SET status = 'dropped', done = ? WHERE status = 'pending' AND key = ? AND occurrence = ?",
        (now, run.key, run.occurrence),
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
