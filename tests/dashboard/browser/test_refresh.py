"""What htmx fetches, in a real browser: nothing that a person is doing is lost, nothing looks live that is not."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub.duty.file import FILE

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request, Route

    from tests.dashboard.conftest import Field, Running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
NOW = 1_760_000_000_000
DUTY = """
[[person]]
id = "p1"
name = "Lin"
[[person]]
id = "p2"
name = "Wu"
[[shift]]
id = "day"
name = { zh = "白班", en = "Day" }
role = "guard"
hours = "00:00-24:00"
people = ["p1"]
"""


def opened(page: "Page", address: str) -> None:
    """The page is there and live, and bears a mark that a page loaded anew would not have."""
    page.goto("about:blank")  # nothing of the page before is under way
    page.goto(address)
    page.wait_for_selector("#live-word:has-text('live')")
    page.evaluate("window.same = true")


def same(page: "Page") -> bool:
    """Whether it was not loaded anew."""
    return page.evaluate("window.same === true") is True


def is_refresh(request: "Request") -> bool:
    """Whether the page asks for itself."""
    return "x-refresh" in request.headers


def incident(field: "Field", state: str) -> int:
    """An incident of a P1 at the lake."""
    row = {"key": "sos/sos-lake", "occurrence": 1, "severity": "P1", "opened": NOW, "since": NOW}
    return field.put("incident", state=state, **row)


def noted(field: "Field", number: int, text: str) -> None:
    """News of an incident."""
    field.put("incident_log", incident=number, at=NOW, event="noted", state="classified", actor="lin", text=text)
    field.db.execute("UPDATE incident SET since = since + 1")


def test_ticks_choices_and_folds_stay(page: "Page", field: "Field", running: "Running", tmp_path: Path) -> None:
    """What a person ticked, chose, typed or unfolded survives news; what he put back follows them, and goes."""
    (tmp_path / FILE).write_text(DUTY, encoding="utf-8")
    number = incident(field, "dispatched")
    opened(page, f"{running.url}/incidents/{number}")
    ticks, choice = page.locator("#do-dispatch input[name=to]"), page.locator("#do-defer select")

    def touch(index: int) -> None:
        for nth in (0, 1):
            page.locator("#do-dispatch label.tick").nth(nth).click()
        choice.select_option(index=index)
        page.evaluate("document.activeElement.blur()")

    assert (ticks.nth(0).is_checked(), ticks.nth(1).is_checked()) == (True, False)
    page.click("#do-dispatch summary")
    page.click("#do-defer summary")
    touch(1)
    chosen = choice.input_value()
    noted(field, number, "the first")
    page.wait_for_selector("#log >> text=the first")
    assert (ticks.nth(0).is_checked(), ticks.nth(1).is_checked()) == (False, True)
    assert choice.input_value() == chosen
    assert page.get_attribute("#do-defer", "open") is not None
    assert page.get_attribute("#do-void", "open") is None
    field.db.execute("UPDATE incident SET state = 'archived', since = since + 1")
    noted(field, number, "the second")
    page.wait_for_selector("#log >> text=the second")
    assert page.locator("#do-dispatch, #do-defer").count() == 2
    assert page.locator("#do-void").count() == 0
    touch(0)
    noted(field, number, "the last")
    page.wait_for_selector("#log >> text=the last")
    assert page.locator("#do-dispatch, #do-defer").count() == 0
    assert same(page)


def test_what_is_told_stays_to_be_read(page: "Page", field: "Field", running: "Running") -> None:
    """A step that cannot be done says why, at once and without a new page, and news do not wipe that away."""
    number = incident(field, "dispatched")
    opened(page, f"{running.url}/incidents")
    page.click(f"#incident-{number} button")
    page.wait_for_selector("#flashes:has-text('Without a roster the hub keeps no incidents.')")
    field.alarm("gate-held", "gate-east")
    page.wait_for_selector(".strip.needs-you")
    assert "Without a roster" in page.inner_text("#flashes")
    assert same(page)


def test_what_changed_before_the_stream_began_is_seen(page: "Page", field: "Field", running: "Running") -> None:
    """Between the page's making and its stream's beginning an alarm comes: the page is not live without it."""
    held: list[Route] = []
    page.route("**/stream?*", lambda route: held.append(route))
    page.goto(running.url)
    while not held:
        page.wait_for_timeout(20)
    number = field.alarm("water-presence", "radar-lake", severity="P1")
    page.wait_for_timeout(300)  # others are told of it, this page is not
    assert page.inner_text("#live-word") == ""
    held[0].continue_()
    page.wait_for_selector("#live-word:has-text('live')", timeout=10_000)
    assert page.locator(f"#need-{number}").count() == 1


def test_a_form_that_was_not_taken_says_so(
    page: "Page", field: "Field", running: "Running", complaints: list[str]
) -> None:
    """While the journal cannot be read the page is not live, and what was typed stays; one press more sends it."""
    number = field.alarm("gate-held", "gate-east")
    opened(page, f"{running.url}/alarms/{number}")
    page.fill("#text", "on my way")
    field.db.execute("ALTER TABLE orders RENAME TO away")
    page.click("#comment button")
    page.wait_for_selector("#lost:has-text('Not live: last update 16:53:20, reconnecting')")
    assert page.input_value("#text") == "on my way"
    page.wait_for_selector("#comment button:has-text('Could not be sent. Try again.'):enabled")
    assert page.inner_text("#live-word") == ""
    field.db.execute("ALTER TABLE away RENAME TO orders")
    page.wait_for_selector("#live-word:has-text('live')", timeout=25_000)
    assert page.is_hidden("#lost")
    page.click("#comment button:has-text('Could not be sent. Try again.')")
    page.wait_for_selector("li.waiting >> text=on my way")
    page.wait_for_selector("#comment button:has-text('Add the comment')")
    assert [order["text"] for order in field.orders()] == ["on my way"]
    assert same(page)
    assert complaints
    complaints[:] = [text for text in complaints if "503" not in text]


def test_an_answer_that_was_lost_makes_no_second_order(
    page: "Page", field: "Field", running: "Running", complaints: list[str]
) -> None:
    """The hub has the order, the page cannot know it: pressed again, even after news, it is the same one."""
    number = field.alarm("gate-held", "gate-east")

    def lost(route: "Route") -> None:
        route.fetch()
        route.abort()

    opened(page, f"{running.url}/alarms/{number}")
    page.route("**/comment", lost)
    page.fill("#text", "on my way")
    page.click("#comment button")
    page.wait_for_selector("#comment button:has-text('Could not be sent. Try again.'):enabled")
    page.wait_for_selector("li.waiting >> text=on my way")
    page.unroute("**/comment")
    page.click("#comment button")
    page.wait_for_selector("#comment button:has-text('Add the comment')")
    assert [order["text"] for order in field.orders()] == ["on my way"]
    page.fill("#text", "there now")
    page.click("#comment button")
    page.wait_for_selector("li.waiting >> text=there now")
    assert len(field.orders()) == 2
    complaints[:] = [text for text in complaints if "ERR_FAILED" not in text and "htmx:" not in text]


def test_a_press_after_the_session_has_ended_is_not_taken_for_sent(
    page: "Page", field: "Field", running: "Running", complaints: list[str]
) -> None:
    """The button says so, and the page that one is signed out; the text is still there."""
    number = field.alarm("gate-held", "gate-east")
    opened(page, f"{running.url}/alarms/{number}")
    page.fill("#text", "on my way")
    page.context.clear_cookies(name="zhian")
    page.click("#comment button")
    page.wait_for_selector("#lost a:has-text('You were signed out')")
    assert page.input_value("#text") == "on my way"
    assert page.inner_text("#comment button") == "Could not be sent. Try again."
    assert field.orders() == []
    complaints[:] = [text for text in complaints if "401" not in text and "400" not in text]


def test_filters_as_one_types(page: "Page", field: "Field", running: "Running") -> None:
    """The list, its counts and the address follow; news keep to the filters; the way back leads to them."""
    lake = field.alarm("sos", "sos-lake", severity="P1")
    gate = field.alarm("gate-held", "gate-east")
    opened(page, f"{running.url}/alarms")
    page.locator("#filters [name=text]").press_sequentially("lake")
    page.wait_for_selector(f"#row-{gate}", state="detached")
    page.wait_for_url("**text=lake*")
    assert page.locator(f"#row-{lake}").count() == 1
    assert page.evaluate("document.activeElement.name") == "text"
    other = field.alarm("gate-forced", "gate-east")
    wanted = field.alarm("water-presence", "radar-lake", severity="P1")
    page.wait_for_selector(f"#row-{wanted}")
    assert page.locator(f"#row-{other}").count() == 0
    page.select_option("#filters [name=severity]", "P2")
    page.wait_for_selector("#alarm-list li.none")
    page.select_option("#filters [name=severity]", "P1")
    page.wait_for_selector(f"#row-{lake}")
    assert same(page)
    page.click(f"#row-{lake} a")
    page.wait_for_selector("#comment")
    page.go_back()
    page.wait_for_selector(f"#row-{wanted}")
    assert page.locator(f"#row-{other}").count() == 0
    assert page.input_value("#filters [name=text]") == "lake"


def test_older_and_back(page: "Page", field: "Field", running: "Running") -> None:
    """By keyboard through the list: the focus stays on "older", each page begins at its top, the browser keeps none."""
    for number in range(105):
        field.alarm("gate-held", "gate-east", occurrence=number + 1, raised=NOW - number, closed="cleared")
    opened(page, f"{running.url}/alarms")
    page.focus("#older")
    for at in (2, 3):
        page.keyboard.press("Enter")
        page.wait_for_selector(f".pages:has-text('page {at} of 3')")
        assert page.url.endswith(f"page={at}")
        assert page.evaluate("scrollY") == 0
        assert at == 3 or page.evaluate("document.activeElement.id") == "older"
    assert same(page)
    assert page.evaluate("Object.keys(sessionStorage).join()") == "htmx-current-path-for-history"
    page.go_back()
    page.wait_for_selector(".pages:has-text('page 2 of 3')")
    page.wait_for_selector("#live-word:has-text('live')")


def test_a_burst_is_few_refreshes_and_the_last_counts(page: "Page", field: "Field", running: "Running") -> None:
    """Changes that come in quick succession are put together; nothing scrolls, though the address names a place."""
    number = field.alarm("gate-held", "gate-east")
    opened(page, f"{running.url}/alarms/{number}#comment")
    page.evaluate("scrollTo(0, 0)")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.headers["x-refresh"]) if is_refresh(request) else None)
    began = time.monotonic()
    for at in range(40):
        field.flip(number, "comment", actor="lin", note=f"word {at}")
        page.wait_for_timeout(25)
    page.wait_for_selector("blockquote:has-text('word 39')")
    assert 1 < len(asked) <= 3 + (time.monotonic() - began) / 0.15
    assert set(asked) == {"1"}
    assert page.evaluate("scrollY") == 0


def test_a_figure_never_steps_back(page: "Page", field: "Field", running: "Running") -> None:
    """A page that was made for many just before the stream told a figure does not bring the older one back."""
    field.read("noise-east", "laeq", 50.0, NOW - 3000)
    figure = "#figure-noise-east-laeq b"
    opened(page, running.url)
    page.wait_for_selector(f"{figure}:has-text('50.0')")
    old = page.evaluate("fetch('/').then((answer) => answer.text())")
    page.route("**/", lambda route: route.fulfill(body=old, content_type="text/html"))
    field.read("noise-east", "laeq", 63.4, NOW - 1000)
    page.wait_for_selector(f"{figure}:has-text('63.4')")
    with page.expect_response(lambda answer: is_refresh(answer.request)):
        field.alarm("gate-held", "gate-east")
    page.wait_for_timeout(300)
    assert page.inner_text(figure) == "63.4"


@pytest.mark.parametrize("status", [204, 304])
def test_nothing_new_is_no_loss(page: "Page", field: "Field", status: int) -> None:
    """An answer without a page leaves all as it is, live; the next one with a page counts."""
    page.route("**/", lambda route: route.fulfill(status=status) if is_refresh(route.request) else route.continue_())
    with page.expect_response(lambda answer: answer.status == status):
        number = field.alarm("gate-held", "gate-east")
    page.wait_for_timeout(200)
    assert page.locator("#needs >> text=All watched, nothing to do.").count() == 1
    assert page.is_hidden("#lost")
    page.unroute("**/")
    field.flip(number, "comment", actor="lin", note="again")
    page.wait_for_selector(f"#need-{number}")
    assert page.inner_text("#live-word") == "live"


def test_htmx_runs_nothing_that_a_page_brings(page: "Page", complaints: list[str]) -> None:
    """No code from attributes or answers, no style of its own, no other host: beside the policy, htmx's own bolts."""
    config = page.evaluate("htmx.config")
    bolts = ("allowEval", "allowScriptTags", "includeIndicatorStyles", "allowNestedOobSwaps")
    assert [config[name] for name in bolts] == [False] * 4
    assert config["selfRequestsOnly"] is True
    assert page.locator("style").count() == 0
    bad = '<p id="bad" hx-on:click="window.ran = 1">x</p><script id="worse">window.ran = 1</script>'
    page.evaluate("(bad) => htmx.swap('#needs', bad, {swapStyle: 'innerHTML', swapDelay: 0, settleDelay: 0})", bad)
    page.click("#bad")
    assert page.locator("#worse").count() == 0
    assert page.evaluate("window.ran") is None
    assert complaints == ["htmx:evalDisallowedError"]
    complaints.clear()
