"""The noise limits of places, by class and by day and night. Alarms and charts ask here; nothing is decided here."""

from hub.schedule import Hours
from hub.site import NoiseClass, Site

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
