"""The API's orders: what a program wants done by a device, and what became of any order that was put in here.

The hub decides and sends at most once; an order is confirmed only by a reading of the device itself.
"""

import secrets
from typing import Annotated, Any, Unpack

import msgspec
from flask import Response, g, url_for
from msgspec import Meta

from dashboard import ordering
from dashboard.access.asking import stale
from dashboard.access.permissions import Permission, may
from dashboard.access.roles import SCOPES
from dashboard.api.contract import LARGEST, Input, get, idempotency_key, post
from dashboard.api.place import known_device
from dashboard.api.problem import Problem
from dashboard.office import me, office
from device_profiles.door import nearest
from hub.orders.words import in_words
from hub.outcome import Order
from hub.reading import Label
from hub.rows import to_struct

KINDS = ("command", "ack", "comment", "reset", "shelve", "unshelve")
_SAME = ("kind", "target", "command", "seconds", "occurrence", "text")


class OrderAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An order and where it is: requested, sent, confirmed, unconfirmed, refused, failed, expired, unknown or done.

    `outcome` is a word of the hub's, after a colon its detail; `reason` the same in words, where a gate was not moved.
    Ended once `ended` is a time (ms since 1970).
    """

    id: int
    kind: str
    target: str
    actor: str
    issued: int
    expires: int
    command: str = ""
    seconds: float | None = None
    occurrence: int | None = None
    text: str = ""
    state: str
    sent: int | None = None
    ended: int | None = None
    outcome: str = ""
    reason: Label | None = None


class Command(Input, frozen=True, kw_only=True):
    """Why, or (for a command that speaks) what is to be said; and for how long, where the command has a duration."""

    text: Annotated[
        str, Meta(min_length=2, max_length=500, pattern=r"\S\s*\S", description="why, or what is to be said")
    ]
    seconds: (
        Annotated[float, Meta(ge=0, le=86_400, description="within what the command takes")] | msgspec.UnsetType
    ) = msgspec.UNSET


@post("/devices/<name>/commands/<command>", Command, OrderAnswer, Permission.COMMAND)
def command_device(name: str, command: str, body: Command) -> Any:
    """Have a device do something.

    What is asked twice on the page (gates) wants a fresh password from a person, and the scope `gates` of a program.
    An order expires within seconds, is sent at most once and never repeated by itself.
    """
    device = known_device(name)
    wanted = device.profile.command.get(command)
    if wanted is None:
        right = nearest(command, device.profile.command) if device.profile.command else f"{name} takes no commands"
        raise Problem(404, f"{name} has no such command", at=("path", "command"), right=right)
    if wanted.caution == "ask":
        _allowed_alone()
    seconds = body.seconds if body.seconds is not msgspec.UNSET else None
    if seconds is None and wanted.seconds is not None:
        seconds = wanted.seconds.default
    return put("command", device.id, int(wanted.expires * 1000), command=command, seconds=seconds, text=body.text)


@get("/orders/<int:number>", OrderAnswer, Permission.SEE)
def order(number: int) -> OrderAnswer:
    """What became of an order."""
    rows = office().view.rows("SELECT * FROM orders WHERE id = ?", (min(number, LARGEST),))
    if not rows or rows[0]["kind"] not in KINDS:
        raise Problem(
            404, "there is no such order", at=("path", "number"), right="an `id` that an order was answered by"
        )
    return _answer(to_struct(Order, rows[0]))


def put(kind: str, target: str, expires_ms: int, **rest: Unpack[ordering.Rest]) -> Any:
    """Put it in, after a row in the audit trail; what the key already made is answered again. Raises Problem."""
    token = f"api/{me().digest[:16]}/{idempotency_key()}"
    wanted = ordering.order_of(token, kind, target, expires_ms, **rest)
    known = office().view.orders_by_token([token]).get(token)
    if known is None:
        ordering.put(wanted)
        known = office().view.orders_by_token([token])[token]  # not `wanted`: another thread may have been first
    if any(getattr(known, name) != getattr(wanted, name) for name in _SAME):
        detail = f"Idempotency-Key: order {known.id} was made by it, and is another one"
        raise Problem(422, detail, at=("header", "Idempotency-Key"), right=f"a new one, as {secrets.token_urlsafe(12)}")
    return _accepted(known)


def _accepted(found: Order) -> Any:
    """202 with the order and where to ask for its outcome."""
    where = url_for("api.order", number=found.id)
    text = msgspec.json.encode(_answer(found))
    return Response(text, status=202, content_type="application/json; charset=utf-8", headers={"Location": where})


def _answer(found: Order) -> OrderAnswer:
    fields = {name: getattr(found, name) for name in OrderAnswer.__struct_fields__ if name != "reason"}
    return OrderAnswer(**fields, reason=in_words(found.outcome))


def _allowed_alone() -> None:
    """A program types no password: it needs the scope that says so. Raises Problem."""
    if g.bearer and not may(Permission.UNATTENDED):
        able = ", ".join(name for name, grants in SCOPES.items() if Permission.UNATTENDED in grants)
        raise Problem(
            403, "a program may not do this without being asked twice", right=f"a token with the scope {able}"
        )
    if not g.bearer and stale():
        raise Problem(403, "the password was given more than five minutes ago", right="give it again on the page")
