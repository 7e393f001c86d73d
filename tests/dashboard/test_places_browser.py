"""Gates, water edges and dogs in a real browser, in both languages: the main task of each page, by keyboard too."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page

    from tests.dashboard.conftest import Browser, Field, ListHistory, Running

pytestmark = pytest.mark.browser
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
NOW = 1_760_000_000_000
CHIP = "999123456789012"
LAKE = "water-presence/radar-lake"
OPEN = {"zh": "开门", "en": "Open"}


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Chromium]":
    """One Chromium for the file."""
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield made
        made.close()


@pytest.fixture
def visit(
    chromium: "Chromium", running: "Running", field: "Field", browser: "Browser"
) -> "Iterator[Callable[..., Page]]":
    """Opens a page as a role, in a language; nothing may be complained of."""
    field.all_well()
    expect.set_options(timeout=15_000)
    complaints: list[str] = []
    contexts = []

    def opened(path: str, lang: str = "en", role: str = "manager", *, phone: bool = False) -> "Page":
        size = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 800}
        context = chromium.new_context(locale={"zh": "zh-CN", "en": "en-GB"}[lang], viewport=size)  # type: ignore[arg-type]  # a TypedDict of the same shape
        context.set_default_timeout(15_000)
        contexts.append(context)
        context.add_cookies([{"name": "zhian", "value": browser.enter(role), "url": running.url}])
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(running.url + path)
        page.wait_for_selector("#live-word:not(:empty)")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_gate_is_opened_and_its_outcome_shows_itself(lang: str, visit: "Callable[..., Page]", field: "Field") -> None:
    """From the page of gates, with a reason; then sent, and not answered, without a new page."""
    field.read("gate-north", "gate", "closed")
    page = visit("/gates", lang)
    page.click(f"#gate-gate-north a:has-text('{OPEN[lang]}')")
    page.fill("#reason", "ambulance")
    page.keyboard.press("Enter")
    waiting = {"zh": "等待", "en": "waiting for the hub since 16:53:20"}[lang]
    page.wait_for_selector(f"#gate-gate-north .result:has-text('{waiting}')")
    (order,) = field.orders()
    assert (order["target"], order["command"], order["expires"] - order["issued"]) == ("gate-north", "open", 10_000)
    field.db.execute("UPDATE orders SET state = 'sent', sent = ?", (NOW + 1000,))
    page.wait_for_selector("#gate-gate-north .sent .result:has-text('16:53:21')")
    field.read("gate-north", "gate", "open", NOW + 2000)
    field.db.execute("UPDATE orders SET state = 'confirmed', ended = ?", (NOW + 2000,))
    page.wait_for_selector("#gate-gate-north .confirmed .result:has-text('16:53:22')")
    field.db.execute("UPDATE orders SET state = 'unconfirmed', outcome = 'not-confirmed:8'")
    unknown = {
        "zh": "16:53:21 已发出，8 秒内未应答：状态不明，请到现场查看",
        "en": "no answer in 8 s: state unknown, go and look",
    }
    page.wait_for_selector(f"#gate-gate-north .result:has-text('{unknown[lang]}')")


def test_a_passage_that_is_said_again_is_news(visit: "Callable[..., Page]", field: "Field") -> None:
    """Two people one after the other: the second "granted" shows at once, too."""
    field.read("gate-north", "passage", "granted", NOW - 9_000, direction="in")
    page = visit("/gates")
    granted = page.locator("#gate-gate-north .passages b").first
    expect(granted).to_have_text("1")
    field.read("gate-north", "passage", "granted", NOW - 1_000, direction="in")
    expect(granted).to_have_text("2")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_an_edge_is_tested_by_a_guard(lang: str, visit: "Callable[..., Page]", field: "Field") -> None:
    """Two steps; then the countdown, which sensor has seen him, and that it is passed, all by itself; by keyboard."""
    field.read("radar-lake", "presence", "absent")
    page = visit("/water", lang, "guard")
    page.focus("#edge-lake .buttons a")
    page.keyboard.press("Enter")
    page.wait_for_selector("#water-test")
    page.check("input[value=withheld]")
    page.select_option("#seconds", "120")
    page.click("form button.primary")
    page.wait_for_selector("#edge-lake .waiting")
    (order,) = field.orders()
    assert (order["kind"], order["command"], order["seconds"]) == ("drill", "withheld", 120.0)
    row = {"zone": "lake", "at": NOW, "siren": "withheld", "actor": "guard", "note": "", "expected": f'["{LAKE}"]'}
    field.put("drill", **row, until=NOW + 120_000, state="running")
    field.db.execute("UPDATE orders SET state = 'done', ended = ?", (NOW,))
    page.wait_for_selector("#edge-lake .running time[data-until]")
    field.put(
        "drill", **row, until=NOW + 70_000, state="passed", caught=f'[["{LAKE}", 1, {NOW + 10_000}]]'
    )  # fmt: skip
    field.alarm("water-presence", "radar-lake", severity="P1", raised=NOW + 10_000)
    page.wait_for_selector("#edge-lake .running strong:has-text('16:53:30')")
    word = {"zh": "演练", "en": "Drill"}[lang]
    page.wait_for_selector(f"#edge-lake .line .drill:has-text('{word}')")
    assert page.get_by_role("button", name={"zh": "结束测试", "en": "End the test"}[lang]).count() == 1


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_dogs_come_from_a_file(lang: str, visit: "Callable[..., Page]", field: "Field") -> None:
    """A GBK file with a mistake is refused by row and column; mended it is shown, and then imported."""
    page = visit("/dogs", lang)
    page.click("a[href='/dogs/import']")
    head, good = "芯片号,犬名,犬主\n", "3E7.1CBE991A14,豆豆,陈女士\n"
    bad = {"name": "dogs.csv", "mimeType": "text/csv", "buffer": (head + "1.56E+14,旺财,\n").encode("gbk")}
    page.set_input_files("#file", bad)  # type: ignore[arg-type]  # a TypedDict of the same shape
    page.click("form button.primary")
    told = page.inner_text("#mistakes")
    assert "1.56E+14" in told
    assert {"zh": "表格软件把号码缩短了", "en": "has shortened the number"}[lang] in told
    page.set_input_files("#file", {**bad, "buffer": (head + good).encode("gbk")})  # type: ignore[arg-type]  # as above
    page.click("form button.primary")
    page.wait_for_selector("#checked >> text=999.123.456.789.012")
    assert field.orders() == []
    page.click("#checked button.primary")
    page.wait_for_selector("#dog-list")
    assert [(order["target"], order["text"]) for order in field.orders()] == [("dogs", f"{CHIP} 豆豆")]
    field.put("entry", list="dogs", id=CHIP, note="豆豆")
    field.db.execute("UPDATE orders SET state = 'done', ended = ?", (NOW,))
    page.wait_for_selector(f"#dog-{CHIP} >> text=陈女士")


def test_it_works_without_script(chromium: "Chromium", running: "Running", field: "Field", browser: "Browser") -> None:
    """Plain forms: a test is begun, a dog is lost."""
    field.all_well()
    field.put("entry", list="dogs", id=CHIP, note="豆豆")
    context = chromium.new_context(java_script_enabled=False, locale="en-GB")
    context.add_cookies([{"name": "zhian", "value": browser.enter("manager"), "url": running.url}])
    page = context.new_page()
    page.goto(f"{running.url}/water/lake/test")
    page.click("form button.primary")
    assert "Daily test" in page.inner_text("#edge-lake")
    page.goto(f"{running.url}/dogs/{CHIP}")
    page.fill("#text", "east gate")
    page.click("text=It is lost")
    context.close()
    assert [order["kind"] for order in field.orders()] == ["drill", "list-add"]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_phone_and_the_reader(
    lang: str, visit: "Callable[..., Page]", field: "Field", history: "ListHistory"
) -> None:
    """At 390 px nothing scrolls sideways, text has 16 px, what is pressed 44; every field and control has a name."""
    field.read("gate-north", "gate", "closed")
    field.alarm("gate-held", "gate-north")
    field.order(
        "command", "gate-north", command="open", text="x " * 100, state="unconfirmed", outcome="not-confirmed:8"
    )
    field.put("mute", zone="lake", at=NOW - 1, until=NOW + 600_000, actor="lin", reason="works " * 9)
    field.put("entry", list="dogs", id=CHIP, note="豆豆" * 20)
    for number in range(12):
        history.happen(
            "gate-north", "passage", NOW - 1000 * number, "granted", direction="in", credential=f"c-{number}"
        )
        history.happen("chip-north", "chip", NOW - 1000 * number, CHIP)
    paths = ["/gates", "/water", "/water/lake/test", "/dogs", f"/dogs/{CHIP}", "/dogs/new", "/dogs/import"]
    page = visit("/", lang, phone=True)
    base = page.url.rstrip("/")
    for path in paths:
        page.goto(base + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        assert page.evaluate(_SMALL) == [], path
        assert page.evaluate(_LOW) == [], path
        assert page.evaluate(_NAMELESS) == [], path
        assert page.locator("h1").count() == 1, path


_SMALL = """[...document.querySelectorAll('main *')].filter(e => e.checkVisibility() && !e.closest('svg')
  && [...e.childNodes].some(n => n.nodeType === 3 && n.nodeValue.trim())
  && parseFloat(getComputedStyle(e).fontSize) < 16).map(e => e.outerHTML)"""
_LOW = """[...document.querySelectorAll('button, .button, .nav a, input:not([type=hidden]):not([type=radio]), select')]
  .concat([...document.querySelectorAll('summary, label.tick')])
  .filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"""
_NAMELESS = """[...document.querySelectorAll('input:not([type=hidden]), select, textarea, a, button')]
  .filter(e => e.checkVisibility() && !(e.textContent.trim() || e.ariaLabel || (e.labels && e.labels.length)))
  .map(e => e.outerHTML)"""
