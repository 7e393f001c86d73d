"""The whole demo community, heard through the hub's real links on real ptys, sockets and a real broker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from device_profiles.door import Refusal
from firmware_bridge.links.modbus_bus import ModbusBus
from firmware_bridge.links.mqtt_session import MqttSession
from firmware_bridge.links.serial_port import SerialPort
from firmware_bridge.raw import Alive, Arrival, Link, Write
from firmware_bridge.simulate.community import play
from firmware_bridge.simulate.script import Mute, Scene, Script
from firmware_bridge.wire import decode
from hub.clock import Clock
from hub.reading import Fault, Label, Reading
from hub.settings.site import MqttBrokerLink, SerialPortLink, Site, SiteLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Mosquitto

NOTE = Label(zh="", en="")
SCRIPT = Script(
    round=600.0,
    registered={"156000000000101": "a dog"},
    scene=(
        Scene(at=4.0, lasts=500.0, device="noise-square", set={"laeq": 63.0}, spread=1.0, note=NOTE),
        Scene(at=4.0, lasts=500.0, device="noise-north", mute=Mute.SILENT, note=NOTE),
        Scene(at=4.0, lasts=500.0, device="radar-lake", set={"presence": "present", "distance": 1.8}, note=NOTE),
        Scene(at=4.0, lasts=500.0, device="radar-pool", set={"presence": "present", "distance": 0.9}, note=NOTE),
        Scene(at=5.0, lasts=3.0, device="chip-north", event={"chip": "156000000000977"}, note=NOTE),
        Scene(at=5.0, device="gate-north", event={"passage": "denied"}, detail={"direction": "in"}, note=NOTE),
    ),
)


class Ear:
    """Listens on every link of a site as the hub does, and remembers what was said."""

    def __init__(self, site: Site, broker: Mosquitto) -> None:
        """Nothing is open yet."""
        self.readings: dict[str, list[Reading]] = {}
        self.faults: list[Fault] = []
        self.births: set[str] = set()
        self._devices = site.devices()
        self.links: dict[str, Link] = {link.id: self._link(site, link, broker) for link in site.links}
        self._news = asyncio.Event()

    def _link(self, site: Site, link: SiteLink, broker: Mosquitto) -> Link:
        if isinstance(link, MqttBrokerLink):
            return MqttSession(link, link.devices, site.id, Clock(), url=broker.url, client_id="hub")
        return SerialPort(link, Clock()) if isinstance(link, SerialPortLink) else ModbusBus(link, Clock())

    async def listen(self) -> None:
        """On all links, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for link in self.links.values():
                group.create_task(self._hear(link))

    async def _hear(self, link: Link) -> None:
        async with link:
            async for news in link:
                for item in news:
                    if isinstance(item, Arrival):
                        self._take(item)
                self._news.set()

    def _take(self, item: Arrival) -> None:
        if isinstance(item.raw, Alive):
            self.births.add(item.device)
            return
        for said in decode.decode(item.device, self._devices[item.device].profile, item.raw, item.rx):
            if isinstance(said, Fault):
                self.faults.append(said)
            else:
                self.readings.setdefault(said.device, []).append(said)

    def values(self, device: str, quantity: str) -> list[object]:
        """All that was said of it."""
        return [each.value for each in self.readings.get(device, []) if each.quantity == quantity]

    async def until(self, enough: Callable[[], bool], within: float = 20.0) -> None:
        """Wait until it is so."""
        async with asyncio.timeout(within):
            while not enough():
                self._news.clear()
                await self._news.wait()


async def test_community_is_heard_whole_and_follows_its_script(demo_site: Site, mosquitto: Mosquitto) -> None:
    """Every device of every cable is readable, ordinary first, then by the script; a relay obeys and ends its pulse."""
    ear = Ear(demo_site, mosquitto)
    async with asyncio.timeout(40), asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                play(demo_site, SCRIPT, Clock(), credentials={}, broker=(mosquitto.host, mosquitto.port))
            ),
            group.create_task(ear.listen()),
        ]
        talkers = set(demo_site.devices()) - {"chip-north", "chip-east"}
        await ear.until(lambda: set(ear.readings) >= talkers)
        assert max(float(str(level)) for level in ear.values("noise-square", "laeq")) <= 42.0
        await ear.links["relay-cabinet"].send("yard-relay", Write(5, 0x0201, 10))
        await ear.until(lambda: ear.values("yard-relay", "relay_2")[-1:] == ["on"])
        await ear.until(lambda: ear.values("yard-relay", "relay_2")[-1:] == ["off"])
        await ear.until(lambda: "156000000000977" in ear.values("chip-north", "chip"))
        await ear.until(lambda: "denied" in ear.values("gate-north", "passage"))
        await ear.until(lambda: 1.8 in ear.values("radar-lake", "distance"))
        await ear.until(lambda: 0.9 in ear.values("radar-pool", "distance"))
        assert ear.values("radar-lake", "presence")[-1] == ear.values("radar-pool", "presence")[-1] == "present"
        await ear.until(lambda: float(str(ear.values("noise-square", "laeq")[-1])) > 61.0)
        await ear.until(lambda: any(fault.source == "noise-north" for fault in ear.faults))
        for task in tasks:
            task.cancel()
    assert {fault.source for fault in ear.faults} == {"noise-north"}
    assert ear.births == {device for device in demo_site.devices() if device.split("-")[0] in ("gate", "sos")} | {
        "noise-garage",
        "radar-pool",
    }


async def test_unfit_script_is_refused_before_anything_is_opened(demo_site: Site, mosquitto: Mosquitto) -> None:
    """A script that a device cannot follow does not begin."""
    wrong = Scene(at=0.0, lasts=1.0, device="gate-east", set={"gate": "ajar"}, note=NOTE)
    with pytest.raises(Refusal, match="is not what gate can be"):
        await play(
            demo_site,
            Script(round=9.0, scene=(wrong,)),
            Clock(),
            credentials={},
            broker=(mosquitto.host, mosquitto.port),
        )
