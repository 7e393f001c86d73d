"""What a page wants of who asks: a row in the audit trail, and the password once more before what is dangerous.

Only inside a request. Whether the role may ask at all is decided before (`permissions.py`).
"""

from flask import g, request

from dashboard.access import audit, sessions, users
from dashboard.language.i18n import gettext
from dashboard.office import me, office


def note(what: str, actor: str, detail: str = "") -> None:
    """A row of the audit trail about this request. Before the deed: what cannot be written down is not done."""
    at, address = office().clock.now(), request.remote_addr or ""
    audit.append(office().users, at=at, actor=actor, address=address, what=what, detail=detail)
    g.noted = True


def noted() -> bool:
    """Whether this request has its row already."""
    return bool(g.get("noted", False))


def stale() -> bool:
    """True when the password was given more than five minutes ago: ask for it."""
    return sessions.real_now(office().clock) - me().proved > sessions.PROOF_MS


def unproved() -> str:
    """Why the person is not taken at their word (form field `password`), in words; empty where nothing is missing."""
    given = request.form.get("password", "")
    if not stale() or (given and proved(given)):
        return ""
    return gettext("The password is wrong, or you must wait a moment.")


def proved(given: str) -> bool:
    """Whether this is the password of who asks. Wrong ones are delayed as at the login."""
    address, now = request.remote_addr or "", sessions.real_now(office().clock)
    if sessions.wait_ms(office().users, me().name, address, now):
        return False
    try:
        user = users.verify(office().users, me().name, given)
    except users.Busy:
        return False
    if user is None:
        note("login-failed", me().name)
        return False
    sessions.succeeded(office().users, me().name, address)
    sessions.prove(office().users, me().digest, now)
    return True
