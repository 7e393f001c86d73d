"""The page of gates: what is known of each, what was ordered, who passed without a name; and one move a press."""

import threading
from typing import TYPE_CHECKING

import pytest

from dashboard.places import traces
from dashboard.places.traces import mark
from hub.history.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, ListHistory

NOW = 1_760_000_000_000
DAY = 86_400_000


def section(browser: "Browser", gate: str) -> str:
    """The part of the page about one gate."""
    page: str = browser.client.get("/gates").text
    return page.partition(f'id="gate-{gate}"')[2].partition("</section>")[0]


def test_a_gate_without_word_has_no_state(admin: "Browser", field: "Field") -> None:
    """Silent, cut off, or with a hub that does not answer: "unknown", and what it said last stands apart."""
    field.all_well()
    field.read("gate-north", "gate", "closed", NOW - 5_000)
    assert "State unknown" not in section(admin, "gate-north")
    field.health("gate-north", "silent")
    assert "State unknown" in section(admin, "gate-north")
    assert "last said: closed" in section(admin, "gate-north")
    field.all_well(NOW - 60_000)
    assert "the hub does not answer" in section(admin, "gate-north")
    assert "it has said nothing yet" not in section(admin, "gate-east")


def test_held_and_forced_stand_on_top(admin: "Browser", field: "Field") -> None:
    """A gate with an alarm comes first, and its tamper contact is told."""
    field.all_well()
    field.alarm("gate-forced", "gate-garage")
    field.read("gate-garage", "gate", "open")
    field.read("gate-garage", "tamper", "tampered")
    page = admin.client.get("/gates").text
    assert page.index('id="gate-gate-garage"') < page.index('id="gate-gate-north"')
    assert "Gate forced open" in section(admin, "gate-garage")
    assert "Tamper: tampered" in section(admin, "gate-garage")


def test_passages_tell_no_name_and_no_card(admin: "Browser", field: "Field", history: "ListHistory") -> None:
    """A mark of four characters instead: the same at one gate on one day, another at the next gate and the next day."""
    field.all_well()
    for gate in ("gate-north", "gate-east"):
        for ago in (1_000, 2_000, 20 * 3_600_000):
            history.happen(gate, "passage", NOW - ago, "granted", direction="in", credential="c-7f3a")
    field.read("gate-north", "passage", "denied", NOW - 500, direction="out", credential="c-7f3a")
    pages = [section(admin, gate) for gate in ("gate-north", "gate-east")]
    assert "c-7f3a" not in "".join(pages)
    marks = [[line.split("card ")[1][:4] for line in page.split("<li>") if "card " in line] for page in pages]
    assert [len(found) for found in marks] == [4, 3]
    assert marks[0][0] == marks[0][1] == marks[0][2] != marks[0][3]
    assert not set(marks[0]) & set(marks[1])
    assert ">3</b> granted" in pages[0]
    assert ">1</b> denied" in pages[0]


def test_a_mark_cannot_be_guessed_back() -> None:
    """It depends on a key of this installation: without it nobody can try cards until one fits."""
    assert mark(b"a" * 32, "gate", "c-1", "2026-01-01") != mark(b"b" * 32, "gate", "c-1", "2026-01-01")


def test_an_event_that_is_in_both_is_counted_once(office: "Office", field: "Field", history: "ListHistory") -> None:
    """History and the end of the journal overlap while rows are shipped; nothing older than 30 days is asked for."""
    field.read("gate-north", "passage", "granted", NOW - 500, direction="in")
    history.happen("gate-north", "passage", NOW - 500, "granted", direction="in")
    history.happen("gate-north", "passage", NOW - 31 * DAY, "granted", direction="in")
    found = traces.traces(office, ["gate-north"], "passage", 0, 10)["gate-north"]
    assert ([trace.ts for trace in found.found], found.whole) == ([NOW - 500], True)


def test_a_history_that_is_down_is_said(
    admin: "Browser", field: "Field", history: "ListHistory", monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the journal still has is shown, and that it is not all."""
    field.all_well()
    field.read("gate-north", "passage", "granted", NOW - 500, direction="in")

    def down(*_: object) -> list[object]:
        raise StoreError("it is down")

    monkeypatch.setattr(history, "events", down)
    assert "The history does not answer" in section(admin, "gate-north")
    assert ">1</b> granted" in section(admin, "gate-north")


def test_an_order_from_here_comes_back_here(admin: "Browser", field: "Field") -> None:
    """The one way to move a gate, with its reason; its outcome shows where it was asked for."""
    field.all_well()
    assert "/devices/gate-north/do/open?from=gates" in section(admin, "gate-north")
    again = admin.post("/devices/gate-north/do/open", **{"from": "gates"})
    assert again.headers["Location"] == "/devices/gate-north/do/open?from=gates"
    done = admin.post("/devices/gate-north/do/open", reason="ambulance", **{"from": "gates"})
    assert done.headers["Location"] == "/gates#gate-gate-north"
    assert "waiting for the hub since" in section(admin, "gate-north")
    field.db.execute(
        "UPDATE orders SET state = 'unconfirmed', sent = ?, ended = ?, outcome = 'not-confirmed:8'", (NOW, NOW + 8_000)
    )
    assert "sent at 16:53:20; no answer in 8 s: state unknown, go and look" in section(admin, "gate-north")


def test_fifty_presses_are_one_order(app: "Flask", field: "Field", new_browser: "Callable[[Flask], Browser]") -> None:
    """A double click, or a proxy that sends the form again: one move."""
    field.all_well()
    browser = new_browser(app)
    session = browser.enter("manager")
    token = browser.token("/devices/gate-north/do/open")
    form = {"csrf_token": token, "token": "once", "reason": "ambulance"}
    cookies = browser.client.get_cookie("zhian-form")
    assert cookies is not None

    def press() -> None:
        other = new_browser(app)
        other.client.set_cookie("zhian", session)
        other.client.set_cookie("zhian-form", cookies.value)
        other.client.post("/devices/gate-north/do/open", data=form)

    presses = [threading.Thread(target=press) for _ in range(50)]
    for each in presses:
        each.start()
    for each in presses:
        each.join()
    assert [order["command"] for order in field.orders()] == ["open"]


def test_a_viewer_sees_and_moves_nothing(browser: "Browser", field: "Field") -> None:
    """No button, and no way around it."""
    field.all_well()
    browser.enter("guard")
    assert browser.client.get("/gates").status_code == 200
    assert "/do/open" not in browser.client.get("/gates").text
    assert browser.post("/devices/gate-north/do/open", reason="let me in").status_code == 403


def test_hours_by_the_kind_of_day(app: "Flask") -> None:
    """Closed hours as the site file has them; the half that was left out is not invented."""
    from dashboard.language.place_words import closed_hours
    from hub.settings.site import DayHours

    with app.test_request_context("/?lang=en"):
        assert closed_hours("") == []
        assert closed_hours("22:00-06:00") == [("Every day", "22:00–06:00")]
        table = DayHours(workday="22:00-06:00", weekend=("00:00-05:00", "23:00-24:00"))
        assert closed_hours(table) == [("Workdays", "22:00–06:00"), ("Weekends", "00:00–05:00, 23:00–24:00")]
        assert closed_hours(DayHours(workday="", weekend="10:00-12:00"))[0] == ("Workdays", "not closed")
