"""Two lanes to one broker: what lives hang on overtakes everything else, each message comes once, the link is one."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import aiomqtt

from device_profiles import load
from firmware_bridge.links.mqtt_lanes import MqttLanes, is_urgent
from firmware_bridge.links.mqtt_session import MqttSession
from firmware_bridge.raw import Arrival, Message, Publish
from hub.clock import Clock
from hub.reading import Label, LinkChange, LinkState
from hub.settings.site import Device, MqttBrokerLink
from tests.conftest import Mosquitto

LINK = MqttBrokerLink(id="mqtt")


def device(name: str, profile: str) -> Device:
    """A device of the site `garden`."""
    found = load.profiles()[profile]
    return Device(id=name, profile=found, options=found.link, name=Label(zh=name, en=name), link="mqtt")


POST, METER = device("post", "sos/json-mqtt"), device("meter", "noise/json-mqtt")


@asynccontextmanager
async def opened(url: str, devices: Iterable[Device]) -> AsyncIterator[MqttLanes]:
    """The link, entered."""

    def lane(mine: Iterable[Device], elsewhere: Iterable[Device], *, urgent: bool) -> MqttSession:
        name = "hub-urgent" if urgent else "hub"
        return MqttSession(
            LINK, mine, "garden", Clock(), url=url, client_id=name, house=not urgent, elsewhere=elsewhere
        )

    async with MqttLanes(devices, lane) as link:
        yield link


async def until_up(link: MqttLanes) -> list[LinkChange]:
    """What the link says of itself until it is up."""
    said: list[LinkChange] = []
    while not said or said[-1].state is not LinkState.UP:
        async with asyncio.timeout(10):
            said += [item for item in await anext(link) if isinstance(item, LinkChange)]
    return said


async def told(link: MqttLanes, count: int) -> list[tuple[str, bytes]]:
    """So many arrivals, as (device, payload)."""
    found: list[tuple[str, bytes]] = []
    while len(found) < count:
        async with asyncio.timeout(10):
            news = await anext(link)
        found += [
            (each.device, each.raw.payload)
            for each in news
            if isinstance(each, Arrival) and isinstance(each.raw, Message)
        ]
    return found


def test_what_is_urgent_is_said_by_the_vocabulary() -> None:
    """A call button is urgent, a noise meter is not."""
    assert is_urgent(POST)
    assert not is_urgent(METER)


async def test_each_message_comes_once_and_strangers_are_heard(mosquitto: Mosquitto) -> None:
    """Both lanes hear the wildcard's broker, but a message is one arrival; an unknown device is still told."""
    async with opened(mosquitto.url, [POST, METER]) as link, aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        assert [change.state for change in await until_up(link)] == [LinkState.UP]
        for name in ("post", "meter", "stranger", "post", "meter"):
            await client.publish(f"garden/{name}/up", name, qos=1)
        found = sorted(await told(link, 5))
        assert found == [
            ("", b"stranger"), ("meter", b"meter"), ("meter", b"meter"), ("post", b"post"), ("post", b"post"),
        ]  # fmt: skip
        await client.publish("garden/meter/up", "last", qos=1)
        assert await told(link, 1) == [("meter", b"last")]


async def test_a_call_overtakes_a_flood(mosquitto: Mosquitto) -> None:
    """While thousands of messages wait for the other lane, the urgent one is in the very next lists."""
    flood = 6000
    async with opened(mosquitto.url, [POST, METER]) as link, aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        await until_up(link)
        for number in range(flood):
            await client.publish("garden/meter/up", b"%d" % number, qos=0)
        await client.publish("garden/post/up", "help", qos=1)
        before = 0
        while True:
            async with asyncio.timeout(10):
                news = await anext(link)
            if any(isinstance(each, Arrival) and each.device == "post" for each in news):
                break
            before += len(news)
        assert before <= flood // 2  # a list or two that were under way, of at most a thousand each


async def test_orders_go_out_and_both_lanes_make_the_link(mosquitto: Mosquitto) -> None:
    """An order goes out by the urgent lane; when the broker goes the link says so once, and once when it is back."""
    async with opened(mosquitto.url, [POST, METER]) as link:
        await until_up(link)
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
            await client.subscribe("garden/post/do", qos=1)
            await link.send("post", Publish("garden/post/do", b"sound"))
            async with asyncio.timeout(10):
                assert (await anext(client.messages)).payload == b"sound"
        mosquitto.stop()
        async with asyncio.timeout(10):
            news = await anext(link)
        assert [each.state for each in news if isinstance(each, LinkChange)] == [LinkState.DOWN]
        mosquitto.start()
        said = await until_up(link)
        assert [change.state for change in said if change.state is LinkState.UP] == [LinkState.UP]


async def test_another_list_of_devices_is_sorted_into_the_lanes(mosquitto: Mosquitto) -> None:
    """A call post that is added is heard in the urgent lane, and no longer as a stranger in the other."""
    async with opened(mosquitto.url, [METER]) as link, aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        await until_up(link)
        await client.publish("garden/post/up", "who?", qos=1)
        assert await told(link, 1) == [("", b"who?")]
        link.carry([POST, METER])
        async with asyncio.timeout(20):
            heard: list[tuple[str, bytes]] = []
            while heard != [("post", b"help")]:  # the broker is told in its own time
                await client.publish("garden/post/up", "help", qos=1)
                heard = await told(link, 1)
        await client.publish("garden/post/up", "once", qos=1)
        while ("post", b"once") not in heard:
            heard += await told(link, 1)
        assert ("", b"once") not in heard


async def test_a_held_lane_acknowledges_nothing_while_calls_come(mosquitto: Mosquitto) -> None:
    """Held, the ordinary lane brings no list more and its last one stays the broker's; a call still comes at once."""
    async with opened(mosquitto.url, [POST, METER]) as link, aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        await until_up(link)
        await client.publish("garden/meter/up", "kept back", qos=1)
        assert await told(link, 1) == [("meter", b"kept back")]
        link.hold(True)
        await client.publish("garden/meter/up", "later", qos=1)
        for text in ("help", "again"):
            await client.publish("garden/post/up", text, qos=1)
            assert await told(link, 1) == [("post", text.encode())]
    async with opened(mosquitto.url, [POST, METER]) as link:
        assert sorted(await told(link, 3)) == [("meter", b"kept back"), ("meter", b"later"), ("post", b"again")]
        waiting = asyncio.create_task(told(link, 1))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        waiting.cancel()


async def test_what_was_held_goes_on_while_one_waits(mosquitto: Mosquitto) -> None:
    """The end of the hold wakes the one who waits for a call."""
    async with opened(mosquitto.url, [POST, METER]) as link, aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        await until_up(link)
        await client.publish("garden/meter/up", "kept back", qos=1)
        await told(link, 1)
        link.hold(True)
        waiting = asyncio.create_task(told(link, 1))
        await client.publish("garden/meter/up", "later", qos=1)
        await asyncio.sleep(0.2)
        assert not waiting.done()
        link.hold(False)
        async with asyncio.timeout(10):
            assert await waiting == [("meter", b"later")]
