"""The noise limit of a place at an instant, for charts and the strip of the Now page. Alarms are decided elsewhere.

GB 3096-2008, table 1: Leq in dB by functional area, by day and by night.
"""

from datetime import datetime

from hub.settings import parse_span
from hub.site import NoiseClass, Site

DAY_NIGHT_DB: dict[NoiseClass, tuple[float, float]] = {
    "0": (50.0, 40.0),
    "1": (55.0, 45.0),
    "2": (60.0, 50.0),
    "3": (65.0, 55.0),
    "4a": (70.0, 55.0),
    "4b": (70.0, 60.0),
}


def noise_limit_db(site: Site, zone: str, at: int) -> float:
    """The limit in dB in a zone at `at` (ms since 1970); the zone's own class before the site's."""
    place = site.zones_by_id().get(zone)
    day, night = DAY_NIGHT_DB[(place.noise_class if place else None) or site.noise_class]
    return night if is_night(site, at) else day


def is_night(site: Site, at: int) -> bool:
    """Whether `at` lies in the site's noise night."""
    first, end = parse_span(site.night)
    local = datetime.fromtimestamp(at / 1000, site.tz)
    minute = local.hour * 60 + local.minute
    return first <= minute < end if first < end else minute >= first or minute < end
