"""An order of whoever is signed in, from a form or from the API: the one place that makes one, and notes it first.

What makes two of them the same is its token. Whether somebody may, and what the hub makes of it, is decided elsewhere.
"""

import secrets
from collections.abc import Sequence
from typing import TypedDict, Unpack

from flask import request

from dashboard.access.asking import note, noted
from dashboard.office import me, office
from hub.outcome import Order


class Rest(TypedDict, total=False):
    """What only some orders have; as in Order."""

    command: str
    seconds: float | None
    occurrence: int | None
    text: str


def order_of(token: str, kind: str, target: str, expires_ms: int, *, actor: str = "", **rest: Unpack[Rest]) -> Order:
    """An order from now on, for `expires_ms`, by `actor` or who is signed in. Nothing is put in yet."""
    now = office().clock.now()
    return Order(
        id=0,
        token=token,
        kind=kind,
        target=target,
        actor=actor or me().name,
        issued=now,
        expires=now + expires_ms,
        **rest,
    )


def put(order: Order) -> int:
    """The order's number; the same token again is the same order.

    What cannot be written into the audit trail is not ordered: what has not been noted yet is noted here.
    """
    if not noted():
        note(order.kind, order.actor, " ".join(part for part in (order.target, order.command, order.text) if part))
    return office().desk.put(order)


def put_from_form(kind: str, target: str, expires_ms: int, **rest: Unpack[Rest]) -> int:
    """The order's number. The same form sent twice (its `token`) is one order; another person's form never is."""
    token = f"{kind}/{me().digest[:12]}/{_once()}"
    return put(order_of(token, kind, target, expires_ms, **rest))


def put_all_from_form(orders: Sequence[tuple[str, str, str]], expires_ms: int) -> None:
    """Many orders (kind, target, text) of one form: all in one transaction, and as often as the form is sent, once."""
    once = _once()
    office().desk.put_all(
        order_of(f"{kind}/{me().digest[:12]}/{once}/{at}", kind, target, expires_ms, text=text)
        for at, (kind, target, text) in enumerate(orders)
    )


def _once() -> str:
    return request.form.get("token", "")[:40] or secrets.token_urlsafe(12)
