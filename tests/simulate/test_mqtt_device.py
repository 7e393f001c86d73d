"""A simulated MQTT device on a real broker, heard by the hub's own session and given real orders."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import aiomqtt
import msgspec
import pytest

from firmware_bridge.links.mqtt_session import MqttSession
from firmware_bridge.raw import Alive, Arrival, Publish
from firmware_bridge.simulate.life import Life
from firmware_bridge.simulate.mqtt_device import MqttDevice
from firmware_bridge.simulate.script import QUIET, Mute, Scene, Script
from firmware_bridge.wire import decode, orders
from hub.clock import Clock
from hub.reading import Fault, Label, LinkChange, Reading
from hub.settings.site import MqttBrokerLink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from hub.settings.site import Device
    from tests.conftest import Mosquitto

CLOCK = Clock(speed=4.0, anchor_ms=Clock().now())


@contextlib.asynccontextmanager
async def played(broker: Mosquitto, device: Device, script: Script = QUIET) -> AsyncIterator[MqttDevice]:
    """The device, playing at four times the speed."""
    player = MqttDevice(device, "garden", Life(device, script), CLOCK, CLOCK.monotonic())
    task = asyncio.create_task(player.play(broker.host, broker.port))
    yield player
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@contextlib.asynccontextmanager
async def hearing(broker: Mosquitto, *devices: Device) -> AsyncIterator[MqttSession]:
    """The hub's session."""
    link = MqttBrokerLink(id="mqtt")
    async with MqttSession(link, devices, "garden", CLOCK, url=broker.url, client_id="hub") as session:
        yield session


async def hear(session: MqttSession, device: Device, enough: Callable[[list[object]], bool]) -> list[object]:
    """Readings, faults and births as they come, until it is enough."""
    heard: list[object] = []
    async with asyncio.timeout(15):
        async for news in session:
            for item in news:
                if isinstance(item, Arrival) and isinstance(item.raw, Alive):
                    heard.append(item.raw)
                elif isinstance(item, Arrival):
                    heard += decode.decode(device.id, device.profile, item.raw, item.rx)
                else:
                    assert isinstance(item, LinkChange)
            if enough(heard):
                break
    return heard


def values(heard: list[object], quantity: str) -> list[object]:
    """What was said of one quantity, in order, repeats left out."""
    said = [each.value for each in heard if isinstance(each, Reading) and each.quantity == quantity]
    return [value for at, value in enumerate(said) if at == 0 or value != said[at - 1]]


@pytest.mark.parametrize(
    "profile",
    [
        "gate/json-mqtt",
        "gate/json-mqtt-signed",
        "noise/json-mqtt",
        "sos/json-mqtt",
        "speech/json-mqtt",
        "water/json-mqtt",
    ],
)
async def test_each_mqtt_device_is_readable(mosquitto: Mosquitto, device: Callable[..., Device], profile: str) -> None:
    """Birth, then readings that decode without a fault, through the real session."""
    player = device(profile, "device-1")
    async with hearing(mosquitto, player) as session, played(mosquitto, player):
        heard = await hear(session, player, lambda heard: any(isinstance(each, Reading) for each in heard))
    assert Alive(True) in heard
    assert [each for each in heard if isinstance(each, Fault)] == []


async def test_gate_obeys_an_order_and_says_so(mosquitto: Mosquitto, device: Callable[..., Device]) -> None:
    """An order of the hub's own making opens the gate: moving, then open, as the profile's `confirm` wants."""
    gate = device("gate/json-mqtt", "gate-1")
    async with hearing(mosquitto, gate) as session, played(mosquitto, gate):
        await hear(session, gate, lambda heard: values(heard, "gate") == ["closed"])
        expires = CLOCK.now() + 10_000
        order = orders.action(
            gate.profile, "open", order_id="1", device="gate-1", issued=CLOCK.now(), expires=expires,
            topic="garden/gate-1/do",
        )  # fmt: skip
        await session.send("gate-1", order)
        heard = await hear(session, gate, lambda heard: "open" in values(heard, "gate"))
    assert values(heard, "gate")[-2:] == ["moving", "open"]


def told(**changes: object) -> bytes:
    """An order for the gate as the hub makes it, but for the changes."""
    now = CLOCK.now()
    order = {"do": "open", "id": "7", "device": "gate-1", "issued": now, "expires": now + 10_000}
    return msgspec.json.encode(order | changes)


def test_orders_that_must_not_be_obeyed_are_refused(device: Callable[..., Device]) -> None:
    """Expired, good for too long, repeated, older, for another door, without a name, unknown, unreadable, retained."""
    gate = device("gate/json-mqtt", "gate-1")
    player = MqttDevice(gate, "garden", Life(gate, QUIET), CLOCK, CLOCK.monotonic())
    first = told(id="6")
    player.obey(first, retained=False)
    late = CLOCK.now() + 60_000
    refusals = {
        "expired": [told(expires=CLOCK.now() - 1), told(expires=None), told(expires=late)],
        "unknown": [told(do="explode", issued=late - 60_000 + 5)],
        "repeated": [first],
        "foreign": [told(device="gate-2"), told(device=None), told(issued="now"), told(id=None)],
    }
    refusals["foreign"] += [b"open", b"[1]", b"\xff", b"[" * 100_000]
    for word, payloads in refusals.items():
        assert [player.refusal(payload, retained=False) for payload in payloads] == [word] * len(payloads)
    good = told(issued=CLOCK.now() + 5, expires=CLOCK.now() + 9_000)
    assert player.refusal(good, retained=True) == "retained"
    assert player.refusal(good, retained=False) == ""


def test_a_device_that_was_cut_off_knows_what_it_obeyed(device: Callable[..., Device], tmp_path: Path) -> None:
    """It writes the order down before it moves: after a power cut the same order, recorded by somebody, is refused."""
    gate, memory = device("gate/json-mqtt", "gate-1"), tmp_path / "gate-1"
    order = told()
    for obeys in (True, False):
        player = MqttDevice(gate, "garden", Life(gate, QUIET), CLOCK, CLOCK.monotonic(), memory)
        assert (player.refusal(order, retained=False) == "") is obeys
        player.obey(order, retained=False)
    forgetful = MqttDevice(gate, "garden", Life(gate, QUIET), CLOCK, CLOCK.monotonic())
    assert forgetful.refusal(order, retained=False) == ""  # the control: without a memory it would move twice


def test_two_orders_of_one_moment_are_two(device: Callable[..., Device]) -> None:
    """They may come in any order; what was given ten seconds before the newest is old, whatever the clock says."""
    gate = device("gate/json-mqtt", "gate-1")
    player = MqttDevice(gate, "garden", Life(gate, QUIET), CLOCK, CLOCK.monotonic())
    now = CLOCK.now()
    for order, issued in (("8", now + 5), ("9", now + 5), ("7", now)):
        payload = told(id=order, issued=issued, expires=issued + 9_000)
        assert player.refusal(payload, retained=False) == ""
        player.obey(payload, retained=False)
        assert player.refusal(payload, retained=False) == "repeated"
    player.obey(told(id="10", issued=now + 20_000, expires=now + 30_000), retained=False)
    assert player.refusal(told(id="11", issued=now + 1_000, expires=now + 11_000), retained=False) == "repeated"


async def test_retained_order_of_before_is_not_carried_out(mosquitto: Mosquitto, device: Callable[..., Device]) -> None:
    """A broker that kept an order hands it to a gate that comes later; the gate knows better."""
    gate = device("gate/json-mqtt", "gate-1")
    payload = told()
    async with hearing(mosquitto, gate) as session:
        await hear_up(session)
        await session.send("", Publish("garden/gate-1/do", payload, retain=True))
        async with played(mosquitto, gate):
            heard = await hear(session, gate, lambda heard: bool(values(heard, "refused_order")))
    assert "moving" not in values(heard, "gate")
    assert values(heard, "refused_order") == ["retained"]


async def hear_up(session: MqttSession) -> None:
    """Wait until the session is up."""
    assert isinstance((await asyncio.wait_for(anext(aiter(session)), 10))[0], LinkChange)


def births(heard: list[object]) -> list[Alive]:
    """Births and last wills only."""
    return [each for each in heard if isinstance(each, Alive)]


async def test_gone_device_is_offline_and_comes_back(mosquitto: Mosquitto, device: Callable[..., Device]) -> None:
    """A scene may take a device off the broker: offline, then born again; when the play ends it is offline too."""
    sos = device("sos/json-mqtt", "sos-1")
    gone = Scene(at=3.0, lasts=4.0, device="sos-1", mute=Mute.GONE, note=Label(zh="", en=""))
    async with hearing(mosquitto, sos) as session:
        async with played(mosquitto, sos, Script(round=600.0, scene=(gone,))):
            heard = await hear(session, sos, lambda heard: len(births(heard)) == 3)
            assert births(heard) == [Alive(True), Alive(False), Alive(True)]
        heard = await hear(session, sos, lambda heard: bool(births(heard)))
        assert births(heard) == [Alive(False)]


async def test_device_survives_its_broker(mosquitto: Mosquitto, device: Callable[..., Device]) -> None:
    """The broker is killed and comes back: the device does too."""
    noise = device("noise/json-mqtt", "noise-1")
    async with played(mosquitto, noise):
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as watcher:
            await watcher.subscribe("garden/noise-1/up")
            await asyncio.wait_for(anext(aiter(watcher.messages)), 10)
            mosquitto.kill()
            with pytest.raises(aiomqtt.MqttError):
                await asyncio.wait_for(anext(aiter(watcher.messages)), 10)
        mosquitto.start()
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as watcher:
            await watcher.subscribe("garden/noise-1/up")
            await asyncio.wait_for(anext(aiter(watcher.messages)), 10)
