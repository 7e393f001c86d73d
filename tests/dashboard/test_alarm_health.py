"""The page on whether people can still follow their alarms."""

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.dashboard.conftest import Browser, Field, StillClock

HOUR = 3_600_000


def raised(field: "Field", key: str, at: int, severity: str = "P3") -> None:
    """An alarm that people were told of."""
    rule, source = key.split("/")
    field.alarm(rule, source, severity=severity, raised=at)


def test_a_quiet_week_is_well(admin: "Browser", field: "Field") -> None:
    """Without alarms every figure is well, and nothing is listed."""
    field.all_well()
    text = admin.client.get("/alarms/health").text
    assert "0 alarms told" in text
    assert "too much" not in text
    assert text.count("None.") == 3


@pytest.mark.parametrize(("lang", "words"), [("zh", "告警健康度"), ("en", "Alarm health")])
def test_figures_and_names(lang: str, words: str, admin: "Browser", field: "Field", clock: "StillClock") -> None:
    """The loudest alarm is named as people know it, one that stands for a day is listed, in both languages."""
    field.all_well()
    raised(field, "gate-held/gate-east", clock.at - 30 * HOUR, "P2")
    text = admin.client.get(f"/alarms/health?span=week&lang={lang}").text
    assert words in text
    assert (
        f"{field.site.devices()['gate-east'].name.zh if lang == 'zh' else field.site.devices()['gate-east'].name.en}"
        in text
    )
    assert text.count("/alarms?rule=gate-held") == 2  # the loudest, and the one that stands


def test_an_unknown_span_is_the_usual_week(admin: "Browser", field: "Field") -> None:
    """A mistyped address still shows something true."""
    field.all_well()
    assert admin.client.get("/alarms/health?span=<script>").status_code == 200


def test_the_list_leads_there(admin: "Browser", field: "Field") -> None:
    """Nobody has to know the address."""
    field.all_well()
    assert 'href="/alarms/health"' in admin.client.get("/alarms").text


@pytest.mark.parametrize(("role", "offered"), [("manager", True), ("guard", False)])
def test_a_chattering_limit_is_one_click_from_its_form(
    role: str, offered: bool, browser: "Browser", field: "Field", clock: "StillClock"
) -> None:
    """The proposed deadband leads a manager to the limit's form for that zone, with the number filled in."""
    field.all_well()
    number = field.alarm("noise-limit", "noise-east", severity="P3", quantity="laeq", raised=clock.at - 60_000)
    for at in range(10):
        field.flip(number, "raised", at=clock.at - 50_000 + at * 4000)
    for at in range(120):
        field.read("noise-east", "laeq", 44.0 + at % 2, ts=clock.at - 120_000 + at * 1000)
    browser.enter(role)
    text = browser.client.get("/alarms/health?span=day").text
    assert "A deadband of" in text
    found = re.search(r'href="(/limits/noise-limit/deadband[^"]*)"', text)
    assert (found is not None) is offered
    if found is not None:
        form = browser.client.get(found[1].replace("&amp;", "&")).text
        assert re.search(r'id="value"[^>]*value="[0-9.]+"', form)
        assert "east-gate" in found[1]


@pytest.mark.parametrize("value", ["nan", "inf", "<b>", "1e400"])
def test_a_proposal_that_is_no_number_is_left_out(value: str, admin: "Browser", field: "Field") -> None:
    """Whoever makes up an address fills in nothing but a number."""
    field.all_well()
    form = admin.client.get(f"/limits/noise-limit/deadband?value={value}").text
    assert 'value="" required' in form
