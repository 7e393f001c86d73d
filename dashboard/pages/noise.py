"""Noise: are we within the limit, and can I prove it? Live levels, bars of the newest days, exceedances.

The figures are those of hub.figures, made in a thread of their own (hub.reports.maker); a page never waits for them.
"""

from typing import Any

import msgspec
from flask import Blueprint, render_template

from dashboard.gather import gather
from dashboard.journal_view import Happening
from dashboard.noise_bars import HEIGHT, WIDTH, Bars, bars
from dashboard.office import office
from dashboard.permissions import Permission, allow
from dashboard.situation import why_blind
from dashboard.together import together
from hub.figures.month import NoiseDay
from hub.figures.periods import Part, noise_day
from hub.noise import ZoneLimits, zone_limits
from hub.reading import Reading
from hub.reports.noise import LEVEL, noise_meters
from hub.reports.shelf import papers
from hub.schedule import Hours, parse_span
from hub.site import Device

bp = Blueprint("noise", __name__, url_prefix="/noise")
RULES = ("noise-limit", "noise-laeq", "noise-boundary", "noise-sudden")
WEEK_MS = 7 * 86_400_000
MOST_SHOWN = 20
LOWEST_DB, HIGHEST_DB = 30.0, 90.0  # of the live scale


class MeterView(msgspec.Struct, frozen=True, kw_only=True):
    """One meter as the page shows it. `why`: it does not watch; `days` None: its figures are not made yet."""

    device: Device
    limits: ZoneLimits
    limit: float
    reading: Reading | None
    why: str | None
    days: list[NoiseDay] | None
    chart: Bars | None


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
        today=noise_day(now, parse_span(office().site.night), office().site.tz),
        newest=_newest(),
        width=WIDTH,
        height=HEIGHT,
        share=scale_share,
        situation=situation,
    )


def scale_share(level: float) -> float:
    """Where a level stands on the live scale, in per cent from its left end."""
    return round(100 * (min(max(level, LOWEST_DB), HIGHEST_DB) - LOWEST_DB) / (HIGHEST_DB - LOWEST_DB), 1)


def _meters(part: Part, *, hub_fresh: bool) -> list[MeterView]:
    view, latest = office().view.health(), office().view.latest()
    found = []
    for device in noise_meters(office().site):
        limits = zone_limits(office().site, device.zone)
        days = office().reports.days(device)
        found.append(
            MeterView(
                device=device,
                limits=limits,
                limit=limits.day_db if part is Part.DAY else limits.night_db,
                reading=latest.get((device.id, LEVEL)),
                why=why_blind(device, view, hub_fresh=hub_fresh),
                days=days,
                chart=None if days is None else bars(days),
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
