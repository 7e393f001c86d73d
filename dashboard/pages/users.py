"""Users and roles: who may sign in as what, and which programs may ask the API. Every change wants a fresh password.

Nobody types a password for somebody else: a new user, and one who forgot it, gets a link that works once.
"""

from collections.abc import Callable

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dashboard.access import clients, factor, people, sessions, users
from dashboard.access.asking import note, stale, unproved
from dashboard.access.permissions import Permission, allow
from dashboard.access.roles import ROLES, SCOPES
from dashboard.gather import glance
from dashboard.language.i18n import gettext
from dashboard.office import me, office
from device_profiles.door import Refusal

bp = Blueprint("users", __name__, url_prefix="/users")


@bp.get("")
@allow(Permission.AUDIT)
def page() -> str:
    """Everybody, and every program."""
    return _page()


@bp.post("")
@allow(Permission.ADMINISTER)
def add() -> Response | str | tuple[str, int]:
    """A new user and the link with which they set their password."""
    name, role = request.form.get("name", "").strip(), request.form.get("role", "")
    if problem := unproved():
        return _page(problem), 403
    try:
        note("user-add", me().name, f"{name} {role}")
        token = people.invite(office().users, name, role, _now())
    except (Refusal, users.Busy):
        return _page(gettext("Not added: the name is taken, or has other signs than letters, digits, . _ @ -")), 400
    return _link(name, token)


@bp.get("/<int:number>")
@allow(Permission.AUDIT)
def one(number: int) -> str:
    """One user, and what can be done about them."""
    return _one(number)


@bp.post("/<int:number>/role")
@allow(Permission.ADMINISTER)
def role(number: int) -> Response | tuple[str, int]:
    """Another role, from their next request on."""
    wanted = request.form.get("role", "")
    if wanted not in ROLES:
        abort(400)
    return _do(number, "user-role", wanted, lambda: people.set_role(office().users, number, wanted))


@bp.post("/<int:number>/active")
@allow(Permission.ADMINISTER)
def active(number: int) -> Response | tuple[str, int]:
    """Disable (all sessions end now) or enable again."""
    wanted = request.form.get("active") == "yes"
    if not wanted and number == me().user_id:
        abort(400)  # whoever locks themselves out by a slip calls the installer at night
    what = "user-enable" if wanted else "user-disable"
    return _do(number, what, "", lambda: people.set_active(office().users, number, _now(), active=wanted))


@bp.post("/<int:number>/sessions")
@allow(Permission.ADMINISTER)
def end_sessions(number: int) -> Response | tuple[str, int]:
    """Sign them out everywhere."""
    return _do(number, "user-sessions", "", lambda: sessions.end_all(office().users, number, _now()))


@bp.post("/<int:number>/factor")
@allow(Permission.ADMINISTER)
def reset_factor(number: int) -> Response | tuple[str, int]:
    """For a lost phone: no second factor any more. Somebody else's only; one's own needs a code."""
    if number == me().user_id:
        abort(400)
    return _do(number, "user-factor", "second factor taken away", lambda: factor.remove(office().users, number))


@bp.post("/<int:number>/link")
@allow(Permission.ADMINISTER)
def new_link(number: int) -> Response | str | tuple[str, int]:
    """A link with which they set a new password, once, within a day. The second factor stays."""
    found = _find(number)
    if problem := unproved():
        return _one(number, problem), 403
    note("user-link", me().name, found.name)
    return _link(found.name, people.link(office().users, number, _now()))


@bp.post("/clients")
@allow(Permission.ADMINISTER)
def add_client() -> Response | str | tuple[str, int]:
    """A program's token, which is shown this once."""
    name, scopes = request.form.get("name", "").strip(), request.form.getlist("scope")
    if problem := unproved():
        return _page(problem), 403
    try:
        note("client-add", me().name, f"{name}: {' '.join(scopes)}")
        token = clients.make(office().users, name, scopes, me().name, _now())
    except Refusal:
        return _page(gettext("A program needs a name that none had before, and something that it may do.")), 400
    return render_template("secret_once.html", what=gettext("Token of %(name)s", name=name), secret=token, link="")


@bp.post("/clients/<int:number>/end")
@allow(Permission.ADMINISTER)
def end_client(number: int) -> Response | tuple[str, int]:
    """Take a program's token back."""
    if problem := unproved():
        return _page(problem), 403
    note("client-end", me().name, f"client {number}")
    clients.end(office().users, number, _now())
    return redirect(url_for("users.page", _anchor="programs"))


def _do(number: int, what: str, detail: str, deed: Callable[[], None]) -> Response | tuple[str, int]:
    """Noted, then done, with a fresh password."""
    found = _find(number)
    if problem := unproved():
        return _one(number, problem), 403
    note(what, me().name, f"{found.name} {detail}")
    try:
        deed()
    except people.LastAdministrator:
        flash(gettext("This is the last administrator. Make another one first."))
    return redirect(url_for("users.one", number=number))


def _find(number: int) -> people.Person:
    found = people.person(office().users, number, _now())
    if found is None:
        abort(404)
    return found


def _now() -> int:
    return sessions.real_now(office().clock)


def _link(name: str, token: str) -> str:
    link = url_for("reset.page", token=token, _external=True)
    return render_template("secret_once.html", what=gettext("Link for %(name)s", name=name), secret=link, link="yes")


def _page(message: str = "") -> str:
    return render_template(
        "users.html",
        people=people.people(office().users, _now()),
        clients=clients.clients(office().users),
        scopes=list(SCOPES),
        message=message,
        proof=stale(),
        situation=glance(office()),
    )


def _one(number: int, message: str = "") -> str:
    found = _find(number)
    stays = sessions.stays(office().users, number, _now())
    return render_template(
        "user.html", person=found, stays=stays, message=message, proof=stale(), situation=glance(office())
    )
