"""Calibration and exchange on the page: who may, what is ordered and audited, and that every page says what is so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from tests.dashboard.conftest import Browser, Field, StillClock

PAGE = "/devices/noise-east/upkeep"
DAY = 86_400_000


@pytest.fixture
def enter(app: Flask, new_browser: Callable[[Flask], Browser], field: Field) -> Callable[[str], Browser]:
    """Signs somebody in by role; all is well."""
    field.all_well()

    def entered(role: str) -> Browser:
        made = new_browser(app)
        made.enter(role)
        return made

    return entered


def done(field: Field, clock: StillClock, **more: object) -> None:
    """A finding as the hub writes it."""
    row = {
        "device": "noise-east",
        "at": clock.at - DAY,
        "kind": "calibration",
        "actor": "lin",
        "note": "B&K 4231",
        "until": 0,
    }
    finding = {"level": 94.0, "reading": 93.9, "valid_until": clock.at + DAY, "ended": clock.at - DAY}
    field.put("upkeep", **{**row, **finding, **more})


def test_each_step_is_an_order(enter: Callable[[str], Browser], field: Field, clock: StillClock) -> None:
    """With who and what, and what the hub needs to judge it."""
    manager = enter("manager")
    manager.post(f"{PAGE}/begin", PAGE, text="B&K 4231, class 1", minutes="20")
    done(field, clock, at=clock.at, until=clock.at + DAY, ended=None, level=None, reading=None, valid_until=None)
    manager.post(f"{PAGE}/finish", PAGE, level="94", reading="93,8", days="365")
    manager.post(f"{PAGE}/stop", PAGE)
    manager.post(f"{PAGE}/exchange", PAGE, text="struck by lightning")
    assert [(row["kind"], row["seconds"], row["command"], row["text"], row["actor"]) for row in field.orders()] == [
        ("calibrate", 1200.0, "", "B&K 4231, class 1", "manager"),
        ("calibrated", None, "level=94 reading=93.8 days=365", "", "manager"),
        ("calibrate-stop", None, "", "", "manager"),
        ("exchanged", None, "", "struck by lightning", "manager"),
    ]


def test_what_was_forgotten_is_written_down(enter: Callable[[str], Browser], field: Field) -> None:
    """The day and both times are of the site's clock, and go with the order; half of them, or none, is no order."""
    manager = enter("manager")
    form = {"level": "94", "reading": "93.8", "days": "365", "text": "B&K 4231", "day": "2026-03-01", "since": "10:05"}
    for until in ("", "25:00"):
        manager.post(f"{PAGE}/earlier", PAGE, **form, until=until)
    manager.post(f"{PAGE}/earlier", PAGE, **{**form, "text": " "}, until="10:20")
    manager.post(f"{PAGE}/earlier", PAGE, **{**form, "level": "loud"}, until="10:20")
    assert field.orders() == []
    manager.post(f"{PAGE}/earlier", PAGE, **form, until="10:20")
    (order,) = field.orders()
    span = "since=2026-03-01T10:05:00+08:00 until=2026-03-01T10:20:00+08:00"
    assert (order["kind"], order["command"]) == ("calibrated", f"level=94 reading=93.8 days=365 {span}")


def test_what_no_history_has_yet_goes_out_too(enter: Callable[[str], Browser], field: Field, clock: StillClock) -> None:
    """The chart's newest minutes come from the journal, and leave out what was written down afterwards."""
    for minute in range(20):
        field.read("noise-east", "laeq", 94.0 if 5 <= minute <= 9 else 50.0, ts=clock.at - (20 - minute) * 60_000)
    manager = enter("manager")
    address = "/api/v1/devices/noise-east/series?quantity=laeq&range=1h"
    assert max(level for level in manager.client.get(address).json["max"] if level is not None) == 94.0
    spoke = {"level": None, "reading": None, "valid_until": None}
    done(field, clock, at=clock.at - 15 * 60_000, ended=clock.at - 11 * 60_000, **spoke)
    found = manager.client.get(address).json
    assert max(level for level in found["max"] if level is not None) == 50.0
    assert sum(found["count"]) == 15


def test_a_meter_without_any_finding_has_its_day(
    enter: Callable[[str], Browser], field: Field, clock: StillClock
) -> None:
    """Since when it is heard, and by when it is to be calibrated; a year later that it is overdue."""
    manager = enter("manager")
    begun = {"kind": "begun", "actor": "hub", "note": "", "level": None, "reading": None}
    done(field, clock, **begun, valid_until=clock.at + DAY)
    page = manager.client.get("/devices/noise-east").text
    assert ("is to be calibrated by" in page, "overdue" in page) == (True, False)
    assert "Heard for the first time" in manager.client.get(PAGE).text
    done(field, clock, at=clock.at - 2 * DAY, **{**begun, "kind": "calibration"}, valid_until=None)  # nothing found out
    field.db.execute("UPDATE upkeep SET valid_until = ? WHERE kind = 'begun'", (clock.at,))
    assert "overdue since" in manager.client.get("/devices/noise-east").text


def test_what_is_missing_is_asked_for(enter: Callable[[str], Browser], field: Field) -> None:
    """Nothing is ordered without a calibrator, a number, a reason."""
    manager = enter("manager")
    for step, form in (("begin", {"text": " "}), ("finish", {"level": "94", "reading": "loud"}), ("exchange", {})):
        manager.post(f"{PAGE}/{step}", PAGE, **form)
    assert field.orders() == []


def test_who_may(enter: Callable[[str], Browser], field: Field) -> None:
    """Everybody sees it; a manager does it."""
    guard = enter("guard")
    assert guard.client.get(PAGE).status_code == 200
    assert guard.post(f"{PAGE}/begin", "/account", text="B&K 4231").status_code == 403
    assert field.orders() == []


def test_a_gate_has_no_calibrator(enter: Callable[[str], Browser]) -> None:
    """Where nothing of it can be done there is no page."""
    manager = enter("manager")
    assert manager.client.get("/devices/gate-north/upkeep").status_code == 404
    assert 'id="care"' not in manager.client.get("/devices/gate-north").text


def test_the_device_page_says_how_it_stands(enter: Callable[[str], Browser], field: Field, clock: StillClock) -> None:
    """Nothing on record, what was found, too far off, overdue: each in words."""
    manager = enter("manager")
    assert "No calibration is on record" in manager.client.get("/devices/noise-east").text
    done(field, clock)
    fine = manager.client.get("/devices/noise-east").text
    assert ("-0.10 dB" in fine, "overdue" in fine, "does not count" in fine) == (True, False, False)
    done(field, clock, at=clock.at - 5, reading=95.0, valid_until=clock.at - 1)
    bad = manager.client.get("/devices/noise-east").text
    assert ("overdue" in bad, "does not count" in bad) == (True, True)


def test_while_a_calibrator_sits_on_it_the_place_is_unwatched(
    enter: Callable[[str], Browser], field: Field, clock: StillClock
) -> None:
    """The first page says so, in the strip; and no longer when the time is over."""
    guard = enter("guard")
    assert "a calibrator sits on it" not in guard.client.get("/").text
    running = {"ended": None, "level": None, "reading": None, "valid_until": None}
    done(field, clock, until=clock.at + DAY, **running)
    assert "a calibrator sits on it" in guard.client.get("/").text
    done(field, clock, until=clock.at - 1, **running)
    assert "a calibrator sits on it" not in guard.client.get("/").text
