"""`@together`: a page that is the same for all readers of one role and language is made once for those who wait for it.

It is made without knowing who asks: name, form tokens and order tokens are marks, filled in for each reader. So a page
cannot carry what belongs to another reader: while it is made there is none.
"""

import re
import secrets
import time
from collections.abc import Callable, Hashable
from functools import wraps
from typing import TypeVar

import msgspec
from flask import current_app, g, has_request_context, request, session
from flask_wtf.csrf import generate_csrf
from markupsafe import escape

from dashboard.access.forms import EXTENSION as FORMS
from dashboard.access.forms import Forms
from dashboard.access.sessions import Signed
from dashboard.language.i18n import language
from dashboard.office import Office, me, office

V = TypeVar("V", bound=Callable[..., "str | bytes"])
YOUNG_S = 1.0  # of a page that looks again: it says its time, and the stream tells of changes
_NAME, _FORM, _ONCE = (f"anon{secrets.token_hex(12)}{each}" for each in ("name", "form", "once"))
_MARKS = re.compile(f"({_NAME}|{_FORM}|{_ONCE})".encode())


class Page:
    """A page for nobody in particular, and the places where its readers' own is filled in."""

    def __init__(self, text: str) -> None:
        """`text` with marks."""
        self._parts = _MARKS.split(text.encode())  # text and marks in turn
        self.has_forms = _FORM.encode() in self._parts

    def for_reader(self, name: str, form: str) -> bytes:
        """`form`: the reader's form token; each order token is another one."""
        own = {_NAME.encode(): str(escape(name)).encode(), _FORM.encode(): form.encode()}
        parts = self._parts[:]
        for at in range(1, len(parts), 2):
            mark = parts[at]
            parts[at] = own[mark] if mark in own else _token().encode()
        return b"".join(parts)


def key_of(path: str, query: bytes, lang: str, signed: Signed) -> Hashable:
    """Who gets the same page: what is asked for, in which language, and all that permissions are judged by."""
    return (path, query, lang, signed.role, signed.grants, signed.factor)


def together(view: V) -> V:
    """Goes under `@allow`, which has judged each reader by then. The view must be a GET that changes nothing."""

    @wraps(view)
    def shared(**arguments: object) -> str | bytes:
        if session.get("_flashes"):  # told to this reader alone, and once
            return view(**arguments)
        page = office().shared.get(
            key_of(request.path, request.query_string, language(), me()),
            asked(office()),
            lambda: _made(view, arguments),
            now_s=now_s(office()),
            young_s=YOUNG_S if "X-Refresh" in request.headers else 0.0,
        )
        return page.for_reader(me().name, form_token())  # also where no form is yet: it brings the cookie

    return shared  # type: ignore[return-value]  # as the view


def now_s(desk: Office) -> float:
    """Real seconds, also where a demo's clock runs faster."""
    return desk.clock.monotonic() / desk.clock.speed


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
    forms: Forms = current_app.extensions[FORMS]
    cookie = request.cookies.get(forms.cookie)
    return (forms.token(cookie, time.monotonic()) if cookie else None) or str(generate_csrf())


def once() -> str:
    """Another text each time: the same form sent twice is one order."""
    return _ONCE if g.get("nobody") else _token()


def _token() -> str:
    return secrets.token_urlsafe(12)


def _made(view: V, arguments: dict[str, object]) -> Page:
    """The page for nobody in particular. Nothing in it is older than its beginning: it is for who asks until then."""
    signed, came = g.signed, asked(office())
    g.signed, g.nobody = msgspec.structs.replace(signed, name=_NAME, digest="", user_id=0, proved=0), True
    g.asked = office().shared.ticket()
    try:
        text = view(**arguments)
        return Page(text if isinstance(text, str) else text.decode())
    finally:
        g.signed, g.nobody, g.asked = signed, False, came
