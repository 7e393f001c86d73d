"""Every page of the menu as a picture, for people to look at: `make pictures`. Judged is only that it fits the screen.

ZHIAN_SHOTS names the folder; without it nothing is drawn. What axe-core and the other browser tests judge stands there.
"""

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from dashboard.menu import MENU
from hub.history.store import Bucket
from hub.reports.shelf import Wanted
from hub.settings.site import Site
from tests.dashboard.browser.village import NIGHT, settle, urgent

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, ListHistory, Running, StillClock

SHOTS = os.environ.get("ZHIAN_SHOTS", "")
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
LOCALES = {"zh": "zh-CN", "en": "en-GB"}
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not SHOTS, reason="pictures for people to look at: ZHIAN_SHOTS names their folder"),
]


@pytest.fixture(scope="session")
def site(site: Site) -> Site:
    """The demo's community with the usual night."""
    return msgspec.structs.replace(site, night="22:00-06:00")


@pytest.fixture
def number(
    clock: "StillClock", field: "Field", history: "ListHistory", office: "Office", monkeypatch: pytest.MonkeyPatch
) -> int:
    """The community is settled; returns the number of an alarm that stands."""
    clock.at = NIGHT
    settle(field, history, NIGHT)

    def series(device: str, quantity: str, since_ms: int, until_ms: int, points: int) -> list[Bucket]:
        step = max(1, (until_ms - since_ms) // points)
        sums: dict[int, list[float]] = {}
        for ts, value in (found for page in history.samples(device, quantity, since_ms, until_ms) for found in page):
            sums.setdefault(ts - ts % step, []).append(value)
        return [Bucket(at, sum(v) / len(v), min(v), max(v), len(v)) for at, v in sums.items()]

    monkeypatch.setattr(history, "series", series)
    month = datetime.fromtimestamp(NIGHT / 1000, office.site.tz).strftime("%Y-%m")
    office.reports.ask([Wanted(zone="square", month=month, language="zh", format="pdf")])
    office.reports.idle()
    return int(field.db.execute("SELECT id FROM occurrence WHERE rule = 'noise-limit' AND closed = ''").fetchone()[0])


@pytest.fixture
def paths(app: "Flask", number: int) -> dict[str, str]:
    """Name of the picture -> path of the page."""
    with app.test_request_context():
        menu = {entry.endpoint.removesuffix(".page"): app.url_for(entry.endpoint) for entry in MENU}
    behind = {
        "alarm": f"/alarms/{number}",
        "device": "/devices/noise-square",
        "upkeep": "/devices/noise-square/upkeep",
        "gate-open": "/devices/gate-north/do/open",
        "dog": "/dogs/156000000000105",
        "user": "/users/1",
        "limit": "/limits/noise-limit?zone=square",
        "water-test": "/water/lake/test",
        "line": "/lines/rs485-yard",
        "add-device": "/lines/rs485-yard/add/noise/generic-rs485",
        "calendar": "/settings/calendar?year=2025",
        "handover": "/duty/handover",
        "factor": "/account/factor",
    }
    return {**menu, "more": "/more", **behind}


@pytest.fixture(params=[(z, n, s) for z in SIZES for n in LOCALES for s in ("light", "dark")], ids="-".join)
def take(
    request: pytest.FixtureRequest, chromium: "Chromium", running: "Running", browser: "Browser", number: int
) -> "Iterator[Callable[[str, str], None]]":
    """Takes a picture: its name, and the path of the page. The whole page, of Now the first screen."""
    size, language, scheme = request.param
    width, height = SIZES[size]
    context = chromium.new_context(
        locale=LOCALES[language],
        color_scheme=scheme,
        viewport={"width": width, "height": height},
        reduced_motion="reduce",
    )
    context.add_cookies([{"name": "zhian", "value": browser.enter("admin"), "url": running.url}])
    page: Page = context.new_page()

    def taken(name: str, path: str) -> None:
        answer = page.goto(running.url + path)
        assert answer is not None
        assert answer.status == 200, path
        page.wait_for_selector("#live-word:not(:empty)")
        page.wait_for_timeout(300)
        page.screenshot(path=Path(SHOTS) / f"{name}-{size}-{language}-{scheme}.png", full_page=path != "/")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{path} has to be pushed sideways: {wide} pixels"

    yield taken
    context.close()


def test_every_page(
    take: "Callable[[str, str], None]", paths: dict[str, str], field: "Field", office: "Office"
) -> None:
    """Each page is answered and needs no pushing sideways; then somebody stands at the lake."""
    Path(SHOTS).mkdir(parents=True, exist_ok=True)
    take("noise", "/noise")
    office.reports.idle()  # the figures of the days, which the page has asked for
    for name, path in paths.items():
        take(name, path)
    number = urgent(field, NIGHT)
    take("p1-now", "/")
    take("p1-noise", "/noise")
    take("p1-alarm", f"/alarms/{number}")
