"""What a broker throws away is read from its own count, and a broker that does not say is not taken for a good one."""

import asyncio

import aiomqtt

from firmware_bridge.links.broker_count import dropped
from firmware_bridge.links.mqtt_wire import Hello
from tests.conftest import Mosquitto

HELLO = Hello(client_id="visitor")


async def test_the_count_rises_with_what_is_thrown_away(mosquitto: Mosquitto) -> None:
    """A queue that overflows is the broker's silence towards everybody; its count tells."""
    mosquitto.stop()
    mosquitto.settings += ["sys_interval 1", "max_queued_messages 2", "max_inflight_messages 1"]
    mosquitto.start()
    before = await dropped(mosquitto.host, mosquitto.port, None, HELLO, lambda: 0)
    assert before == 0
    sleeper = aiomqtt.Client(mosquitto.host, mosquitto.port, identifier="sleeper", clean_session=False)
    async with sleeper:
        await sleeper.subscribe("t", qos=1)
    async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
        for _ in range(20):
            await client.publish("t", b"x", qos=1)
    async with asyncio.timeout(20):
        while not await dropped(mosquitto.host, mosquitto.port, None, HELLO, lambda: 0):
            await asyncio.sleep(0.2)


async def test_a_broker_that_is_gone_says_nothing(mosquitto: Mosquitto) -> None:
    """No count is not a count of nought."""
    mosquitto.stop()
    assert await dropped(mosquitto.host, mosquitto.port, None, HELLO, lambda: 0) is None


async def test_a_broker_that_does_not_say(mosquitto: Mosquitto) -> None:
    """One without the topic is left again after a moment."""
    mosquitto.stop()
    mosquitto.settings += ["sys_interval 0"]
    mosquitto.start()
    assert await dropped(mosquitto.host, mosquitto.port, None, HELLO, lambda: 0) is None
