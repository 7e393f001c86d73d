"""Alarm health: whether people can still follow their alarms (ISA-18.2), and which rules make that hard.

The figures come from hub.journal.isa_report; here they only get their words.
"""

from contextlib import closing

from flask import Blueprint, render_template, request, url_for
from flask_babel import lazy_gettext  # type: ignore[import-untyped]

from dashboard.access.permissions import Permission, allow, may
from dashboard.gather import gather
from dashboard.office import office
from dashboard.pages.limits import known
from dashboard.rulebook import plain
from hub.alarms.isa import DAY
from hub.journal.file import FILE, connect
from hub.journal.isa_report import report
from hub.rules.kinds.door import PARAMETERS

bp = Blueprint("alarm_health", __name__, url_prefix="/alarms/health")
SPANS = {"day": DAY, "week": 7 * DAY, "month": 30 * DAY}
SPAN_WORDS = {"day": lazy_gettext("24 hours"), "week": lazy_gettext("7 days"), "month": lazy_gettext("30 days")}
VERDICTS = {
    "well": ("✓", lazy_gettext("well")),
    "bearable": ("△", lazy_gettext("bearable")),
    "too much": ("▲", lazy_gettext("too much")),
}


@bp.get("")
@allow(Permission.SEE)
def page() -> str:
    """The figures of a day, a week (when nothing is said) or a month."""
    span = request.args.get("span", "week")
    span = span if span in SPANS else "week"
    now = office().clock.now()
    with closing(connect(office().data / FILE, read_only=True)) as db:
        found = report(db, now - SPANS[span], now)
    return render_template(
        "alarm_health.html",
        span=span,
        spans=SPAN_WORDS,
        verdicts=VERDICTS,
        health=found.health,
        remedies={each.key: each for each in found.remedies},
        named=_named,
        limit_form=_limit_form,
        situation=gather(office()),
    )


def _limit_form(key: str, deadband: float) -> str:
    """The address of the form that sets this deadband for the alarm's zone; empty where the reader has none."""
    rule, source, _ = _named(key)
    if not may(Permission.MANAGE) or not known(rule) or "deadband" not in PARAMETERS[plain()[rule].kind]:
        return ""
    device = office().site.devices().get(source)
    zone = device.zone if device is not None else ""
    return url_for("limits.ask", rule=rule, key="deadband", zone=zone, value=f"{deadband:g}")


def _named(key: str) -> tuple[str, str, str]:
    """An alarm's key as rule, source and the value that it is about, if any."""
    rule, _, rest = key.partition("/")
    source, _, value = rest.partition("/")
    return rule, source, value
