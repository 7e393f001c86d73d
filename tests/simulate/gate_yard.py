"""A field process with one gate behind a real broker, the gate, and somebody else at the broker."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import aiomqtt
from aiomqtt import ProtocolVersion

from firmware_bridge.links.mqtt_session import MqttSession
from firmware_bridge.simulate.life import Life
from firmware_bridge.simulate.mqtt_device import MqttDevice
from firmware_bridge.simulate.script import QUIET
from hub.clock import Clock
from hub.core import Core
from hub.field import Field
from hub.journal.writer import FILE, Journal, connect, put_order
from hub.outcome import Order
from hub.reading import Label
from hub.rules.door import load_rules
from hub.settings.site import Devices, MqttBrokerLink, Site, Zone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from hub.settings.site import Device
    from tests.conftest import Mosquitto

CLOCK = Clock()
NAME = Label(zh="门", en="Gate")
TOPIC = "garden/gate-1/do"


class Yard:
    """A field process with one gate behind a real broker, and the gate."""

    def __init__(self, folder: Path, broker: Mosquitto, gate: Device) -> None:
        """Nothing runs yet."""
        self.path, self.gate, self._broker = folder / FILE, gate, broker
        zone = Zone(id="north", name=NAME)
        link = MqttBrokerLink(id="mqtt", url=broker.url, devices=Devices((gate,)))
        self.site = Site(id="garden", name=NAME, timezone="Asia/Shanghai", zones=(zone,), links=(link,))
        self.rules = load_rules(self.site, folder / "site.toml")
        self._presses = 0
        self.memory, self.key = folder / "gate-1", b""  # the controller's

    @contextlib.asynccontextmanager
    async def hub(self) -> AsyncIterator[None]:
        """The field process."""
        journal = Journal(self.path, self.site)
        core = Core(self.site, self.rules, journal.memory(), CLOCK.now())
        session = MqttSession(
            self.site.links[0], [self.gate], "garden", CLOCK, url=self._broker.url, client_id="hub"  # type: ignore[arg-type]  # it is one
        )  # fmt: skip
        field = Field(self.site, {rule.id: rule for rule in self.rules}, core, journal, [session], CLOCK)
        task = asyncio.create_task(field.run())
        await self.until("SELECT 1 FROM health WHERE source = 'mqtt' AND state = 'up'")
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    @contextlib.asynccontextmanager
    async def controller(self) -> AsyncIterator[None]:
        """The gate, simulated by its profile, heard by the running hub; it remembers what it obeyed."""
        ((last,),) = self.ask("SELECT coalesce(max(seq), 0) FROM reading")
        player = MqttDevice(
            self.gate, "garden", Life(self.gate, QUIET), CLOCK, CLOCK.monotonic(), self.memory, self.key
        )
        task = asyncio.create_task(player.play(self._broker.host, self._broker.port))
        await self.until(f"SELECT 1 FROM reading WHERE quantity = 'gate' AND seq > {last}")
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def press(self, command: str = "open", lasts_s: float = 10.0) -> int:
        """Order it; its number."""
        self._presses += 1
        now = CLOCK.now()
        order = Order(
            id=0, token=f"t{self._presses}", kind="command", target="gate-1", command=command, actor="lin",
            issued=now, expires=now + round(lasts_s * 1000), text="ambulance",
        )  # fmt: skip
        with contextlib.closing(connect(self.path)) as db:
            return put_order(db, order)

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        """What stands in the journal."""
        with contextlib.closing(connect(self.path, read_only=True)) as db:
            return [tuple(row) for row in db.execute(sql)]

    async def until(self, sql: str, seconds: float = 15.0) -> None:
        """Until the question has an answer."""
        async with asyncio.timeout(seconds):
            while not self.ask(sql):
                await asyncio.sleep(0.02)

    async def ended(self, number: int) -> str:
        """The state in which an order ended."""
        await self.until(f"SELECT 1 FROM orders WHERE id = {number} AND ended IS NOT NULL")
        return str(self.ask(f"SELECT state FROM orders WHERE id = {number}")[0][0])

    def opened(self) -> int:
        """How often the gate moved."""
        return sum(value == "moving" for (value,) in self.ask(_GATE))


_GATE = "SELECT value FROM reading WHERE quantity = 'gate' ORDER BY seq"


@contextlib.asynccontextmanager
async def intruder(broker: Mosquitto, **more: object) -> AsyncIterator[aiomqtt.Client]:
    """Somebody else at the broker."""
    async with aiomqtt.Client(broker.host, broker.port, protocol=ProtocolVersion.V5, **more) as client:  # type: ignore[arg-type]  # as aiomqtt's
        yield client
