"""Settings and calendar: who may change what, what becomes of it, and that the words are the hub's own figures."""

from datetime import date
from typing import TYPE_CHECKING

from dashboard.language.kept_words import KEEP_BACKUPS
from hub.calendar.days import DayKind, load_calendar
from hub.keeping import agenda

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field

NOW = 1_760_000_000_000


def entered(app: "Flask", new_browser: "Callable[[Flask], Browser]", role: str) -> "Browser":
    """Signed in as one of this role."""
    made = new_browser(app)
    made.enter(role)
    return made


def test_who_may_see_and_who_may_set(app: "Flask", new_browser: "Callable[[Flask], Browser]", field: "Field") -> None:
    """An auditor sees everything and finds no button; a guard does not get in."""
    field.all_well()
    assert entered(app, new_browser, "guard").client.get("/settings").status_code == 403
    auditor = entered(app, new_browser, "auditor")
    assert "Send a test" not in auditor.client.get("/settings").text
    assert auditor.post("/settings/channels/log/test").status_code == 403
    assert auditor.post("/settings/calendar", first="2025-11-03", kind="holiday").status_code == 403
    assert "Send a test" in entered(app, new_browser, "manager").client.get("/settings").text
    assert field.orders() == []


def test_a_channel_is_tested_by_an_order(
    app: "Flask", new_browser: "Callable[[Flask], Browser]", field: "Field", office: "Office"
) -> None:
    """The hub is asked once, whoever sends the form twice; what it said of it stands on the page."""
    field.all_well()
    manager = entered(app, new_browser, "manager")
    voice = office.site.voices[0].id
    for _ in range(2):
        manager.post(f"/settings/channels/{voice}/test", token="once")
    (order,) = field.orders()
    assert (order["kind"], order["target"], order["actor"]) == ("test-voice", voice, "manager")
    assert "is being sent" in manager.client.get("/settings").text
    field.db.execute("UPDATE orders SET state = 'failed', outcome = 'not-said:bad key', ended = ?", (NOW,))
    assert (
        "did not get through on 2025-10-09 16:53:20: could not be said: bad key" in manager.client.get("/settings").text
    )
    assert manager.post("/settings/channels/nobody/test").status_code == 404


def test_the_words_are_the_hubs_figures(admin: "Browser", field: "Field") -> None:
    """What the page says is kept is what the calendar's jobs keep."""
    field.all_well()
    assert KEEP_BACKUPS == agenda.KEEP_BACKUPS
    text = admin.client.get("/settings").text
    assert "30 days, then really gone" in text
    assert "180 days" in text
    assert "It has everything." in text


def test_the_history_says_how_far_behind_it_is(admin: "Browser", field: "Field") -> None:
    """Readings that no history has taken are told by their age."""
    field.all_well()
    field.read("noise-east", "laeq", 50.0, NOW - 7_200_000)
    assert "2 h" in admin.client.get("/settings").text


def test_days_are_set_and_taken_back(admin: "Browser", field: "Field", office: "Office") -> None:
    """A holiday that was set is in force, and is plain again when it is taken back."""
    field.all_well()
    admin.post("/settings/calendar", first="2025-11-03", last="2025-11-05", kind="holiday")
    assert load_calendar(office.data).kind(date(2025, 11, 4)) is DayKind.HOLIDAY
    admin.post("/settings/calendar", first="2025-11-04", kind="plain")
    calendar = load_calendar(office.data)
    assert [calendar.kind(date(2025, 11, day)) for day in (3, 4, 5)] == ["holiday", "workday", "holiday"]
    assert "2025-11" in admin.client.get("/settings/calendar?year=2025").text


def test_a_wrong_day_is_named(admin: "Browser", field: "Field", office: "Office") -> None:
    """What cannot be is told in words, and changes nothing."""
    field.all_well()
    before = load_calendar(office.data).years
    wrong = [
        ({"first": "2025-11-03", "kind": "adjusted"}, "2025-11-03 is worked anyway"),
        ({"first": "2025-11-05", "last": "2025-11-03", "kind": "holiday"}, "must not be before"),
        ({"first": "2025-01-01", "last": "2025-12-31", "kind": "holiday"}, "at most 62 days"),
        ({"first": "nonsense", "kind": "holiday"}, "Say which day"),
        ({"first": "2025-11-03", "kind": "feast"}, "what kind of day"),
    ]
    for form, said in wrong:
        admin.post("/settings/calendar", **form)
        assert said in admin.client.get("/settings/calendar").text
    assert load_calendar(office.data).years == before


def test_a_year_by_hand_is_missing_until_it_is_said_to_be_whole(
    admin: "Browser", field: "Field", office: "Office"
) -> None:
    """Half a year's table is no table."""
    field.all_well()
    admin.post("/settings/calendar", first="2031-01-01", kind="holiday")
    assert not load_calendar(office.data).knows(2031)
    admin.post("/settings/calendar", complete="yes", year="2031")
    assert load_calendar(office.data).knows(2031)


def test_a_broken_file_is_told_and_not_overwritten(admin: "Browser", field: "Field", office: "Office") -> None:
    """A mistake of somebody's editor is named; nothing is set over it."""
    field.all_well()
    (office.data / "calendar.toml").write_text("[year.2031]\nholiday = [2030-01-01]\n")
    assert "is a day of another year" in admin.client.get("/settings/calendar").text
    admin.post("/settings/calendar", first="2025-11-03", kind="holiday")
    assert "2030-01-01" in (office.data / "calendar.toml").read_text()
    assert "has a mistake" in admin.client.get("/settings").text
