"""The page of the first start: the token from the console, and a name and a password for the first administrator."""

from flask import Blueprint, abort, render_template, request
from werkzeug.wrappers import Response

from dashboard.access import sessions, users
from dashboard.access.asking import note
from dashboard.access.permissions import Permission, allow
from dashboard.access.roles import Role
from dashboard.access.setup import is_near
from dashboard.language.i18n import gettext
from dashboard.office import office
from dashboard.pages.auth import let_in
from device_profiles.door import Refusal

bp = Blueprint("setup", __name__, url_prefix="/setup")


@bp.get("")
@allow(Permission.OPEN)
def page() -> str:
    """What to type, and where it stands."""
    _check()
    return render_template("setup.html", shortest=users.SHORTEST, expired=office().setup.expired(), message="")


@bp.post("")
@allow(Permission.OPEN)
def make() -> Response | tuple[str, int]:
    """Make the administrator, once, and sign in."""
    _check()
    setup, address, now = office().setup, request.remote_addr or "", sessions.real_now(office().clock)
    name, password = request.form.get("name", "").strip(), request.form.get("password", "")
    if sessions.wait_ms(office().users, "setup", address, now):
        return _again(gettext("Too many tries. Wait a moment."), 429)
    if not setup.fits(request.form.get("setup", "")):
        return _again(gettext("This is not the token on the console, or its half hour is over."), 403)
    sessions.succeeded(office().users, "setup", address)
    if password != request.form.get("again"):
        return _again(gettext("The two passwords differ."), 400)
    try:
        users.check_user(name, password)
    except Refusal:
        words = gettext("A name has letters, digits, . _ @ - only; a password has at least %(n)s characters, is not the name and not one that everybody guesses.", n=users.SHORTEST)  # noqa: E501  # fmt: skip
        return _again(words, 400)
    if not setup.take(request.form.get("setup", "")):
        abort(403)
    note("setup", name, "the first administrator")
    users.create_user(office().users, name, Role.ADMIN, password, now)
    user = users.verify(office().users, name, password)
    if user is None:
        abort(403)
    return let_in(user, address, now, None)


def _check() -> None:
    """Here and now only: the first start, from this machine or its network, and by nobody's word for another's."""
    if not office().setup.needed():
        abort(404)
    forwarded = any(header in request.headers for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP"))
    if not is_near(request.remote_addr or "") or (forwarded and not office().site.web.trusted_proxies):
        abort(403)


def _again(message: str, status: int) -> tuple[str, int]:
    expired = office().setup.expired()
    return render_template("setup.html", shortest=users.SHORTEST, expired=expired, message=message), status
