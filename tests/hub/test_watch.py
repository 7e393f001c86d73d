"""What a watcher sees: a fault by its name with and without colour, and a broker's guest who leaves nothing behind."""

import asyncio
import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from device_profiles.load import profiles
from device_profiles.types import MqttLink
from firmware_bridge.links.tap import Heard
from firmware_bridge.wire.modbus import Request
from hub.commands.cable import Reach, Units
from hub.commands.watch import alone, coloured, texts_of
from hub.control.door import Refused
from hub.control.exchange import line_of
from hub.reading import FaultKind, Label
from hub.settings.site import Device, Devices, MqttBrokerLink, Site

if TYPE_CHECKING:
    from tests.conftest import Mosquitto

LABEL = Label(zh="x", en="x")
WRONG = Heard(
    at=1_760_000_000_500,
    link="rs485-east",
    device="noise-east",
    profile="noise/generic-rs485",
    unit=3,
    asked=bytes.fromhex("03 03 00 00 00 01 85 E8"),
    came=bytes.fromhex("03 03 02 03 35 B9 63"),
    request=Request(3, 3, 0),
    fault=FaultKind.CHECKSUM,
    detail="wrong CRC",
    lost=12,
)


def test_a_fault_is_named_in_words_with_and_without_colour() -> None:
    """Colour only underlines: without it the same words are there, and no escape sequence."""
    plain = list(texts_of(line_of(WRONG, {}), colour=False))
    red = list(texts_of(line_of(WRONG, {}), colour=True))

    assert "\x1b" not in "".join(plain)
    assert "checksum: wrong CRC" in plain[-1]
    assert "\x1b[31m" in red[-1]
    assert "checksum: wrong CRC" in red[-1]
    assert "12 lines were lost here" in plain[0]
    assert "> 03 03 00 00 00 01 85 E8 < 03 03 02 03 35 B9 63" in plain[-1]
    assert "noise-east (unit 3)" in plain[-1]


def test_colour_only_on_a_terminal_and_never_against_the_users_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gets none; a terminal does, unless NO_COLOR is set."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert not coloured()
    monkeypatch.setattr("sys.stdout", Terminal())
    assert coloured()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured()


def test_age_is_the_time_since_the_device_was_heard_last() -> None:
    """The first line has no age, silence makes none, and every device has its own."""
    ages: dict[tuple[str, str, int], int] = {}
    good = Heard(at=1000, link="a", device="x", came=b"1")
    seen = [
        line_of(Heard(at=at, link="a", device=device, came=came), ages).age_s
        for at, device, came in ((1000, "x", b"1"), (1500, "y", b"1"), (2000, "x", b""), (3500, "x", b"1"))
    ]

    assert line_of(good, {}).age_s is None
    assert seen == [None, None, 1.0, 2.5]


def test_unit_numbers_as_people_write_them() -> None:
    """Ranges and lists, each once, in the order given."""
    assert Units().convert("1-3,9,2", None, None) == (1, 2, 3, 9)


async def test_a_guest_hears_the_broker_and_leaves_no_session(mosquitto: "Mosquitto") -> None:
    """Watching a site's broker without a hub takes nobody's place, and the broker keeps nothing for the guest."""
    gate = profiles()["gate/json-mqtt"]
    device = Device(id="gate-1", profile=gate, options=MqttLink(), name=LABEL, link="mqtt")
    link = MqttBrokerLink(id="mqtt", url=mosquitto.url, devices=Devices([device]))
    site = Site(id="yard", name=LABEL, timezone="Asia/Shanghai", zones=(), links=(link,))
    reach = Reach(link="mqtt", site=Path(), data=mosquitto.folder, port="", baud=9600, parity="N", stop_bits=1, host="")
    heard: list[Heard] = []
    async with contextlib.aclosing(alone(site, link, reach, 0.0)) as exchanges, asyncio.timeout(20):
        async for each in exchanges:
            heard.append(each)
            if each.state == "up":
                await asyncio.to_thread(publish, mosquitto.port, "yard/gate-1/up", b'{"gate": "open"}')
            if each.topic:
                break
    assert b"-guest-" in (mosquitto.folder / "mosquitto.db").read_bytes()  # while it was connected
    async with asyncio.timeout(20):
        while b"-guest-" in (kept := (mosquitto.folder / "mosquitto.db").read_bytes()):
            await asyncio.to_thread(publish, mosquitto.port, "yard/none", b"")  # the file is written on each change

    assert (heard[-1].device, heard[-1].profile, heard[-1].came) == ("gate-1", gate.id, b'{"gate": "open"}')
    assert b"to-be-kept" in kept  # the control: a persistent session does stay in that file


def publish(port: int, topic: str, payload: bytes) -> None:
    """Say this as a device would, from a persistent session."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="to-be-kept", clean_session=False)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe("yard/none", qos=1)
    client.publish(topic, payload, qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


async def test_the_hubs_own_broker_cannot_be_watched_without_the_hub(tmp_path: Path) -> None:
    """There is nothing to connect to, and the refusal says what to start."""
    link = MqttBrokerLink(id="mqtt")
    site = Site(id="yard", name=LABEL, timezone="Asia/Shanghai", zones=(), links=(link,))
    reach = Reach(link="mqtt", site=Path(), data=tmp_path, port="", baud=9600, parity="N", stop_bits=1, host="")

    with pytest.raises(Refused, match="start `zhian run` first"):
        await anext(alone(site, link, reach, 0.0))
