"""A field process that goes on with another site file: no list of news is lost, doubled, or read by half a file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from firmware_bridge.raw import Message
from hub.settings.site import Devices, MqttBrokerLink, Site
from hub.settings.site_voice import LogSpec, WebhookSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firmware_bridge.raw import Arrival
    from hub.settings.site import Device
    from tests.hub.field.conftest import Brake, Hub


def more(site: Site, link: str = "mqtt") -> Site:
    """With a second gate, on a link that is there or on one more."""
    new = replace(site.devices()["gate-1"], id="gate-2", link=link)
    links = [replace(each, devices=Devices([*each.devices, new])) if each.id == link else each for each in site.links]
    if all(each.id != link for each in site.links):
        links.append(MqttBrokerLink(id=link, listen="127.0.0.1:2", devices=Devices([new])))
    return replace(site, links=tuple(links))


def without(site: Site, link: str) -> Site:
    """Without one of its links."""
    return replace(site, links=tuple(each for each in site.links if each.id != link))


def second(hub: Hub, value: str = "open") -> Arrival:
    """The second gate says something, now."""
    return hub.arrival("gate-2", Message("x", f'{{"gate": "{value[0]}"}}'.encode()))


async def test_a_new_device_is_read_on_a_cable_that_does_not_notice(hub: Hub, site: Site) -> None:
    """Before the reload it is nobody's; after it, it is read. The cable is not entered again, and not asked again."""
    async with hub.running():
        hub.mqtt.up(second(hub))
        await hub.until(lambda: hub.mqtt.asked == 2)
        assert hub.ask("SELECT source, kind FROM fault") == [("mqtt", "unknown-device")]

        await hub.rebind(more(site), hub.mqtt, hub.port)
        assert hub.mqtt.entered
        assert (hub.mqtt.asked, hub.mqtt.carried[-1]) == (2, "gate-2")
        hub.mqtt.offer(second(hub), hub.gate("closed"))
        await hub.until(lambda: hub.mqtt.asked == 3)
        assert {row[:2] for row in hub.ask("SELECT device, value FROM latest")} >= {
            ("gate-2", "open"),
            ("gate-1", "closed"),
        }
        ((note,),) = hub.ask("SELECT value FROM meta WHERE key = 'reloaded'")
        assert note == "as the test says"


async def test_links_begin_and_end(hub: Hub, site: Site) -> None:
    """A link that is gone is left before the new one is entered; the third goes on; and the same back again."""
    async with hub.running():
        hub.mqtt.up()
        await hub.until(lambda: hub.mqtt.asked == 2 and hub.port.entered)
        fresh = hub.cable("more")
        await hub.rebind(without(more(site, "more"), "port"), hub.mqtt, fresh)
        await hub.until(lambda: fresh.entered)
        assert (hub.port.entered, hub.mqtt.entered, hub.mqtt.asked) == (False, True, 2)
        fresh.up(second(hub))
        await hub.until(lambda: fresh.asked == 2)

        other = hub.cable("port")
        await hub.rebind(site, hub.mqtt, other)
        await hub.until(lambda: other.entered)
        assert (fresh.entered, hub.mqtt.asked) == (False, 2)


async def test_a_list_under_way_is_kept_once(hub: Hub, site: Site, brake: Brake) -> None:
    """While its commit waits for the disk the file is reloaded: the reading is there once, and then it is asked on."""
    async with hub.running():
        hub.mqtt.up()
        await hub.until(lambda: hub.mqtt.asked == 2)
        brake.off.clear()
        hub.mqtt.offer(hub.gate("open"))
        await hub.until(lambda: brake.held)
        reloading = asyncio.create_task(hub.rebind(more(site), hub.mqtt, hub.port))
        await asyncio.sleep(0.05)
        assert not reloading.done()
        assert hub.mqtt.asked == 2
        brake.off.set()
        await reloading
        hub.mqtt.offer(second(hub, "closed"))
        await hub.until(lambda: hub.mqtt.asked == 4)
        assert hub.values().count("open") == 1


async def test_the_list_of_a_cable_that_ends_is_written(hub: Hub, site: Site, brake: Brake) -> None:
    """What the core has taken from a cable is durable, though the cable is taken away before the disk has said so."""
    async with hub.running():
        hub.mqtt.up()
        await hub.until(lambda: hub.mqtt.asked == 2)
        brake.off.clear()
        hub.mqtt.offer(hub.gate("open"))
        await hub.until(lambda: brake.held)
        fresh = hub.cable("mqtt")
        reloading = asyncio.create_task(hub.rebind(site, fresh, hub.port))
        await asyncio.sleep(0.05)
        brake.off.set()
        await reloading
        assert hub.values() == ["open"]
        await hub.until(lambda: fresh.entered)
        assert not hub.mqtt.entered


async def test_a_reload_before_the_links_have_begun_waits(hub: Hub, site: Site) -> None:
    """The door is open a moment before the cables are: the reload is not lost, and breaks nothing."""
    early = asyncio.create_task(hub.rebind(more(site), hub.mqtt, hub.port))
    await asyncio.sleep(0)
    async with hub.running():
        await early
        hub.mqtt.up(second(hub))
        await hub.until(lambda: hub.mqtt.asked == 2)
        assert hub.ask("SELECT device FROM latest") == [("gate-2",)]


@pytest.mark.parametrize("gone", [False, True])
async def test_an_order_crosses_a_reload(hub: Hub, site: Site, gone: bool) -> None:
    """An order that was sent is confirmed after it; with the device's link gone it ends, and nothing is sent again."""
    async with hub.running():
        hub.mqtt.up()
        await hub.press()
        await hub.until(lambda: hub.mqtt.sent)
        await hub.rebind(without(site, "mqtt") if gone else more(site), *([] if gone else [hub.mqtt]), hub.port)
        if gone:
            assert hub.order() == ("unconfirmed", "no-such-device:gate-1")
        else:
            hub.mqtt.offer(hub.gate("open"))
            await hub.until(lambda: hub.order()[0] == "confirmed")
        assert len(hub.mqtt.sent) == 1


async def test_new_voices_speak_and_old_ones_fall_silent(hub: Hub, site: Site) -> None:
    """From the reload on an alarm is told to the new voices alone; what waits for one that is gone ends, in words."""
    dead = replace(site, voices=(WebhookSpec(id="far", url="http://127.0.0.1:1/"),))
    async with hub.running():
        await hub.rebind(dead, hub.mqtt, hub.port)
        hub.mqtt.up(hub.arrival("gate-1", Message("x", b'{"gate": "o"}')))
        hub.port.up()
        hub.port.down("pulled")
        await hub.until(lambda: hub.ask("SELECT 1 FROM outbox WHERE voice = 'far' AND attempts > 0"), 30)
        await hub.rebind(replace(site, voices=(LogSpec(id="near"),)), hub.mqtt, hub.port)
        await hub.until(lambda: hub.ask("SELECT 1 FROM outbox WHERE voice = 'far' AND status = 'failed'"))
        hub.port.up()
        await hub.until(lambda: hub.ask("SELECT 1 FROM outbox WHERE voice = 'near' AND status = 'accepted'"), 30)
        ((detail,),) = hub.ask("SELECT DISTINCT detail FROM outbox WHERE voice = 'far'")
        assert "no voice 'far' any more" in detail or "taken out of the site file" in detail


async def test_a_reload_that_fails_within_ends_the_process(hub: Hub, site: Site) -> None:
    """Half a change is no state to go on from: the supervisor starts the process anew, with the new file."""

    def broken(devices: Iterable[Device]) -> None:
        raise RuntimeError("the test's own")

    async with hub.running():
        hub.mqtt.up()
        await hub.until(lambda: hub.mqtt.asked == 2)
        hub.mqtt.carry = broken  # type: ignore[method-assign]
        with pytest.raises(RuntimeError):
            await hub.rebind(more(site), hub.mqtt, hub.port)
        assert (await hub.failure()).subgroup(RuntimeError) is not None
