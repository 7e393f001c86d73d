"""Noise: are we within the limit, and can I prove it? Live levels, bars of the newest days, exceedances.

The figures are those of hub.figures, made in a thread of their own (hub.reports.maker); a page never waits for them.
"""

from operator import is_not
from typing import Any

import msgspec
from flask import Blueprint, current_app, render_template
from markupsafe import Markup

from dashboard.access.permissions import Permission, allow
from dashboard.charts.noise_bars import HEIGHT, WIDTH, bars
from dashboard.gather import gather
from dashboard.journal_view import Happening
from dashboard.language.i18n import language
from dashboard.live.together import together
from dashboard.office import office
from dashboard.situation import why_blind
from hub.calendar.schedule import Hours, parse_span
from hub.figures.month import NoiseDay
from hub.figures.periods import Part, noise_day
from hub.reading import Reading
from hub.reports.noise import LEVEL, noise_meters
from hub.reports.shelf import papers
from hub.rules.noise import ZoneLimits, zone_limits
from hub.settings.site import Device

bp = Blueprint("noise", __name__, url_prefix="/noise")
RULES = ("noise-limit", "noise-laeq", "noise-boundary", "noise-sudden")
WEEK_MS = 7 * 86_400_000
MOST_SHOWN = 20
KEPT = "zhian.noise"  # the drawings: one a meter and language
LOWEST_DB, HIGHEST_DB = 30.0, 90.0  # of the live scale


class MeterView(msgspec.Struct, frozen=True, kw_only=True):
    """One meter as the page shows it. `why`: it does not watch; `days` None: its figures are not made yet."""

    device: Device
    limits: ZoneLimits
    limit: float
    reading: Reading | None
    why: str | None
    days: list[NoiseDay] | None


class Drawn(msgspec.Struct, frozen=True):
    """The days of one meter as they were last drawn. `of`: what that depends on, beside the days themselves."""

    days: list[NoiseDay]
    of: tuple[object, ...]
    text: Markup


@bp.get("")
@allow(Permission.SEE)
@together
def page() -> str:
    """Every zone that has a noise meter."""
    now = office().clock.now()
    night = Hours(office().site.night, office().site.tz)
    situation = gather(office())
    meters = _meters(Part.NIGHT if night.inside(now) else Part.DAY, hub_fresh=situation.hub_fresh)
    return render_template(
        "noise.html",
        zones={zone: [each for each in meters if each.device.zone == zone] for zone in _zones(meters)},
        by_night=night.inside(now),
        until=night.until(now),
        happenings=_happenings(now - WEEK_MS),
        newest=_newest(),
        share=scale_share,
        drawn=drawn,
        situation=situation,
    )


def scale_share(level: float) -> float:
    """Where a level stands on the live scale, in per cent from its left end."""
    return round(100 * (min(max(level, LOWEST_DB), HIGHEST_DB) - LOWEST_DB) / (HIGHEST_DB - LOWEST_DB), 1)


def drawn(meter: MeterView) -> Markup:
    """Chart and table of a meter's days, drawn again when something in them has changed: most of the page's cost."""
    days, now = meter.days or [], office().clock.now()
    today = noise_day(now, parse_span(office().site.night), office().site.tz)
    ends = {figure.end for day in days for figure in (day.ld, day.ln) if figure is not None and figure.end > now}
    of = (today, frozenset(ends))
    kept: dict[tuple[str, str], Drawn] = current_app.extensions.setdefault(KEPT, {})
    found = kept.get((meter.device.id, language()))
    if found is None or found.of != of or len(found.days) != len(days) or any(map(is_not, found.days, days)):
        template = current_app.jinja_env.get_template("noise_days.html")
        size = {"width": WIDTH, "height": HEIGHT}
        text = template.render(name=meter.device.id, days=days, chart=bars(days), today=today, open=ends, **size)
        found = kept[meter.device.id, language()] = Drawn(days, of, Markup(text))  # noqa: S704  # a template's own
    return found.text


def _meters(part: Part, *, hub_fresh: bool) -> list[MeterView]:
    view, latest = office().view.health(), office().view.latest()
    found = []
    for device in noise_meters(office().site):
        limits = zone_limits(office().site, device.zone)
        found.append(
            MeterView(
                device=device,
                limits=limits,
                limit=limits.day_db if part is Part.DAY else limits.night_db,
                reading=latest.get((device.id, LEVEL)),
                why=why_blind(device, view, hub_fresh=hub_fresh),
                days=office().reports.days(device),
            )
        )
    return found


def _zones(meters: list[MeterView]) -> list[str]:
    return list(dict.fromkeys(meter.device.zone for meter in meters))


def _happenings(since: int) -> list[Happening]:
    marks = ", ".join("?" * len(RULES))
    return office().view.happenings(f"o.rule IN ({marks}) AND o.raised >= ?", (*RULES, since), limit=MOST_SHOWN)


def _newest() -> dict[str, Any]:  # Any: the template's papers by zone
    """The newest report of each zone, in any language."""
    return {paper.wanted.zone: paper for paper in reversed(papers(office().data))}
