"""An order out of the form that a signed-in person sent: the one place that knows what makes two of them the same.

Whether the person may, and what the hub makes of it, is decided elsewhere.
"""

import secrets
from collections.abc import Sequence

from flask import request

from dashboard.asking import note, noted
from dashboard.office import me, office
from hub.outcome import Order


def put_from_form(
    kind: str,
    target: str,
    expires_ms: int,
    *,
    command: str = "",
    seconds: float | None = None,
    occurrence: int | None = None,
    text: str = "",
) -> int:
    """The order's number. The same form sent twice (its `token`) is one order; another person's form never is.

    What cannot be written into the audit trail is not ordered: a page that has not noted it yet has it noted here.
    """
    if not noted():
        note(kind, me().name, " ".join(part for part in (target, command, text) if part))
    now = office().clock.now()
    once = request.form.get("token", "")[:40] or secrets.token_urlsafe(12)
    return office().desk.put(
        Order(
            id=0,
            token=f"{kind}/{me().digest[:12]}/{once}",
            kind=kind,
            target=target,
            command=command,
            seconds=seconds,
            occurrence=occurrence,
            text=text,
            actor=me().name,
            issued=now,
            expires=now + expires_ms,
        )
    )


def put_all_from_form(orders: Sequence[tuple[str, str, str]], expires_ms: int) -> None:
    """Many orders (kind, target, text) of one form: all in one transaction, and as often as the form is sent, once."""
    now = office().clock.now()
    once = request.form.get("token", "")[:40] or secrets.token_urlsafe(12)
    office().desk.put_all(
        Order(
            id=0,
            token=f"{kind}/{me().digest[:12]}/{once}/{at}",
            kind=kind,
            target=target,
            text=text,
            actor=me().name,
            issued=now,
            expires=now + expires_ms,
        )
        for at, (kind, target, text) in enumerate(orders)
    )
