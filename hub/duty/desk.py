"""What people ask of the roster by an order: somebody stands in for somebody, and who comes on duty says so.

A stand-in becomes an `[[override]]` of duty.toml; a shift that was taken over is the order itself, kept as long as
orders are. Whether who asks is a manager is the dashboard's business.
"""

import sqlite3
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from device_profiles.door import Refusal
from hub.duty.file import Override, append_override
from hub.duty.roster import Roster
from hub.orders.order import OrderEvent, OrderWord, step_order
from hub.outcome import Order
from hub.rows import to_struct
from hub.settings.site import Site

ORDER = "duty"  # the kind of these orders
MOST_AHEAD = 200  # changes that are not over: more than these nobody can oversee


class Ask(StrEnum):
    """The order's command. STAND_IN: `text` is an Override as JSON; TAKE_OVER: `target` a shift, `text` a person."""

    STAND_IN = "stand-in"
    TAKE_OVER = "take-over"


class Unfit(Exception):
    """It cannot be done; the text says why."""


def obey(db: sqlite3.Connection, data: Path, site: Site, roster: Roster | None, now: int) -> None:
    """Carry out what was ordered, each order in a write of its own.

    A stop between the file and the row has the order carried out again: the same change is not written twice.
    """
    rows = db.execute("SELECT * FROM orders WHERE kind = ? AND state = 'requested' ORDER BY id", (ORDER,)).fetchall()
    for row in rows:
        done = _obeyed(to_struct(Order, row), data, site, roster, now)
        db.execute(
            "UPDATE orders SET state = ?, ended = ?, outcome = ? WHERE id = ?",
            (done.state, done.ended, done.outcome, done.id),
        )


def _obeyed(order: Order, data: Path, site: Site, roster: Roster | None, now: int) -> Order:
    if now >= order.expires:
        return step_order(order, OrderEvent.EXPIRE, now, OrderWord.EXPIRED)
    try:
        if roster is None:
            raise Unfit("there is no roster")
        match order.command:
            case Ask.STAND_IN:
                _stand_in(order, data, site, roster, now)
            case Ask.TAKE_OVER:
                _take_over(order, roster, now)
            case _:
                raise Unfit(f"{order.command!r} is nothing that can be asked of a roster")
    except Unfit as error:
        return step_order(order, OrderEvent.REFUSE, now, OrderWord.REJECTED, str(error))
    return step_order(order, OrderEvent.FINISH, now, OrderWord.DONE)


def _stand_in(order: Order, data: Path, site: Site, roster: Roster, now: int) -> None:
    try:
        change = msgspec.json.decode(order.text, type=Override)
        wall = datetime.fromtimestamp(now // 1000, UTC).astimezone(site.tz).replace(tzinfo=None)
        if change.until.replace(tzinfo=None) <= wall:
            raise Unfit("it is over already")
        ahead = [each for each in roster.duty.override if each.until > wall]
        if len(ahead) >= MOST_AHEAD:
            raise Unfit(f"{MOST_AHEAD} changes lie ahead already")
        if not ahead or ahead[-1] != change:
            append_override(data, site, change)
    except (msgspec.MsgspecError, ValueError, Refusal, OSError) as error:  # ValueError: the file is no TOML
        raise Unfit(str(error)) from None


def _take_over(order: Order, roster: Roster, now: int) -> None:
    person = roster.duty.people().get(order.text)
    if person is None or not any((on.shift, on.person) == (order.target, person.id) for on in roster.on_duty(now)):
        raise Unfit(f"{order.text!r} does not have the shift {order.target!r} now")
    if person.user and person.user != order.actor:
        raise Unfit(f"the shift is {person.id}'s, who signs in as {person.user}")
