"""The broker that zhian runs: nobody without a password, no device on another's topics, private files."""

import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest

from device_profiles.load import profiles
from hub import broker
from hub.reading import Label
from hub.site import Device, Devices, MqttBrokerLink, Site

NAME = Label(zh="门", en="gate")


def a_site(port: int) -> Site:
    """A site with two gates on a broker of its own."""
    profile = profiles()["gate/json-mqtt"]
    gates = Devices(
        Device(id=name, profile=profile, options=profile.link, name=NAME, link="mqtt") for name in ("gate-a", "gate-b")
    )
    link = MqttBrokerLink(id="mqtt", listen=f"127.0.0.1:{port}", devices=gates)
    return Site(id="garden", name=NAME, timezone="Asia/Shanghai", zones=(), links=(link,))


class Running:
    """A mosquitto that runs with the prepared configuration."""

    def __init__(self, port: int, data: Path) -> None:
        """`data`: where its files are."""
        self.port, self.passwords = port, broker.credentials(data)

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
    configuration = broker.prepare(site, site.links[0], tmp_path)  # type: ignore[arg-type]  # it is the mqtt link
    process = await asyncio.create_subprocess_exec(
        broker.executable(), "-c", str(configuration), stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(10):
        while not await reachable(port):
            await asyncio.sleep(0.02)
    yield Running(port, tmp_path)
    process.terminate()
    await process.wait()


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
    broker.prepare(site, site.links[0], tmp_path)  # type: ignore[arg-type]  # it is the mqtt link
    before = broker.credentials(tmp_path)
    broker.prepare(site, site.links[0], tmp_path)  # type: ignore[arg-type]

    assert broker.credentials(tmp_path) == before
    assert set(before) == {broker.HUB, "gate-a", "gate-b"}
    assert len(set(before.values())) == 3
    for path in (tmp_path / "broker").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
