"""Signing in and out, and one's own password. Who may do what is in `permissions.py`, sessions in `sessions.py`."""

from urllib.parse import urlsplit

from flask import Blueprint, flash, make_response, redirect, render_template, request, session, url_for
from flask_wtf.csrf import generate_csrf
from werkzeug.wrappers import Response

from dashboard.access import factor, sessions, users
from dashboard.access.asking import note as note
from dashboard.access.asking import proved as proved
from dashboard.access.permissions import Permission, allow, cookie_name
from dashboard.access.tables import User
from dashboard.gather import glance
from dashboard.language.i18n import gettext
from dashboard.office import me, office
from dashboard.pages.factor import passes
from device_profiles.door import Refusal

bp = Blueprint("auth", __name__)


@bp.get("/login")
@allow(Permission.OPEN)
def login() -> str:
    """The login page."""
    return render_template("login.html", goal=_goal(request.args.get("next")))


@bp.post("/login")
@allow(Permission.OPEN)
def sign_in() -> Response | tuple[str, int]:
    """Check name and password. A wrong one earns a delay that grows, the same for names that nobody has."""
    name, password = request.form.get("name", "").strip()[:64], request.form.get("password", "")
    address, now = request.remote_addr or "", sessions.real_now(office().clock)
    wait = sessions.wait_ms(office().users, name, address, now)
    if wait:
        if sessions.tell(office().users, address, now):
            note("login-delayed", _known(name))
        return _again(gettext("Too many tries. Wait %(s)s seconds, then try again.", s=-(-wait // 1000)), 429)
    try:
        user = users.verify(office().users, name, password)
    except users.Busy:
        return _again(gettext("Very many are signing in at once. Try again in a moment."), 503)
    if user is None:
        note("login-failed", _known(name))
        return _again(gettext("Name or password is wrong."), 401)
    sessions.succeeded(office().users, name, address)
    return let_in(user, address, now, request.form.get("next"))


@bp.get("/login/code")
@allow(Permission.OPEN)
def code() -> Response | str:
    """The second page of the login, for those who have a second factor."""
    if _half() is None:
        return redirect(url_for("auth.login"))
    return render_template("code.html", goal=_goal(request.args.get("next")), message="")


@bp.post("/login/code")
@allow(Permission.OPEN)
def give_code() -> Response | tuple[str, int]:
    """A code of the phone, or one of the recovery codes; each counts once."""
    user, now = _half(), sessions.real_now(office().clock)
    if user is None:
        return redirect(url_for("auth.login"))
    kind = passes(user.id, user.name, request.form.get("code", ""))
    if not kind:
        message = gettext("This code is wrong or was used already. After several tries you must wait a moment.")
        return render_template("code.html", goal=_goal(request.form.get("next")), message=message), 401
    if kind == "recovery":
        note("recovery-code", user.name)
        flash(gettext("A recovery code was used up. %(n)s are left.", n=factor.codes_left(office().users, user.id)))
    sessions.end(office().users, sessions.digest_of(_token()), now)
    return let_in(user, request.remote_addr or "", now, request.form.get("next"), coded=True)


def let_in(user: User, address: str, now: int, goal: str | None, *, coded: bool = False) -> Response:
    """A new session, its cookie, and on to where the person wanted; with a second factor, half of one until `coded`."""
    half = bool(user.factor) and not coded
    token = sessions.begin(office().users, user, address, now, half=half)
    if not half:
        note("login", user.name)
        kept = session.get("_flashes")
        session.clear()
        generate_csrf()  # a new secret for the new session, now: two first pages at once would each bring another
        if kept:
            session["_flashes"] = kept
    response = redirect(url_for("auth.code", next=_goal(goal)) if half else _goal(goal))
    response.set_cookie(
        cookie_name(secure=office().secure), token, path="/", secure=office().secure, httponly=True, samesite="Strict"
    )
    return response


def _known(name: str) -> str:
    """The name where somebody has it: what stands in the field of the name may be a password."""
    return name if users.exists(office().users, name) else "?"


def _token() -> str:
    return request.cookies.get(cookie_name(secure=office().secure), "")


def _half() -> User | None:
    return sessions.find_half(office().users, _token(), sessions.real_now(office().clock)) if _token() else None


@bp.post("/logout")
@allow(Permission.SEE)
def logout() -> Response:
    """End this session, on the server too."""
    sessions.end(office().users, me().digest, sessions.real_now(office().clock))
    note("logout", me().name)
    session.clear()
    response = make_response(redirect(url_for("auth.login")))
    response.delete_cookie(
        cookie_name(secure=office().secure), path="/", secure=office().secure, httponly=True, samesite="Strict"
    )
    return response


@bp.get("/account")
@allow(Permission.SEE)
def account() -> str:
    """One's own account: language, password, second factor, where one is signed in, sign out."""
    stays = sessions.stays(office().users, me().user_id, sessions.real_now(office().clock))
    mine = me().digest[: sessions.NUMBER]
    return render_template("account.html", shortest=users.SHORTEST, stays=stays, mine=mine, situation=glance(office()))


@bp.post("/account/sessions")
@allow(Permission.SEE)
def end_sessions() -> Response:
    """End one of one's own sessions, or (without `number`) all of them, this one too."""
    now, number = sessions.real_now(office().clock), request.form.get("number", "")
    note("sessions-end", me().name, number)
    if number:
        sessions.end_stay(office().users, me().user_id, number, now)
    else:
        sessions.end_all(office().users, me().user_id, now)
        session.clear()
    return redirect(url_for("auth.account"))


@bp.post("/account/password")
@allow(Permission.SEE)
def password() -> Response:
    """Change one's own password; all sessions end, this one too."""
    old, new = request.form.get("old", ""), request.form.get("new", "")
    if new != request.form.get("again"):
        flash(gettext("The two new passwords differ."))
    elif not proved(old):
        flash(gettext("The old password is wrong, or you must wait a moment."))
    else:
        try:
            users.change_password(office().users, me().name, new, sessions.real_now(office().clock))
        except Refusal:
            flash(gettext("A password has at least %(n)s characters and is not your name.", n=users.SHORTEST))
        else:
            note("password", me().name)
            session.clear()
            flash(gettext("Your password was changed. Sign in with the new one."))
            return redirect(url_for("auth.login"))
    return redirect(url_for("auth.account"))


def _again(message: str, status: int) -> tuple[str, int]:
    return render_template("login.html", goal=_goal(request.form.get("next")), message=message), status


def _goal(wanted: str | None) -> str:
    """Only a path of our own: never another host."""
    parts = urlsplit(wanted or "")
    safe = wanted and wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and not parts.netloc
    return wanted if safe and wanted else url_for("now.page")
