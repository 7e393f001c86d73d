"""The field process on a disk that takes nothing more: what still drives alarms, what is held, and what comes later."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from device_profiles.types import JsonField
from firmware_bridge.raw import Arrival, Message, Redelivery
from hub.journal.scarce import Space
from hub.journal.writer import FILE
from hub.rules.rule import Rule
from hub.settings.site import Device, Devices, Site
from tests.hub.field.conftest import Cable, Hub

if TYPE_CHECKING:
    from hub.journal.writer import Journal


class Laned(Cable):
    """A cable with two lanes, as the broker's."""

    def __init__(self, name: str, journal: Path) -> None:
        """Not held."""
        super().__init__(name, journal)
        self.holds: list[bool] = []

    def hold(self, held: bool) -> None:
        """Note it."""
        self.holds.append(held)


class Dial(Space):
    """A disk that is full when the test says so."""

    full = False

    @property
    def scarce(self) -> bool:
        """As the test says."""
        return self.full

    def look(self, journal: "Journal", now: int) -> None:
        """Nothing to measure."""


@pytest.fixture(scope="session")
def site(site: Site) -> Site:
    """With a help post whose words can be read."""
    word = JsonField(type="choice", choices={"pressed": ["pressed"], "idle": ["idle"]})

    def readable(device: Device) -> Device:
        return (
            replace(device, profile=replace(device.profile, reading={"sos": word})) if device.id == "sos-1" else device
        )

    links = [replace(link, devices=Devices(map(readable, link.devices))) for link in site.links]
    return replace(site, links=tuple(links))


@pytest.fixture
def dial() -> Dial:
    """Room."""
    return Dial()


@pytest.fixture
def tight(tmp_path: Path, site: Site, rules: tuple[Rule, ...], dial: Dial, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """On that disk, with a broker's cable of two lanes."""
    monkeypatch.setattr("hub.processes.inspector.LOOK_S", 0.05)
    monkeypatch.setattr("hub.field.Space", lambda _: dial)
    monkeypatch.setattr("tests.hub.field.conftest.Cable", Laned)
    return Hub(tmp_path / FILE, site, rules)


def said(hub: Hub, device: str, text: str, packet: int | None) -> Arrival:
    """A message, of QoS 1 where it has a packet id."""
    delivery = None if packet is None else Redelivery("mqtt", packet, hash(text), again=False)
    return hub.arrival(device, Message("x", text.encode()), delivery)


async def test_ordinary_messages_are_held_and_drive_their_alarms(tight: Hub, dial: Dial) -> None:
    """Not stored, not asked on in their lane, alarmed all the same; with room they are stored and the lane goes on."""
    lanes = tight.mqtt
    assert isinstance(lanes, Laned)
    async with tight.running():
        tight.mqtt.up()
        await tight.until(lambda: tight.mqtt.asked == 2)
        dial.full = True
        tight.mqtt.offer(said(tight, "noise-1", '{"laeq": 99.0}', 7))
        await tight.until(lambda: lanes.holds == [True])
        assert stored(tight, "noise-1") == []
        assert tight.ask("SELECT packets FROM delivery") == []
        dial.full = False
        await tight.until(lambda: lanes.holds == [True, False])
        assert stored(tight, "noise-1") == [99.0]
        assert tight.ask("SELECT count(*) FROM delivery") == [(1,)]


async def test_calls_are_stored_and_acknowledged(tight: Hub, dial: Dial) -> None:
    """What lives hang on is never held."""
    lanes = tight.mqtt
    assert isinstance(lanes, Laned)
    async with tight.running():
        tight.mqtt.up()
        dial.full = True
        tight.mqtt.offer(said(tight, "sos-1", '{"sos": "pressed"}', 8))
        await tight.until(lambda: tight.ask("SELECT 1 FROM occurrence WHERE source = 'sos-1'"))
        await tight.until(lambda: stored(tight, "sos-1") == ["pressed"])
        assert lanes.holds == []


async def test_what_was_not_promised_is_shown_and_not_kept(tight: Hub, dial: Dial) -> None:
    """A value without a delivery (polled, or QoS 0): the page has it, the journal's batches do not."""
    async with tight.running():
        tight.mqtt.up()
        dial.full = True
        tight.mqtt.offer(said(tight, "noise-1", '{"laeq": 41.5}', None))
        await tight.until(lambda: tight.ask("SELECT value FROM latest WHERE device = 'noise-1'") == [(41.5,)])
        assert stored(tight, "noise-1") == []


def stored(hub: Hub, device: str) -> Iterable[object]:
    """What the journal keeps of it."""
    return [row[0] for row in hub.ask(f"SELECT value FROM reading WHERE device = '{device}' ORDER BY seq")]


async def test_a_cable_without_lanes_waits(
    hub: Hub, dial: Dial, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, site: Site, rules: tuple[Rule, ...]
) -> None:
    """It is not asked on: nothing is acknowledged until there is room."""
    monkeypatch.setattr("hub.processes.inspector.LOOK_S", 0.05)
    monkeypatch.setattr("hub.field.Space", lambda _: dial)
    plain = Hub(tmp_path / "other.sqlite", site, rules)
    async with plain.running():
        plain.mqtt.up()
        await plain.until(lambda: plain.mqtt.asked == 2)
        dial.full = True
        plain.mqtt.offer(said(plain, "noise-1", '{"laeq": 50.0}', 9))
        await asyncio.sleep(0.3)
        assert plain.mqtt.asked == 2
        dial.full = False
        await plain.until(lambda: plain.mqtt.asked == 3)
        assert stored(plain, "noise-1") == [50.0]
