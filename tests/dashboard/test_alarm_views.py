"""The views of the list of alarms: live, past, muted, suppressed, out of service, each with its count."""

import re
from typing import TYPE_CHECKING

import pytest

from dashboard.pages.alarms import VIEWS

if TYPE_CHECKING:
    from tests.dashboard.conftest import Browser, Field

NOW = 1_760_000_000_000


@pytest.fixture
def some(field: "Field") -> dict[str, str]:
    """One alarm of each kind, and one that is all three at once; the view in which each must stand."""
    field.all_well()
    field.alarm("sos", "sos-lake", severity="P1")
    field.alarm("gate-held", "gate-east", closed="cleared", ended=NOW, state="normal")
    field.alarm("noise-limit", "noise-east", shelved_until=NOW + 60_000)
    field.alarm("device-silent", "noise-garage", suppressed='["link-down/x"]')
    field.alarm("tamper", "gate-north", out_of_service=1, shelved_until=NOW + 1, suppressed='["x"]')
    return {
        "live": "sos",
        "closed": "gate-held",
        "shelved": "noise-limit",
        "suppressed": "device-silent",
        "out-of-service": "tamper",
    }


@pytest.mark.parametrize("view", list(VIEWS))
def test_each_alarm_stands_in_one_view(view: str, some: dict[str, str], admin: "Browser") -> None:
    """An alarm that is hidden for several reasons stands where the strongest one is; counts and list agree."""
    text = admin.client.get(f"/alarms?state={view}").text
    shown = re.findall(r'<li class="line', text)
    counts = re.findall(r"state=[a-z-]+\"[^>]*>[^<]+<b>(\d+)</b>", text)
    assert (len(shown), counts) == (1, ["1"] * 5)
    number = list(some).index(view) + 1
    assert f'id="row-{number}"' in text


def test_other_filters_count_too(some: dict[str, str], admin: "Browser") -> None:
    """The counts are those of the list that a click would show; a made-up view shows everything."""
    text = admin.client.get("/alarms?severity=P1").text
    assert re.findall(r"<b>(\d+)</b></a>", text) == ["1", "0", "0", "0", "0"]
    assert admin.client.get("/alarms?state=%27--").text.count('<li class="line') == 5


def test_what_hides_an_old_alarm_does_not_hide_its_past(field: "Field", admin: "Browser") -> None:
    """A mute belongs to the present occurrence: the one before it is past."""
    field.all_well()
    field.alarm("sos", "sos-lake", occurrence=1, closed="cleared", ended=NOW, severity="P2")
    field.alarm("sos", "sos-lake", occurrence=2, shelved_until=NOW + 1, severity="P2")
    assert admin.client.get("/alarms?state=closed").text.count('<li class="line') == 1
    assert admin.client.get("/alarms?state=shelved").text.count('<li class="line') == 1
