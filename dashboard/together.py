"""`@together`: a page that is the same for all readers of one role and language is made once for those who wait for it.

It is made without knowing who asks: name, form tokens and order tokens are marks, filled in for each reader. So a page
cannot carry what belongs to another reader: while it is made there is none.
"""

import secrets
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import msgspec
from flask import g, has_request_context, request, session
from flask_wtf.csrf import generate_csrf
from markupsafe import escape

from dashboard.i18n import language
from dashboard.office import Office, me, office

V = TypeVar("V", bound=Callable[..., str])
MOST_TOKENS = 2048  # form tokens that need not be signed again; they last as long as the session
YOUNG_S = 1.0  # of a page that looks again though nothing was told: it says its time, and the stream tells of changes
_NAME, _FORM, _ONCE = (f"anon{secrets.token_hex(12)}{each}" for each in ("name", "form", "once"))


def together(view: V) -> V:
    """Goes under `@allow`, which has judged each reader by then. The view must be a GET that changes nothing."""

    @wraps(view)
    def shared(**arguments: object) -> str:
        if session.get("_flashes"):  # told to this reader alone, and once
            return view(**arguments)
        signed = me()
        key = (request.full_path, language(), signed.role, signed.grants, signed.factor)
        clock = office().clock
        text = office().shared.get(
            key,
            asked(office()),
            lambda: _made(view, arguments),
            now_s=clock.monotonic() / clock.speed,
            young_s=YOUNG_S if request.headers.get("X-Refresh") == "quiet" else 0.0,
        )
        return _personal(text)

    return shared  # type: ignore[return-value]  # as the view


def asked(desk: Office) -> int:
    """When the request that runs now came in; what changes things is as young as its last line."""
    if not has_request_context() or request.method not in ("GET", "HEAD"):
        return desk.shared.ticket()
    if "asked" not in g:
        g.asked = request.environ.get("asgi.scope", {}).get("zhian.asked") or desk.shared.ticket()
    found: int = g.asked
    return found


def form_token() -> str:
    """The reader's form token (CSRF)."""
    if g.get("nobody"):
        return _FORM
    raw, kept = session.get("csrf_token"), office().form_tokens
    found = kept.get(raw) if raw else None
    if found is None:
        found = str(generate_csrf())
        if len(kept) >= MOST_TOKENS:
            kept.clear()
        kept[session["csrf_token"]] = found
    return found


def once() -> str:
    """Another text each time: the same form sent twice is one order."""
    return _ONCE if g.get("nobody") else secrets.token_urlsafe(12)


def _made(view: V, arguments: dict[str, object]) -> str:
    """The page for nobody in particular."""
    signed = g.signed
    g.signed, g.nobody = msgspec.structs.replace(signed, name=_NAME, digest="", user_id=0, proved=0), True
    try:
        return view(**arguments)
    finally:
        g.signed, g.nobody = signed, False


def _personal(text: str) -> str:
    """The page for who asks."""
    text = text.replace(_NAME, str(escape(me().name)))
    if _FORM in text:
        text = text.replace(_FORM, form_token())
    first, *rest = text.split(_ONCE)
    return first + "".join(once() + part for part in rest)
