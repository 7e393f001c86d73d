"""The noise limits of places, by class and by day and night, for alarms, charts and reports. Decides nothing."""

from enum import StrEnum

import msgspec

from hub.calendar.schedule import Hours
from hub.settings.site import NoiseClass, Site

# GB 3096-2008, table 1: equivalent sound level by functional area, day and night, dB(A).
LIMITS_DB: dict[NoiseClass, tuple[float, float]] = {
    "0": (50.0, 40.0),
    "1": (55.0, 45.0),
    "2": (60.0, 50.0),
    "3": (65.0, 55.0),
    "4a": (70.0, 55.0),
    "4b": (70.0, 60.0),
}

# GB 22337-2008, table 1: the same at the boundary of shops, entertainment and square dancing, dB(A); class 4 is both.
BOUNDARY_DB: dict[NoiseClass, tuple[float, float]] = {**LIMITS_DB, "4a": (70.0, 55.0), "4b": (70.0, 55.0)}

# GB 3096-2008, 5.4: by so much the maximum level of a sudden noise at night may exceed the limit of the area.
SUDDEN_DB = 15.0

_NOTHING_DB = 1e-9  # what a sum of floating point numbers may be wrong by


class Standard(StrEnum):
    """Which table counts: that of the area, or that of the boundary of a source of noise."""

    AREA = "GB 3096-2008"
    BOUNDARY = "GB 22337-2008"


class ZoneLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one zone in dB(A): equivalent levels by day and night, the maximum level of the night."""

    standard: Standard
    noise_class: NoiseClass
    day_db: float
    night_db: float
    sudden_db: float


def zone_limits(site: Site, zone: str) -> ZoneLimits:
    """A zone's own class counts before the site's; the boundary's table where the site uses rule `noise-boundary`."""
    own = {each.id: each.noise_class for each in site.zones}.get(zone)
    noise_class = own or site.noise_class
    standard = Standard.BOUNDARY if _at_boundary(site, zone) else Standard.AREA
    day, night = (BOUNDARY_DB if standard is Standard.BOUNDARY else LIMITS_DB)[noise_class]
    return ZoneLimits(
        standard=standard,
        noise_class=noise_class,
        day_db=day,
        night_db=night,
        sudden_db=LIMITS_DB[noise_class][1] + SUDDEN_DB,
    )


def exceeds(level: float, limit: float) -> bool:
    """Whether the level is above the limit; the figures are compared as they are, before they are rounded."""
    return level - limit > _NOTHING_DB


def _at_boundary(site: Site, zone: str) -> bool:
    numbers = site.rules.get("noise-boundary", {})
    zones = numbers.get("zone", {})
    own = zones.get(zone, {}) if isinstance(zones, dict) else {}
    return bool({**numbers, **own}.get("use") == "on")


class NoiseLimits:
    """The limits of one site. For one thread: it remembers the hours it looked up last."""

    def __init__(self, site: Site) -> None:
        """A zone's own class counts before the site's."""
        self._night = Hours(site.night, site.tz)
        self._classes = {zone.id: zone.noise_class or site.noise_class for zone in site.zones}
        self._class = site.noise_class

    def at(self, zone: str, now: int) -> float:
        """The limit in dB(A) in a zone at `now` (ms since 1970)."""
        return LIMITS_DB[self._classes.get(zone, self._class)][self._night.inside(now)]

    def until(self, now: int) -> int:
        """The instant (ms) up to which the limits for `now` hold."""
        return self._night.until(now)
