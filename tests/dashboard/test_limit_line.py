"""The limit in a chart is the one that held then: by day and night, and before and after somebody changed it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from dashboard.charts.limit_line import LimitLine
from tests.dashboard.conftest import NOW

if TYPE_CHECKING:
    from flask import Flask

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, ListHistory

HOUR = 3_600_000
DAY = 24 * HOUR


def change(
    field: Field, at: int, value: float | str | None, key: str = "above", rule: str = "noise-limit", zone: str = ""
) -> None:
    """As the hub writes what a manager set; None: taken back."""
    row = {"rule": rule, "zone": zone, "key": key, "value": value, "before": None, "actor": "lin", "reason": "drums"}
    field.put("rule_limit", at=at, **row)


@pytest.fixture
def office(app: Flask, field: Field) -> Office:
    """Within the application, whose rules count."""
    found: Office = app.extensions["zhian"]
    app.app_context().push()
    return found


def line(office: Office, quantity: str = "laeq") -> LimitLine:
    """Of a noise meter."""
    return LimitLine(office, office.site.devices()["noise-east"], quantity)


def test_day_and_night_have_their_own(office: Office) -> None:
    """GB 3096-2008 by the class of the place: 10 dB less at night, and each hour by itself."""
    known = line(office)
    noon = int(datetime.fromtimestamp(NOW / 1000, office.site.tz).replace(hour=12, minute=0).timestamp() * 1000)
    by_day, by_night = known.at(noon), known.at(noon + 12 * HOUR)
    assert by_day is not None
    assert by_night is not None
    night = office.site.night
    assert (night == "00:00-24:00") is (by_day == by_night)  # the demo's site says that it is night all day


def test_a_change_counts_from_then_on(office: Office, field: Field) -> None:
    """Set, set again, for one zone only, taken back: each instant has the limit that it was judged by."""
    zone = office.site.devices()["noise-east"].zone
    plain = line(office).at(NOW)
    change(field, NOW - 5 * DAY, 61.0)
    change(field, NOW - 4 * DAY, 62.0)
    change(field, NOW - 3 * DAY, 63.5, zone=zone)
    change(field, NOW - 2 * DAY, None, zone=zone)
    change(field, NOW - 1 * DAY, None)
    known = line(office)
    assert [known.at(NOW - 6 * DAY + n * DAY) for n in range(6)] == [plain, 61.0, 62.0, 63.5, 62.0, plain]
    assert known.at(NOW - 5 * DAY - 1) == plain
    assert known.at(NOW - 5 * DAY) == 61.0


def test_a_rule_that_was_off_drew_no_line(office: Office, field: Field) -> None:
    """Nothing was judged by it; where another rule looks at a mean, that one's limit is drawn."""
    change(field, NOW - 2 * DAY, "off", key="use")
    for rule in ("noise-laeq", "noise-boundary"):
        change(field, NOW - DAY, "off", key="use", rule=rule)
    known = line(office)
    assert known.at(NOW - 3 * DAY) is not None
    assert known.at(NOW) is None


def test_what_no_rule_judges_has_no_limit(office: Office) -> None:
    """Of a meter's battery voltage nobody says what is too much."""
    assert line(office, "energy").at(NOW) is None


def test_the_chart_and_its_table_have_the_steps(admin: Browser, field: Field, history: ListHistory) -> None:
    """Over a span in which it was changed the line has both values, in order."""
    field.all_well()
    change(field, NOW - 12 * HOUR, 61.0)
    history.kept = [("noise-east", "laeq", NOW - DAY + n * 600_000, 50.0) for n in range(144)]
    found = admin.client.get("/api/v1/devices/noise-east/series?quantity=laeq&range=24h").json
    held = [limit for ts, limit in zip(found["ts"], found["limit"], strict=True) if ts >= NOW - 12 * HOUR]
    before = [limit for ts, limit in zip(found["ts"], found["limit"], strict=True) if ts < NOW - 12 * HOUR]
    assert (set(held), 61.0 in before) == ({61.0}, False)
    table = admin.client.get("/api/v1/devices/noise-east/series?quantity=laeq&range=24h&format=csv").text
    assert ",61.0" in table


def test_where_readings_were_given_up_the_chart_says_so(admin: Browser, field: Field, history: ListHistory) -> None:
    """Cut to the window, put together; a pass that took nothing is none."""
    field.all_well()
    history.kept = [("noise-east", "laeq", NOW - HOUR + n * 60_000, 50.0) for n in range(60)]
    for since, until, readings in ((-9, -5, 3), (-3, -2, 3), (-2, -1, 4), (-0.75, -0.5, 0)):
        span = {"since": NOW + int(since * HOUR), "until": NOW + int(until * HOUR)}
        field.put("thinned", at=NOW, step_s=60, first=1, last=9, readings=readings, **span)
    found = admin.client.get(f"/api/v1/devices/noise-east/series?quantity=laeq&since={NOW - 6 * HOUR}&until={NOW}").json
    assert found["thinned"] == [[NOW - 6 * HOUR, NOW - 5 * HOUR + 1], [NOW - 3 * HOUR, NOW - HOUR + 1]]
