"""The history page: how far behind, since when, in the server's words, what that means; and silence otherwise."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from flask import Flask

from dashboard.pages.history import CARRIER
from hub.history.shipper import Shipping
from hub.reading import Label

if TYPE_CHECKING:
    from tests.dashboard.conftest import Browser, Field, StillClock

MINUTE = 60_000


class Carrier:
    """A shipper as the page sees it."""

    def __init__(self) -> None:
        """All is well."""
        self.state = Shipping(well=True, since=0, words=Label(zh="历史库正常", en="well"))
        self.speed = 0.0

    def pace(self) -> float:
        """As the test says."""
        return self.speed


@pytest.fixture
def carrier(app: Flask) -> Carrier:
    """Runs in the office."""
    made = Carrier()
    app.extensions[CARRIER] = made
    return made


@pytest.fixture
def behind(field: "Field", clock: "StillClock") -> Callable[[int, int], None]:
    """So many readings of the last minutes in the journal, of which the history has the first few."""

    def fill(minutes: int, shipped: int) -> None:
        for minute in range(minutes, 0, -1):
            field.read("noise-east", "laeq", 50.0, ts=clock.now() - minute * MINUTE)
        field.db.execute("INSERT INTO cursor VALUES ('history', ?, ?)", (shipped, clock.now()))
        field.db.commit()

    return fill


def test_a_history_that_has_everything_says_so_and_no_more(
    admin: "Browser", carrier: Carrier, behind: Callable[[int, int], None]
) -> None:
    """No word of loss where nothing waits, and nothing of it on the Now page."""
    behind(5, 5)
    page = admin.client.get("/history").text
    assert "The history store has every reading." in page
    assert "Nothing is lost" not in page
    assert "figure-history" not in admin.client.get("/").text


def test_a_server_that_is_down_is_told_plainly(
    admin: "Browser", carrier: Carrier, clock: "StillClock", behind: Callable[[int, int], None]
) -> None:
    """Since when, its words, how many wait and for how long, that nothing is lost and until when, and what to do."""
    behind(42, 2)
    since = clock.now() - 40 * MINUTE
    words = Label(zh="历史库暂不可用：503: shutting down", en="not available: 503: shutting down")
    carrier.state = Shipping(well=False, since=since, words=words, said="503: shutting down")
    page = admin.client.get("/history").text
    for told in (
        "takes nothing since",
        "503: shutting down",
        "40 readings wait",
        "40 min",
        "Nothing is lost",
        "disk",
    ):
        assert told in page, told
    now = admin.client.get("/").text
    assert "figure-history" in now
    assert "takes nothing" in now
    admin.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "zh"
    page = admin.client.get("/history").text
    for told in (
        "起不接收数据",
        "503: shutting down",
        "40 条读数待写入",
        "数据没有丢失",
        "本机磁盘",
        "检查服务器是否运行",
    ):
        assert told in page, told


def test_what_is_being_caught_up_says_when_it_is_done(
    admin: "Browser", carrier: Carrier, behind: Callable[[int, int], None]
) -> None:
    """At 100 readings a second: forty are there at once, and no word of trouble."""
    behind(42, 2)
    carrier.speed = 100.0
    page = admin.client.get("/history").text
    assert "is being caught up" in page
    assert "100 readings a second go over" in page
    assert "takes nothing" not in page
    assert "behind" in admin.client.get("/").text


def test_what_was_refused_is_shown_to_those_who_may_mend_it(
    app: Flask, field: "Field", new_browser: Callable[[Flask], "Browser"]
) -> None:
    """The server's words and the device, without the reading itself; a guard need not see them."""
    field.db.execute(
        "INSERT INTO quarantine (rx, source, kind, detail, payload) VALUES (1, 'noise-east', 'malformed', "
        "'history: 400: field type conflict', x'5b5d')"
    )
    field.db.commit()
    for role, sees in (("manager", True), ("guard", False)):
        browser = new_browser(app)
        browser.enter(role)
        assert ("field type conflict" in browser.client.get("/history").text) is sees


def test_what_was_thinned_is_not_called_kept(
    admin: "Browser", field: "Field", clock: "StillClock", behind: Callable[[int, int], None]
) -> None:
    """When the journal came near its limit meanwhile, the page says how many went, and not that nothing is lost."""
    behind(42, 2)
    field.put(
        "thinned", at=clock.now(), step_s=10, first=3, last=9, since=0, until=clock.now() - 30 * MINUTE, readings=17
    )
    page = admin.client.get("/history").text
    assert "17 ordinary readings were thinned out" in page
    assert "Nothing is lost" not in page
