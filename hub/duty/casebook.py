"""The rows of incidents: opened by alarms that people were told of, moved by orders, limits and what the alarm does.

Every change is written with its line in the log. The machine itself is hub.duty.incident.
"""

import sqlite3

import msgspec
from msgspec.structs import replace

from hub.care.drill import is_drill
from hub.duty.file import Limits
from hub.duty.incident import Event, Incident, Move, Refused, State, step
from hub.duty.roster import Roster
from hub.orders.order import OrderEvent, OrderWord, step_order
from hub.outcome import Order
from hub.rows import to_struct

HUB = "hub"
ORDER = "incident"  # the kind of order that moves one
_OPEN = "state NOT IN ('archived', 'void')"
MOST_OPENED = 200  # in one look, the gravest first: a flood of alarms must not hold up the journal
_SHOWN = f"""
SELECT a.key, a.occurrence, a.severity, a.activations, a.state = 'normal' OR a.cleared IS NOT NULL AS over
FROM alarm a WHERE a.announced AND a.shelved_until IS NULL AND a.suppressed = '[]' AND NOT a.out_of_service
  AND NOT {is_drill("a.key", "a.occurrence", "a.zone", "a.raised")}
"""  # noqa: S608  # our own names; what a test has raised is no incident
_ALARMS = f"""
{_SHOWN} AND a.state <> 'normal' UNION {_SHOWN} AND a.key IN (SELECT key FROM incident WHERE {_OPEN})
ORDER BY 3
"""  # noqa: S608  # our own words; each half has an index of its own


def look(db: sqlite3.Connection, roster: Roster, now: int) -> None:
    """Open, follow and supervise incidents at `now` (ms). To be called within a transaction."""
    known = {row["key"]: row for row in db.execute(f"SELECT * FROM incident WHERE {_OPEN}")}  # noqa: S608
    opened = 0
    for row in db.execute(_ALARMS).fetchall():
        if row["key"] in known:
            _follow(db, to_struct(Incident, known[row["key"]]), row, now, roster)
        elif row["severity"] in roster.duty.incident and not row["over"] and opened < MOST_OPENED:
            opened += _open(db, row, roster, now)
    for row in db.execute(f"SELECT * FROM incident WHERE {_OPEN} AND due_at <= ?", (now,)).fetchall():  # noqa: S608
        late = to_struct(Incident, row)
        _move(db, late, Move(event=Event.LIMIT, actor=HUB), now, roster.duty.limits(late.severity))


def obey(db: sqlite3.Connection, roster: Roster, now: int) -> None:
    """Carry out what people have ordered. To be called within a transaction."""
    rows = db.execute("SELECT * FROM orders WHERE kind = ? AND state = 'requested' ORDER BY id", (ORDER,)).fetchall()
    for row in rows:
        order = to_struct(Order, row)
        done = _obeyed(db, order, roster, now)
        db.execute(
            "UPDATE orders SET state = ?, ended = ?, outcome = ? WHERE id = ?",
            (done.state, done.ended, done.outcome, done.id),
        )


def _obeyed(db: sqlite3.Connection, order: Order, roster: Roster, now: int) -> Order:
    if now >= order.expires:
        return step_order(order, OrderEvent.EXPIRE, now, OrderWord.EXPIRED)
    row = db.execute("SELECT * FROM incident WHERE id = ?", (order.target,)).fetchone()
    if row is None:
        return step_order(order, OrderEvent.REFUSE, now, OrderWord.REJECTED, f"there is no incident {order.target}")
    found = to_struct(Incident, row)
    try:
        move = move_of(order, roster, now)
        _move(db, found, move, now, roster.duty.limits(found.severity))
    except Refused as error:
        return step_order(order, OrderEvent.REFUSE, now, OrderWord.REJECTED, str(error))
    return step_order(order, OrderEvent.FINISH, now, OrderWord.DONE)


def move_of(order: Order, roster: Roster, now: int) -> Move:
    """The order as a move. Of a dispatch, the text's first word is whom it goes to. Raises Refused."""
    if order.command not in list(Event) or order.command in (Event.LIMIT, Event.CLEARED, Event.AGAIN):
        raise Refused(f"{order.command!r} is nothing that people do with an incident")
    event, text, to = Event(order.command), order.text.strip(), ""
    if event is Event.DISPATCH:
        to, _, text = text.partition(" ")
        for person in to.split(","):
            if person not in roster.duty.people():
                raise Refused(f"{person!r} is nobody in the roster")
    until = None if order.seconds is None else now + round(order.seconds * 1000)
    return Move(event=event, actor=order.actor, text=text.strip(), to=to, until=until)


def _follow(db: sqlite3.Connection, known: Incident, alarm: sqlite3.Row, now: int, roster: Roster) -> None:
    """What the alarm did since it was last looked at."""
    limits = roster.duty.limits(known.severity)
    again = alarm["occurrence"] != known.occurrence or alarm["activations"] > known.activations
    over = bool(alarm["over"])
    if again:
        noted = replace(known, occurrence=alarm["occurrence"], activations=alarm["activations"], over=over)
        _move(db, noted, Move(event=Event.AGAIN, actor=HUB), now, limits)
    elif over and not known.over:
        _move(db, replace(known, over=True), Move(event=Event.CLEARED, actor=HUB), now, limits)
    elif known.over and not over:
        _write(db, replace(known, over=False))


def _open(db: sqlite3.Connection, alarm: sqlite3.Row, roster: Roster, now: int) -> bool:
    """A new one, which follows the last one of this alarm. P1 is classified and sent to who is on duty at once.

    False when people have put an end to this occurrence: it opens no other.
    """
    last = db.execute("SELECT max(id) FROM incident WHERE key = ?", (alarm["key"],)).fetchone()[0]
    ended = db.execute("SELECT 1 FROM incident WHERE key = ? AND occurrence = ?", (alarm["key"], alarm["occurrence"]))
    if ended.fetchone() is not None:
        return False
    number = db.execute(
        "INSERT INTO incident (key, occurrence, severity, opened, state, since, activations, follows)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (alarm["key"], alarm["occurrence"], alarm["severity"], now, State.NEW, now, alarm["activations"], last),
    ).fetchone()[0]
    limits = roster.duty.limits(alarm["severity"])
    made = to_struct(Incident, db.execute("SELECT * FROM incident WHERE id = ?", (number,)).fetchone())
    made = replace(made, due_at=now + round(limits.new * 1000) if limits.new else None)
    _write(db, made)
    _log(db, made, "opened", HUB, "", now)
    policy = roster.duty.policy(alarm["severity"])
    if alarm["severity"] != "P1" or policy is None:
        return True
    made = _move(db, made, Move(event=Event.CLASSIFY, actor=HUB, text="P1"), now, limits)
    people = ",".join(person.id for person in roster.called(policy.step[0], now))
    if people:
        _move(db, made, Move(event=Event.DISPATCH, actor=HUB, to=people), now, limits)
    return True


def _move(db: sqlite3.Connection, incident: Incident, move: Move, now: int, limits: Limits) -> Incident:
    moved = step(incident, move, now, limits)
    _write(db, moved)
    said = f"{move.to} {move.text}".strip()
    _log(db, moved, move.event, move.actor, said or (str(moved.supervision) if move.event is Event.LIMIT else ""), now)
    return moved


def _write(db: sqlite3.Connection, incident: Incident) -> None:
    fields = msgspec.structs.asdict(incident)
    changes = ", ".join(f'"{name}" = ?' for name in fields if name != "id")
    values = [value for name, value in fields.items() if name != "id"]
    db.execute(f"UPDATE incident SET {changes} WHERE id = ?", (*values, incident.id))  # noqa: S608  # our own names


def _log(db: sqlite3.Connection, incident: Incident, event: str, actor: str, text: str, now: int) -> None:
    db.execute(
        "INSERT INTO incident_log (incident, at, event, state, actor, text) VALUES (?, ?, ?, ?, ?, ?)",
        (incident.id, now, event, incident.state, actor, text),
    )
