"""An MQTT session that is given another list of devices: one connection, only what is new is subscribed to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiomqtt

from device_profiles.types import MqttLink
from firmware_bridge.raw import Arrival, Message
from hub.reading import LinkChange, LinkState

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.settings.site import Device
    from tests.conftest import Mosquitto
    from tests.links.conftest import News, Opener, Reader


def said(news: News) -> list[tuple[str, bytes]]:
    """Device and payload of each message."""
    return [
        (item.device, item.raw.payload) for item in news if isinstance(item, Arrival) and isinstance(item.raw, Message)
    ]


def connections(mosquitto: Mosquitto) -> int:
    """How often a client has connected as `hub`, by the broker's own log."""
    return mosquitto.log().count(" as hub ")


async def publish(mosquitto: Mosquitto, *topics: str, retain: bool = False) -> None:
    """One word on each topic, by somebody."""
    async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
        for topic in topics:
            await client.publish(topic, topic, qos=1, retain=retain)


async def test_new_topics_are_heard_on_the_same_connection(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader], device: Callable[..., Device]
) -> None:
    """A device of the house's topics, and one of its own, are heard; what others had said is not said again."""
    old = device("old", MqttLink(topic="shop/old"))
    await publish(mosquitto, "shop/old", retain=True)
    session = await open_session(mosquitto.url, [old])
    await read.until(session, lambda news: ("old", b"shop/old") in said(news))

    session.carry([old, device("house"), device("own", MqttLink(topic="shop/own"))])
    news: News = []
    for _ in range(50):  # the broker's word for the new filter is not waited for by anybody
        await publish(mosquitto, "garden/house/up", "shop/own")
        news += await read.until(session, lambda some: ("house", b"garden/house/up") in said(some))
        if ("own", b"shop/own") in said(news):
            break
    assert ("own", b"shop/own") in said(news)
    assert ("old", b"shop/old") not in said(news)
    assert [item for item in news if isinstance(item, LinkChange)] == []
    assert connections(mosquitto) == 1


async def test_left_topics_are_left(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader], device: Callable[..., Device]
) -> None:
    """What a device that is gone says on its own topic is not brought any more."""
    old, stays = device("old", MqttLink(topic="shop/old")), device("stays")
    session = await open_session(mosquitto.url, [old, stays])
    await read.state(session, LinkState.UP)
    session.carry([stays])
    for _ in range(100):
        await publish(mosquitto, "shop/old", "garden/stays/up")
        news = await read.until(session, lambda some: ("stays", b"garden/stays/up") in said(some))
        if len(said(news)) == 1:
            break
    assert said(news) == [("stays", b"garden/stays/up")]
    assert connections(mosquitto) == 1


async def test_a_list_that_changes_while_the_broker_is_away(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader], device: Callable[..., Device]
) -> None:
    """The next connection subscribes to what is missing, though the session is an old one, and leaves the rest."""
    old = device("old", MqttLink(topic="shop/old"))
    session = await open_session(mosquitto.url, [old])
    await read.state(session, LinkState.UP)
    mosquitto.stop()
    await read.state(session, LinkState.DOWN)
    session.carry([device("own", MqttLink(topic="shop/own"))])
    await asyncio.sleep(0)
    mosquitto.start()
    await read.state(session, LinkState.UP)
    await publish(mosquitto, "shop/old", "shop/own")
    assert said(await read.until(session, lambda news: bool(said(news)))) == [("own", b"shop/own")]
