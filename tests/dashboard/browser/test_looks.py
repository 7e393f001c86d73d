"""What can be measured of how the pages look, on a site at its worst: nothing is cut off, buried or too small to press.

`make pictures` makes the pictures that people judge; the worst site is in `crowd.py`.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dashboard.menu import MENU
from tests.dashboard.browser.crowd import crowd, crowded, settled

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page, ViewportSize

    from hub.settings.site import Site
    from tests.dashboard.conftest import Browser, Field, Running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
NOW = 1_760_000_000_000
ROSTER = Path(__file__).parents[3] / "firmware_bridge" / "simulate" / "duty.toml"
PHONE: "ViewportSize" = {"width": 390, "height": 844}
DESKTOP: "ViewportSize" = {"width": 1440, "height": 900}
LOCALES = {"zh": "zh-CN", "en": "en-GB"}
CHIP = "156000000010007"
BEHIND = [
    "/more", "/limits/noise-limit?zone=square", "/limits/noise-limit/above?zone=square", "/devices/gate-east",
    "/devices/yard-relay", "/devices/noise-garage-7", "/devices/gate-east/do/open", "/lines/rs485-yard",
    "/lines/rs485-yard/add", "/lines/rs485-yard/add/noise/generic-rs485", "/users/1", "/account/factor",
    "/incidents/1", "/duty/handover", "/water/lake/test", f"/dogs/{CHIP}", f"/dogs/{CHIP}/edit", "/dogs/import",
    "/settings/calendar?year=2025", "/service/out?target=radar-lake", "/no-such-page",
]  # fmt: skip
PRESSED = "main a[href], .strips a, summary, button, input:not([type=hidden]), select"
LOW = """pressed => [...document.querySelectorAll(pressed)]
  .map(e => e.matches('[type=checkbox], [type=radio]') ? e.closest('label') : e)
  .filter(e => e.checkVisibility() && !e.closest('svg') && e.getBoundingClientRect().height < 43.5)
  .map(e => e.outerHTML.slice(0, 160))"""
SMALL = """() => [...document.querySelectorAll('main *, header *, .strips *')].filter(e => e.checkVisibility()
  && !e.closest('svg') && [...e.childNodes].some(n => n.nodeType === 3 && n.nodeValue.trim())
  && parseFloat(getComputedStyle(e).fontSize) < 16).map(e => e.outerHTML.slice(0, 160))"""
ON_TOP = """e => { const b = e.getBoundingClientRect();
  return e.contains(document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2)); }"""


@pytest.fixture(scope="session")
def site(site: "Site") -> "Site":
    """With 24 zones more, all of them with very long names."""
    return crowded(site)


@pytest.fixture
def look(
    chromium: "Chromium", running: "Running", browser: "Browser", tmp_path: Path
) -> "Iterator[Callable[[ViewportSize, str], Page]]":
    """Opens the administrator's browser of this size, in this language."""
    shutil.copy(ROSTER, tmp_path / "duty.toml")
    contexts = []

    def opened(size: "ViewportSize", language: str) -> "Page":
        context = chromium.new_context(locale=LOCALES[language], viewport=size, reduced_motion="reduce")
        context.add_cookies([{"name": "zhian", "value": browser.enter("admin"), "url": running.url}])
        contexts.append(context)
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()


def pages(app: "Flask", number: int) -> list[str]:
    """The menu's pages, one of each kind that stands behind them, and one that there is not."""
    with app.test_request_context():
        return [app.url_for(entry.endpoint) for entry in MENU] + [f"/alarms/{number}", *BEHIND]


@pytest.mark.parametrize("language", LOCALES)
def test_every_page_fits_the_phone(
    look: "Callable[[ViewportSize, str], Page]", app: "Flask", running: "Running", field: "Field", language: str
) -> None:
    """At 390 px nothing is pushed sideways, no text is below 16 px, and what is pressed is 44 px high, links too."""
    number, page = crowd(field, NOW), look(PHONE, language)
    found = []
    for path in pages(app, number):
        page.goto(running.url + path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        found += [(path, "wide", wide)] if wide > PHONE["width"] else []
        found += [(path, "low", each) for each in page.evaluate(LOW, PRESSED)]
        found += [(path, "small", each) for each in page.evaluate(SMALL)]
    assert found == []


@pytest.mark.parametrize("language", LOCALES)
@pytest.mark.parametrize("path", ["/", "/account"])
def test_a_p1_is_on_the_first_screen(
    look: "Callable[[ViewportSize, str], Page]", running: "Running", field: "Field", path: str, language: str
) -> None:
    """Flood, mutes, 61 other alarms and long names above it: title, button and whom to call are seen at once."""
    crowd(field, NOW)
    page = look(PHONE, language)
    page.goto(running.url + path)
    card = page.locator(".need.takes")
    for part in ("h2 a", ".todo", "button.primary", ".call"):
        box = card.locator(part).bounding_box()
        assert box is not None, part
        assert box["y"] >= 0, part
        assert box["y"] + box["height"] <= PHONE["height"] - 56, part  # above the menu
        assert card.locator(part).evaluate(ON_TOP), part


def test_headings_stand_at_one_edge(
    look: "Callable[[ViewportSize, str], Page]", app: "Flask", running: "Running", field: "Field"
) -> None:
    """On a desktop every page begins at the same left edge: going through the menu nothing jumps."""
    settled(field, NOW)
    page = look(DESKTOP, "en")
    edges = {}
    with app.test_request_context():
        paths = [app.url_for(entry.endpoint) for entry in MENU]
    for path in [*paths, *BEHIND[:3], "/settings/calendar", "/dogs/import"]:
        page.goto(running.url + path)
        heading = page.locator("main h1").first
        if heading.count() and not heading.locator("xpath=ancestor::article").count():
            edges[path] = heading.evaluate("e => e.getBoundingClientRect().x")
    assert len(edges) > len(paths)
    assert {path: x for path, x in edges.items() if x != 24} == {}


def test_on_paper_is_the_sheet_alone(chromium: "Chromium", running: "Running", browser: "Browser") -> None:
    """The handover sheet is printed black on white from a dark screen too, without menu, strips and buttons."""
    context = chromium.new_context(locale="zh-CN", viewport=PHONE, color_scheme="dark")
    context.add_cookies([{"name": "zhian", "value": browser.enter("guard"), "url": running.url}])
    page = context.new_page()
    page.goto(f"{running.url}/duty/handover")
    assert page.locator(".top, .strips, .nav, .crumbs, #print").locator("visible=true").count() >= 4
    page.emulate_media(media="print")
    assert page.locator(".top, .strips, .nav, .crumbs, #print").locator("visible=true").count() == 0
    paint = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('h1')).color]"
    assert page.evaluate(paint) == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]
    assert page.locator(".sign").is_visible()
    context.close()
