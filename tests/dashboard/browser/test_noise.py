"""Noise and reports in a real browser, in both languages: is it within the limit, and can I take the proof with me?"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from hub.settings.site import Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import BrowserContext, Page

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, ListHistory, Running, StillClock

pytestmark = pytest.mark.browser
PACE = 5000
WORDS = {
    "zh": ("高于限值 2.3 dB", "低于限值 3.0 dB", "以表格查看", "月报", "生成", "超标", "中文 · XLSX"),
    "en": (
        "2.3 dB above",
        "3.0 dB below",
        "The same as a table",
        "Monthly report",
        "Make it",
        "above the limit",
        "English · XLSX",
    ),
}


@pytest.fixture(scope="session")
def site(site: Site) -> Site:
    """The demo's community with the usual night."""
    return msgspec.structs.replace(site, night="22:00-06:00")


@pytest.fixture(params=list(WORDS))
def language(request: pytest.FixtureRequest) -> str:
    """Both."""
    return str(request.param)


@pytest.fixture
def page(
    chromium: "Chromium",
    language: str,
    running: "Running",
    field: "Field",
    browser: "Browser",
    clock: "StillClock",
    history: "ListHistory",
    site: Site,
) -> "Iterator[Page]":
    """A manager's phone on the Noise page at 23:30, after a quiet day and a loud night."""

    def local(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=site.tz).timestamp() * 1000)

    clock.at = local("2025-10-09T23:30")
    field.all_well(clock.at)
    field.read("noise-square", "laeq", 47.3, clock.at - 2000)
    for since, until, level in (("08T06", "08T22", 50.0), ("08T22", "09T06", 47.0), ("09T06", "09T22", 51.0)):
        span = range(local(f"2025-10-{since}:00") + PACE, local(f"2025-10-{until}:00") + 1, PACE)
        history.kept += [("noise-square", "laeq", at, level) for at in span]
    complaints: list[str] = []
    context: BrowserContext = chromium.new_context(
        locale="zh-CN" if language == "zh" else "en-GB",
        viewport={"width": 390, "height": 844},
        accept_downloads=True,
    )
    context.set_default_timeout(15_000)
    context.add_cookies([{"name": "zhian", "value": browser.enter("manager"), "url": running.url}])
    made = context.new_page()
    made.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    made.on("pageerror", lambda error: complaints.append(str(error)))
    made.goto(f"{running.url}/noise")
    made.wait_for_selector("#live-word:not(:empty)")
    yield made
    context.close()
    assert complaints == []


def test_within_the_limit_or_not(page: "Page", field: "Field", clock: "StillClock", language: str) -> None:
    """The level, its distance from the limit and its place on the scale follow each reading without a new page."""
    above, below, *_ = WORDS[language]
    meter = page.locator("#meter-noise-square")
    assert above in meter.locator(".verdict").inner_text()
    width = float(meter.locator(".scale .now").get_attribute("width") or 0)
    field.read("noise-square", "laeq", 42.0, clock.at - 1000)
    page.wait_for_selector(f"#meter-noise-square .verdict:has-text('{below}')")
    assert float(meter.locator(".scale .now").get_attribute("width") or 0) < width
    assert meter.locator(".level.over").count() == 0


def test_the_days_are_bars_and_a_table(page: "Page", office: "Office", language: str) -> None:
    """Once their figures are made the bars stand there; the loud night has its sign; the table says the same."""
    office.reports.idle()
    page.reload()
    meter = page.locator("#meter-noise-square")
    assert meter.locator(".bar.night.counts.over .sign").count() == 1
    assert meter.locator(".bar.day.counts").count() == 2
    assert meter.locator(".bar.nothing").count() > 4
    meter.locator(f"summary:has-text('{WORDS[language][2]}')").click()
    row = meter.locator("tr:has-text('10-08')").inner_text()
    assert "47.0" in row
    assert WORDS[language][5] in row


def test_a_report_is_made_and_taken_home(page: "Page", language: str, tmp_path: Path) -> None:
    """From the meter's zone to its form; the page shows by itself when it is made; the file is a workbook."""
    *_, monthly, make, _, entry = WORDS[language]
    page.click(f"#zone-square >> text={monthly}")
    assert page.input_value("select[name=zone]") == "square"
    page.select_option("select[name=month]", "2025-10")
    page.click(f"button:has-text('{make}')")
    page.wait_for_selector(f"#shelf a:has-text('{entry}')")
    with page.expect_download() as download:
        page.click(f"#shelf a:has-text('{entry}')")
    assert download.value.suggested_filename == f"noise-square-2025-10-{language}.xlsx"
    download.value.save_as(tmp_path / "report.xlsx")
    assert (tmp_path / "report.xlsx").read_bytes()[:2] == b"PK"
