"""A voice column on a real broker: an alarm is read aloud in words, and the column's own word confirms it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from firmware_bridge.simulate.life import Life
from firmware_bridge.simulate.mqtt_device import MqttDevice
from firmware_bridge.simulate.script import Scene, Script
from hub.clock import Clock
from hub.commands.run import open_link
from hub.core import Core
from hub.field import Field
from hub.journal.writer import FILE, Journal, put_order
from hub.outcome import Order
from hub.reading import Label
from hub.rules.door import load_rules
from hub.settings.door import load_site
from tests.hub.field.conftest import ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from hub.settings.site import Site
    from tests.conftest import Mosquitto

SITE = """
[site]
id = "garden"
name = {{ zh = "花园", en = "Garden" }}
timezone = "Asia/Shanghai"

[[zone]]
id = "lake"
name = {{ zh = "景观湖", en = "Lake" }}

[[link]]
id = "mqtt"
kind = "mqtt"
url = "{url}"
  [[link.device]]
  id = "sos-1"
  profile = "sos/json-mqtt"
  zone = "lake"
  name = {{ zh = "湖边求助按钮", en = "Lake SOS button" }}
  [[link.device]]
  id = "column"
  profile = "speech/json-mqtt"
  zone = "lake"

[[voice]]
id = "speak"
kind = "device"
device = "column"
command = "say"
cleared = "told"
languages = ["zh", "en"]
rules = ["sos"]
"""
NONE = Label(zh="", en="")
PRESSED = Scene(at=2.0, lasts=3.0, device="sos-1", set={"sos": "pressed"}, note=NONE)


@pytest.fixture
def site(tmp_path: Path, mosquitto: Mosquitto) -> Site:
    """A lake with an SOS button and a voice column."""
    path = tmp_path / "site.toml"
    path.write_text(SITE.format(url=mosquitto.url), encoding="utf-8")
    return load_site(path)


@contextlib.asynccontextmanager
async def living(
    site: Site, data: Path, mosquitto: Mosquitto, script: Script
) -> AsyncIterator[tuple[Path, MqttDevice]]:
    """The field process and the two devices; the journal's path, and the column."""
    clock, rules = Clock(), load_rules(site, data / "site.toml")
    journal = Journal(data / FILE, site)
    core = Core(site, rules, journal.memory(), clock.now())
    links = [open_link(site, link, data, clock) for link in site.links]
    field = Field(site, {rule.id: rule for rule in rules}, core, journal, links, clock)
    players = {
        name: MqttDevice(device, site.id, Life(device, script), clock, clock.monotonic())
        for name, device in site.devices().items()
    }
    tasks = [asyncio.create_task(player.play(mosquitto.host, mosquitto.port)) for player in players.values()]
    tasks.append(asyncio.create_task(field.run()))
    try:
        yield data / FILE, players["column"]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(what: Callable[[], object]) -> None:
    """Until it is true."""
    async with asyncio.timeout(40):
        while not what():
            await asyncio.sleep(0.05)


async def test_an_alarm_is_read_aloud_and_confirmed(site: Site, tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Pressed, then over: two texts, in both languages as they fit, each confirmed by the column that speaks."""
    orders = "SELECT text, state, outcome FROM orders ORDER BY id"
    async with living(site, tmp_path, mosquitto, Script(round=600.0, scene=(PRESSED,))) as (journal, column):
        await until(lambda: [row[1] for row in ask(journal, orders)] == ["confirmed", "confirmed"])
        spoken = list(column.spoken)
        rows = ask(journal, orders)
    assert [text.partition("。")[0] for text in spoken] == [
        "紧急告警：景观湖，求助按钮按下",
        "解除：景观湖，求助按钮按下",
    ]
    assert [row[0] for row in rows] == spoken
    assert all(len(text) <= 120 for text in spoken)
    assert {row[2] for row in rows} == {"confirmed:speech=speaking"}


async def test_two_texts_at_once_are_both_read_and_one_twice_is_one(
    site: Site, tmp_path: Path, mosquitto: Mosquitto
) -> None:
    """A second alarm is not refused because the first is still being read; one without words is."""
    async with living(site, tmp_path, mosquitto, Script(round=600.0)) as (journal, column):
        await until(lambda: ask(journal, "SELECT 1 FROM health WHERE source = 'column' AND state = 'ok'"))
        writer = Journal(journal, site)
        now = Clock().now()
        for number, text in enumerate(("甲", "乙", "甲", " ", "长" * 121)):
            put_order(
                writer.db,
                Order(id=0, token=str(number), kind="command", target="column", command="say", actor="li", issued=now,
                      expires=now + 10_000, text=text),
            )  # fmt: skip
        writer.close()
        states = "SELECT state FROM orders ORDER BY id"
        want = ["confirmed", "confirmed", "refused", "refused", "refused"]
        await until(lambda: [row[0] for row in ask(journal, states)] == want)
        assert sorted(column.spoken) == sorted(["甲", "乙"])
        outcomes = [row[0] for row in ask(journal, "SELECT outcome FROM orders ORDER BY id")]
    assert outcomes[2] == "already-under-way:1"
    assert outcomes[3:] == ["text-out-of-range:1..120"] * 2
