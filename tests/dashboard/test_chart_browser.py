"""Charts in a real browser: moved by buttons, drag, keys, fingers and dates; and what they say in words."""

import csv
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page

    from tests.dashboard.conftest import Browser, Field, ListHistory, Running

pytestmark = pytest.mark.browser
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
NOW = 1_760_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR
SHOTS = os.environ.get("ZHIAN_SHOTS", "")


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Chromium]":
    """One Chromium for the file."""
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield made
        made.close()


@pytest.fixture
def page(chromium: "Chromium", running: "Running", field: "Field", browser: "Browser") -> "Iterator[Page]":
    """Signed in as the guard; the browser has no complaint at the end."""
    field.all_well()
    context = chromium.new_context(locale="en-GB", viewport={"width": 1280, "height": 800}, has_touch=True)
    context.set_default_timeout(15_000)
    context.add_cookies([{"name": "zhian", "value": browser.enter("guard"), "url": running.url}])
    made, complaints = context.new_page(), list[str]()
    made.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    made.on("pageerror", lambda error: complaints.append(str(error)))
    yield made
    context.close()
    assert complaints == []


@pytest.fixture
def levels(history: "ListHistory") -> None:
    """A meter that spoke each minute for the last six hours but one."""
    times = [*range(NOW - 6 * HOUR, NOW - 3 * HOUR, 60_000), *range(NOW - 2 * HOUR, NOW, 60_000)]
    history.kept += [("noise-east", "laeq", ts, 48.0 + ts // 60_000 % 7) for ts in times]


@pytest.fixture
def gate(history: "ListHistory") -> None:
    """A gate that told its state each minute, open for a while, and counted passages."""
    for at in range(NOW - 5 * HOUR, NOW, 60_000):
        state = "open" if NOW - 3 * HOUR <= at < NOW - 2 * HOUR else "closed"
        history.kept += [("gate-north", "gate", at, state)]
        if (NOW - at) % 300_000 == 0:
            history.kept += [("gate-north", "passage", at, "granted")]


def shown(page: "Page") -> tuple[str, str]:
    """From when to when, as the page says of its charts."""
    said = page.inner_text("#chart-dates .stretch")
    found = re.match(r"(\S+ \S+) – (\S+ \S+)", said)
    assert found, said
    return found[1], found[2]


def moved(page: "Page", before: tuple[str, str]) -> tuple[str, str]:
    """The same, once it is another stretch and its data has come."""
    page.wait_for_function(
        "old => document.querySelector('#chart-dates .stretch').textContent !== old",
        arg=" – ".join(before),
    )
    page.wait_for_load_state("networkidle")
    return shown(page)


def test_every_way_to_move(page: "Page", running: "Running", levels: None) -> None:
    """Buttons, keys, drag and the way back; a zoomed chart is fetched anew, and says what it shows."""
    page.goto(f"{running.url}/devices/noise-east")
    page.wait_for_selector("#chart-laeq canvas")
    first = shown(page)
    assert first == ("2025-10-09 15:53:20", "2025-10-09 16:53:20")
    with page.expect_response(lambda answer: "since=" in answer.url):
        page.click("#chart-tools [data-move=closer]")
    closer = moved(page, first)
    assert closer == ("2025-10-09 16:08:20", "2025-10-09 16:38:20")
    page.focus("#chart-laeq .drawing")
    page.keyboard.press("ArrowLeft")
    earlier = moved(page, closer)
    assert earlier == ("2025-10-09 16:02:20", "2025-10-09 16:32:20")
    box = page.locator("#chart-laeq .u-over").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 60, steps=5)
    page.mouse.up()
    dragged = moved(page, earlier)
    assert dragged[0][:15] == "2025-10-09 16:09:50"[:15]
    assert page.is_enabled("#chart-tools [data-move=now]")
    page.focus("#chart-laeq .drawing")
    page.keyboard.press("Home")
    assert moved(page, dragged) == first
    assert page.is_disabled("#chart-tools [data-move=now]")


def test_two_fingers(page: "Page", running: "Running", levels: None) -> None:
    """One finger moves, two that part zoom in; the future is not shown."""
    page.goto(f"{running.url}/devices/noise-east")
    page.wait_for_selector("#chart-laeq canvas")
    before = shown(page)
    touch = """([name, ...fingers]) => {
      const area = document.querySelector('#chart-laeq .u-over');
      const box = area.getBoundingClientRect();
      for (const [pointerId, share] of fingers) area.dispatchEvent(new PointerEvent(name, {
        pointerId, pointerType: 'touch', clientX: box.left + box.width * share, clientY: box.top + 9, bubbles: true }));
    }"""
    page.evaluate(touch, ["pointerdown", [1, 0.2]])
    page.evaluate(touch, ["pointermove", [1, 0.7]])
    page.evaluate(touch, ["pointerup", [1, 0.7]])
    dragged = moved(page, before)
    assert dragged == ("2025-10-09 15:23:20", "2025-10-09 16:23:20")
    page.evaluate(touch, ["pointerdown", [1, 0.4], [2, 0.6]])
    page.evaluate(touch, ["pointermove", [1, 0.3]])
    page.evaluate(touch, ["pointermove", [2, 0.7]])
    page.evaluate(touch, ["pointerup", [1, 0.3], [2, 0.7]])
    pinched = moved(page, dragged)
    assert dragged[0] < pinched[0] < pinched[1] < dragged[1]


def test_chosen_dates_and_the_table(page: "Page", running: "Running", levels: None) -> None:
    """Dates of the site, both included; the table that is saved is of what is shown."""
    page.goto(f"{running.url}/devices/noise-east")
    page.wait_for_selector("#chart-laeq canvas")
    before = shown(page)
    page.click("#chart-dates .dates summary")
    page.fill("#chart-dates [name=from]", "2025-10-08")
    page.fill("#chart-dates [name=to]", "2025-10-09")
    page.click("#chart-dates .dates button")
    assert moved(page, before) == ("2025-10-08 00:00:00", "2025-10-09 16:53:20")
    with page.expect_download() as download:
        page.click("#chart-laeq .csv")
    rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8-sig"))))
    assert rows[0][:3] == ["time (local)", "time zone", "UTC ms"]
    assert int(rows[1][2]) == NOW - 6 * HOUR
    assert sum(int(row[6]) for row in rows[1:]) == 5 * 60


def test_states_and_counts(page: "Page", running: "Running", gate: None) -> None:
    """How long open and closed in words beside the bars, unknown where nothing was heard; how many passed."""
    page.goto(f"{running.url}/devices/gate-north")
    page.wait_for_selector("#chart-gate canvas")
    said = page.inner_text("#chart-gate .said")
    assert "open 1 h" in said
    assert "closed 4 h" in said
    assert "unknown 19 h" in said
    page.locator("#chart-passage").scroll_into_view_if_needed()
    page.wait_for_selector("#chart-passage canvas")
    assert "in all 60" in page.inner_text("#chart-passage .said")
    drawn = page.evaluate("""() => {
      const canvas = document.querySelector('#chart-gate canvas');
      const pen = canvas.getContext('2d');
      const row = pen.getImageData(0, Math.round(canvas.height * 0.2), canvas.width, 1).data;
      return new Set(Array.from({length: canvas.width}, (_, x) => row.slice(4 * x, 4 * x + 4).join())).size;
    }""")
    assert drawn >= 3  # closed, open, and what is hatched


def test_all_charts_of_a_device_show_the_same_stretch(page: "Page", running: "Running", gate: None) -> None:
    """One set of buttons for all charts, which move together."""
    page.goto(f"{running.url}/devices/gate-north")
    page.locator("#chart-passage").scroll_into_view_if_needed()
    page.wait_for_selector("#chart-passage .said:has-text('in all 60')")
    before = shown(page)
    page.click("#chart-tools [data-span='1h']")
    page.wait_for_selector("#chart-passage .said:has-text('in all 12')")
    page.wait_for_selector("#chart-gate .said:has-text('unknown 1 h')")  # what speaks each minute only
    assert moved(page, before)[1] == before[1]
    assert page.locator("[data-span='1h']").count() == 1


@pytest.mark.skipif(not SHOTS, reason="pictures for people to look at: ZHIAN_SHOTS names their folder")
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_pictures(page: "Page", running: "Running", levels: None, gate: None, size: tuple[int, int], scheme: str, language: str) -> None:  # fmt: skip  # noqa: E501
    """Each size, language and scheme."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for device, chart in (("noise-east", "laeq"), ("gate-north", "gate")):
        page.goto(f"{running.url}/devices/{device}?lang={language}")
        if device == "noise-east":
            page.click("#chart-tools [data-span='24h']")
        for name in (chart, "passage") if device == "gate-north" else (chart,):
            page.locator(f"#chart-{name}").scroll_into_view_if_needed()
            page.wait_for_selector(f"#chart-{name} canvas")
        page.wait_for_load_state("networkidle")
        page.screenshot(path=f"{SHOTS}/{device}-{size[0]}-{scheme}-{language}.png", full_page=True)
