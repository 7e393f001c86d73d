"""One's own second factor: a picture for the phone, recovery codes that are shown once, and the way to be rid of it."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dashboard.access import factor, sessions
from dashboard.access.asking import note, stale, unproved
from dashboard.access.permissions import Permission, allow, owes_factor
from dashboard.gather import glance
from dashboard.language.i18n import gettext
from dashboard.office import me, office

bp = Blueprint("factor", __name__, url_prefix="/account/factor")


@bp.get("")
@allow(Permission.SEE)
def page() -> str:
    """The picture and its first code; or, with a factor, how many recovery codes are left."""
    return _page("")


@bp.post("")
@allow(Permission.SEE)
def enrol() -> Response | str | tuple[str, int]:
    """From the next sign-in on a code is asked for."""
    if me().factor:
        return redirect(url_for("factor.page"))
    if problem := unproved():
        return _page(problem), 403
    offered = office().vault.open(request.form.get("offer", ""), factor.Offer)
    now = sessions.real_now(office().clock)
    codes = None
    if offered is not None and offered.user_id == me().user_id:
        codes = factor.enrol(office().users, office().vault, offered, request.form.get("code", ""), now)
    if codes is None:
        return _page(gettext("This code does not belong to the picture. Is the phone's clock right?")), 400
    note("factor", me().name, "second factor set up")
    sessions.end_others(office().users, me().user_id, me().digest, now)
    return render_template("factor_codes.html", codes=codes)


@bp.post("/off")
@allow(Permission.SEE)
def off() -> Response:
    """Without a second factor again: the password and one more code prove that it is the owner who asks."""
    problem = unproved()
    if not problem and not passes(me().user_id, me().name, request.form.get("code", "")):
        problem = gettext("This code is wrong or was used already.")
    if problem:
        flash(problem)
    else:
        note("factor-off", me().name, "second factor removed")
        factor.remove(office().users, me().user_id)
        flash(gettext("Your sign-in needs no code any more."))
    return redirect(url_for("factor.page"))


def passes(user_id: int, name: str, code: str) -> str:
    """ "code", "recovery", or empty: wrong, used, or too many tries."""
    now, address = sessions.real_now(office().clock), request.remote_addr or ""
    key = f"code of {user_id}"
    if sessions.wait_ms(office().users, key, address, now):
        return ""
    kind = factor.accept(office().users, office().vault, user_id, code, now)
    if kind:
        sessions.succeeded(office().users, key, address)
    else:
        note("code-failed", name)
    return kind


def _page(message: str) -> str:
    if me().factor:
        left = factor.codes_left(office().users, me().user_id)
        return render_template(
            "factor.html", left=left, message=message, proof=stale(), picture="", situation=glance(office())
        )
    offered = factor.offer(me().user_id, sessions.real_now(office().clock))
    return render_template(
        "factor.html",
        message=message,
        proof=stale(),
        secret=" ".join(offered.secret[at : at + 4] for at in range(0, len(offered.secret), 4)),
        offer=office().vault.seal(offered),
        picture=factor.picture(offered.uri(me().name, office().site.name.zh)),
        must=owes_factor(office().site, me()),
        situation=glance(office()),
    )
