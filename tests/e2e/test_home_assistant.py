"""Sharing with a Home Assistant through `zhian run`: what stands at a real broker while the hub lives and dies."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections import deque
from typing import TYPE_CHECKING, Self

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.e2e.conftest import Installation, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Mosquitto

SITE = """
[site]
id = "court"
name = { zh = "小院", en = "Court" }
timezone = "Asia/Shanghai"

[[link]]
id = "broker"
kind = "mqtt"
listen = "127.0.0.1:$port_a"
WHERE

  [[link.device]]
  id = "gate-north"
  profile = "gate/json-mqtt"
  silent_after = 8.0

  [[link.device]]
  id = "meter"
  profile = "noise/json-mqtt"
  silent_after = 8.0

[home_assistant]
devices = ["gate-north", "meter"]
"""
STATUS = "zhian-share/court/status"
GATE, METER = "zhian-share/court/gate-north/gate", "zhian-share/court/meter/laeq"
CONFIG = "homeassistant/sensor/zhian-court-meter/laeq/config"


class Reader:
    """An independent client in the Home Assistant's place: what stands at the broker, and what was said on the way."""

    def __init__(self, port: int, user: str = "", password: str = "") -> None:
        """Reads all that it may."""
        self.stands: dict[str, bytes] = {}
        self.retained: set[str] = set()
        self.said: deque[tuple[str, bytes]] = deque(maxlen=10_000)
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        if user:
            self._client.username_pw_set(user, password)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_message = lambda _client, _data, message: self._take(message)
        self._client.connect("127.0.0.1", port)

    def __enter__(self) -> Self:
        """In a thread of its own."""
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        """Gone."""
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, message: paho.MQTTMessage) -> None:
        payload = bytes(message.payload)
        self.said.append((message.topic, payload))
        self.stands[message.topic] = payload
        if message.retain:
            self.retained.add(message.topic)

    def count(self, topic: str, payload: bytes) -> int:
        """How often it was said."""
        return list(self.said).count((topic, payload))


@pytest.fixture
def court(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Installation]:
    """Running; at our own broker, or (`outside`) at one that lives on when the hub does not."""
    outside: Mosquitto | None = request.getfixturevalue("mosquitto") if getattr(request, "param", "") else None
    site = SITE.replace("WHERE", f'url = "{outside.url}"' if outside is not None else "")
    if outside is not None:
        site = site.replace("$port_a", str(outside.port))
    made = Installation(tmp_path, site, "round = 3600.0\n")
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_signs_in_by_the_command(court: Installation) -> None:
    """The command's password opens the broker; what is told stands retained, and the gate's state follows an order."""
    told = json.loads(court.zhian("home-assistant", "credentials", str(court.site), "--json").stdout)
    assert (told["username"], told["prefix"], told["states"]) == (
        "home-assistant",
        "homeassistant",
        "zhian-share/court/#",
    )
    with Reader(told["port"], told["username"], told["password"]) as reader:
        wait_for(lambda: reader.stands.get(GATE) == b"closed" and METER in reader.stands)
        assert reader.stands[STATUS] == b"online"
        assert json.loads(reader.stands[CONFIG])["state_topic"] == METER
        assert court.zhian("order", "gate-north", "open", "--reason", "ambulance").returncode == 0
        wait_for(lambda: reader.stands.get(GATE) == b"open")
    with Reader(told["port"], told["username"], told["password"]) as later:
        wait_for(lambda: {STATUS, GATE, METER, CONFIG} <= later.retained)
        assert not [topic for topic in later.stands if topic.startswith("court/")]  # no device's own words
    fresh = json.loads(court.zhian("home-assistant", "credentials", str(court.site), "--new", "--json").stdout)
    assert fresh["password"] != told["password"]
    with Reader(told["port"], told["username"], told["password"]) as old:
        with Reader(told["port"], fresh["username"], fresh["password"]) as reader:
            wait_for(lambda: STATUS in reader.stands)
        assert old.stands == {}


@pytest.mark.parametrize("court", ["outside"], indirect=True)
def test_never_stale_without_saying_so(court: Installation, mosquitto: Mosquitto) -> None:
    """The office killed: the last will; the field hanging: unknown; a device taken out: withdrawn; stopped: offline."""
    with Reader(mosquitto.port) as reader:
        wait_for(lambda: reader.stands.get(STATUS) == b"online" and METER in reader.stands)
        court.kill("office")
        wait_for(lambda: reader.count(STATUS, b"offline") == 1)  # said by the broker: there is nobody else
        wait_for(lambda: reader.stands[STATUS] == b"online")

        before = reader.count(STATUS, b"offline")
        field = court.process("field")
        os.kill(field, signal.SIGSTOP)
        wait_for(lambda: reader.count(STATUS, b"offline") > before)
        with contextlib.suppress(ProcessLookupError):  # its supervisor may have begun it anew by now
            os.kill(field, signal.SIGCONT)
        wait_for(lambda: reader.stands[STATUS] == b"online", 90)

        site = court.site.read_text(encoding="utf-8")
        court.site.write_text(site.replace('["gate-north", "meter"]', '["gate-north"]'), encoding="utf-8")
        court.zhian("reload")
        wait_for(lambda: reader.stands[CONFIG] == reader.stands[METER] == b"")
        assert reader.stands[GATE] != b""
        wait_for(lambda: reader.stands[STATUS] == b"online")

        court.stop_hub()
        wait_for(lambda: reader.stands[STATUS] == b"offline")
    with Reader(mosquitto.port) as later:
        wait_for(lambda: STATUS in later.retained)
        assert later.stands[STATUS] == b"offline"
        assert CONFIG not in later.stands
