"""The broker that zhian runs: nobody without a password, no device on another's topics, private files."""

import asyncio
import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest
from msgspec.structs import replace

from device_profiles.door import Refusal
from device_profiles.load import profiles
from hub.processes import broker
from hub.reading import Label
from hub.settings.site import Device, Devices, MqttBrokerLink, Site

NAME = Label(zh="门", en="gate")


def a_site(port: int) -> Site:
    """A site with two gates on a broker of its own."""
    profile = profiles()["gate/json-mqtt"]
    gates = Devices(
        Device(id=name, profile=profile, options=profile.link, name=NAME, link="mqtt") for name in ("gate-a", "gate-b")
    )
    link = MqttBrokerLink(id="mqtt", listen=f"127.0.0.1:{port}", devices=gates)
    return Site(id="garden", name=NAME, timezone="Asia/Shanghai", zones=(), links=(link,))


def prepare(site: Site, data: Path, **more: str) -> Path:
    """The files of the site's own broker."""
    return broker.prepare(site, broker.own(site)[0], data, **more)


class Running:
    """A mosquitto that runs with the prepared configuration."""

    def __init__(self, port: int, data: Path, process: Process) -> None:
        """`data`: where its files are."""
        self.port, self.data, self.process = port, data, process
        self.passwords = broker.credentials(data)

    def client(self, user: str, password: str | None = None) -> aiomqtt.Client:
        """A client of this user, with the right password unless another is given."""
        word = self.passwords[user] if password is None else password
        return aiomqtt.Client("127.0.0.1", self.port, username=user, password=word, identifier=f"test-{user}")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """The broker of `a_site`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    site = a_site(port)
    process = await started(prepare(site, tmp_path))
    async with asyncio.timeout(10):
        while not await reachable(port):
            await asyncio.sleep(0.02)
    yield Running(port, tmp_path, process)
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    await process.wait()


async def started(configuration: Path) -> Process:
    """mosquitto as `zhian run` starts it."""
    command = (broker.executable(), "-c", str(configuration))
    return await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)


async def reachable(port: int) -> bool:
    """True when somebody listens there."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def heard(running: Running, publisher: str, topic: str) -> bool:
    """True when the hub hears what `publisher` says on `topic`."""
    async with running.client(broker.HUB) as hub, running.client(publisher) as device:
        await hub.subscribe("#", qos=1)
        await device.publish(topic, b"x", qos=1)
        await hub.publish("end", b"x", qos=1)
        async with asyncio.timeout(10):
            async for message in hub.messages:
                if str(message.topic) in (topic, "end"):
                    return str(message.topic) == topic
    raise AssertionError


async def test_a_device_speaks_for_itself_alone(running: Running) -> None:
    """A device's words on its own topics reach the hub; those on another's, or as an order, do not."""
    assert await heard(running, "gate-a", "garden/gate-a/up")
    assert await heard(running, "gate-a", "garden/gate-a/alive")
    assert not await heard(running, "gate-a", "garden/gate-b/up")
    assert not await heard(running, "gate-a", "garden/gate-b/do")
    assert not await heard(running, "gate-a", "garden/gate-a/do")


@pytest.mark.parametrize(("user", "password"), [("gate-a", "wrong"), ("gate-a", ""), ("nobody", "x")])
async def test_nobody_comes_in_without_the_password(running: Running, user: str, password: str) -> None:
    """A wrong password, none, and an unknown user are all refused."""
    with pytest.raises(aiomqtt.MqttError):
        async with running.client(user, password):
            pass


def test_files_are_private_and_passwords_stay(tmp_path: Path) -> None:
    """Mode 0600, and the passwords that were printed on devices' labels survive a new start."""
    site = a_site(1883)
    prepare(site, tmp_path)
    before = broker.credentials(tmp_path)
    prepare(site, tmp_path)

    assert broker.credentials(tmp_path) == before
    assert set(before) == {broker.HUB, "gate-a", "gate-b"}
    assert len(set(before.values())) == 3
    for path in (tmp_path / "broker").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


async def test_a_device_hears_its_own_orders_alone(running: Running) -> None:
    """A device that asks for everything is told only what is an order to it."""
    async with running.client(broker.HUB) as hub, running.client("gate-a") as device:
        for pattern in ("#", "garden/+/do", "garden/gate-b/do", "garden/gate-b/up", "garden/gate-a/do", "$SYS/#"):
            await device.subscribe(pattern, qos=1)
        for topic in ("garden/gate-b/do", "garden/gate-b/up", "garden/gate-a/do"):
            await hub.publish(topic, topic.encode(), qos=1)
        assert await heard_by(device) == {"garden/gate-a/do"}


async def heard_by(device: aiomqtt.Client, patience_s: float = 1.0) -> set[str]:
    """All topics that come within a while."""
    topics: set[str] = set()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            async for message in device.messages:
                topics.add(str(message.topic))
    return topics


async def test_a_new_device_is_let_in_and_nobody_is_thrown_out(running: Running) -> None:
    """Passwords and access list are read again while it runs: others stay connected, and speak on."""
    site = a_site(running.port)
    link = broker.own(site)[0]
    more = replace(link.devices[0], id="gate-new")
    async with running.client(broker.HUB) as hub, running.client("gate-a") as gate:
        await hub.subscribe("garden/#", qos=1)
        prepare(replace(site, links=(replace(link, devices=Devices([*link.devices, more])),)), running.data)
        assert broker.read_again(running.data)
        running.passwords = broker.credentials(running.data)
        async with running.client("gate-new") as new:
            await new.publish("garden/gate-new/up", b"x", qos=1)
        await gate.publish("garden/gate-a/up", b"x", qos=1)
        assert await heard_by(hub) == {"garden/gate-new/up", "garden/gate-a/up"}


async def test_a_renewed_password_ends_the_old_one_at_once(running: Running) -> None:
    """Whoever is connected with the old password is thrown out, and let in no more; the other device stays."""
    old = running.passwords["gate-a"]
    async with contextlib.AsyncExitStack() as stack:
        gate = await stack.enter_async_context(running.client("gate-a"))
        other = await stack.enter_async_context(running.client("gate-b"))
        prepare(a_site(running.port), running.data, renew="gate-a")
        assert broker.read_again(running.data)
        stack.push(lambda kind, *_: kind is aiomqtt.MqttError)  # the farewell of one who was thrown out
        with pytest.raises(aiomqtt.MqttError, match="Disconnected"):
            await asyncio.wait_for(anext(aiter(gate.messages)), 10)
        await other.publish("garden/gate-b/up", b"x", qos=1)
    with pytest.raises(aiomqtt.MqttError):
        async with running.client("gate-a", old):
            pass
    running.passwords = broker.credentials(running.data)
    assert running.passwords["gate-a"] != old
    async with running.client("gate-a"):
        pass


BROKEN = [("access", "hello\n"), ("access", ""), ("access", None), ("passwords", "hello\n"), ("passwords", None)]
BROKEN += [("access", "user zhian-hub\ntopic readwrite #\nuser gate-a\ntopic write #\n")]


def spoil(data: Path, name: str, text: str | None) -> None:
    """Other words in one of the broker's files; None: it cannot be read at all."""
    path = data / "broker" / name
    if text is None:
        path.unlink()
        path.mkdir()
    else:
        path.write_text(text)


@pytest.mark.parametrize(("name", "text"), BROKEN)
async def test_broken_files_stop_a_running_broker(running: Running, name: str, text: str | None) -> None:
    """mosquitto 2.0 would open to everybody when it reads a broken list: it is stopped instead, in words."""
    spoil(running.data, name, text)
    with pytest.raises(Refusal, match=f"{name}.*the broker was stopped"):
        broker.read_again(running.data)
    async with asyncio.timeout(10):
        await running.process.wait()


def test_a_broker_that_does_not_hear_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told in the instant before it listens to signals it would go on, and open to everybody at the next reading."""
    monkeypatch.setattr(broker, "_PATIENCE", 4)
    prepare(a_site(1883), tmp_path)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    command = [sys.executable, "-c", deaf, str(tmp_path / "broker" / "mosquitto.conf")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (tmp_path / "broker" / "pid").write_text(str(process.pid))
        spoil(tmp_path, "access", "hello\n")
        with pytest.raises(Refusal, match="the broker was stopped"):
            broker.read_again(tmp_path)
        assert process.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("name", "text"),
    [*BROKEN[:2], ("access", "gone"), ("passwords", "hello\n"), ("passwords", ""), ("passwords", "gone")],
)
async def test_broken_files_open_no_broker(tmp_path: Path, name: str, text: str) -> None:
    """A start with broken files ends, or lets nobody say anything: no broker rather than an open one."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = prepare(a_site(port), tmp_path)
    spoil(tmp_path, name, text)
    if text == "gone":
        (tmp_path / "broker" / name).unlink()
    process = await started(configuration)
    try:
        async with asyncio.timeout(10):
            while process.returncode is None and not await reachable(port):
                await asyncio.sleep(0.02)
        if process.returncode is None:
            with pytest.raises((aiomqtt.MqttError, TimeoutError)):
                await heard(Running(port, tmp_path, process), "gate-a", "garden/gate-b/up")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def test_another_programs_number_is_left_alone(tmp_path: Path) -> None:
    """A number that a dead broker left behind may be anybody's now."""
    prepare(a_site(1883), tmp_path)
    assert not broker.read_again(tmp_path)
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
    try:
        (tmp_path / "broker" / "pid").write_text(f"{other.pid}\n")
        assert not broker.read_again(tmp_path)
        os.kill(other.pid, 0)
        assert other.returncode is None
    finally:
        other.kill()
        await other.wait()


@pytest.mark.parametrize("topic", ["#", "{site}/+/up", "a\ntopic readwrite #", "$SYS/broker", " a", "a\0b"])
def test_a_topic_that_opens_others_is_refused(tmp_path: Path, topic: str) -> None:
    """What a site file says becomes a line of the access list: a wildcard, or a second line, does not."""
    site = a_site(1883)
    link = broker.own(site)[0]
    device = link.devices[0]
    open_to_all = replace(device, options=replace(device.options, topic=topic))
    with pytest.raises(Refusal, match="device gate-a: topic"):
        prepare(replace(site, links=(replace(link, devices=Devices([open_to_all])),)), tmp_path)
    assert not (tmp_path / "broker" / "access").exists()


SETTINGS = {
    "allow_anonymous": "false",
    "persistence": "true",
    "autosave_interval": "1",
    "persistent_client_expiration": "14d",
    "max_inflight_messages": "0",
    "max_queued_messages": "0",
    "max_queued_bytes": str(256 << 20),
    "max_packet_size": str(64 << 10),
    "max_keepalive": "120",
}


def test_what_the_broker_keeps_and_bounds(tmp_path: Path) -> None:
    """Nothing is dropped while the hub is away, and everything has a bound; mosquitto's own defaults do neither."""
    lines = prepare(a_site(1883), tmp_path).read_text().splitlines()
    settings = dict(line.split(maxsplit=1) for line in lines)
    assert {name: settings[name] for name in SETTINGS} == SETTINGS
    assert 16 <= int(settings["max_connections"]) <= 10_000
    assert settings["listener"] == "1883 127.0.0.1"


async def test_what_is_too_large_is_not_said_to_be_well(running: Running) -> None:
    """A message past the limit ends the connection: "Success" for what is dropped would be a lie."""
    said = [await thrown_out(running, "gate-a", b"x" * size) for size in (60 << 10, 70 << 10)]
    assert said == [False, True]


async def thrown_out(running: Running, user: str, payload: bytes) -> bool:
    """True when the broker ends the connection upon this message."""
    with contextlib.suppress(aiomqtt.MqttError):
        async with running.client(user) as device:
            device._client.publish(f"garden/{user}/up", payload, qos=1)  # aiomqtt's own would wait for the PUBACK
            try:
                async with asyncio.timeout(1.0):
                    await anext(aiter(device.messages))
            except TimeoutError:
                return False
    return True
