"""The page on whether people can still follow their alarms."""

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
