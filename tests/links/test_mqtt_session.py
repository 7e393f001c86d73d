"""The MQTT session against a real mosquitto: what is kept, what is acknowledged, and how it heals."""

from __future__ import annotations

import asyncio
import subprocess
import time
from typing import TYPE_CHECKING

import aiomqtt
import pytest
import uvloop

from device_profiles.types import MqttLink
from firmware_bridge.links.mqtt_session import MqttSession
from firmware_bridge.raw import Alive, Arrival, Message, Publish, SendError, Trouble
from hub.clock import Clock
from hub.reading import FaultKind, LinkChange, LinkState
from hub.settings.site import MqttBrokerLink

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hub.settings.site import Device
    from tests.conftest import Mosquitto
    from tests.links.conftest import News, Opener, Reader


def client(broker: Mosquitto, **options: object) -> aiomqtt.Client:
    """A device's client, MQTT 5."""
    return aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5, **options)  # type: ignore[arg-type]


def arrivals(news: News) -> list[Arrival]:
    """Only what devices said."""
    return [item for item in news if isinstance(item, Arrival)]


def payloads(news: News) -> list[bytes]:
    """The payloads of the messages, in order."""
    return [item.raw.payload for item in arrivals(news) if isinstance(item.raw, Message)]


async def test_nothing_is_acknowledged_before_the_next_list_is_asked_for(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader], device: Callable[..., Device]
) -> None:
    """A list that was handed over but not made durable comes again to the next session, marked as repeated."""
    first = await open_session(mosquitto.url, [device("noise-1")])
    await read.state(first, LinkState.UP)
    async with client(mosquitto) as noise:
        for number in range(3):
            await noise.publish("garden/noise-1/up", f"{number}", qos=1)
    taken = arrivals(await read.until(first, lambda news: len(news) >= 1))
    await first.__aexit__()
    second = await open_session(mosquitto.url, [device("noise-1")])
    again = arrivals(await read.until(second, lambda news: b"2" in payloads(news)))
    assert payloads([*again]) == [b"0", b"1", b"2"]
    for before, after in zip(taken, again, strict=False):
        assert before.redelivery is not None
        assert after.redelivery is not None
        assert (before.redelivery.again, after.redelivery.again) == (False, True)
        assert before.redelivery.digest == after.redelivery.digest
        assert before.redelivery.packet_id == after.redelivery.packet_id


async def test_what_was_acknowledged_does_not_come_again(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader], device: Callable[..., Device]
) -> None:
    """Asking for the next list acknowledges the last one; messages sent while the hub is away wait at the broker."""
    first = await open_session(mosquitto.url, [device("noise-1")])
    await read.state(first, LinkState.UP)
    async with client(mosquitto) as noise:
        await noise.publish("garden/noise-1/up", "kept", qos=1)
        await read.until(first, lambda news: payloads(news) == [b"kept"])
        with pytest.raises(TimeoutError):
            await read.next(first, within=0.3)
        await first.__aexit__()
        await noise.publish("garden/noise-1/up", "meanwhile", qos=1)
    second = await open_session(mosquitto.url, [device("noise-1")])
    news = await read.until(second, lambda news: bool(payloads(news)))
    assert payloads(news) == [b"meanwhile"]


async def test_killed_broker_is_reported_and_the_session_comes_back(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader], device: Callable[..., Device]
) -> None:
    """kill -9 and restart: down, then up within 10 s, and messages flow again."""
    session = await open_session(mosquitto.url, [device("noise-1")])
    await read.state(session, LinkState.UP)
    mosquitto.kill()
    down = await read.state(session, LinkState.DOWN)
    assert f"127.0.0.1:{mosquitto.port}" in down.detail
    refused = await read.state(session, LinkState.DOWN)
    assert refused.detail.endswith("connection refused: is the broker running?")
    mosquitto.start()
    await read.state(session, LinkState.UP, within=10)
    async with client(mosquitto) as noise:
        await noise.publish("garden/noise-1/up", "back", qos=1)
    assert payloads(await read.until(session, lambda news: bool(payloads(news)))) == [b"back"]


async def test_wiped_broker_is_subscribed_to_anew(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader], device: Callable[..., Device]
) -> None:
    """A broker that lost our session (session_present = 0) gets all subscriptions again."""
    session = await open_session(mosquitto.url, [device("noise-1")])
    await read.state(session, LinkState.UP)
    mosquitto.kill()
    mosquitto.forget()
    await read.state(session, LinkState.DOWN)
    mosquitto.start()
    up = await read.state(session, LinkState.UP)
    assert up.detail.endswith("a new session")
    async with client(mosquitto) as noise:
        await noise.publish("garden/noise-1/up", "heard", qos=1)
    assert payloads(await read.until(session, lambda news: bool(payloads(news)))) == [b"heard"]


async def test_frozen_broker_is_noticed_within_one_and_a_half_keep_alives(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader]
) -> None:
    """A broker that keeps the connection open and says nothing is down; when it thaws, the link heals."""
    session = await open_session(mosquitto.url, keep_alive=1.0)
    await read.state(session, LinkState.UP)
    with pytest.raises(TimeoutError):
        await read.next(session, within=2.5)  # an idle broker that answers pings is not frozen
    mosquitto.freeze()
    began = time.monotonic()
    down = await read.state(session, LinkState.DOWN)
    assert time.monotonic() - began < 1.5 + 0.5  # half a second for a loaded machine
    assert "no answer from the broker" in down.detail
    mosquitto.thaw()
    await read.state(session, LinkState.UP)


async def test_birth_and_last_will_are_alive_news(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader], device: Callable[..., Device]
) -> None:
    """A retained birth reaches a hub that starts later; a client that vanishes is offline; other words are trouble."""
    async with client(mosquitto) as gate:
        await gate.publish("garden/gate-1/alive", "online", qos=1, retain=True)
    session = await open_session(mosquitto.url, [device("gate-1")])
    birth = arrivals(await read.until(session, lambda news: bool(arrivals(news))))
    assert [(each.device, each.raw) for each in birth] == [("gate-1", Alive(True))]
    will = aiomqtt.Will("garden/gate-1/alive", b"offline", qos=1, retain=True)
    async with client(mosquitto, will=will) as gate:
        await gate.publish("garden/gate-1/alive", "sleepy", qos=1)
        odd = arrivals(await read.until(session, lambda news: bool(arrivals(news))))
        assert isinstance(odd[0].raw, Trouble)
        assert odd[0].raw.kind is FaultKind.UNKNOWN_CHOICE
        gate._client._sock_close()  # the cable is cut: no DISCONNECT
        gone = arrivals(await read.until(session, lambda news: bool(arrivals(news))))
        assert [(each.device, each.raw) for each in gone] == [("gate-1", Alive(False))]
        with pytest.raises(aiomqtt.MqttError):
            await gate.publish("garden/gate-1/up", "never")


async def test_message_of_nobody_arrives_without_a_device(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader], device: Callable[..., Device]
) -> None:
    """A topic that no device of the site has is handed over too; other sites and deeper topics are not ours."""
    session = await open_session(mosquitto.url, [device("noise-1")])
    await read.state(session, LinkState.UP)
    async with client(mosquitto) as stranger:
        await stranger.publish("other/noise-1/up", "not ours", qos=1)
        await stranger.publish("garden/noise-1/deeper/up", "not ours", qos=1)
        await stranger.publish("garden/ghost/up", "boo", qos=1)
    (boo,) = arrivals(await read.until(session, lambda news: bool(arrivals(news))))
    assert (boo.device, boo.raw) == ("", Message("garden/ghost/up", b"boo"))


async def test_each_message_comes_once_whatever_its_topic(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader], device: Callable[..., Device]
) -> None:
    """Own topics are subscribed to one by one, the house's by one wildcard, and none twice."""
    own = MqttLink(topic="zigbee/{device}", alive="garden/{device}/up/state")
    session = await open_session(mosquitto.url, [device("noise-1"), device("plug-1", own)])
    await read.state(session, LinkState.UP)
    async with client(mosquitto) as both:
        for number in range(5):
            await both.publish("garden/noise-1/up", f"n{number}", qos=1)
            await both.publish("zigbee/plug-1", f"p{number}", qos=0)
        await both.publish("garden/noise-1/up", "end", qos=1)
    news = await read.until(session, lambda news: b"end" in payloads(news))
    assert sorted(payloads(news)) == sorted([b"end", *(f"{who}{n}".encode() for who in "np" for n in range(5))])
    assert {each.device for each in arrivals(news)} == {"noise-1", "plug-1"}
    best_effort = [each for each in arrivals(news) if isinstance(each.raw, Message) and each.raw.qos == 0]
    assert [each.redelivery for each in best_effort] == [None] * 5


async def test_retained_message_is_marked_and_a_live_one_is_not(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader], device: Callable[..., Device]
) -> None:
    """`retained` means that the broker replayed an old message on subscribing, not that the device set the flag."""
    async with client(mosquitto) as noise:
        await noise.publish("garden/noise-1/up", "old", qos=1, retain=True)
        session = await open_session(mosquitto.url, [device("noise-1")])
        old = arrivals(await read.until(session, lambda news: bool(payloads(news))))
        await noise.publish("garden/noise-1/up", "live", qos=1, retain=True)
        live = arrivals(await read.until(session, lambda news: bool(payloads(news))))
    assert [old[0].raw, live[0].raw] == [
        Message("garden/noise-1/up", b"old", 1, True),
        Message("garden/noise-1/up", b"live", 1, False),
    ]


async def test_order_carries_its_expiry(mosquitto: Mosquitto, open_session: Opener, read: type[Reader]) -> None:
    """The message expiry interval goes with the order, so that the broker cannot deliver it late."""
    session = await open_session(mosquitto.url)
    await read.state(session, LinkState.UP)
    async with client(mosquitto) as gate:
        await gate.subscribe("garden/gate-1/do", qos=1)
        await session.send("gate-1", Publish("garden/gate-1/do", b"open", expires_s=7))
        message = await asyncio.wait_for(anext(aiter(gate.messages)), 5)
    assert message.payload == b"open"
    assert message.qos == 1
    assert message.properties is not None
    assert message.properties.MessageExpiryInterval == 7  # type: ignore[attr-defined]  # paho sets it by name


async def test_order_is_refused_by_the_access_list(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader]
) -> None:
    """What the broker will not pass on is an error with a name; the link lives on, or heals (2.0.11 hangs up then)."""
    mosquitto.stop()
    mosquitto.acl("topic read #\ntopic write garden/gate-1/do\n")
    mosquitto.start()
    session = await open_session(mosquitto.url)
    await read.state(session, LinkState.UP)
    with pytest.raises(SendError) as refused:
        await session.send("gate-2", Publish("garden/gate-2/do", b"open"))
    assert refused.value.kind is FaultKind.REFUSED


async def test_order_needs_a_listener_and_a_retained_message_does_not(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader]
) -> None:
    """An order that nobody listens to is an error at once, not an order that waits for its confirmation in vain."""
    session = await open_session(mosquitto.url)
    await read.state(session, LinkState.UP)
    with pytest.raises(SendError) as deaf:
        await session.send("gate-1", Publish("garden/gate-1/do", b"open"))
    assert deaf.value.kind is FaultKind.OFFLINE
    await session.send("gate-1", Publish("garden/alarm", b"on", retain=True))


async def test_order_without_a_broker_fails_at_once_and_is_not_queued(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader]
) -> None:
    """Never queued while disconnected: a gate must not move later for an order of before."""
    mosquitto.stop()
    session = await open_session(mosquitto.url)
    await read.state(session, LinkState.DOWN)
    with pytest.raises(SendError) as error:
        await session.send("gate-1", Publish("garden/gate-1/do", b"open"))
    assert error.value.kind is FaultKind.LINK_DOWN
    mosquitto.start()
    async with client(mosquitto) as gate:
        await gate.subscribe("garden/gate-1/do", qos=1)
        await read.state(session, LinkState.UP)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(aiter(gate.messages)), 0.3)


async def test_wrong_password_is_said_in_plain_words(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader]
) -> None:
    """A refused login says whose fault it is; the right password gets in."""
    mosquitto.stop()
    mosquitto.user("hub", "right")
    mosquitto.start()
    wrong = await open_session(mosquitto.url, username="hub", password="wrong")
    down = await read.state(wrong, LinkState.DOWN)
    assert down.detail == f"127.0.0.1:{mosquitto.port}: not authorised: user name or password wrong"
    await wrong.__aexit__()
    right = await open_session(mosquitto.url, username="hub", password="right")
    await read.state(right, LinkState.UP)


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    made, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(made)], check=True, capture_output=True)
    return made, key


async def test_tls_verifies_the_broker(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader], tmp_path: Path
) -> None:
    """mqtts: the site's own authority is trusted and no other, a missing file is named, plain MQTT gets no answer."""
    (good, key), (other, _) = certificate(tmp_path, "broker"), certificate(tmp_path, "other")
    mosquitto.stop()
    mosquitto.settings += [f"certfile {good}", f"keyfile {key}"]
    mosquitto.start()
    url = mosquitto.url.replace("mqtt:", "mqtts:")
    wrong = {str(other): "the broker's certificate is not good", f"{tmp_path}/none.pem": "No such file or directory"}
    for file, words in wrong.items():
        session = await open_session(url, link=MqttBrokerLink(id="mqtt", ca_file=file))
        assert words in (await read.state(session, LinkState.DOWN)).detail
        await session.__aexit__()
    session = await open_session(url, link=MqttBrokerLink(id="mqtt", ca_file=str(good)))
    await read.state(session, LinkState.UP)
    await session.send("", Publish("garden/alarm", b"on", retain=True))


async def test_tls_shows_the_hubs_own_certificate(
    mosquitto: Mosquitto, open_session: Opener, read: type[Reader], tmp_path: Path
) -> None:
    """A broker that asks for a client certificate lets in the one it trusts, and nobody without."""
    (broker, broker_key), (ours, our_key) = certificate(tmp_path, "broker"), certificate(tmp_path, "hub")
    mosquitto.stop()
    mosquitto.settings += [f"certfile {broker}", f"keyfile {broker_key}", f"cafile {ours}", "require_certificate true"]
    mosquitto.start()
    url = mosquitto.url.replace("mqtt:", "mqtts:")
    bare = await open_session(url, link=MqttBrokerLink(id="mqtt", ca_file=str(broker)))
    assert (await read.state(bare, LinkState.DOWN)).detail.startswith("127.0.0.1")
    await bare.__aexit__()
    link = MqttBrokerLink(id="mqtt", ca_file=str(broker), certificate_file=str(ours), key_file=str(our_key))
    session = await open_session(url, link=link)
    await read.state(session, LinkState.UP)
    await session.send("", Publish("garden/alarm", b"on", retain=True))


async def test_session_lives_in_uvloop_too(mosquitto: Mosquitto) -> None:
    """The hub runs in uvloop, whose transports are not asyncio's own: connect, hear, acknowledge, heal."""

    async def evening() -> list[bytes]:
        link = MqttBrokerLink(id="mqtt")
        async with MqttSession(link, [], "garden", Clock(), url=mosquitto.url, client_id="hub") as session:
            heard: list[bytes] = []
            async with asyncio.timeout(15):
                async for news in session:
                    heard += payloads(news)
                    for change in (item for item in news if isinstance(item, LinkChange)):
                        if change.state is LinkState.UP:
                            await session.send("", Publish("garden/gate-1/up", b"%d" % len(heard)))
                    if len(heard) == 1 and news and not isinstance(news[-1], LinkChange):
                        await asyncio.to_thread(mosquitto.kill)
                        await asyncio.to_thread(mosquitto.start)
                    if len(heard) == 2:
                        break
            return heard

    assert await asyncio.to_thread(uvloop.run, evening()) == [b"0", b"1"]
