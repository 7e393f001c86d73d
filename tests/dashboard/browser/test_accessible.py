"""Every page by axe-core against WCAG 2.2 AA, in both colour schemes, on the desktop and on the phone."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it has no annotations

from dashboard.menu import MENU

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page

    from tests.dashboard.conftest import Browser, Field, Running

pytestmark = pytest.mark.browser
NOW = 1_760_000_000_000
CHIP = "156000000000101"
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]}}
ROSTER = Path(__file__).parents[3] / "firmware_bridge" / "simulate" / "duty.toml"
SIGHTS = [("zh-CN", "light", 390, 844), ("en-GB", "dark", 1440, 900)]


def pages(app: "Flask", number: int) -> list[str]:
    """The menu's pages, and one of each kind that stands behind them."""
    with app.test_request_context():
        menu = [app.url_for(entry.endpoint) for entry in MENU]
    alarm = [f"/alarms/{number}", f"/alarms/{number + 1}/mute"]
    devices = ["/devices/gate-east", "/devices/noise-east", "/devices/gate-east/do/open", "/devices/noise-east/upkeep"]
    limits = ["/limits/noise-limit?zone=square", "/limits/noise-limit/above?zone=square"]
    lines = ["/settings/calendar?year=2025", "/lines/rs485-yard", "/lines/rs485-yard/add"]
    lines += ["/lines/rs485-yard/add/noise/generic-rs485", "/lines/mqtt/add/gate/json-mqtt"]
    people = ["/users/1", "/account/factor", "/audit?actor=nobody"]
    duty = ["/incidents/1", "/duty/handover"]
    places = ["/water/lake/test", f"/dogs/{CHIP}", f"/dogs/{CHIP}/edit", "/dogs/import"]
    return [*places, *menu, "/more", *alarm, *devices, *limits, *lines, *people, *duty, "/offline"]


@pytest.fixture(params=SIGHTS, ids=["phone-light", "desktop-dark"])
def sight(
    request: pytest.FixtureRequest, chromium: "Chromium", running: "Running", browser: "Browser"
) -> "Iterator[Page]":
    """The administrator's browser, as large and as bright as the parameter says."""
    language, scheme, width, height = request.param
    context = chromium.new_context(
        locale=language, color_scheme=scheme, viewport={"width": width, "height": height}, reduced_motion="reduce"
    )
    context.add_cookies([{"name": "zhian", "value": browser.enter("admin"), "url": running.url}])
    yield context.new_page()
    context.close()


def busy(field: "Field") -> int:
    """A community with everything that a page can show: alarms, mutes, limits, silence. Returns the P1's number."""
    field.all_well()
    number = field.alarm("water-presence", "radar-lake", severity="P1", quantity="presence", value="present")
    field.alarm("noise-limit", "noise-east", severity="P3", quantity="laeq", value=52.1, limit=45.0)
    field.alarm("gate-held", "gate-east", severity="P2")
    field.health("noise-garage", "silent")
    about = {"key": "water-presence/radar-lake", "occurrence": 1, "severity": "P1", "assignee": "leader"}
    field.put("incident", id=1, opened=NOW - 900_000, since=NOW - 900_000, state="dispatched", supervision=1, **about)
    field.put("incident_log", incident=1, at=NOW - 900_000, event="opened", state="new", actor="hub")
    field.put("mute", zone="square", at=NOW - 1, until=NOW + 600_000, actor="lin", reason="works")
    field.put("rule_limit", rule="noise-limit", zone="square", key="above", value=58.0, actor="lin", reason="w", at=NOW)
    field.put("entry", list="dogs", id=CHIP, note="Doudou")
    field.put("entry", list="lost-dogs", id=CHIP)
    field.put(
        "drill", zone="pool", at=NOW - 9_000, until=NOW + 90_000, siren="short", actor="lin", note="", state="running",
        expected='["water-presence/radar-pool"]',
    )  # fmt: skip
    field.order("command", "gate-east", command="open", state="unconfirmed", outcome="not-confirmed:8", sent=NOW)
    for device in field.site.devices().values():
        for quantity in device.profile.reading:
            field.read(device.id, quantity, 1.0 if quantity in ("laeq", "water_level", "battery") else "open")
    return number


@pytest.mark.timeout(300)
def test_no_page_shuts_anybody_out(
    sight: "Page", app: "Flask", running: "Running", field: "Field", tmp_path: Path
) -> None:
    """axe-core finds no violation of WCAG 2.2 A and AA on any page: names, contrast, order, labels, languages."""
    found = []
    shutil.copy(ROSTER, tmp_path / "duty.toml")
    for path in pages(app, busy(field)):
        answer = sight.goto(running.url + path)
        assert answer is not None
        assert answer.status == 200, path
        result = Axe().run(sight, options=RULES)
        found += [
            (path, violation["id"], node["html"][:200])
            for violation in result.response["violations"]
            for node in violation["nodes"]
        ]
    assert found == []


def test_the_judge_finds_what_is_wrong(sight: "Page", running: "Running", field: "Field") -> None:
    """A field without a name and grey on grey are found: a judge that finds nothing anywhere proves nothing."""
    field.all_well()
    sight.goto(running.url)
    sight.evaluate(
        "document.querySelector('main').innerHTML = '<input><p id=faint>word</p>';"
        "document.getElementById('faint').style.cssText = 'color:#777;background:#888'"
    )
    rules = {violation["id"] for violation in Axe().run(sight, options=RULES).response["violations"]}
    assert {"label", "color-contrast"} <= rules
