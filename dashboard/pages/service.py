"""Out of service: an alarm or a device is taken out for maintenance with a reason, and put back; every page says so.

Orders to the hub, as all that people do. Only a person puts it back: the hub reminds of it once a day.
"""

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dashboard.access.permissions import Permission, allow
from dashboard.gather import gather
from dashboard.journal_view import JournalUnreadable
from dashboard.language.i18n import gettext
from dashboard.office import office
from dashboard.ordering import put_from_form
from hub.care.reminder import HOUR
from hub.outcome import OrderState, Service
from hub.reading import Label

bp = Blueprint("service", __name__, url_prefix="/service")
OUT, BACK = "out-of-service", "in-service"
EXPIRES_MS = 60_000
LONGEST_REASON = 200
HISTORY = 20
DAY_MS = 24 * 3600 * 1000


def banner() -> list[Service]:
    """What every page of a signed-in person shows; none while the journal cannot be read, which the page says."""
    if getattr(g, "signed", None) is None:
        return []
    try:
        return office().view.services()
    except JournalUnreadable:
        return []


def name_of(target: str) -> Label:
    """A device's name, or what an alarm is called and where."""
    rule, _, rest = target.partition("/")
    if not rest:
        return office().words.source(target)
    title, source = office().words.rule(rule), office().words.source(rest.partition("/")[0])
    return Label(zh=f"{source.zh}：{title.zh}", en=f"{source.en}: {title.en}")


@bp.get("")
@allow(Permission.SEE)
def page() -> str:
    """What is out of service, since when, by whom and why; for managers, what puts it back."""
    waiting = office().view.orders_since([OUT, BACK], office().clock.now() - DAY_MS)
    return render_template(
        "service.html",
        waiting=[order for order in waiting[-5:] if order.state is not OrderState.DONE],
        before=[row for row in office().view.services_before(HISTORY) if row.ended is not None],
        named=name_of,
        hour=f"{HOUR:%H:%M}",
        situation=gather(office()),
    )


@bp.get("/out")
@allow(Permission.MANAGE)
def ask() -> str:
    """What that means, and why is it wanted?"""
    target = _target(request.args.get("target", ""))
    return render_template(
        "service_out.html",
        target=target,
        named=name_of,
        is_device="/" not in target,
        worst=_worst(target),
        hour=f"{HOUR:%H:%M}",
        longest=LONGEST_REASON,
        situation=gather(office()),
    )


@bp.post("/out")
@allow(Permission.MANAGE)
def out() -> Response:
    """Nobody is told of it from now on."""
    target, why = _target(request.form.get("target", "")), request.form.get("text", "").strip()[:LONGEST_REASON]
    if len(why) < 2:
        flash(gettext("Say why. The reason is kept with the order."))
        return redirect(url_for("service.ask", target=target))
    _order(OUT, target, why)
    return redirect(url_for("service.page"))


@bp.post("/back")
@allow(Permission.MANAGE)
def back() -> Response:
    """Its rules are asked anew."""
    _order(BACK, request.form.get("target", "")[:200], request.form.get("text", "").strip()[:LONGEST_REASON])
    return redirect(url_for("service.page"))


def _target(target: str) -> str:
    """A device of the site, or an alarm that there has been; else 404."""
    known = target in office().site.devices() or ("/" in target and office().view.count("o.key = ?", (target,)) > 0)
    if not known:
        abort(404)
    return target


def _worst(target: str) -> str:
    """The severity of the alarm; of a device, the highest that it has had."""
    column = "key" if "/" in target else "source"
    return office().view.one(f"SELECT min(severity) FROM occurrence WHERE {column} = ?", (target,)) or ""  # noqa: S608  # our own two names


def _order(kind: str, target: str, why: str) -> None:
    put_from_form(kind, target, EXPIRES_MS, text=why)
