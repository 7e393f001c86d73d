"""Which role may ask for which page: every view says it with `@allow`, and a view that says nothing is shut.

Runs before every request: finds who asks (a session, or a program's token on the API), wants each form's token, and
answers 401, 403 or the login page where that is not enough.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from flask import Flask, abort, current_app, g, redirect, request, url_for
from flask_wtf.csrf import CSRFProtect
from werkzeug.wrappers import Response

from dashboard.access import audit, clients, sessions
from dashboard.access.roles import Permission as Permission
from dashboard.access.roles import Role
from dashboard.access.sessions import Signed
from dashboard.live.by_script import by_script
from dashboard.office import office
from hub.settings.site import Site
from hub.settings.site_web import SecondFactor

V = TypeVar("V", bound=Callable[..., object])

BEFORE_SETUP = {"setup.page", "setup.make", "files.static"}
BEFORE_FACTOR = {"factor.page", "factor.enrol", "auth.account", "auth.logout"}


def allow(permission: Permission) -> Callable[[V], V]:
    """Declare what a view needs. Goes under the route decorator."""

    def mark(view: V) -> V:
        view.permission = permission  # type: ignore[attr-defined]  # a mark on the function
        return view

    return mark


def may(permission: str) -> bool:
    """Whether who asks may do that: for showing a button or not."""
    signed = getattr(g, "signed", None)
    return signed is not None and Permission(permission) in signed.grants


def cookie_name(*, secure: bool) -> str:
    """With `__Host-` a browser takes the cookie only over TLS and for this host alone."""
    return "__Host-zhian" if secure else "zhian"


def owes_factor(site: Site, signed: Signed) -> bool:
    """Whether the site asks for a second factor of this role, and the person has none yet."""
    match site.web.second_factor:
        case SecondFactor.EVERYBODY:
            return not signed.factor
        case SecondFactor.MANAGERS:
            return not signed.factor and signed.role not in (Role.VIEWER, Role.GUARD)
    return False


def init(app: Flask) -> None:
    """Put the guard at the door of every view. A form without its token is refused whoever sends it."""
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False  # but not before it is known who asks
    csrf = CSRFProtect(app)

    def form_token() -> None:
        nobody = g.signed is None and request.path.startswith("/api/")  # told so (401) by the guard
        if not g.bearer and not nobody:  # a program with a token of its own sends no forms, and no browser its token
            csrf.protect(apply_exemptions=True)

    app.before_request(_identify)
    app.before_request(form_token)
    app.before_request(_guard)
    app.after_request(_done)
    app.jinja_env.globals["may"] = may


def _identify() -> None:
    """A bearer's token counts on the API alone, and then no cookie does."""
    g.signed, g.bearer = None, False
    if office().setup.needed():
        if request.endpoint not in BEFORE_SETUP:
            abort(403)
        return
    now = sessions.real_now(office().clock)
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and request.path.startswith("/api/"):
        g.signed = clients.find(office().users, token.strip(), now)
        g.bearer = g.signed is not None
        if not g.bearer:
            abort(401)
        return
    token = request.cookies.get(cookie_name(secure=office().secure), "")
    if token:
        # A page that refreshes itself is not a sign that somebody is there.
        again = request.headers.get("X-Refresh") is not None
        known = office().present.signed(token, time.monotonic()) if again and request.method == "GET" else None
        g.signed = known or sessions.find(
            office().users, token, now, touch=not again and office().present.touches(token, now)
        )


def _guard() -> Response | None:
    if request.endpoint is None:
        return None  # 404 and 405 tell nothing
    permission = getattr(current_app.view_functions[request.endpoint], "permission", None)
    if permission is Permission.OPEN:
        return None
    if permission is not None and g.signed is None:
        return _sign_in()
    if permission is None or not may(permission):
        _note_denied()
        abort(403)
    if not g.bearer and request.endpoint not in BEFORE_FACTOR and owes_factor(office().site, g.signed):
        return redirect(url_for("factor.page")) if request.method == "GET" else abort(403)
    return None


def _done(response: Response) -> Response:
    """Before the answer leaves: whoever looks again after it sees what was done."""
    if request.method not in ("GET", "HEAD") and g.get("signed") is not None:
        office().shared.news()
    return response


def _sign_in() -> Response:
    if request.path.startswith("/api/") or request.headers.get("X-Refresh") or by_script():
        abort(401)
    goal = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("auth.login", next=goal if goal != "/" else None))


def _note_denied() -> None:
    audit.append(
        office().users,
        at=office().clock.now(),
        actor=g.signed.name if g.signed else "",
        address=request.remote_addr or "",
        what="denied",
        detail=f"{request.method} {request.path}",
    )
