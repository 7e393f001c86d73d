"""Duty and incidents in a real browser, in both languages: call, take over, an incident from dispatched to fed back."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub.calendar.days import Days, seed
from hub.duty.casebook import look, obey
from hub.duty.desk import obey as obey_desk
from hub.duty.file import FILE, load_duty
from hub.duty.roster import Roster

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page

    from hub.settings.site import Site
    from tests.dashboard.conftest import Browser, Field, Running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
NOW = 1_760_000_000_000
DUTY = """
[[person]]
id = "leader"
name = "班长"
user = "guard"
phone = "00000000001"
address = { log = "leader" }
[[shift]]
id = "day"
name = { zh = "白班", en = "Day" }
role = "guard"
hours = "00:00-24:00"
people = ["leader"]
"""
WORDS = {
    "zh-CN": ("班长 值班", "呼叫 班长", "确认接班：班长", "已接班", "我来处理", "处理中", "反馈：已处理", "已反馈"),
    "en-GB": ("班长 on duty", "Call 班长", "Taken over: 班长", "took over at", "I am dealing with it", "accepted",
              "It is dealt with", "fed back"),
}  # fmt: skip


@pytest.fixture
def hub(field: "Field", site: "Site", tmp_path: Path) -> Callable[[], None]:
    """One look of the hub's duty room at incidents and orders."""
    (tmp_path / FILE).write_text(DUTY, encoding="utf-8")

    def looked() -> None:
        duty = load_duty(tmp_path, site)
        assert duty is not None
        roster = Roster(duty, site.tz, Days(seed()))
        field.db.row_factory = sqlite3.Row
        obey_desk(field.db, tmp_path, site, roster, NOW)
        obey(field.db, roster, NOW)
        look(field.db, roster, NOW)
        field.db.row_factory = None

    return looked


@pytest.fixture(params=list(WORDS))
def phone(
    request: pytest.FixtureRequest, chromium: "Chromium", running: "Running", browser: "Browser"
) -> "Iterator[tuple[Page, str]]":
    """The guard's phone, and its language."""
    context = chromium.new_context(locale=request.param, viewport={"width": 390, "height": 844})
    context.set_default_timeout(20_000)
    context.add_cookies([{"name": "zhian", "value": browser.enter("guard"), "url": running.url}])
    yield context.new_page(), request.param
    context.close()


def test_a_guard_takes_over_and_deals_with_an_incident(
    phone: "tuple[Page, str]", running: "Running", field: "Field", hub: Callable[[], None]
) -> None:
    """Each step is one tap or one sentence; the page shows what the hub made of it, without being loaded again."""
    page, language = phone
    _, call, take, taken, accept, working, feedback, done = WORDS[language]
    field.all_well()
    field.alarm("sos", "sos-lake", severity="P1")
    hub()
    page.goto(f"{running.url}/duty")
    assert page.locator(".watches a.call").first.inner_text().startswith(call)
    page.click(f"button:has-text('{take}')")
    page.wait_for_selector("#watch .waiting")
    hub()
    page.wait_for_selector(f"#on li:has-text('{taken}')")
    page.goto(f"{running.url}/incidents")
    page.click(f"#board button:has-text('{accept}')")
    while not any(order["command"] == "accept" for order in field.orders()):
        page.wait_for_timeout(50)
    hub()
    page.wait_for_selector(f"#board h2:has-text('{working}') + ul #incident-1")
    page.click(f"#board a:has-text('{feedback}')")
    page.fill("#next input[name=text]", "找到了 <b>, dry")
    page.click("#next button[type=submit]")
    page.wait_for_selector("#incident .waiting")
    hub()
    page.wait_for_selector(f"#incident dd:has-text('{done}')")
    assert "<b>, dry" in page.locator("#log").inner_text()
    assert field.db.execute("SELECT state FROM incident").fetchall() == [("done",)]


def test_the_header_names_who_is_on_duty(
    chromium: "Chromium", running: "Running", browser: "Browser", field: "Field", hub: Callable[[], None]
) -> None:
    """On the desktop, on every page; the manager's card has the button that dials."""
    field.all_well()
    field.alarm("sos", "sos-lake", severity="P1")
    hub()
    context = chromium.new_context(locale="zh-CN", viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": "zhian", "value": browser.enter("manager"), "url": running.url}])
    page = context.new_page()
    page.goto(running.url)
    assert page.locator("#on-duty").inner_text() == WORDS["zh-CN"][0]
    assert page.locator("#needs a.call").get_attribute("href") == "tel:00000000001"
    context.close()
