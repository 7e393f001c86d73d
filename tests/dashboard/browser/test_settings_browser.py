"""Settings, calendar and About in a real browser: each page's main task, in both languages, on desk and phone."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page

    from tests.dashboard.conftest import Browser, Field, Running

pytestmark = pytest.mark.browser
NOW = 1_760_000_000_000
PATHS = ["/settings", "/settings/calendar", "/about", "/lines/rs485-yard", "/lines/rs485-yard/add"]
PATHS += ["/lines/rs485-yard/add/noise/generic-rs485"]


def test_a_channel_is_tested_and_tells_by_itself(page: "Page", field: "Field", running: "Running") -> None:
    """One press; the outcome appears on the open page."""
    page.goto(f"{running.url}/settings")
    page.wait_for_selector("#live-word:has-text('live')")
    page.click("#channel-log >> text=Send a test")
    page.wait_for_selector("#channel-log >> text=is being sent")
    field.db.execute("UPDATE orders SET state = 'done', outcome = 'done:accepted', ended = ?", (NOW,))
    page.wait_for_selector("#channel-log >> text=passed on 2025-10-09 16:53:20")


def test_a_day_becomes_a_holiday(page: "Page", field: "Field", running: "Running") -> None:
    """Two dates and a press; the month shows them."""
    page.goto(f"{running.url}/settings/calendar?lang=zh")
    page.fill("#first", "2025-11-03")
    page.fill("#last", "2025-11-04")
    page.click("button:has-text('保存')")
    page.wait_for_selector("text=日历已保存")
    assert "2025-11" in page.inner_text(".months")


def test_a_backup_tells_how_it_goes(
    chromium: "Chromium", browser: "Browser", field: "Field", running: "Running"
) -> None:
    """An administrator presses once; the page says by itself when it is made and read again, and lists it."""
    field.all_well()
    context = chromium.new_context(locale="en-GB")
    context.add_cookies([{"name": "zhian", "value": browser.enter("admin"), "url": running.url}])
    page = context.new_page()
    page.goto(f"{running.url}/about")
    page.click("button:has-text('Back up now')")
    page.wait_for_selector("text=Made, and read again without a fault.", timeout=60_000)
    page.click("summary:has-text('Download or check')")
    with page.expect_download() as download:
        page.click("button:has-text('Download') >> nth=0")
    assert download.value.suggested_filename.endswith(".tar.gz")
    context.close()


def test_a_form_says_what_is_wrong_and_keeps_what_was_filled_in(
    page: "Page", field: "Field", running: "Running"
) -> None:
    """From the line to the profile to the form; a taken number is named, and nothing has to be typed again."""
    page.goto(f"{running.url}/devices")
    page.click("#link-rs485-yard a")
    page.click("text=Add a device")
    page.click("a:has-text('noise/generic-rs485')")
    page.fill("#id", "noise-west")
    page.fill("#o-unit", "1")
    page.click("text=Test: read it once")
    page.wait_for_selector(".problem:has-text('Unit 1 is that of noise-square')")
    assert page.input_value("#id") == "noise-west"


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_on_the_phone_nothing_is_too_wide_or_too_small(
    page: "Page", field: "Field", running: "Running", lang: str
) -> None:
    """At 390 px every page fits, and what is pressed is 44 px high."""
    page.set_viewport_size({"width": 390, "height": 844})
    for path in PATHS:
        page.goto(f"{running.url}{path}?lang={lang}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        low = page.evaluate(
            "[...document.querySelectorAll('button, .button, summary, input:not([type=hidden]), select')]"
            ".filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"
        )
        assert low == [], path
