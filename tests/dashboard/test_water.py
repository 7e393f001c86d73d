"""The page of water edges: never "watched" while something says the opposite, tests, and the figures of the week."""

from typing import TYPE_CHECKING, Any

import pytest

from dashboard.places.shore import Spread, spread

if TYPE_CHECKING:
    from tests.dashboard.conftest import Browser, Field, StillClock

NOW = 1_760_000_000_000
HOUR, DAY = 3_600_000, 86_400_000
LAKE = "water-presence/radar-lake"


def section(browser: "Browser", zone: str = "lake") -> str:
    """The part of the page about one edge."""
    page: str = browser.client.get("/water").text
    return page.partition(f'id="edge-{zone}"')[2].partition("</section>")[0]


def put_test(field: "Field", at: int, state: str = "passed", **more: Any) -> None:
    """A test of the lake, which was seen after 65 s if it was passed."""
    caught = f'[["{LAKE}", 1, {at + 65_000}]]' if state == "passed" else "[]"
    row = {
        "zone": "lake", "at": at, "until": at + 300_000, "siren": "short", "actor": "lin", "note": "", "state": state,
        "expected": f'["{LAKE}"]', "caught": caught, "ended": at + 125_000, "ended_by": "",
    }  # fmt: skip
    field.put("drill", **{**row, **more})


@pytest.mark.parametrize("why", ["silent", "hub", "failed", "stuck", "link"])
def test_watched_is_said_only_when_it_is_true(why: str, admin: "Browser", field: "Field") -> None:
    """A silent sensor, a dead cable, a hub without heartbeat, a failed test and a stuck sensor each forbid it."""
    field.all_well()
    assert ">watched<" in section(admin)
    if why == "silent":
        field.health("radar-lake", "silent")
    elif why == "link":
        field.health("radar-lake-port", "down")
    elif why == "hub":
        field.beat(NOW - 60_000)
    else:
        rule = {"failed": "water-test-failed", "stuck": "water-stuck"}[why]
        field.alarm(rule, "lake" if why == "failed" else "radar-lake", zone="lake")
    assert ">unwatched<" in section(admin)
    assert ">watched<" not in section(admin)


def test_a_test_is_an_order_of_a_guard(browser: "Browser", field: "Field") -> None:
    """Two steps, with the siren's choice; spans and sirens that are none are refused, and a viewer may not."""
    field.all_well()
    browser.enter("guard")
    assert "It sounds 2 seconds" in browser.client.get("/water/lake/test").text
    assert browser.post("/water/lake/test", seconds="86400", siren="short").status_code == 400
    assert browser.post("/water/lake/test", seconds="300", siren="loud").status_code == 400
    assert browser.post("/water/square/test", seconds="300", siren="short").status_code == 404
    browser.post("/water/lake/test", seconds="300", siren="withheld")
    browser.post("/water/lake/test/end")
    found = [(order["kind"], order["target"], order["command"], order["seconds"]) for order in field.orders()]
    assert found == [("drill", "lake", "withheld", 300.0), ("drill-end", "lake", "", None)]
    browser.enter("viewer")
    assert browser.client.get("/water").status_code == 200
    assert "/water/lake/test" not in browser.client.get("/water").text
    assert browser.post("/water/lake/test", seconds="300", siren="short").status_code == 403


def test_a_refusal_is_told(admin: "Browser", field: "Field") -> None:
    """The hub's own reason, in words."""
    field.all_well()
    field.order("drill", "lake", state="refused", ended=NOW, outcome="occupied:radar-lake")
    assert "somebody is seen there now; test when the place is empty: radar-lake" in section(admin)


def test_a_running_test_tells_what_is_missing(admin: "Browser", field: "Field") -> None:
    """Which sensor has seen the tester; when its time is over it is not running any more, whatever the row says."""
    field.all_well()
    put_test(field, NOW - 60_000, "running", ended=None)
    assert "not seen yet: walk into its view" in section(admin)
    assert "End the test" in section(admin)
    put_test(field, NOW - 60_000, "passed", ended=None, caught=f'[["{LAKE}", 1, {NOW - 5_000}]]')
    assert "seen at 16:53:15" in section(admin)
    assert "Leave its view" in section(admin)
    put_test(field, NOW - 400_000, "running", ended=None)
    field.db.execute("DELETE FROM drill WHERE at > ?", (NOW - 400_000,))
    assert "Test under way" not in section(admin)
    assert "failed" in section(admin)


def test_due_and_overdue(admin: "Browser", field: "Field", clock: "StillClock") -> None:
    """Due a day after the last passed test, overdue when the hub's alarm says so; a failed one does not count."""
    field.all_well()
    assert "Due today." in section(admin)
    put_test(field, NOW - 20 * HOUR)
    assert "Due today." not in section(admin)
    assert "Last passed" in section(admin)
    put_test(field, NOW - 25 * HOUR)
    field.db.execute("DELETE FROM drill WHERE at > ?", (NOW - 25 * HOUR,))
    put_test(field, NOW - HOUR, "failed")
    assert "Due today." in section(admin)
    field.alarm("water-test-overdue", "lake", severity="P3", zone="lake")
    assert "Overdue: test it now." in section(admin)


def alarms_of_a_week(field: "Field") -> None:
    """Four alarms: real, a duck, a test by what was said, one from eight days ago; and a drill."""
    for number, (ago, ack, end, said) in enumerate(
        [(8 * DAY, 9_000, 9_000, ""), (5 * DAY, 41_000, 300_000, "real"), (3 * DAY, 20_000, 90_000, "animal a duck"),
         (2 * DAY, 190_000, 2_000_000, ""), (DAY, 1_000, 2_000, "test"), (HOUR, 5_000, 8_000, "")], 1,
    ):  # fmt: skip
        at = NOW - ago
        alarm = field.alarm(
            "water-presence", "radar-lake", severity="P1", occurrence=number, raised=at, acked=at + ack,
            cleared=at + end, ended=at + end, closed="cleared", quantity="presence", value="present",
        )  # fmt: skip
        field.flip(alarm, "acked", at=at + ack, actor="lin")
        if said:
            field.flip(alarm, "verdict", at=at + end, actor="lin", note="fault" if number == 2 else said)
            field.flip(alarm, "verdict", at=at + end, actor="lin", note=said)
    put_test(field, NOW - HOUR - 65_000, caught=f'[["{LAKE}", 6, {NOW - HOUR}]]')


def test_the_figures_of_the_week(admin: "Browser", field: "Field") -> None:
    """Tests count apart; the last verdict counts; median and worst of what is neither a test nor older."""
    field.all_well()
    alarms_of_a_week(field)
    text = " ".join(section(admin).split())
    assert '<dt>Alarms</dt><dd><b class="number">3</b>' in text
    assert '<dt>False alarms</dt><dd><b class="number">1</b> · <span class="quiet">1 not judged yet' in text
    assert "median 41 s, worst 3 min 10 s" in text
    assert "median 5 min, worst 33 min 20 s" in text
    assert '<dt>Drills</dt><dd><b class="number">2</b>' in text
    assert "False alarm: an animal (a duck)" in text


def test_a_drill_is_marked_wherever_it_is_shown(admin: "Browser", field: "Field") -> None:
    """In the list, on the Now page and on its own page; and what was raised again after the test is not."""
    field.all_well()
    put_test(field, NOW - 70_000, "passed", ended=None)
    number = field.alarm("water-presence", "radar-lake", severity="P1", raised=NOW - 5_000)
    mark = '<span class="drill">Drill</span>'
    for path in ("/", "/alarms", f"/alarms/{number}", "/water"):
        assert mark in admin.client.get(path).text, path
    assert "What was it?" not in admin.client.get(f"/alarms/{number}").text
    field.db.execute("UPDATE drill SET ended = ?", (NOW - 2_000,))
    field.flip(number, "renotified", at=NOW - 2_000)
    for path in ("/", "/alarms", f"/alarms/{number}"):
        assert mark not in admin.client.get(path).text, path


def test_what_it_was_is_noted(browser: "Browser", field: "Field") -> None:
    """A word of the list, with more if need be; any other is refused, and a viewer may not."""
    field.all_well()
    number = field.alarm("water-presence", "radar-lake", severity="P1")
    browser.enter("guard")
    assert browser.post(f"/alarms/{number}/verdict", verdict="ghost").status_code == 400
    browser.post(f"/alarms/{number}/verdict", verdict="animal", text="a duck")
    (order,) = field.orders()
    assert (order["kind"], order["command"], order["text"], order["occurrence"]) == ("verdict", "animal", "a duck", 1)
    browser.enter("viewer")
    assert browser.post(f"/alarms/{number}/verdict", verdict="animal").status_code == 403


def test_spread() -> None:
    """Nothing has no median."""
    assert spread([]) is None
    assert spread([5, 1, 9]) == Spread(5, 9, 3)
    assert spread([1, 2]) == Spread(2, 2, 2)
