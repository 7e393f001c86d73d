"""A link that an administrator gave: whoever holds it sets the password of its user, once. The second factor stays."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dashboard.access import people, sessions, users
from dashboard.access.asking import note
from dashboard.access.permissions import Permission, allow
from dashboard.language.i18n import gettext
from dashboard.office import office
from device_profiles.door import Refusal

bp = Blueprint("reset", __name__, url_prefix="/reset/<token>")


@bp.get("")
@allow(Permission.OPEN)
def page(token: str) -> str | tuple[str, int]:
    """The new password, twice."""
    return _page(token, "", 200)


@bp.post("")
@allow(Permission.OPEN)
def change(token: str) -> Response | str | tuple[str, int]:
    """Set it; all sessions of the user end, and the sign-in is as always."""
    password, now = request.form.get("password", ""), sessions.real_now(office().clock)
    if password != request.form.get("again"):
        return _page(token, gettext("The two passwords differ."), 400)
    owner = people.owner(office().users, token, now)
    if owner is not None:
        note("password-link", owner.name)
    try:
        user = people.use_link(office().users, token, password, now)
    except Refusal:
        words = gettext("A password has at least %(n)s characters and is not your name.", n=users.SHORTEST)
        return _page(token, words, 400)
    if user is None:
        return _page(token, "", 200)
    flash(gettext("Your password was changed. Sign in with the new one."))
    return redirect(url_for("auth.login"))


def _page(token: str, message: str, status: int) -> str | tuple[str, int]:
    owner = people.owner(office().users, token, sessions.real_now(office().clock))
    if owner is None:
        return render_template("reset.html", owner="", message=message), 404
    return render_template("reset.html", owner=owner.name, shortest=users.SHORTEST, message=message), status
