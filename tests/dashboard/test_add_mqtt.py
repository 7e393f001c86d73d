"""An MQTT device is heard before it is saved: a real broker, a simulated device, the page that an installer sees."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import threading
import time
import tomllib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from dashboard import create_app
from dashboard.access.sessions import PROOF_MS
from dashboard.office import EXTENSION
from device_profiles.load import profiles
from device_profiles.types import MqttLink
from firmware_bridge.simulate.life import Life
from firmware_bridge.simulate.mqtt_device import MqttDevice
from firmware_bridge.simulate.script import QUIET
from hub.clock import Clock
from hub.commands.run import open_link
from hub.control.door import Control, Said
from hub.control.trying import Trying
from hub.processes import broker
from hub.reading import Label
from hub.settings.door import load_site
from hub.settings.site import Device, MqttBrokerLink, Site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
    from pathlib import Path

    from flask import Flask

    from firmware_bridge.raw import Link
    from hub.rules.door import Rule
    from tests.conftest import Mosquitto
    from tests.dashboard.conftest import Browser, Field, ListHistory, StillClock

PASSWORD = "correct horse battery"
FORM = "/lines/broker/add/noise/json-mqtt"
SITE = """
[site]
id = "yard"
name = { zh = "院", en = "Yard" }
timezone = "Asia/Shanghai"

[[link]]
id = "broker"
kind = "mqtt"
WHERE

  [[link.device]]
  id = "meter"
  profile = "noise/json-mqtt"
"""


class Hub:
    """A field process's door in a thread, beside a broker."""

    def __init__(self, folder: Path, where: str, listen_s: float) -> None:
        """The site file lies in a folder of its own."""
        self.data, self.path = folder, folder / "yard" / "site.toml"
        self.path.parent.mkdir()
        self.path.write_text(SITE.replace("WHERE", where))
        self.site: Site = load_site(self.path)
        self.links: Mapping[str, Link] = {}
        self._listen_s, self.loop = listen_s, asyncio.new_event_loop()
        self._stop, self._ready = asyncio.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: self.loop.run_until_complete(self._run()), name="hub")

    def __enter__(self) -> Hub:
        """The door is open."""
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        """And shut."""
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self.loop.close()

    def play(self, coroutine: Coroutine[Any, Any, None]) -> None:  # Any: what a coroutine never yields
        """Until the door is shut."""
        asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    async def _run(self) -> None:
        def guest(site: Site, link: Any) -> Link:  # Any: a link of any kind
            return open_link(site, link, self.data, Clock(), guest=True)

        trying = Trying(self, self.path, Clock().now, self.data, guest, self._listen_s)
        async with Control(self.data, {**trying.handlers, "reload": self._reload}):
            self._ready.set()
            await self._stop.wait()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    async def _reload(self, _: Said) -> AsyncIterator[Said]:
        self.site = load_site(self.path)
        yield {}


def device(name: str, **options: object) -> Device:
    """A noise monitor that speaks each second."""
    profile = profiles()["noise/json-mqtt"]
    assert isinstance(profile.link, MqttLink)
    made = msgspec.structs.replace(profile.link, silent_after=4.0, **options)
    return Device(id=name, profile=profile, options=made, name=Label(zh=name, en=name), link="broker")


def player(made: Device, port: int, user: str = "", password: str = "") -> Coroutine[Any, Any, None]:
    """It is switched on."""
    clock = Clock()
    played = MqttDevice(made, "yard", Life(made, QUIET), clock, clock.monotonic())
    return played.play("127.0.0.1", port, user, password)


@pytest.fixture
def office(
    clock: StillClock, field: Field, history: ListHistory, people: Path, rules: tuple[Rule, ...], tmp_path: Path
) -> Iterator[Any]:
    """Makes the office of a hub."""
    made: list[Flask] = []

    def make(hub: Hub) -> Browser:
        from tests.dashboard.conftest import Browser  # where pytest has put it

        shutil.copy(people, tmp_path)
        field.put("meta", key="site_file", value=str(hub.path))
        field.beat()
        app = create_app(hub.site, tmp_path, clock, history=history, rules=rules)
        made.append(app)
        browser = Browser(app)
        browser.enter("admin")
        return browser

    yield make
    for app in made:
        app.extensions[EXTENSION].close()


def fill(**more: str) -> dict[str, str]:
    """A good form."""
    return {"id": "meter-west", "name_zh": "西", "deed": "test", **more}


def fact(page: str, label: str) -> str:
    """What stands beside a label of the login."""
    found = re.search(rf"<dt>{label}</dt><dd><code>([^<]+)</code>", page)
    assert found is not None, page
    return found[1]


def test_at_our_own_broker(tmp_path: Path, office: Any, unused_port: int) -> None:
    """The first press gives it a login, the second hears it by that login, and what was heard is saved as tested."""
    hub = Hub(tmp_path, f'listen = "127.0.0.1:{unused_port}"', 20.0)
    link = hub.site.links[0]
    assert isinstance(link, MqttBrokerLink)
    configuration = broker.prepare(hub.site, link, tmp_path)
    running = subprocess.Popen([broker.executable(), "-c", str(configuration)], stderr=subprocess.DEVNULL)
    try:
        give_up = time.monotonic() + 10
        while not (tmp_path / "broker" / "pid").exists() and time.monotonic() < give_up:
            time.sleep(0.02)
        with hub:
            admin = office(hub)
            first = admin.post(FORM, **fill()).text
            assert "It has a login now." in first
            user, word = fact(first, "User name"), fact(first, "Password")
            assert (user, fact(first, "Publishes on")) == ("meter-west", "yard/meter-west/up")
            assert broker.credentials(tmp_path)["meter-west"] == word
            hub.play(player(device("meter-west"), unused_port, user, word))
            second = admin.post(FORM, **fill()).text
            assert "It was heard." in second
            assert "dB" in second.partition('id="tried"')[2]
            assert word not in second  # told until it is heard
            proof = second.split('name="proof" value="')[1].split('"')[0]
            saved = admin.post(FORM, **fill(deed="save", proof=proof)).text
            assert "Written" in saved
        devices = tomllib.loads(hub.path.read_text())["link"][0]["device"]
        assert [each["id"] for each in devices] == ["meter", "meter-west"]
    finally:
        running.terminate()
        running.wait(10)


def test_a_login_wants_a_fresh_password(tmp_path: Path, office: Any, unused_port: int, clock: StillClock) -> None:
    """Whoever finds a page left open gets no way into the broker."""
    with Hub(tmp_path, f'listen = "127.0.0.1:{unused_port}"', 1.0) as hub:
        admin = office(hub)
        clock.at += PROOF_MS + 1
        refused = admin.post(FORM, **fill(password="wrong")).text
        assert "The password is wrong" in refused
        assert broker.credentials(tmp_path) == {}
        assert "It has a login now." in admin.post(FORM, **fill(password=PASSWORD)).text


def test_at_a_broker_of_somebody_else(tmp_path: Path, office: Any, mosquitto: Mosquitto) -> None:
    """It is heard on the topics of the form, parsed by the profile; nothing of ours is left at the broker."""
    with Hub(tmp_path, f'url = "{mosquitto.url}"', 20.0) as hub:
        hub.play(player(device("meter-west", topic="old/{device}/state"), mosquitto.port))
        page = office(hub).post(FORM, **fill(topic="old/{device}/state")).text
    assert "It was heard." in page
    assert 'id="login"' not in page


def test_nothing_came_is_said_in_both_languages(tmp_path: Path, office: Any, mosquitto: Mosquitto) -> None:
    """Silence is told as silence, with the topic and the time; a slip in the id is seen beside it."""
    with Hub(tmp_path, f'url = "{mosquitto.url}"', 3.0) as hub:
        admin = office(hub)
        hub.play(player(device("meter-wset"), mosquitto.port))
        hub.play(player(device("meter"), mosquitto.port))
        page = admin.post(FORM, **fill()).text
        assert "Nothing came on yard/meter-west/up in 3 seconds." in page
        assert "<code>yard/meter-wset/up</code>" in page
        assert "<code>yard/meter/up</code>" not in page  # the site knows it
        assert "Test it first" in admin.post(FORM, **fill(deed="save")).text
        chinese = admin.post(FORM + "?lang=zh", **fill()).text
    assert "3 秒内，主题 yard/meter-west/up 上没有收到任何数据。" in chinese


def test_what_the_profile_cannot_read_is_no_success(tmp_path: Path, office: Any, mosquitto: Mosquitto) -> None:
    """Something came: the words say that it did, and what is wrong with it."""
    with Hub(tmp_path, f'url = "{mosquitto.url}"', 3.0) as hub:
        hub.play(player(device("other", topic="yard/meter-west/up"), mosquitto.port))
        page = office(hub).post("/lines/broker/add/gate/json-mqtt", **fill()).text
    assert "the profile cannot read it" in page
    assert "It was heard." not in page


def test_a_broker_that_is_not_there_is_told(tmp_path: Path, office: Any, unused_port: int) -> None:
    """Not "nothing came": nobody could listen."""
    with Hub(tmp_path, f'url = "mqtt://127.0.0.1:{unused_port}"', 1.0) as hub:
        page = office(hub).post(FORM, **fill()).text
    assert "connection refused" in page
    assert "Nothing came" not in page
