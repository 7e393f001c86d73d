"""A plain drawing of the site for the Now page, made from the zones' places: wall, paths, houses, water. Pure.

It is only a backdrop that helps a guard to find a place; a site with a picture of its own (`site.plan`) shows that.
"""

import math
from typing import NamedTuple

from hub.settings.site import Site, Zone

WIDTH, HEIGHT = 640, 520
MARGIN = 26
HOUSE_W, HOUSE_H, STEP_X, STEP_Y = 46, 22, 66, 46
AWAY_ZONE, AWAY_WATER, AWAY_PATH = 54.0, 96.0, 24.0
WATER = {"presence", "distance", "water_level", "water_temperature"}


class Point(NamedTuple):
    """In the drawing's units."""

    x: float
    y: float


class Box(NamedTuple):
    """A rectangle by its top left corner."""

    x: float
    y: float
    w: float
    h: float


class Drawing(NamedTuple):
    """What the template draws, back to front."""

    wall: Box
    water: list[Point]
    paths: list[tuple[Point, Point]]
    houses: list[Box]


def spot(zone_at: tuple[float, float]) -> Point:
    """A zone's place (0 to 1 from the top left) in the drawing's units, inside the wall."""
    x = min(max(zone_at[0] * WIDTH, MARGIN + 18), WIDTH - MARGIN - 18)
    y = min(max(zone_at[1] * HEIGHT, MARGIN + 12), HEIGHT - MARGIN - 12)
    return Point(round(x, 1), round(y, 1))


def anchor(point: Point) -> str:
    """Which way a name at this point runs, so that it stays on the drawing."""
    return "end" if point.x > WIDTH - 100 else "start" if point.x < 100 else "middle"


def drawing(site: Site) -> Drawing:
    """The backdrop of a site."""
    spots = {zone.id: spot(zone.at) for zone in site.zones}
    wet = {device.zone for device in site.devices().values() if WATER & set(device.profile.reading)}
    middle = Point(WIDTH / 2, HEIGHT / 2)
    hub = min(spots.values(), key=lambda p: _distance(p, middle), default=middle)
    paths = [(hub, place) for place in spots.values() if place != hub] + [
        (spots[z.id], g) for z in site.zones if (g := _way_out(z))
    ]
    wall = Box(MARGIN, MARGIN, WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN)
    lakes = [spots[zone] for zone in sorted(wet & set(spots))]
    return Drawing(wall, lakes, paths, _houses(list(spots.values()), lakes, paths))


def _way_out(zone: Zone) -> Point | None:
    """Where the road from a zone at the edge of the site leaves the drawing; None for a zone inside."""
    x, y = zone.at
    sides = {(x, "left"), (1 - x, "right"), (y, "top"), (1 - y, "bottom")}
    nearest, side = min(sides)
    if nearest > 0.21:
        return None
    place = spot(zone.at)
    if side in ("left", "right"):
        return Point(0 if side == "left" else WIDTH, place.y)
    return Point(place.x, 0 if side == "top" else HEIGHT)


def _houses(spots: list[Point], lakes: list[Point], paths: list[tuple[Point, Point]]) -> list[Box]:
    """Blocks on a grid, away from zones and paths."""
    houses = []
    for row in range(int((HEIGHT - 2 * MARGIN - 16) // STEP_Y)):
        for column in range(int((WIDTH - 2 * MARGIN - 16) // STEP_X)):
            box = Box(MARGIN + 22 + column * STEP_X + (row % 2) * 12, MARGIN + 18 + row * STEP_Y, HOUSE_W, HOUSE_H)
            centre = Point(box.x + HOUSE_W / 2, box.y + HOUSE_H / 2)
            inside = box.x + HOUSE_W < WIDTH - MARGIN - 12
            free = all(_distance(centre, place) > AWAY_ZONE for place in spots)
            free = free and all(_distance(centre, lake) > AWAY_WATER for lake in lakes)
            if inside and free and all(_from_line(centre, *path) > AWAY_PATH for path in paths):
                houses.append(box)
    return houses


def _distance(a: Point, b: Point) -> float:
    return math.hypot(a.x - b.x, a.y - b.y)


def _from_line(point: Point, a: Point, b: Point) -> float:
    length = (b.x - a.x) ** 2 + (b.y - a.y) ** 2
    along = 0.0 if length == 0 else ((point.x - a.x) * (b.x - a.x) + (point.y - a.y) * (b.y - a.y)) / length
    along = min(1.0, max(0.0, along))
    return _distance(point, Point(a.x + along * (b.x - a.x), a.y + along * (b.y - a.y)))
