"""Limits: which numbers the rules have, where each comes from, and the form by which a manager changes one.

A change is an order to the hub, which may refuse it; it is looked at here first, so that mistakes are told at once.
"""

import math

import msgspec
from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dashboard.access.permissions import Permission, allow
from dashboard.gather import gather
from dashboard.language.i18n import gettext
from dashboard.language.limit_words import LIMITS, limit_text
from dashboard.language.reasons import reason
from dashboard.office import me, office
from dashboard.ordering import put_from_form
from dashboard.pages.auth import note
from dashboard.rulebook import plain
from hub.outcome import Limit, OrderState
from hub.rules.door import Rule, covers
from hub.rules.limits import Book, Origin, Wrong, parse_setting

bp = Blueprint("limits", __name__, url_prefix="/limits")
EXPIRES_MS = 60_000
LONGEST_REASON = 500
HISTORY = 50


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One number of a rule: what holds, whence, and what would hold had nobody set anything here."""

    key: str
    now: Origin
    file: Origin
    unfit: str = ""  # set here, and out of force because of this

    @property
    def here(self) -> bool:
        """Somebody set it here."""
        return self.now.where == "page" or bool(self.unfit)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A rule in the list: whether it watches anything, what was set here, and its main numbers as they hold."""

    rule: Rule
    watches: bool
    set: list[Limit]
    shown: dict[str, float | str]


@bp.get("")
@allow(Permission.REVIEW)
def page() -> str:
    """All rules: first those that were changed here."""
    book, site, zones = _book(), office().site, office().site.zones_by_id()
    places = [
        Place(
            rule=rule,
            watches=rule.kind == "link-down"
            or any(covers(rule, device, zones.get(device.zone)) for device in site.devices().values()),
            set=[limit for place, limit in book.set.items() if place[0] == rule.id],
            shown=_shown(book, rule),
        )
        for rule in plain().values()
    ]
    places.sort(key=lambda each: (not each.set, not each.watches, each.rule.severity, each.rule.id))
    return render_template("limits.html", places=places, unfit=book.unfit, situation=gather(office()))


@bp.get("/<rule>")
@allow(Permission.REVIEW)
def one(rule: str) -> str:
    """One rule's numbers, everywhere or in a zone; under it what was ordered lately, and its history."""
    book, found, zone = _book(), _find(rule), _zone()
    orders = office().view.orders_about(_target(rule, zone))
    history = [limit for limit in office().view.limits() if limit.rule == rule]
    return render_template(
        "limit.html",
        rule=found,
        zone=zone,
        zones=_zones(found),
        lines=[_line(book, rule, zone, key) for key in LIMITS if key in book.keys(rule) and _means(found, key)],
        waiting=[order for order in orders[:5] if order.state is not OrderState.DONE],
        history=history[: -HISTORY - 1 : -1],
        situation=gather(office()),
    )


@bp.get("/<rule>/<key>")
@allow(Permission.MANAGE)
def ask(rule: str, key: str) -> str:
    """What shall it be, and why? The present value stands beside."""
    book, found, zone = _book(), _find(rule), _zone()
    if key not in book.keys(rule):
        abort(404)
    return render_template(
        "limit_change.html",
        rule=found,
        zone=zone,
        line=_line(book, rule, zone, key),
        proposed=_proposed(),
        longest=LONGEST_REASON,
        situation=gather(office()),
    )


@bp.post("/<rule>/<key>")
@allow(Permission.MANAGE)
def change(rule: str, key: str) -> Response:
    """Set it, or (`back`) let the site file say it again."""
    book, zone = _book(), _zone()
    _find(rule)
    back = request.form.get("back") == "yes"
    why, command = request.form.get("text", "").strip()[:LONGEST_REASON], _command(key, back=back)
    again = redirect(url_for("limits.ask", rule=rule, key=key, zone=zone))
    if len(why) < 2:
        flash(gettext("Say why. The reason is kept with the order."))
        return again
    try:
        value = None if back else parse_setting(command)[1]
        book.change(_wanted(rule, zone, key, value))
    except Wrong as error:
        flash(
            gettext("Not changed: %(why)s", why=reason(f"{error.word}:{error.detail}" if error.detail else error.word))
        )
        return again
    before = limit_text(key, book.origin(rule, zone, key).value, plain()[rule].quantity)
    note("limit", me().name, f"{_target(rule, zone)} {command} (before: {before}): {why}")
    put_from_form("limit-clear" if back else "limit", _target(rule, zone), EXPIRES_MS, command=command, text=why)
    return redirect(url_for("limits.one", rule=rule, zone=zone))


def known(rule: str) -> bool:
    """Whether there is a page for this rule."""
    return rule in plain()


def value_of(rule: str, zone: str, key: str) -> float | str | None:
    """The number of a known rule that holds in a zone."""
    return _book().origin(rule, zone, key).value


def origin_of(rule: str, zone: str) -> Origin | None:
    """Where the limit that an alarm of this rule names comes from."""
    if rule not in plain():
        return None
    book = _book()
    above = book.origin(rule, zone, "above") if "above" in book.keys(rule) else None
    return above if above is None or above.value is not None else book.origin(rule, zone, "below")


def _book() -> Book:
    return Book(plain(), office().site, office().view.limits())


def _find(rule: str) -> Rule:
    if rule not in plain():
        abort(404)
    return plain()[rule]


def _zone() -> str:
    """Of the address; empty: everywhere."""
    zone = request.args.get("zone", "")
    if zone and zone not in office().site.zones_by_id():
        abort(404)
    return zone


def _proposed() -> str:
    """The number that another page proposes, for the form's field; empty: none, or it is no number."""
    proposed = request.args.get("value", type=float)
    return f"{proposed:g}" if proposed is not None and math.isfinite(proposed) else ""


def _zones(rule: Rule) -> list[str]:
    """The zones that the rule watches something in."""
    zones = office().site.zones_by_id()
    devices = office().site.devices().values()
    here = {device.zone for device in devices if device.zone and covers(rule, device, zones.get(device.zone))}
    return [zone for zone in zones if zone in here]


def _shown(book: Book, rule: Rule) -> dict[str, float | str]:
    keys = [key for key in ("above", "below", "on_delay") if key in book.keys(rule.id)]
    values = {key: book.origin(rule.id, "", key).value for key in keys}
    return {key: value for key, value in values.items() if value}


def _means(rule: Rule, key: str) -> bool:
    """A second limit means something where the rule says what is worse."""
    return key not in ("hihi", "lolo") or bool(rule.worst)


def _line(book: Book, rule: str, zone: str, key: str) -> Line:
    return Line(
        key=key,
        now=book.origin(rule, zone, key),
        file=book.origin(rule, zone, key, page=False),
        unfit=book.unfit.get((rule, zone, key), ""),
    )


def _command(key: str, *, back: bool) -> str:
    return key if back else f"{key}={request.form.get('value', '').strip()[:40]}"


def _wanted(rule: str, zone: str, key: str, value: float | str | None) -> Limit:
    at = office().clock.now()
    return Limit(rule=rule, zone=zone, key=key, value=value, before=None, actor=me().name, reason="", at=at)


def _target(rule: str, zone: str) -> str:
    return f"{rule}/{zone}" if zone else rule
