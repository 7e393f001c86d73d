"""The MQTT session against a broker that misbehaves byte by byte: stale ids, floods, poison, broken packets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from device_profiles.types import MqttLink
from firmware_bridge.links.mqtt_routes import Routes
from firmware_bridge.links.mqtt_session import MqttSession
from firmware_bridge.links.mqtt_wire import MOST
from firmware_bridge.raw import Arrival, Message, Publish, SendError, Trouble
from hub.clock import Clock
from hub.reading import FaultKind, LinkState
from hub.settings.site import MqttBrokerLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.settings.site import Device
    from tests.links.conftest import FakeBroker, News, Opener, Reader

UP = "garden/noise-1/up"


def messages(news: News) -> list[Message]:
    """Only the messages."""
    return [item.raw for item in news if isinstance(item, Arrival) and isinstance(item.raw, Message)]


async def settle(condition: Callable[[], bool]) -> None:
    """Wait until the broker has seen it."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_acknowledgements_keep_the_order_of_arrival(
    fake_broker: FakeBroker, open_session: Opener, read: type[Reader]
) -> None:
    """PUBACKs go out in the order of the messages (MQTT 5, 4.6), and only when the next list is asked for."""
    session = await open_session(fake_broker.url)
    await read.state(session, LinkState.UP)
    for packet_id in (5, 3, 9):
        fake_broker.publish(UP, b"x", packet_id)
    await asyncio.sleep(0.1)
    assert len(messages(await read.next(session))) == 3
    await asyncio.sleep(0.1)
    assert fake_broker.acknowledged == []
    with pytest.raises(TimeoutError):
        await read.next(session, within=0.1)
    await settle(lambda: fake_broker.acknowledged == [(1, 5), (1, 3), (1, 9)])


async def test_stale_acknowledgement_is_never_sent(
    fake_broker: FakeBroker, open_session: Opener, read: type[Reader]
) -> None:
    """After a reconnect the same id means another message: what came before is not acknowledged there."""
    session = await open_session(fake_broker.url)
    await read.state(session, LinkState.UP)
    fake_broker.publish(UP, b"old", 1)
    old = await read.next(session)  # in the hub's hands, not yet durable
    fake_broker.hang_up()
    asking = asyncio.create_task(read.state(session, LinkState.UP))  # durable now, on a connection that is gone
    assert (await asking).detail.endswith("a new session")
    fake_broker.publish(UP, b"new", 1)
    new = await read.next(session)
    await asyncio.sleep(0.1)
    assert fake_broker.acknowledged == []
    assert [messages(old)[0].payload, messages(new)[0].payload] == [b"old", b"new"]
    with pytest.raises(TimeoutError):
        await read.next(session, within=0.1)
    await settle(lambda: fake_broker.acknowledged == [(2, 1)])


async def test_flood_of_qos_0_is_held_back_at_the_socket(
    fake_broker: FakeBroker, open_session: Opener, read: type[Reader]
) -> None:
    """While nobody asks, reading stops: lists stay bounded, the sender waits, and then all arrives in order."""
    session = await open_session(fake_broker.url, keep_alive=1.0)
    await read.state(session, LinkState.UP)
    count, padding = 20_000, b"." * 1000
    for number in range(count):
        fake_broker.publish(UP, b"%d" % number + padding)
    await asyncio.sleep(2.0)  # longer than a keep-alive: a full house is not a dead broker
    assert fake_broker.writer is not None
    assert fake_broker.writer.transport.get_write_buffer_size() > 5_000_000
    seen: list[bytes] = []
    while len(seen) < count:
        news = await read.next(session)
        assert len(news) <= MOST
        seen += [message.payload for message in messages(news)]
    assert seen == [b"%d" % number + padding for number in range(count)]
    assert fake_broker.connections == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # what the codec's panic leaves behind
async def test_poison_is_set_aside_acknowledged_and_the_flow_goes_on(
    fake_broker: FakeBroker, open_session: Opener, read: type[Reader], device: Callable[..., Device]
) -> None:
    """A PUBLISH that the codec refuses would come back for ever: it is trouble with its bytes, then acknowledged."""
    session = await open_session(fake_broker.url, [device("noise-1")])
    await read.state(session, LinkState.UP)
    bad_property = bytes.fromhex("320E 0004") + b"a/up" + bytes.fromhex("0007 05 26 0001 FF 00")
    bad_topic = bytes.fromhex("3208 0003 61FF62 0008 00")
    fake_broker.say(bad_property + bad_topic)
    fake_broker.publish(UP, b"good", 9)
    news = await read.until(session, lambda news: len(news) == 3)
    troubles = [item.raw for item in news if isinstance(item, Arrival) and isinstance(item.raw, Trouble)]
    assert [trouble.kind for trouble in troubles] == [FaultKind.MALFORMED] * 2
    assert [trouble.payload for trouble in troubles] == [bad_property, bad_topic]
    assert [message.payload for message in messages(news)] == [b"good"]
    with pytest.raises(TimeoutError):
        await read.next(session, within=0.1)
    await settle(lambda: fake_broker.acknowledged == [(1, 7), (1, 8), (1, 9)])


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param("F0 00", id="a packet that only we may send"),
        pytest.param("00 00", id="no packet at all"),
        pytest.param("36 07 0001 61 0001 00 78", id="QoS 3"),
        pytest.param("34 07 0001 61 0001 00 78", id="QoS 2, which was not asked for"),
        pytest.param("30 FF FF FF FF 7F", id="a length of five bytes"),
        pytest.param("32 02 00 50", id="a topic longer than its packet"),
    ],
)
async def test_malformed_packet_drops_the_connection_and_heals(
    fake_broker: FakeBroker, open_session: Opener, read: type[Reader], nonsense: str
) -> None:
    """What is not MQTT ends the connection with a word, and a new one is made."""
    session = await open_session(fake_broker.url)
    await read.state(session, LinkState.UP)
    fake_broker.say(bytes.fromhex(nonsense))
    down = await read.state(session, LinkState.DOWN)
    assert "the broker sent" in down.detail
    await read.state(session, LinkState.UP)


async def test_split_packets_are_put_together(
    fake_broker: FakeBroker, open_session: Opener, read: type[Reader]
) -> None:
    """Byte by byte, and a message larger than the read buffer: whole at the other end."""
    session = await open_session(fake_broker.url)
    await read.state(session, LinkState.UP)
    for byte in bytes.fromhex("30 07 0001 61 00") + b"abc":
        fake_broker.say(bytes((byte,)))
        await asyncio.sleep(0.001)
    fake_broker.publish(UP, b"L" * 250_000)
    fake_broker.publish(UP, b"end")
    news = await read.until(session, lambda news: len(messages(news)) == 3)
    assert [len(message.payload) for message in messages(news)] == [3, 250_000, 3]


async def test_giant_packet_is_not_kept(fake_broker: FakeBroker, open_session: Opener, read: type[Reader]) -> None:
    """A broker that ignores our Maximum Packet Size is dropped before its packet fills the memory."""
    session = await open_session(fake_broker.url)
    await read.state(session, LinkState.UP)
    fake_broker.publish(UP, b"L" * 10_000_000)
    assert "larger packet than we allow" in (await read.state(session, LinkState.DOWN)).detail


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(b"", None, id="success"),
        pytest.param(b"\x00\x00", None, id="success in full"),
        pytest.param(b"\x10\x00", FaultKind.OFFLINE, id="no matching subscribers"),
        pytest.param(b"\x97\x00", FaultKind.REFUSED, id="quota exceeded"),
        pytest.param(b"\x95\x00", FaultKind.NO_ANSWER, id="a reason that PUBACK does not have"),
    ],
)
async def test_brokers_word_on_an_order(
    fake_broker: FakeBroker, open_session: Opener, read: type[Reader], answer: bytes, kind: FaultKind | None
) -> None:
    """Each reason code has one outcome; an unknown one costs the connection, never the link."""
    fake_broker.publish_answer = answer
    session = await open_session(fake_broker.url)
    await read.state(session, LinkState.UP)
    if kind is None:
        await session.send("gate-1", Publish("garden/gate-1/do", b"open"))
    else:
        with pytest.raises(SendError) as error:
            await session.send("gate-1", Publish("garden/gate-1/do", b"open"))
        assert error.value.kind is kind


async def test_order_without_an_answer_is_given_up(
    fake_broker: FakeBroker, open_session: Opener, read: type[Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No PUBACK in time is its own error: the order may or may not have gone."""
    monkeypatch.setattr("firmware_bridge.links.mqtt_session.ANSWER_S", 0.2)
    session = await open_session(fake_broker.url)
    await read.state(session, LinkState.UP)
    with pytest.raises(SendError) as error:
        await session.send("gate-1", Publish("garden/gate-1/do", b"open"))
    assert error.value.kind is FaultKind.NO_ANSWER


async def test_broker_that_does_not_greet_is_given_up(
    fake_broker: FakeBroker, open_session: Opener, read: type[Reader]
) -> None:
    """A port that takes the connection and says nothing is not a broker; the words say so."""
    fake_broker.greeting = b""
    session = await open_session(fake_broker.url, keep_alive=0.3)
    assert "no answer from the broker within" in (await read.state(session, LinkState.DOWN)).detail


async def test_another_client_with_our_id_is_named(
    fake_broker: FakeBroker, open_session: Opener, read: type[Reader]
) -> None:
    """Session taken over (0x8E): the words say that a second hub may run."""
    session = await open_session(fake_broker.url)
    await read.state(session, LinkState.UP)
    fake_broker.say(b"\xe0\x02\x8e\x00")
    assert "does a second hub run?" in (await read.state(session, LinkState.DOWN)).detail


async def test_news_does_not_pile_up_when_nobody_reads(
    fake_broker: FakeBroker, open_session: Opener, read: type[Reader]
) -> None:
    """A broker that comes and goes is not connected to again before the last loss was taken."""
    session = await open_session(fake_broker.url)
    await read.state(session, LinkState.UP)
    fake_broker.hang_up()
    await asyncio.sleep(1.2)  # the first pause is half a second at most
    assert fake_broker.connections == 1
    await read.state(session, LinkState.UP)
    assert fake_broker.connections == 2


def test_filters_do_not_overlap(device: Callable[..., Device]) -> None:
    """House topics are heard through two wildcards; only what these miss is asked for by name, once."""
    odd = MqttLink(topic="zigbee/{device}", alive="")
    shared = MqttLink(topic="zigbee/plug-1", alive="garden/plug-2/alive")
    routes = Routes([device("noise-1"), device("plug-1", odd), device("plug-2", shared)], "garden")
    assert routes.filters == ("garden/+/up", "garden/+/alive", "zigbee/plug-1")
    assert routes.behind("garden/+/up") == ["noise-1"]
    assert routes.behind("garden/+/alive") == ["noise-1", "plug-2"]
    assert routes.behind("zigbee/plug-1") == ["plug-1", "plug-2"]


@pytest.mark.parametrize("url", ["127.0.0.1:1883", "http://broker", "mqtt://", "mqtt://broker:port", ""])
def test_address_that_is_none_is_refused_at_once(url: str) -> None:
    """A wrong configuration refuses to start."""
    with pytest.raises(ValueError, match=r"mqtt|[Pp]ort"):
        MqttSession(MqttBrokerLink(id="mqtt"), [], "garden", Clock(), url=url, client_id="hub")
