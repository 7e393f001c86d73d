"""A daily test through the whole field process: from the press to the siren's short order, at any hour of the day."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from device_profiles.types import JsonField
from firmware_bridge.raw import Message, Publish
from hub.journal.writer import FILE, connect, put_order
from hub.outcome import Order
from hub.settings.site import Devices
from tests.hub.field.conftest import Hub

if TYPE_CHECKING:
    from pathlib import Path

    from hub.rules.door import Rule
    from hub.settings.site import Device, Site


@pytest.fixture
def lake(tmp_path: Path, site: Site, rules: tuple[Rule, ...]) -> Hub:
    """The small community, with a radar whose messages can be read."""

    def readable(device: Device) -> Device:
        fields = {"presence": JsonField(type="choice", choices={"present": ["y"], "absent": ["n"]})}
        return replace(device, profile=replace(device.profile, reading=fields)) if device.id == "radar-1" else device

    links = [replace(link, devices=Devices(map(readable, link.devices))) for link in site.links]
    return Hub(tmp_path / FILE, replace(site, links=tuple(links)), rules)


def say(hub: Hub, presence: str) -> None:
    """The radar speaks."""
    hub.mqtt.offer(hub.arrival("radar-1", Message("x", f'{{"presence": "{presence}"}}'.encode())))


async def test_from_the_press_to_the_siren(lake: Hub) -> None:
    """The alarm is raised and the siren ordered for two seconds, not eight; the test is passed and durable."""
    async with lake.running():
        lake.mqtt.up()
        await lake.until(lambda: lake.ask("SELECT 1 FROM health WHERE source = 'mqtt' AND state = 'up'"))
        say(lake, "n")
        await lake.until(lambda: lake.ask("SELECT 1 FROM latest WHERE device = 'radar-1'"))
        now = lake.clock.now()
        order = Order(id=0, token="t", kind="drill", target="lake", command="short", seconds=60.0, actor="lin",
                      issued=now, expires=now + 30_000)  # fmt: skip
        with contextlib.closing(connect(lake.path)) as db:
            put_order(db, order)
        await lake.until(lambda: lake.ask("SELECT 1 FROM drill WHERE state = 'running'"))
        say(lake, "y")
        await lake.until(lambda: lake.mqtt.sent)
        ((seconds, actor),) = lake.ask("SELECT seconds, actor FROM orders WHERE target = 'relay-1'")
        assert (seconds, actor) == (2.0, "rule:water-presence")
        ((_, sent),) = lake.mqtt.sent
        assert isinstance(sent, Publish)
        assert b'"seconds":2.0' in sent.payload
    ((state, caught, ended),) = lake.ask("SELECT state, json_array_length(caught), ended FROM drill WHERE actor <> ''")
    assert (state, caught, ended) == ("passed", 1, None)
