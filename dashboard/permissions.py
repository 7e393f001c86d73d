"""Which role may ask for which page: every view says it with `@allow`, and a view that says nothing is shut.

Runs before every request: finds the session, and answers 401, 403 or the login page where that is not enough.
"""

from collections.abc import Callable
from typing import TypeVar

from flask import Flask, abort, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response

from dashboard import audit, sessions
from dashboard.office import office
from dashboard.roles import GRANTS
from dashboard.roles import Permission as Permission

V = TypeVar("V", bound=Callable[..., object])


BEFORE_SETUP = {"setup.page", "setup.make", "files.static"}


def allow(permission: Permission) -> Callable[[V], V]:
    """Declare what a view needs. Goes under the route decorator."""

    def mark(view: V) -> V:
        view.permission = permission  # type: ignore[attr-defined]  # a mark on the function
        return view

    return mark


def may(permission: str) -> bool:
    """Whether who asks may do that: for showing a button or not."""
    signed = getattr(g, "signed", None)
    return signed is not None and Permission(permission) in GRANTS[signed.role]


def cookie_name(*, secure: bool) -> str:
    """With `__Host-` a browser takes the cookie only over TLS and for this host alone."""
    return "__Host-zhian" if secure else "zhian"


def init(app: Flask) -> None:
    """Put the guard at the door of every view."""
    app.before_request(_guard)
    app.jinja_env.globals["may"] = may


def _guard() -> Response | None:
    g.signed = None
    if office().setup.needed() and request.endpoint not in BEFORE_SETUP:
        abort(403)
    token = request.cookies.get(cookie_name(secure=office().secure))
    if token:
        # A page that refreshes itself is not a sign that somebody is there.
        alive = request.headers.get("X-Refresh") is None
        g.signed = sessions.find(office().users, token, sessions.real_now(office().clock), touch=alive)
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
    return None


def _sign_in() -> Response:
    if request.path.startswith("/api/") or request.headers.get("X-Refresh"):
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
