"""The pages in a real browser: live within a moment, nothing typed is lost, nothing breaks the policy, phone first."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import BrowserContext, Page

    from tests.dashboard.conftest import Field, ListHistory, Running, StillClock

pytestmark = pytest.mark.browser
NOW = 1_760_000_000_000
PHONE = {"width": 390, "height": 844}
PASSWORD = "correct horse battery"


def test_an_alarm_appears_and_is_acknowledged(page: "Page", field: "Field") -> None:
    """It comes by itself, on the plan and in the list; one press acknowledges; the hub's answer shows itself."""
    number = field.alarm("water-presence", "radar-lake", severity="P1")
    page.wait_for_selector(f"#need-{number}.unacked")
    assert page.locator("#place-lake.p1.unacked").count() == 1
    assert page.title().startswith("(1) ")
    assert page.locator("text=All watched").count() == 0
    page.click(f"#need-{number} >> text=I have seen it")
    page.wait_for_selector("text=manager has seen it, waiting for the hub")
    (order,) = field.orders()
    assert (order["kind"], order["occurrence"], order["actor"]) == ("ack", 1, "manager")
    for table in ("alarm", "occurrence"):
        field.db.execute(f"UPDATE {table} SET acked = ?, acked_by = 'manager'", (NOW,))
    field.db.execute("UPDATE orders SET state = 'done', ended = ?", (NOW,))
    field.flip(number, "acked", actor="manager")
    page.wait_for_selector("text=manager has seen it at 16:53:20.")
    field.db.execute("UPDATE occurrence SET closed = 'cleared', cleared = ?, ended = ?", (NOW, NOW))
    field.flip(number, "cleared")
    page.wait_for_selector("text=All watched, nothing to do.")


def test_a_comment_that_is_being_typed_stays(page: "Page", field: "Field", running: "Running") -> None:
    """News of the alarm comes in beside it; text, cursor and focus are as they were; then it is sent."""
    number = field.alarm("gate-held", "gate-east")
    page.goto(f"{running.url}/alarms/{number}")
    page.wait_for_selector("#live-word:has-text('live')")
    page.locator("#text").press_sequentially("on my w")
    page.locator("#text").press("ArrowLeft")
    field.flip(number, "comment", actor="lin", note="camera shows a van")
    page.wait_for_selector("blockquote:has-text('camera shows a van')")
    assert page.input_value("#text") == "on my w"
    page.keyboard.type("X")
    assert page.input_value("#text") == "on my Xw"
    page.click("text=Add the comment")
    page.wait_for_selector("li.waiting >> text=on my Xw")
    assert page.input_value("#text") == ""
    assert [order["text"] for order in field.orders()] == ["on my Xw"]


def test_values_and_charts_are_live(page: "Page", field: "Field", history: "ListHistory", running: "Running") -> None:
    """A new reading changes the figure without a new page; the chart draws history and takes the reading on."""
    history.kept = [("noise-east", "laeq", NOW - 630_000 + n * 5000, 44.0 + n % 3) for n in range(119)]
    field.read("noise-east", "laeq", 50.0, NOW - 20_000)
    page.goto(f"{running.url}/devices/noise-east")
    page.wait_for_selector(".u-wrap canvas")
    page.wait_for_selector("#live-word:has-text('live')")
    over = page.locator("#chart-laeq .u-over").bounding_box()
    assert over
    legend = page.locator("#chart-laeq .u-legend")
    page.mouse.move(over["x"] + over["width"] * 0.95, over["y"] + 40)
    expect(legend).to_contain_text(re.compile(r"mean4[456]\.\d dB"))
    page.mouse.move(over["x"] + over["width"] - 1, over["y"] + 40)
    expect(legend).to_contain_text("50.0 dB")
    field.read("noise-east", "laeq", 63.4, NOW - 1000)
    expect(page.locator("[data-series='noise-east/laeq']")).to_contain_text("63.4")
    expect(legend).to_contain_text("63.4 dB")
    page.click("[data-span='30d']")
    expect(page.locator("[data-span='30d']")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#chart-laeq .gap-note")).to_be_visible()


def test_an_order_is_two_steps_and_shows_its_outcome(page: "Page", field: "Field", running: "Running") -> None:
    """The page says what will happen and asks why; afterwards it tells by itself what became of it."""
    field.read("gate-north", "gate", "closed")
    page.goto(f"{running.url}/devices/gate-north")
    page.click("a:has-text('Open')")
    assert "within 8 s" in page.inner_text("main")
    page.click("button:has-text('Open')")
    assert field.orders() == []  # the browser asks for the reason
    page.fill("#reason", "ambulance")
    page.click("button:has-text('Open')")
    page.wait_for_selector("#orders >> text=waiting for the hub since 16:53:20")
    field.db.execute("UPDATE orders SET state = 'confirmed', sent = ?, ended = ?", (NOW, NOW + 1000))
    page.wait_for_selector("#orders >> text=confirmed by the device at 16:53:21")


def test_a_limit_is_changed_from_its_alarm(page: "Page", field: "Field", running: "Running") -> None:
    """From the alarm to its number, old beside new, with a reason; the page then tells by itself that it holds."""
    number = field.alarm("noise-limit", "noise-square", severity="P3", quantity="laeq", value=72.0, limit=65.0)
    page.goto(f"{running.url}/alarms/{number}")
    page.click("a:has-text('Change this limit')")
    page.click("#key-above a:has-text('Change')")
    assert "by noise class and hour (GB 3096)" in page.inner_text(".old-new")
    page.fill("#value", "75")
    page.click("button:has-text('Change it')")
    assert field.orders() == []  # the browser asks for the reason
    page.fill("#text", "drums until ten")
    page.click("button:has-text('Change it')")
    page.wait_for_selector("#limit-now >> text=waiting for the hub since 16:53:20")
    (order,) = field.orders()
    assert (order["target"], order["command"]) == ("noise-limit/square", "above=75")
    row = {"rule": "noise-limit", "zone": "square", "key": "above", "before": "noise", "at": NOW}
    field.put("rule_limit", **row, value=75.0, actor="manager", reason="drums until ten")
    field.db.execute("UPDATE orders SET state = 'done', ended = ?", (NOW,))
    page.wait_for_selector("#key-above:has-text('75 dB') >> text=set here by manager")


def test_a_mute_appears_on_open_pages(page: "Page", field: "Field", running: "Running") -> None:
    """Whoever looks at another page sees it within a moment, and "all watched" goes."""
    page.goto(f"{running.url}/devices")
    page.wait_for_selector("#live-word:has-text('live')")
    field.put("mute", zone="square", at=NOW - 1, until=NOW + 600_000, actor="lin", reason="a wedding")
    field.order("mute", "square", state="done")
    page.wait_for_selector("#strips summary:has-text('Zones muted 1')")
    assert "All watched" not in page.inner_text("#strips")


def test_a_lost_stream_is_said(
    page: "Page", field: "Field", running: "Running", complaints: list[str], clock: "StillClock"
) -> None:
    """When the office goes away the page says since when it is not live, and tries again."""
    running.stop()
    page.wait_for_selector("#lost:has-text('Not live: last update 16:53:20, reconnecting')")
    assert page.inner_text("#live-word") == ""
    page.wait_for_timeout(100)
    assert all("ERR_CONNECTION" in text or "ERR_INCOMPLETE" in text for text in complaints), complaints
    complaints.clear()
    page.evaluate("window.stop()")


def test_a_page_that_there_is_not_is_live_all_the_same(
    page: "Page", field: "Field", running: "Running", complaints: list[str]
) -> None:
    """It must not look as if the connection were lost, and a P1 takes its screen too."""
    page.goto(f"{running.url}/no-such-page")
    page.wait_for_selector("#live-word:has-text('live')")
    assert page.is_hidden("#lost")
    field.alarm("water-presence", "radar-lake", severity="P1")
    page.wait_for_selector(".need.takes")
    assert page.is_hidden("#lost")
    complaints[:] = [text for text in complaints if "404" not in text]


def test_a_session_that_ends_is_said(page: "Page", field: "Field", clock: "StillClock", complaints: list[str]) -> None:
    """A page whose session has ended never looks as if it were live."""
    clock.at += 31 * 60_000
    field.beat(clock.at)
    page.wait_for_selector("#lost a:has-text('You were signed out')")
    assert "/login?next=" in (page.get_attribute("#lost a", "href") or "")
    assert page.inner_text("#live-word") == ""
    complaints[:] = [text for text in complaints if "401" not in text]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_phone_never_scrolls_sideways(page: "Page", field: "Field", running: "Running", lang: str) -> None:
    """At 390 px every page fits, its text is 16 px at least, and what is pressed is 44 px high."""
    number = field.alarm("water-presence", "radar-lake", severity="P1", quantity="presence", value="present")
    field.alarm("noise-limit", "noise-east", severity="P3", quantity="laeq", value=52.1, limit=45.0)
    field.health("noise-garage", "silent")
    for number_of, zone in enumerate(("square", "lake")):
        field.put(
            "mute", zone=zone, at=NOW - 1, until=NOW + 600_000, actor="lin", reason="works " * (1 + 8 * number_of)
        )
    field.put("rule_limit", rule="noise-limit", zone="square", key="above", value=58.0, actor="lin", reason="w", at=NOW)
    for device in field.site.devices().values():
        for quantity in device.profile.reading:
            field.read(device.id, quantity, 1.0 if quantity in ("laeq", "water_level", "battery") else "open")
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # a TypedDict of the same shape
    paths = ["/", "/alarms", f"/alarms/{number}", f"/alarms/{number + 1}/mute", "/devices", "/devices/gate-east"]
    paths += [
        "/noise",
        "/reports",
        "/limits",
        "/limits/noise-limit?zone=square",
        "/limits/noise-limit/above?zone=square",
        "/mutes",
    ]
    for path in [*paths, "/devices/yard-relay", "/devices/noise-east", "/devices/gate-east/do/open", "/account"]:
        page.goto(f"{running.url}{path}{'&' if '?' in path else '?'}lang={lang}")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
        small = page.evaluate(
            "[...document.querySelectorAll('main *, header *')].filter(e => e.checkVisibility() && !e.closest('svg')"
            " && [...e.childNodes].some(n => n.nodeType === 3 && n.nodeValue.trim())"
            " && parseFloat(getComputedStyle(e).fontSize) < 16).map(e => e.outerHTML)"
        )
        assert small == [], path
        low = page.evaluate(
            "[...document.querySelectorAll('button, .button, .nav a, input:not([type=hidden]), select')]"
            ".filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"
        )
        assert low == [], path


def test_without_script_it_works_all_the_same(chromium: "Chromium", running: "Running", field: "Field") -> None:
    """Plain HTML and forms: signing in, acknowledging and commenting need no script."""
    field.all_well()
    number = field.alarm("gate-held", "gate-east")
    context = chromium.new_context(java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    page.goto(f"{running.url}/alarms/{number}")
    page.fill("#name", "guard")
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.click("text=I have seen it")
    page.fill("#text", "seen on camera")
    page.click("text=Add the comment")
    page.click("text=Now")
    assert "guard has seen it, waiting for the hub" in page.inner_text("main")
    context.close()
    assert [order["kind"] for order in field.orders()] == ["ack", "comment"]


def contrast(a: str, b: str) -> float:
    """WCAG 2.2 contrast ratio of two #rrggbb colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast(scheme: int) -> None:
    """Text has 4.5:1 and signs have 3:1 against what they stand on, by day and by night (WCAG AA)."""
    css = (Path(__file__).parents[3] / "dashboard" / "static" / "app.css").read_text()
    root = re.findall(r":root {(.*?)}", css, flags=re.DOTALL)[scheme]
    colour = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", root))
    grounds = ("page", "sheet", "raised")
    texts = [(ink, ground) for ink in ("ink", "quiet") for ground in (*grounds, "button")]
    texts += [("primary-ink", "primary"), *((f"p{n}-ink", f"p{n}") for n in range(1, 5))]
    for ink, ground in texts:
        assert contrast(colour[ink], colour[ground]) >= 4.5, (ink, ground)
    for ink, ground in [("line-strong", "raised"), ("focus", "page"), ("chart", "raised"), ("p1", "raised")]:
        assert contrast(colour[ink], colour[ground]) >= 3, (ink, ground)


def test_a_p1_takes_the_screen_of_any_page(page: "Page", running: "Running", field: "Field") -> None:
    """On another page it stands above everything, says what to do, and one press there acknowledges it."""
    page.goto(f"{running.url}/devices")
    page.wait_for_selector("#live-word:has-text('live')")
    number = field.alarm("water-presence", "radar-lake", severity="P1")
    page.wait_for_selector(f"#takeover-{number}.takes")
    assert page.locator(f"#takeover-{number}").bounding_box()["y"] < 200  # type: ignore[index]  # it is there
    page.click(f"#takeover-{number} >> text=I have seen it")
    page.wait_for_selector(f"#takeover-{number} >> text=manager has seen it")
    assert [order["kind"] for order in field.orders()] == ["ack"]


def test_a_p2_takes_no_screen(page: "Page", running: "Running", field: "Field") -> None:
    """Only what lives hang on may push a page aside."""
    page.goto(f"{running.url}/devices")
    page.wait_for_selector("#live-word:has-text('live')")
    field.alarm("gate-held", "gate-east", severity="P2")
    page.wait_for_selector(".strip.needs-you")
    assert page.locator(".takes").count() == 0


def test_sound_after_one_press_and_only_for_p1(page: "Page", field: "Field") -> None:
    """It says that it is off until it is pressed; then it sounds while a P1 waits, and is silent when there is none."""
    assert page.inner_text("#sound") == "No sound"
    page.click("#sound")
    page.wait_for_selector("#sound:has-text('Sound on')")
    field.alarm("gate-held", "gate-east", severity="P2")
    page.wait_for_selector(".strip.needs-you")
    page.wait_for_timeout(2_500)
    assert page.get_attribute("html", "data-sounded") is None
    field.alarm("water-presence", "radar-lake", severity="P1")
    page.wait_for_selector("html[data-sounded]")


def test_without_a_link_the_phone_says_so(page: "Page", running: "Running", context: "BrowserContext") -> None:
    """A page that is opened while the hub cannot be reached is never an old one: it says since when, in words."""
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.wait_for_function("caches.match('/offline').then((kept) => Boolean(kept))")
    context.set_offline(True)
    other = context.new_page()
    other.goto(running.url)
    other.wait_for_selector("text=No connection to the hub")
    assert "Last heard of" in other.inner_text("#seen")
    context.set_offline(False)
    other.wait_for_selector("text=All watched, nothing to do.")
    other.close()


def test_it_can_be_put_on_a_phone(page: "Page", running: "Running") -> None:
    """The manifest has what installing needs, and each icon is there."""
    manifest = page.evaluate("fetch('/manifest.webmanifest').then((answer) => answer.json())")
    assert (manifest["display"], manifest["start_url"], manifest["short_name"]) == (
        "standalone",
        "/",
        "Zhongshan Garden",
    )
    for icon in manifest["icons"]:
        assert page.request.get(running.url + icon["src"]).headers["content-type"] == "image/png"


def test_a_place_is_dragged(page: "Page", running: "Running") -> None:
    """By pointer and by arrow keys; what was dragged is what is kept."""
    page.goto(f"{running.url}/plan/edit")
    box = page.locator("#grip-lake .calm").bounding_box()
    plan = page.locator("#plan-edit").bounding_box()
    assert box
    assert plan
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(plan["x"] + plan["width"] * 0.5, plan["y"] + plan["height"] * 0.25, steps=5)
    page.mouse.up()
    page.focus("#grip-lake")
    page.keyboard.press("ArrowRight")
    page.click("button:has-text('Keep the places')")
    page.wait_for_selector("text=The places are kept.")
    assert float(page.get_attribute("[name=x-lake]", "value") or 0) == pytest.approx(0.505, abs=0.01)
    assert float(page.get_attribute("[name=y-lake]", "value") or 0) == pytest.approx(0.25, abs=0.01)
