"""Out of service on the page: who may, what is ordered, and that every page says what nobody is told of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, StillClock


@pytest.fixture
def named(office: Office) -> tuple[str, str]:
    """A gate and an SOS button of the community."""
    devices = office.site.devices().values()
    gate = next(device for device in devices if "gate" in device.profile.reading)
    sos = next(device for device in devices if "sos" in device.profile.reading)
    return gate.id, sos.id


@pytest.fixture
def enter(app: Flask, new_browser: Callable[[Flask], Browser], field: Field) -> Callable[[str], Browser]:
    """Signs somebody in by role; all is well."""
    field.all_well()

    def entered(role: str) -> Browser:
        made = new_browser(app)
        made.enter(role)
        return made

    return entered


def take_out(field: Field, clock: StillClock, target: str, **more: object) -> None:
    """As the hub writes it."""
    row = {"target": target, "at": clock.at - 3_600_000, "actor": "lin", "reason": "new cable"}
    field.put("service", **{**row, **more})


def test_taking_out_is_an_order_with_its_reason(
    enter: Callable[[str], Browser], field: Field, office: Office, named: tuple[str, str]
) -> None:
    """Of a device or of an alarm that there has been; the audit trail has it too."""
    manager, (gate, sos) = enter("manager"), named
    field.alarm("sos", sos, severity="P1")
    assert "A life may hang on it" in manager.client.get(f"/service/out?target=sos/{sos}").text
    assert "all alarms of the device" in manager.client.get(f"/service/out?target={gate}").text
    for target in (gate, f"sos/{sos}"):
        answer = manager.post("/service/out", f"/service/out?target={target}", target=target, text="new cable")
        assert answer.headers["Location"] == "/service"
    assert [(row["kind"], row["target"], row["text"], row["actor"]) for row in field.orders()] == [
        ("out-of-service", gate, "new cable", "manager"), ("out-of-service", f"sos/{sos}", "new cable", "manager"),
    ]  # fmt: skip
    assert "waiting for the hub" in manager.client.get("/service").text
    with office.users.connect() as db:
        found = [row[0] for row in db.execute(text("SELECT detail FROM audit WHERE event = 'out-of-service'"))]
    assert found == [f"{gate} new cable", f"sos/{sos} new cable"]


def test_no_reason_no_order(enter: Callable[[str], Browser], field: Field, named: tuple[str, str]) -> None:
    """And nothing of what is neither device nor alarm."""
    manager = enter("manager")
    form = f"/service/out?target={named[0]}"
    assert manager.post("/service/out", form, target=named[0], text=" ").headers["Location"] == form
    assert manager.post("/service/out", form, target="moon", text="why").status_code == 404
    assert manager.client.get("/service/out?target=sos/moon").status_code == 404
    assert field.orders() == []


@pytest.mark.parametrize("role", ["viewer", "guard"])
def test_only_a_manager_may(
    enter: Callable[[str], Browser], field: Field, clock: StillClock, named: tuple[str, str], role: str
) -> None:
    """Others see what is out of service, by whom and why, and no button."""
    take_out(field, clock, named[0])
    somebody = enter(role)
    page = somebody.client.get("/service").text
    assert "new cable" in page
    assert "Put back" not in page
    assert somebody.client.get(f"/service/out?target={named[0]}").status_code == 403
    assert somebody.post("/service/out", target=named[0], text="why").status_code == 403
    assert somebody.post("/service/back", target=named[0]).status_code == 403
    assert "Take out of service" not in somebody.client.get(f"/devices/{named[1]}").text
    assert field.orders() == []


def test_every_page_says_that_its_place_is_unwatched(
    enter: Callable[[str], Browser], field: Field, clock: StillClock, named: tuple[str, str]
) -> None:
    """The banner, the strip with its reason, the list, the device, and the number of devices that watch."""
    viewer, (gate, sos) = enter("viewer"), named
    before = viewer.client.get("/api/v1/now").json
    assert before["all_well"] is True
    take_out(field, clock, gate)
    take_out(field, clock, f"sos/{sos}", reason="new button")
    for path in ("/", "/alarms", "/account", "/devices"):
        page = viewer.client.get(path).text
        assert "<strong>Unwatched 2</strong>" in page, path
        assert "new cable" in page, path
    found = viewer.client.get("/api/v1/now").json
    assert found["all_well"] is False
    assert found["devices_ok"] == before["devices_ok"] - 1
    assert [(one["source"], one["why"]) for one in found["unwatched"]] == [
        (gate, "out-of-service"), (sos, "out-of-service"),
    ]  # fmt: skip
    assert "All watched" not in viewer.client.get("/").text
    assert "<strong>out of service</strong>" in viewer.client.get(f"/devices/{gate}").text
    metrics = viewer.client.get("/metrics").text
    assert "zhian_out_of_service 2\n" in metrics
    assert 'zhian_devices{state="out-of-service"} 1\n' in metrics
    shown = {device["id"]: device["why"] for device in viewer.client.get("/api/v1/devices").json["devices"]}
    assert (shown[gate], shown[sos]) == ("out-of-service", None)


def test_the_alarm_says_so_and_a_manager_puts_it_back(
    enter: Callable[[str], Browser], field: Field, clock: StillClock, named: tuple[str, str]
) -> None:
    """Its row counts as out of service in the list; what puts it back is an order of its own."""
    manager, sos = enter("manager"), named[1]
    number = field.alarm("sos", sos, severity="P1", out_of_service=1)
    take_out(field, clock, f"sos/{sos}")
    assert "out of service" in manager.client.get("/alarms?state=open").text
    assert "Out of service: by whom" in manager.client.get(f"/alarms/{number}").text
    manager.post("/service/back", "/service", target=f"sos/{sos}")
    assert [(row["kind"], row["target"]) for row in field.orders()] == [("in-service", f"sos/{sos}")]
    field.put("service", target=f"sos/{sos}", at=clock.at - 3_600_000, actor="lin", reason="new cable",
              ended=clock.at, ended_by="manager")  # fmt: skip
    assert "<strong>Unwatched" not in manager.client.get("/").text
    assert "put back by manager" in manager.client.get("/service").text


def test_the_first_of_alarms_that_came_together_is_marked(
    enter: Callable[[str], Browser], field: Field, clock: StillClock, named: tuple[str, str]
) -> None:
    """In the list and on the Now page; the alarm's own page names the others, and theirs leads to it."""
    viewer, gate = enter("viewer"), named[0]
    first = field.alarm("tamper", gate, raised=clock.at - 50_000)
    second = field.alarm("gate-forced", gate, raised=clock.at - 40_000)
    field.alarm("link-down", "elsewhere", raised=clock.at - 30_000)
    for path in ("/", "/alarms"):
        assert viewer.client.get(path).text.count('class="first-out"') == 1, path
    page = viewer.client.get(f"/alarms/{first}").text
    assert "this one; within 60 s after it 1 more" in page
    assert f'href="/alarms/{second}"' in page
    assert f'href="/alarms/{first}"' in viewer.client.get(f"/alarms/{second}").text
