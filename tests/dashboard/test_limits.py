"""Limits and mutes on the page: who may, what is ordered, what is refused at once, and the banner that stays."""

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, StillClock

NOISE = "/limits/noise-limit/above?zone=square"
MUTE = {"zone": "square", "at": 0, "until": 0, "actor": "lin", "reason": "a wedding"}


def set_limit(field: "Field", **more: object) -> None:
    """As the hub writes it."""
    row = {"rule": "noise-limit", "zone": "square", "key": "above", "value": 58.0, "before": 65.0, "actor": "lin",
           "reason": "complaints", "at": 1_759_990_000_000}  # fmt: skip
    field.put("rule_limit", **{**row, **more})


def mute(field: "Field", clock: "StillClock", **more: object) -> None:
    """The square is muted for ten minutes."""
    field.put("mute", **{**MUTE, "at": clock.at - 1000, "until": clock.at + 600_000, **more})


@pytest.fixture
def manager(app: "Flask", new_browser: "Callable[[Flask], Browser]", field: "Field") -> "Browser":
    """Signed in as the manager, and all is well."""
    field.all_well()
    made = new_browser(app)
    made.enter("manager")
    return made


def test_a_change_is_an_order_with_its_reason(manager: "Browser", field: "Field", office: "Office") -> None:
    """Target, key and value, actor and reason; and a row of the audit trail with the value before."""
    answer = manager.post(NOISE, value="58", text="complaints", token="a")
    assert answer.headers["Location"] == "/limits/noise-limit?zone=square"
    (order,) = field.orders()
    assert (order["kind"], order["target"], order["command"]) == ("limit", "noise-limit/square", "above=58")
    assert (order["actor"], order["text"], order["state"]) == ("manager", "complaints", "requested")
    assert "waiting for the hub" in manager.client.get("/limits/noise-limit?zone=square").text
    with office.users.connect() as db:
        found = [tuple(row) for row in db.execute(text("SELECT actor, detail FROM audit WHERE event = 'limit'"))]
    assert [actor for actor, _ in found] == ["manager"]
    assert "noise-limit/square above=58 (before: by noise class" in found[0][1]


@pytest.mark.parametrize(
    ("path", "value", "why", "words"),
    [
        (NOISE, "58", " ", "Say why."),
        (NOISE, "loud", "why", "Not changed: "),
        (NOISE, "9999", "why", "out of range"),
        ("/limits/water-presence/on_delay", "60", "why", "only be made stricter here"),
        ("/limits/sos/use", "off", "why", "only be made stricter here"),
        ("/limits/water-level/above", "2.5", "why", "does not fit the rule"),
    ],
)
def test_a_mistake_is_told_at_once(
    manager: "Browser", field: "Field", path: str, value: str, why: str, words: str
) -> None:
    """In words, and nothing is ordered."""
    assert manager.post(path, value=value, text=why).status_code == 302
    assert words in manager.client.get("/limits").text
    assert field.orders() == []


def test_the_old_value_stands_beside_the_new(manager: "Browser", field: "Field") -> None:
    """With who set it; taken back, the site file says it again, and what that is."""
    set_limit(field)
    page = manager.client.get(NOISE).text
    assert "58 dB" in page
    assert "set here by lin" in page
    assert "Take back what was set here" in page
    manager.post(NOISE, back="yes", text="over")
    assert [(order["kind"], order["command"]) for order in field.orders()] == [("limit-clear", "above")]


def test_the_rule_page_tells_history_and_whence(manager: "Browser", field: "Field") -> None:
    """Every change with value before and after, who, why; a number that nobody touched is as the rule comes."""
    set_limit(field)
    set_limit(field, value=None, before=58.0, at=1_759_990_100_000, reason="quiet again")
    set_limit(field, zone="", value=70.0, before=None, at=1_759_990_200_000)
    page = manager.client.get("/limits/noise-limit?zone=square").text
    assert "65 dB → 58 dB" in page
    assert "58 dB → as in the site file" in page
    assert "quiet again" in page
    assert "as the rule comes" in page
    assert "70 dB" in manager.client.get("/limits").text


def test_what_does_not_fit_any_more_is_said(manager: "Browser", field: "Field") -> None:
    """It is not in force, and the page says so instead of showing it as the limit."""
    set_limit(field, rule="water-level", zone="", value=9.0)
    page = manager.client.get("/limits/water-level").text
    assert "is not in force: Second upper limit must be &gt; 9" in page
    assert "1.5 m" in page


def test_an_alarm_says_where_its_limit_comes_from(manager: "Browser", field: "Field") -> None:
    """And leads to where it can be changed."""
    device = next(d for d in field.site.devices().values() if "laeq" in d.profile.reading and d.zone)
    set_limit(field, zone=device.zone)
    number = field.alarm("noise-limit", device.id, severity="P3", quantity="laeq", value=70.0, limit=58.0)
    page = manager.client.get(f"/alarms/{number}").text
    assert "set here by lin" in page
    assert f'href="/limits/noise-limit?zone={device.zone}"' in page


@pytest.mark.parametrize("role", ["viewer", "guard"])
def test_only_a_manager_may(
    app: "Flask", field: "Field", clock: "StillClock", new_browser: "Callable[[Flask], Browser]", role: str
) -> None:
    """Neither see the form nor send it; the mutes may be seen by all."""
    field.all_well()
    mute(field, clock)
    browser = new_browser(app)
    browser.enter(role)
    assert [browser.client.get(path).status_code for path in ("/limits", NOISE, "/limits/sos")] == [403] * 3
    assert browser.post(NOISE, value="58", text="why").status_code == 403
    assert browser.post("/mutes", zone="square", seconds="1800", text="why").status_code == 403
    assert browser.post("/mutes/square/end").status_code == 403
    assert field.orders() == []
    page = browser.client.get("/mutes").text
    assert "a wedding" in page
    assert "<form" not in page


def test_a_form_without_its_token_is_refused(manager: "Browser", field: "Field") -> None:
    """Whoever sends it."""
    for path in (NOISE, "/mutes", "/mutes/square/end"):
        assert manager.client.post(path, data={"value": "58", "text": "why"}).status_code == 400
    assert field.orders() == []


def test_a_zone_is_muted_for_a_while(manager: "Browser", field: "Field") -> None:
    """With an end and a reason; another span, zone or no reason is none."""
    manager.post("/mutes", form="/mutes", zone="square", seconds="1800", text="a wedding", token="m")
    (order,) = field.orders()
    assert (order["kind"], order["target"], order["seconds"], order["text"]) == ("mute", "square", 1800.0, "a wedding")
    assert manager.post("/mutes", zone="square", seconds="86400", text="why").status_code == 400
    assert manager.post("/mutes", zone="moon", seconds="1800", text="why").status_code == 400
    manager.post("/mutes", zone="square", seconds="1800", text="")
    assert len(field.orders()) == 1
    manager.post("/mutes/square/end")
    assert [order["kind"] for order in field.orders()] == ["mute", "unmute"]


def test_every_page_shows_the_mute_and_none_can_close_it(
    manager: "Browser", field: "Field", clock: "StillClock"
) -> None:
    """Until its end, by the clock; and no page says "all watched, nothing to do" meanwhile."""
    assert "All watched, nothing to do." in manager.client.get("/devices").text
    mute(field, clock)
    number = field.alarm("noise-limit", "noise-square", severity="P3", closed="auto")
    pages = ["/", "/alarms", f"/alarms/{number}", "/devices", "/account", "/limits", "/limits/sos", NOISE, "/mutes"]
    for path in pages:
        page = manager.client.get(path)
        assert page.status_code == 200, path
        assert "is muted until" in page.text, path
        assert "All watched, nothing to do." not in page.text, path
    assert "is muted until" in manager.client.get("/no-such-page").text
    clock.at += 600_000
    field.all_well(clock.at)
    assert all("is muted until" not in manager.client.get(path).text for path in pages)


def test_a_mute_of_another_clock_is_none(manager: "Browser", field: "Field", clock: "StillClock") -> None:
    """It begins in the future, or was ended."""
    mute(field, clock, at=clock.at + 1000)
    mute(field, clock, at=clock.at - 5000, ended=clock.at - 1, ended_by="lin")
    assert "is muted until" not in manager.client.get("/").text
    assert "ended by lin" in manager.client.get("/mutes").text


def test_who_is_not_signed_in_sees_no_mute(browser: "Browser", field: "Field", clock: "StillClock") -> None:
    """What is watched and what not is nobody else's business."""
    field.all_well()
    mute(field, clock)
    assert "muted" not in browser.client.get("/login").text


def test_what_is_withheld_says_so(manager: "Browser", field: "Field", clock: "StillClock") -> None:
    """Not "telling, try 0" for hours; a P2 is being told as ever."""
    mute(field, clock)
    device = next(d.id for d in field.site.devices().values() if d.zone == "square")
    for number, severity in enumerate(("P3", "P2")):
        found = field.alarm(f"rule-{number}", device, severity=severity)
        flip = field.flip(found, "raised")
        field.put("outbox", flip=flip, voice="wecom", kind="raised", next_try=0)
        page = manager.client.get(f"/alarms/{found}").text
        assert ("wecom is told when the mute of the zone is over" in page) is (severity == "P3")
