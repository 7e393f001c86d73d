"""What people order: acknowledge, comment, mute, move. Each is one row of `orders`, and no other write is possible."""

import sqlite3
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flask import Flask

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, StillClock

PROOF = "correct horse battery"


def test_an_acknowledgement_names_its_occurrence(admin: "Browser", field: "Field") -> None:
    """An old button must not acknowledge a new alarm, so the order carries what the person saw."""
    field.all_well()
    number = field.alarm("gate-held", "gate-east", occurrence=7)
    assert admin.post(f"/alarms/{number}/ack", form="/", token="once").status_code == 302
    (order,) = field.orders()
    assert (order["kind"], order["target"], order["occurrence"]) == ("ack", "gate-held/gate-east", 7)
    assert (order["actor"], order["state"]) == ("admin", "requested")
    assert order["expires"] - order["issued"] == 60_000
    assert "waiting for the hub" in admin.client.get("/").text


def test_the_same_form_twice_is_one_order(admin: "Browser", field: "Field") -> None:
    """A double click orders once; a form that was loaded again orders again."""
    field.all_well()
    number = field.alarm("gate-held", "gate-east")
    for once in ("a", "a", "b"):
        admin.post(f"/alarms/{number}/comment", form="/", token=once, text="on my way")
    assert [order["text"] for order in field.orders()] == ["on my way", "on my way"]


def test_a_command_wants_a_reason(admin: "Browser", field: "Field") -> None:
    """Without one nothing is ordered, and the page asks again."""
    field.all_well()
    answer = admin.post("/devices/gate-north/do/open", reason=" ")
    assert answer.headers["Location"] == "/devices/gate-north/do/open"
    assert field.orders() == []
    admin.post("/devices/gate-north/do/open", reason="ambulance")
    (order,) = field.orders()
    assert (order["kind"], order["target"], order["command"]) == ("command", "gate-north", "open")
    assert (order["text"], order["expires"] - order["issued"]) == ("ambulance", 10_000)


def test_an_old_session_proves_itself_before_it_moves_a_gate(
    admin: "Browser", field: "Field", clock: "StillClock"
) -> None:
    """Five minutes after the password was given, a dangerous order wants it again; a wrong one orders nothing."""
    clock.at += 5 * 60_000 + 1
    field.all_well(clock.at)
    assert "Your password again" in admin.client.get("/devices/gate-north/do/open").text
    admin.post("/devices/gate-north/do/open", reason="ambulance", password="wrong")
    assert field.orders() == []
    admin.post("/devices/gate-north/do/open", reason="ambulance", password=PROOF)
    assert len(field.orders()) == 1
    assert "Your password again" not in admin.client.get("/devices/gate-north/do/open").text


@pytest.mark.parametrize(("given", "wanted"), [("4", 4.0), ("0", 0.1), ("1e9", 3276.7), ("nan", None), ("x", None)])
def test_a_duration_stays_within_what_the_device_takes(
    given: str, wanted: float | None, admin: "Browser", field: "Field"
) -> None:
    """Too short, too long and nonsense never reach the hub."""
    field.all_well()
    duration = field.site.devices()["yard-relay"].profile.command["pulse_2"].seconds
    assert duration is not None
    expected = {0.1: duration.min, 3276.7: duration.max, None: duration.default}.get(wanted, wanted)
    admin.post("/devices/yard-relay/do/pulse_2", reason="test", seconds=given)
    assert field.orders()[0]["seconds"] == expected


def test_what_does_not_exist_is_not_found(admin: "Browser", field: "Field") -> None:
    """Unknown devices, commands and alarms are 404, and nothing is ordered."""
    field.all_well()
    for path in ("/devices/nobody/do/open", "/devices/gate-north/do/explode", "/alarms/99/ack", "/alarms/99/comment"):
        assert admin.post(path, text="x", reason="xx").status_code == 404
    assert field.orders() == []


def test_mute(admin: "Browser", field: "Field") -> None:
    """A mute has a reason and an end that its priority allows; P1 has none."""
    field.all_well()
    held = field.alarm("gate-held", "gate-east", severity="P2")
    water = field.alarm("water-presence", "radar-lake", severity="P1")
    assert admin.post(f"/alarms/{held}/mute", seconds="999999", text="works").status_code == 400
    assert admin.post(f"/alarms/{water}/mute", seconds="1800", text="works").status_code == 400
    admin.post(f"/alarms/{held}/mute", seconds="1800", text="")
    assert field.orders() == []
    admin.post(f"/alarms/{held}/mute", seconds="1800", text="works at the gate")
    admin.post(f"/alarms/{held}/unmute")
    found = [(order["kind"], order["seconds"], order["text"]) for order in field.orders()]
    assert found == [("shelve", 1800.0, "works at the gate"), ("unshelve", None, "")]


def test_a_latched_alarm_can_be_reset(admin: "Browser", field: "Field") -> None:
    """The button stands there only once the alarm waits for it."""
    field.all_well()
    number = field.alarm("sos", "sos-lake", severity="P1")
    assert "/reset" not in admin.client.get(f"/alarms/{number}").text
    field.db.execute("UPDATE alarm SET state = 'latched-acked'")
    assert "/reset" in admin.client.get(f"/alarms/{number}").text
    admin.post(f"/alarms/{number}/reset")
    assert [order["kind"] for order in field.orders()] == ["reset"]


def test_a_count_of_people_is_settled_while_it_is_active(admin: "Browser", field: "Field") -> None:
    """Who is missing stays missing until somebody says that all is well; other active alarms have no reset."""
    field.all_well()
    missing = field.alarm("water-deficit", "lake", severity="P1")
    pressed = field.alarm("sos", "sos-lake", severity="P1")
    assert "/reset" not in admin.client.get(f"/alarms/{missing}").text
    field.db.execute("UPDATE alarm SET state = 'acked'")
    assert "/reset" in admin.client.get(f"/alarms/{missing}").text
    assert "/reset" not in admin.client.get(f"/alarms/{pressed}").text


def test_sqlite_itself_refuses_every_other_write(office: "Office", field: "Field") -> None:
    """The reading connection cannot write at all, the ordering one only `orders`."""
    field.all_well()
    statements = [
        "INSERT INTO meta VALUES ('heartbeat', '9')",
        "INSERT INTO batch VALUES (1, 1, 1, '[]')",
        "UPDATE orders SET state = 'confirmed'",
        "DELETE FROM orders",
        "DELETE FROM alarm",
        "DROP TABLE orders",
        "CREATE TABLE mine (x)",
        "PRAGMA journal_mode = DELETE",
        "ATTACH DATABASE ':memory:' AS other",
        "SELECT * FROM occurrence",
    ]
    desk = office.desk.connect()
    for statement in statements:
        with pytest.raises(sqlite3.DatabaseError, match=r"authoriz|prohibited"):
            desk.execute(statement)
    desk.close()
    reader = office.view._connection()
    for statement in statements[:7]:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute(statement)


def test_every_order_is_audited(admin: "Browser", field: "Field", app: "Flask", office: "Office") -> None:
    """Who ordered what, and from where; and audit rows cannot be changed."""
    field.all_well()
    number = field.alarm("gate-held", "gate-east")
    admin.post(f"/alarms/{number}/ack", form="/")
    admin.post("/devices/gate-east/do/close", reason="held\nopen")
    with office.users.begin() as db:
        rows = db.exec_driver_sql("SELECT actor, event, detail, address FROM audit ORDER BY id").all()
    assert [(row[0], row[1]) for row in rows] == [("admin", "ack"), ("admin", "command")]
    assert rows[1][2] == "gate-east close; held open"
    assert rows[1][3] == "127.0.0.1"
    for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit"):
        with pytest.raises(Exception, match="only ever added"), office.users.begin() as db:
            db.exec_driver_sql(statement)
