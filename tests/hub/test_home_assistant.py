"""What a Home Assistant is told: right forms, nothing about persons, nothing to command, withdrawn when it is over."""

import asyncio
import contextlib
import json
import socket
import sqlite3
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from device_profiles import load, vocabulary
from device_profiles.door import Refusal
from hub.clock import Clock
from hub.outcome import Health
from hub.processes import broker
from hub.reading import Kind, Label, Reading
from hub.settings.door import load_site
from hub.settings.site import Device, Devices, MqttBrokerLink, Site
from hub.settings.site_share import READER, ROOT, HomeAssistant
from hub.sharing import share
from hub.sharing.home_assistant import ALARMING, NUMBERS, STATES, Known, messages, shareable

NOW = 1_760_000_000_000
SCHEMA = (Path(__file__).parents[2] / "hub" / "journal" / "schema.sql").read_text()


class Still(Clock):
    """Stands at NOW; sleeps as ever."""

    def now(self) -> int:
        """NOW."""
        return NOW


def a_device(name: str, profile: str) -> Device:
    """One of the supported products."""
    found = load.profiles()[profile]
    return Device(id=name, profile=found, options=found.link, name=Label(zh=name, en=name), link="mqtt")


def a_site(port: int = 1883, shared: tuple[str, ...] = ("gate-a", "meter")) -> Site:
    """A gate, a meter and a chip reader; `shared` of them."""
    devices = Devices((a_device("gate-a", "gate/json-mqtt"), a_device("meter", "noise/generic-rs485")))
    link = MqttBrokerLink(id="mqtt", listen=f"127.0.0.1:{port}", devices=devices)
    wanted = HomeAssistant(devices=shared) if shared else None
    name = Label(zh="园", en="garden")
    return Site(id="garden", name=name, timezone="Asia/Shanghai", zones=(), links=(link,), home_assistant=wanted)


def reading(device: str, quantity: str, value: float | str) -> Reading:
    """Just read."""
    return Reading(device=device, quantity=quantity, value=value, ts=NOW, rx=NOW, detail={"credential": "c-7f3a"})


def known(*readings: Reading, state: str = "ok", hub_fresh: bool = True) -> Known:
    """Both devices in this state."""
    health = {name: Health(source=name, kind="device", state=state, since=NOW) for name in ("gate-a", "meter")}
    health["mqtt"] = Health(source="mqtt", kind="link", state="up", since=NOW)
    return Known(hub_fresh=hub_fresh, health=health, latest={(one.device, one.quantity): one for one in readings})


def test_the_form_of_a_number() -> None:
    """A sensor with unit, class and precision by the vocabulary, two availability topics and its device."""
    found = messages(a_site(), known(reading("meter", "laeq", 55.74)))
    entity = json.loads(found["homeassistant/sensor/zhian-garden-meter/laeq/config"])
    assert entity["unit_of_measurement"] == "dB"
    assert entity["device_class"] == "sound_pressure"
    assert entity["state_class"] == "measurement"
    assert entity["unique_id"] == "zhian-garden-meter-laeq"
    assert entity["device"]["identifiers"] == ["zhian-garden-meter"]
    assert [place["topic"] for place in entity["availability"]] == [
        "zhian-share/garden/status",
        "zhian-share/garden/meter/status",
    ]
    assert found[entity["state_topic"]] == b"55.7"
    assert found["zhian-share/garden/meter/status"] == b"online"


def test_nothing_can_be_commanded_and_nobody_is_told_of() -> None:
    """No command topic anywhere; of a gate its state alone, no passage and no credential."""
    everything = [reading("gate-a", name, "granted") for name in a_device("gate-a", "gate/json-mqtt").profile.reading]
    found = messages(a_site(), known(*everything))
    text = b" ".join([*found.values(), *(topic.encode() for topic in found)])
    assert b"command" not in text
    assert b"c-7f3a" not in text
    assert b"passage" not in text
    assert "zhian-share/garden/gate-a/gate" in found


def test_what_may_be_shared_is_listed() -> None:
    """Events and words about persons are never in the table; every word in it is one of the vocabulary, of its kind."""
    words = vocabulary.quantities()
    listed = {*NUMBERS, *ALARMING, *STATES}
    assert listed <= set(words)
    assert not listed & {name for name, word in words.items() if word.kind is Kind.EVENT}
    assert not listed & {"presence", "sos", "occupied", "people", "count_in", "count_out"}
    assert all(words[name].kind in (Kind.GAUGE, Kind.COUNTER) for name in NUMBERS)
    assert all(on in words[name].states and len(words[name].states) == 2 for name, (_, on) in ALARMING.items())
    assert shareable(a_device("reader", "chip/wl-134a")) == []


@pytest.mark.parametrize("bad", [known(state="silent"), known(hub_fresh=False), Known(hub_fresh=True)])
def test_silence_is_not_available(bad: Known) -> None:
    """A silent device, a hub that does not live, and a device that nothing is known of are offline."""
    assert messages(a_site(), bad)["zhian-share/garden/meter/status"] == b"offline"


BAD = {
    'devices = ["gate-x"]': "home_assistant.devices[0]",
    'devices = ["chip"]': "has nothing that is shared",
    'devices = ["gate"]\nlink = "x"': "home_assistant.link",
    'devices = ["gate"]\nprefix = "a/b"': "home_assistant.prefix",
    'devices = ["gate"]\nprefix = "garden"': "home_assistant.prefix",
    'devices = ["gate"]\nusername = "x"': "home_assistant.username",
    'devices = ["gate"]\nspeed = 1': "there is no such key",
}
SITE = """
[site]
id = "garden"
name = { zh = "园", en = "garden" }
timezone = "Asia/Shanghai"
[[link]]
id = "mqtt"
kind = "mqtt"
[[link.device]]
id = "gate"
profile = "gate/json-mqtt"
[[link]]
id = "port"
kind = "serial"
port = "/dev/ttyS9"
[[link.device]]
id = "chip"
profile = "chip/wl-134a"
[home_assistant]
"""


@pytest.mark.parametrize("table", BAD)
def test_the_door_names_what_is_wrong(table: str, tmp_path: Path) -> None:
    """File, key and what would be right; the same table without its mistake is taken."""
    path = tmp_path / "site.toml"
    path.write_text(SITE + table)
    with pytest.raises(Refusal) as refused:
        load_site(path)
    assert BAD[table] in str(refused.value)
    path.write_text(SITE + 'devices = ["gate"]')
    assert load_site(path).home_assistant == HomeAssistant(devices=("gate",))


class Broker:
    """A mosquitto with the site's own files, and a journal beside it."""

    def __init__(self, port: int, data: Path) -> None:
        """Not started yet."""
        self.port, self.data, self.process = port, data, None
        self.db = sqlite3.connect(data / "journal.sqlite", isolation_level=None)
        self.db.executescript(SCHEMA)
        self.db.execute("INSERT INTO meta VALUES ('heartbeat', ?)", (str(NOW),))
        for name, kind, state in (("gate-a", "device", "ok"), ("meter", "device", "ok"), ("mqtt", "link", "up")):
            self.db.execute("INSERT INTO health (source, kind, state, since) VALUES (?, ?, ?, 0)", (name, kind, state))
        self.say(55.0)

    process: Process | None

    def say(self, level: float) -> None:
        """The meter measures."""
        self.db.execute(
            "INSERT OR REPLACE INTO latest VALUES ('meter', 'laeq', ?, ?, ?, 'good', NULL)", (NOW, NOW, level)
        )

    def prepare(self, site: Site) -> Path:
        """The broker's files."""
        return broker.prepare(site, broker.own(site)[0], self.data)

    def client(self, user: str) -> aiomqtt.Client:
        """Of this user."""
        return aiomqtt.Client("127.0.0.1", self.port, username=user, password=broker.credentials(self.data)[user])

    async def sharing(self, site: Site) -> "asyncio.Task[None]":
        """The office's part."""
        return asyncio.create_task(share.Sharer(site, self.data, Still()).run())

    async def standing(self, wanted: str, payload: bytes) -> dict[str, bytes]:
        """All retained messages that the Home Assistant may read, once `wanted` says so."""
        found: dict[str, bytes] = {}
        async with asyncio.timeout(20), self.client(READER) as client:
            await client.subscribe("#", qos=1)
            async for message in client.messages:
                found[str(message.topic)] = bytes(message.payload)
                if found.get(wanted) == payload:
                    return {topic: said for topic, said in found.items() if said}  # empty: withdrawn just now
        raise AssertionError


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Broker]:
    """The broker of `a_site`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = Broker(port, tmp_path)
    configuration = made.prepare(a_site(port))
    made.process = await asyncio.create_subprocess_exec(
        broker.executable(), "-c", str(configuration), stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.05)
    yield made
    made.process.terminate()
    await made.process.wait()
    made.db.close()


async def stop(task: "asyncio.Task[None]") -> None:
    """The office ends."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


STATE, STATUS = "zhian-share/garden/meter/laeq", "zhian-share/garden/status"
CONFIG = "homeassistant/sensor/zhian-garden-meter/laeq/config"


async def test_at_a_real_broker(running: Broker) -> None:
    """Told, retained; told again what changes; offline when the office is gone; withdrawn when it is shared no more."""
    task = await running.sharing(a_site(running.port))
    found = await running.standing(STATUS, b"online")
    assert found[STATE] == b"55.0"
    assert json.loads(found[CONFIG])["state_topic"] == STATE
    running.say(61.0)
    await running.standing(STATE, b"61.0")
    await stop(task)
    assert (await running.standing(STATUS, b"offline"))[STATE] == b"61.0"
    task = await running.sharing(a_site(running.port, ("gate-a",)))
    left = await running.standing(STATUS, b"online")
    assert STATE not in left
    assert CONFIG not in left
    assert any("gate-a" in topic for topic in left)
    await stop(task)
    async with asyncio.timeout(20):
        await share.Sharer(a_site(running.port, ()), running.data, Still()).run()  # ends: nothing is left to do
    assert share.remembered(running.data) == set()


async def test_a_birth_message_is_answered(running: Broker) -> None:
    """A Home Assistant that has just started is told everything again, though nothing has changed."""
    task = await running.sharing(a_site(running.port))
    await running.standing(STATUS, b"online")
    async with asyncio.timeout(20), running.client(READER) as client:
        await client.subscribe(CONFIG, qos=1)
        await client.publish("homeassistant/status", b"online", qos=1)
        fresh = 0
        async for message in client.messages:
            fresh += not message.retain
            if fresh:
                break
    await stop(task)


async def test_who_reads_may_say_nothing(running: Broker) -> None:
    """The Home Assistant's user writes its birth message and nothing else, and reads no device's own topics."""
    heard: list[Any] = []
    async with running.client(READER) as reader, running.client(broker.HUB) as hub:
        await hub.subscribe("#", qos=1)
        await reader.subscribe("#", qos=1)
        for topic in ("garden/gate-a/do", STATE, CONFIG, "homeassistant/status"):
            with contextlib.suppress(aiomqtt.MqttError):  # the broker may hang up on who says what he must not
                async with running.client(READER) as other:
                    await other.publish(topic, b"x", qos=1)
        await hub.publish("garden/gate-a/up", b"secret", qos=1)
        await hub.publish(f"{ROOT}/garden/end", b"x", qos=1)
        async with asyncio.timeout(20):
            async for message in reader.messages:
                heard.append(str(message.topic))
                if heard[-1].endswith("end"):
                    break
            said = []
            async for message in hub.messages:
                said.append(str(message.topic))
                if said[-1].endswith("end"):
                    break
    assert "garden/gate-a/up" not in heard
    assert said == ["homeassistant/status", "garden/gate-a/up", f"{ROOT}/garden/end"]
