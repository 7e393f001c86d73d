"""Noise limits: the table of GB 3096-2008, by a zone's class and the site's night."""

import pytest

from hub.reading import Label
from hub.rules.noise import NoiseLimits
from hub.settings.site import Site, Zone

MIDNIGHT = 1_759_939_200_000  # 2025-10-09 00:00 in Shanghai
NAME = Label(zh="花园", en="Garden")


@pytest.mark.parametrize(
    ("hour", "home", "road"),
    [(0, 45.0, 60.0), (5, 45.0, 60.0), (6, 55.0, 70.0), (12, 55.0, 70.0), (21, 55.0, 70.0), (22, 45.0, 60.0)],
)
def test_limits_by_class_and_time(hour: int, home: float, road: float) -> None:
    """Night is 22:00 to 06:00, over midnight; a zone's own class counts before the site's."""
    zones = (Zone(id="yard", name=NAME), Zone(id="rail", name=NAME, noise_class="4b"))
    limits = NoiseLimits(Site(id="garden", name=NAME, timezone="Asia/Shanghai", noise_class="1", zones=zones, links=()))
    at = MIDNIGHT + hour * 3_600_000

    assert (limits.at("yard", at), limits.at("rail", at), limits.at("", at)) == (home, road, home)
