"""The whole way of an order to a gate, with a real broker: never late, never twice, never another door's.

Recorded and sent again, late, retained, for another door, and across a stop of the hub; whoever tries raises an alarm.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from firmware_bridge.links.mqtt_session import MqttSession
from firmware_bridge.raw import Publish, SendError
from hub.reading import FaultKind
from hub.settings.site import MqttBrokerLink
from tests.simulate.gate_yard import CLOCK, TOPIC, Yard, intruder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hub.settings.site import Device
    from tests.conftest import Mosquitto


@pytest.fixture
def yard(tmp_path: Path, mosquitto: Mosquitto, device: Callable[..., Device]) -> Yard:
    """The gate stands in the north."""
    return Yard(
        tmp_path, mosquitto, msgspec.structs.replace(device("gate/json-mqtt", "gate-1"), zone="north", link="mqtt")
    )


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
