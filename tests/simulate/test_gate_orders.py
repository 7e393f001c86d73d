"""The whole way of an order to a gate, with a real broker: never late, never twice, never another door's.

Recorded and sent again, late, retained, for another door, and across a stop of the hub; whoever tries raises an alarm.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import aiomqtt
import msgspec
import pytest
from aiomqtt import ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from firmware_bridge.links.mqtt_session import MqttSession
from firmware_bridge.raw import Publish, SendError
from firmware_bridge.simulate.life import Life
from firmware_bridge.simulate.mqtt_device import MqttDevice
from firmware_bridge.simulate.script import QUIET
from hub.clock import Clock
from hub.core import Core
from hub.field import Field
from hub.journal import FILE, Journal, connect, put_order
from hub.outcome import Order
from hub.reading import FaultKind, Label
from hub.rules import load_rules
from hub.site import Devices, MqttBrokerLink, Site, Zone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from hub.site import Device
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
        self.memory = folder / "gate-1"

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
        player = MqttDevice(self.gate, "garden", Life(self.gate, QUIET), CLOCK, CLOCK.monotonic(), self.memory)
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


@pytest.fixture
def yard(tmp_path: Path, mosquitto: Mosquitto, device: Callable[..., Device]) -> Yard:
    """The gate stands in the north."""
    return Yard(
        tmp_path, mosquitto, msgspec.structs.replace(device("gate/json-mqtt", "gate-1"), zone="north", link="mqtt")
    )


@contextlib.asynccontextmanager
async def intruder(broker: Mosquitto, **more: object) -> AsyncIterator[aiomqtt.Client]:
    """Somebody else at the broker."""
    async with aiomqtt.Client(broker.host, broker.port, protocol=ProtocolVersion.V5, **more) as client:  # type: ignore[arg-type]  # as aiomqtt's
        yield client


def keeping(seconds: int) -> Properties:
    """A session that the broker keeps so long."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no types
    properties.SessionExpiryInterval = seconds
    return properties


async def test_a_recorded_order_moves_nothing_and_alarms(yard: Yard, mosquitto: Mosquitto) -> None:
    """Sent again, for another door, retained: the gate moves once, and the tries are an alarm that names the gate."""
    async with yard.hub(), intruder(mosquitto) as thief:
        await thief.subscribe(TOPIC)
        async with yard.controller():
            assert await yard.ended(yard.press()) == "confirmed"
            recorded = await asyncio.wait_for(anext(aiter(thief.messages)), 10)
            assert isinstance(recorded.payload, bytes)
        said = msgspec.json.decode(recorded.payload)
        assert said["device"] == "gate-1"
        assert said["expires"] - said["issued"] == 10_000
        async with yard.controller():  # after a power cut
            await thief.publish(TOPIC, recorded.payload)
            await thief.publish(TOPIC, recorded.payload.replace(b"gate-1", b"gate-2"), retain=True)
            await yard.until("SELECT 1 FROM occurrence WHERE rule = 'order-refused' AND source = 'gate-1'")
            await yard.until("SELECT 1 FROM reading WHERE quantity = 'refused_order' AND value = 'foreign'")
        async with yard.controller():  # whoever comes later is handed the retained one
            await yard.until("SELECT 1 FROM reading WHERE quantity = 'refused_order' AND value = 'retained'")
        assert yard.opened() == 1


@pytest.mark.parametrize(("lasts_s", "waits_s", "comes"), [(1.0, 2.5, False), (10.0, 0.5, True)])
async def test_an_order_that_waited_too_long_is_not_handed_over(
    yard: Yard, mosquitto: Mosquitto, lasts_s: float, waits_s: float, *, comes: bool
) -> None:
    """A gate with a session that the broker keeps is away: the broker itself drops what has expired meanwhile.

    The control: what is still good is handed over, so that the session really keeps orders.
    """
    away = {"identifier": "gate", "clean_start": False, "properties": keeping(600)}
    async with intruder(mosquitto, **away) as gate:
        await gate.subscribe(TOPIC, qos=1)
    async with yard.hub():
        number = yard.press(lasts_s=lasts_s)
        await yard.until(f"SELECT 1 FROM orders WHERE id = {number} AND state = 'sent'")
        await asyncio.sleep(waits_s)
        got: list[bytes] = []
        async with intruder(mosquitto, **away) as gate:
            with contextlib.suppress(TimeoutError):
                message = await asyncio.wait_for(anext(aiter(gate.messages)), 1.0)
                got.append(bytes(message.payload))
    assert [b'"id":"%d"' % number in payload for payload in got] == [True] * comes


async def test_with_nobody_listening_it_fails_at_once(yard: Yard) -> None:
    """A gate with a clean session that is away: told within the moment, and nothing waits for its return."""
    async with yard.hub():
        assert await yard.ended(yard.press()) == "failed"
        async with yard.controller():
            await asyncio.sleep(0.5)
        assert yard.opened() == 0
        assert "nobody listens" in str(yard.ask("SELECT outcome FROM orders")[0][0])


async def test_a_hub_that_stops_sends_nothing_again(yard: Yard) -> None:
    """Stopped between sending and confirmation the order is unknown after the start, and the gate moved once."""
    hub = contextlib.AsyncExitStack()
    await hub.enter_async_context(yard.hub())
    async with yard.controller():
        number = yard.press()
        await yard.until(f"SELECT 1 FROM orders WHERE id = {number} AND state <> 'requested'")
        await hub.aclose()
        async with yard.hub():
            await yard.until(f"SELECT 1 FROM orders WHERE id = {number} AND state IN ('unknown', 'confirmed')")
            await yard.until("SELECT 1 FROM latest WHERE quantity = 'gate' AND value = 'open'")
        assert yard.opened() <= 1
        assert yard.ask("SELECT count(*) FROM orders") == [(1,)]


async def test_a_broker_that_is_away_keeps_nothing(yard: Yard, mosquitto: Mosquitto) -> None:
    """Without a connection it fails, and the broker's return moves no gate."""
    async with yard.hub(), yard.controller():
        mosquitto.kill()
        await yard.until("SELECT 1 FROM health WHERE source = 'mqtt' AND state = 'down'")
        assert await yard.ended(yard.press()) == "failed"
        mosquitto.start()
        await yard.until("SELECT 1 FROM health WHERE source = 'mqtt' AND state = 'up'", 30)
        await asyncio.sleep(1.0)
        assert yard.opened() == 0


async def test_the_session_itself_sends_nothing_late(mosquitto: Mosquitto, device: Callable[..., Device]) -> None:
    """What cannot leave now never leaves: a link keeps no order."""
    link, gates = MqttBrokerLink(id="mqtt"), [device("gate/json-mqtt", "gate-1")]
    session = MqttSession(link, gates, "garden", CLOCK, url=mosquitto.url, client_id="hub")
    mosquitto.kill()
    async with session, asyncio.timeout(10):
        with pytest.raises(SendError) as refused:
            await session.send("gate-1", Publish(TOPIC, b"{}", expires_s=10))
    assert refused.value.kind is FaultKind.LINK_DOWN
