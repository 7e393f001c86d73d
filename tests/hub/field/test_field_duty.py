"""Duty in the field process: files are read again while it runs, calls are made, and it knows what it lacks itself."""

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace

from device_profiles.types import JsonField
from firmware_bridge.raw import Message
from hub.calendar.days import FILE as CALENDAR
from hub.clock import Clock
from hub.duty import room as duty_room
from hub.duty.file import FILE as DUTY
from hub.duty.file import Override
from hub.journal.writer import FILE, connect, put_order
from hub.outcome import Order
from hub.settings.site import Device, Devices, Site
from hub.settings.site_voice import LogSpec
from hub.speaking import speaker
from tests.hub.field.conftest import Hub

if TYPE_CHECKING:
    from hub.rules.door import Rule

CALLS = "SELECT key, person, voice, status FROM outbox JOIN flip ON seq = flip WHERE person <> '' AND key LIKE 'sos/%'"
ROSTER = """
[[person]]
id = "p1"
name = "甲"
address = { book = "desk" }
[[shift]]
id = "day"
name = { zh = "班", en = "Day" }
role = "guard"
hours = "00:00-24:00"
people = ["p1"]
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks more often than in a yard."""
    for module in (duty_room, speaker):
        monkeypatch.setattr(module, "LOOK_S", 0.02)


@pytest.fixture
def court(tmp_path: Path, site: Site, rules: "tuple[Rule, ...]") -> Hub:
    """The small community with a voice, and a button that can be pressed."""

    def readable(device: Device) -> Device:
        fields = {"sos": JsonField(type="choice", choices={"pressed": ["p"], "normal": ["n"]})}
        return replace(device, profile=replace(device.profile, reading=fields)) if device.id == "sos-1" else device

    links = [replace(link, devices=Devices(map(readable, link.devices))) for link in site.links]
    return Hub(tmp_path / FILE, replace(site, links=tuple(links), voices=(LogSpec(id="book"),)), rules)


def press(hub: Hub, value: str = "p") -> None:
    """Somebody presses the button."""
    hub.mqtt.offer(hub.arrival("sos-1", Message("x", f'{{"sos": "{value}"}}'.encode())))


def order(hub: Hub, kind: str, target: str, command: str = "", occurrence: int | None = None, text: str = "") -> None:
    """As the page, or the command line, puts it in."""
    now = hub.clock.now()
    made = Order(id=0, token=f"{kind}{command}", kind=kind, target=target, command=command, occurrence=occurrence,
                 text=text, actor="p1", issued=now, expires=now + 60_000)  # fmt: skip
    with contextlib.closing(connect(hub.path)) as db:
        put_order(db, made)


async def test_a_p1_calls_who_is_on_duty_until_it_is_acknowledged(court: Hub, tmp_path: Path) -> None:
    """From the wire to the person and back: alarm, incident, call, acknowledgement, acceptance."""
    (tmp_path / DUTY).write_text(ROSTER, encoding="utf-8")
    async with court.running():
        court.mqtt.up()
        press(court)
        await court.until(lambda: court.ask(CALLS + " AND status = 'accepted'"))
        assert court.ask(CALLS) == [("sos/sos-1", "p1", "book", "accepted")]
        assert court.ask("SELECT state, assignee FROM incident") == [("dispatched", "p1")]
        order(court, "ack", "sos/sos-1", occurrence=1)
        await court.until(lambda: court.ask("SELECT 1 FROM escalation WHERE state = 'acked'"))
        order(court, "incident", "1", "accept")
        await court.until(lambda: court.ask("SELECT 1 FROM incident WHERE state = 'working'"))
        assert court.ask("SELECT state FROM orders WHERE kind <> 'command'") == [("done",), ("done",)]
        await court.until(lambda: court.ask("SELECT 1 FROM escalation WHERE state = 'idle'"))


async def test_a_hub_without_a_roster_is_as_it_was(court: Hub) -> None:
    """Nobody is called, nothing is opened, and no alarm of its own is raised."""
    async with court.running():
        court.mqtt.up()
        press(court)
        await court.until(lambda: court.ask("SELECT 1 FROM alarm WHERE key = 'sos/sos-1' AND state = 'unacked'"))
        await court.until(lambda: court.ask("SELECT 1 FROM meta WHERE key = 'heartbeat'"))
    assert court.ask(CALLS + " UNION SELECT 1, 1, 1, 1 FROM incident UNION SELECT 1, 1, 1, 1 FROM escalation") == []
    assert court.ask("SELECT key FROM alarm WHERE source = 'hub' AND state <> 'normal'") == []


async def test_a_stand_in_by_order_counts_within_a_look(court: Hub, tmp_path: Path) -> None:
    """The page's order becomes a line of the file, and the next call goes to who stands in."""
    second = '[[person]]\nid = "p2"\nname = "乙"\naddress = { book = "yard" }\n'
    (tmp_path / DUTY).write_text(ROSTER + second, encoding="utf-8")
    now = datetime.fromtimestamp(court.clock.now() // 1000, UTC).replace(tzinfo=None)
    day = timedelta(days=1)
    change = Override(person="p1", since=now - day, until=now + day, instead="p2")
    async with court.running():
        court.mqtt.up()
        order(court, "duty", "p1", "stand-in", text=msgspec.json.encode(change).decode())
        await court.until(lambda: court.ask("SELECT state FROM orders") == [("done",)])
        await court.until(lambda: (duty := court.field._duty.callees.duty) is not None and len(duty.override) == 1)
        press(court)
        await court.until(lambda: court.ask(CALLS))
        assert {row[1] for row in court.ask(CALLS)} == {"p2"}


async def test_a_hole_in_the_roster_is_an_alarm_until_it_is_filled(court: Hub, tmp_path: Path) -> None:
    """The file is read again while it runs; one with a mistake says so by the same alarm."""
    path, hole = tmp_path / DUTY, "SELECT value FROM alarm WHERE key = 'duty-hole/hub' AND state <> 'normal'"
    path.write_text(ROSTER, encoding="utf-8")
    async with court.running():
        await court.until(lambda: court.ask("SELECT 1 FROM meta WHERE key = 'heartbeat'"))
        path.write_text(ROSTER.replace('"00:00-24:00"', '"08:00-20:00"'), encoding="utf-8")
        await court.until(lambda: court.ask(hole))
        assert str(court.ask(hole)[0][0]).startswith("20")
        path.write_text(ROSTER + "\nextra = 1\n[[", encoding="utf-8")
        await court.until(lambda: "not valid TOML" in str(court.ask(hole)))
        path.write_text(ROSTER, encoding="utf-8")
        await court.until(lambda: not court.ask(hole))


@pytest.mark.parametrize(("day", "missing"), [("2026-11-30", False), ("2026-12-01", True)])
async def test_a_missing_calendar_is_an_alarm_until_it_is_imported(
    tmp_path: Path, site: Site, rules: "tuple[Rule, ...]", monkeypatch: pytest.MonkeyPatch, day: str, missing: bool
) -> None:
    """From December 1 on; importing clears it within a look."""
    now, real = round(datetime.fromisoformat(f"{day}T12:00+08:00").timestamp() * 1000), Clock.now
    offset = now - real(Clock())
    monkeypatch.setattr(Clock, "now", lambda clock: real(clock) + offset)
    hub = Hub(tmp_path / FILE, site, rules)
    found = "SELECT value FROM alarm WHERE key = 'calendar-missing/hub' AND state <> 'normal'"
    async with hub.running():
        await hub.until(lambda: "calendar-missing" in hub.field._duty._told)
        if not missing:
            assert hub.ask(found) == []
            return
        await hub.until(lambda: hub.ask(found) == [("2027",)])
        (tmp_path / CALENDAR).write_text("[year.2027]\nholiday = [2027-01-01]\n", encoding="utf-8")
        await hub.until(lambda: not hub.ask(found))


async def test_nobody_reacts_to_a_p1(court: Hub, tmp_path: Path) -> None:
    """When everybody was called, that is an alarm of its own; the acknowledgement ends it."""
    steps = '[[escalation]]\nseverity = "P1"\nagain = 300.0\n[[escalation.step]]\nafter = 0.0\nto = ["all"]\n'
    (tmp_path / DUTY).write_text(ROSTER + steps, encoding="utf-8")
    state = "SELECT state, value FROM alarm WHERE key = 'nobody-reacted/hub'"
    async with court.running():
        court.mqtt.up()
        press(court)
        await court.until(lambda: court.ask(state) == [("unacked", "sos/sos-1")])
        order(court, "ack", "sos/sos-1", occurrence=1)
        await court.until(lambda: court.ask(state)[0][0] == "returned")


async def test_a_roster_says_what_days_are(court: Hub, tmp_path: Path) -> None:
    """A roster that leans on the calendar follows a change of it: a day made a holiday has no shift, and a hole."""
    roster = ROSTER.replace('"00:00-24:00"', '{ workday = "00:00-24:00", weekend = "00:00-24:00", holiday = "" }')
    (tmp_path / DUTY).write_text(roster, encoding="utf-8")
    hole = "SELECT value FROM alarm WHERE key = 'duty-hole/hub' AND state <> 'normal'"
    async with court.running():
        await court.until(lambda: court.ask("SELECT 1 FROM meta WHERE key = 'heartbeat'"))
        tomorrow = (datetime.fromtimestamp(court.clock.now() / 1000, UTC) + timedelta(days=2)).date()
        text = f"[year.{tomorrow.year}]\nholiday = [{tomorrow}]\n"
        (tmp_path / CALENDAR).write_text(text, encoding="utf-8")
        await court.until(lambda: court.ask(hole) == [(f"{tomorrow} 00:00",)])


async def test_a_reload_goes_on_with_duty(court: Hub, tmp_path: Path, rules: "tuple[Rule, ...]") -> None:
    """Alarms of the hub itself keep their state, and a voice of the new file is one that people can be called by."""
    (tmp_path / DUTY).write_text(ROSTER.replace('book = "desk"', 'bell = "desk"'), encoding="utf-8")
    hole = "SELECT value FROM alarm WHERE key = 'duty-hole/hub' AND state <> 'normal'"
    async with court.running():
        court.mqtt.up()
        await court.until(lambda: "no such voice" in str(court.ask(hole)))
        site = court._opened[0]
        new = replace(site, voices=(*site.voices, LogSpec(id="bell")))
        await court.field.rebind(new, rules, court.field.links, lambda _: "test")
        await court.until(lambda: not court.ask(hole))
        press(court)
        await court.until(lambda: court.ask(CALLS) == [("sos/sos-1", "p1", "bell", "accepted")])
    assert court.ask("SELECT activations FROM occurrence WHERE key = 'duty-hole/hub'") == [(1,)]
