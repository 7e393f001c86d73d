"""A tag that lies in the field of a reader: one event, however often it is read, and every repetition is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from hub.devices.debounce import MOST, Debounce
from hub.reading import FaultKind, Quality, Reading
from hub.settings.site import Devices

if TYPE_CHECKING:
    from tests.hub.conftest import Yard

DOG, OTHER = "156000000000001", "156000000000002"


@pytest.fixture
def reader(yard: Yard) -> Yard:
    """The yard, whose chip reader debounces for three seconds."""

    def slowed(link: object) -> object:
        devices = Devices(
            replace(device, options=replace(device.options, debounce=3.0)) if device.id == "chip-1" else device
            for device in link.devices  # type: ignore[attr-defined]  # any link of a site
        )
        return replace(link, devices=devices)  # type: ignore[type-var]  # as above

    site = replace(yard.site, links=tuple(slowed(link) for link in yard.site.links))
    return type(yard)(site, yard.rules, yard.now)


def chips(yard: Yard) -> list[object]:
    """The chips that were stored."""
    return [reading.value for reading in yard.kept.readings if reading.quantity == "chip"]


def repeats(yard: Yard) -> int:
    """The repetitions that were counted."""
    return sum(fault.count for fault in yard.kept.faults if fault.kind is FaultKind.REPEATED)


def lie(yard: Yard, seconds: float, chip: str = DOG) -> None:
    """The tag lies there: ten reads a second, a tick each second."""
    for number in range(round(seconds * 10)):
        yard.say("chip-1", "chip", chip)
        yard.now += 100
        if number % 10 == 9:
            yard.keep(yard.core.tick(yard.now))


def test_a_tag_in_the_field_is_one_event(reader: Yard) -> None:
    """An hour at ten reads a second: the first read passes at once, and each other one is counted."""
    assert reader.say("chip-1", "chip", DOG).readings
    lie(reader, 3600)
    assert chips(reader) == [DOG]
    assert repeats(reader) == 36_000


def test_a_tag_that_was_away_is_a_new_event(reader: Yard) -> None:
    """Three seconds without it end the window; just less does not, and begins the window anew."""
    reader.say("chip-1", "chip", DOG)
    for _ in range(5):
        reader.now += 2_999
        reader.say("chip-1", "chip", DOG)
    assert chips(reader) == [DOG]
    reader.now += 3_001
    reader.say("chip-1", "chip", DOG)
    assert chips(reader) == [DOG, DOG]


def test_two_dogs_at_one_reader_are_two_events(reader: Yard) -> None:
    """The window is that of one tag at one reader."""
    for _ in range(10):
        reader.say("chip-1", "chip", DOG)
        reader.say("chip-1", "chip", OTHER)
        reader.now += 200
    assert chips(reader) == [DOG, OTHER]


def test_a_repetition_raises_no_second_alarm_and_says_that_the_reader_lives(reader: Yard) -> None:
    """The unregistered dog is told once; the reader is well as long as it reads."""
    lie(reader, 20)
    key = f"chip-unregistered/chip-1/{DOG}"
    assert reader.events(key).count("raised") == 1
    assert "counted" not in reader.events(key)
    health = reader.kept.health["chip-1"]
    assert health.state == "ok"
    assert health.last_rx is not None
    assert reader.now - health.last_rx < 10_000
    assert health.faults == 0


def test_without_a_window_every_read_is_an_event(yard: Yard) -> None:
    """Two passages with one card within a second are two."""
    lie(yard, 1)
    assert chips(yard) == [DOG] * 10
    assert repeats(yard) == 0


def test_a_restart_of_the_hub_is_no_new_event(reader: Yard) -> None:
    """The last tag that passed is remembered by the journal."""
    reader.say("chip-1", "chip", DOG)
    reader.restart(1)
    reader.link_up()
    reader.say("chip-1", "chip", DOG)
    assert chips(reader) == [DOG]


def test_history_is_no_repetition(reader: Yard) -> None:
    """What a broker kept, or what came late, is stored as what it is, and starts no window."""
    reader.say("chip-1", "chip", DOG, quality=Quality.RETAINED)
    reader.say("chip-1", "chip", DOG)
    assert chips(reader) == [DOG, DOG]


def test_a_clock_that_was_set_begins_anew() -> None:
    """A window of yesterday's clock swallows nothing for a day."""
    debounce = Debounce("reader", 3.0)
    reading = Reading(device="reader", quantity="chip", value=DOG, ts=0, rx=10_000_000)
    assert not debounce.again(reading)
    assert not debounce.again(replace(reading, rx=1_000_000))
    assert debounce.again(replace(reading, rx=1_000_500))


def test_what_goes_with_an_event_tells_it_apart_and_memory_is_bounded() -> None:
    """Two credentials are two events; of many tags the oldest is forgotten first."""
    debounce = Debounce("reader", 3.0)
    first = Reading(device="reader", quantity="passage", value="granted", ts=0, rx=0, detail={"credential": "a"})
    assert not debounce.again(first)
    assert not debounce.again(replace(first, detail={"credential": "b"}))
    assert debounce.again(first)
    for number in range(MOST):
        debounce.again(replace(first, value=str(number)))
    assert len(debounce._seen) == MOST
    assert not debounce.again(first)


def test_a_reload_of_the_site_file_is_no_new_event(reader: Yard) -> None:
    """The tag still lies there; a window that was edited counts from now on."""
    reader.say("chip-1", "chip", DOG)
    reader.keep(reader.core.rebind(reader.site, reader.rules, reader.now))
    reader.say("chip-1", "chip", DOG)
    assert chips(reader) == [DOG]
    links = tuple(
        replace(
            link, devices=Devices(replace(each, options=replace(each.options, debounce=1.0)) for each in link.devices)
        )
        for link in reader.site.links
    )
    reader.keep(reader.core.rebind(replace(reader.site, links=links), reader.rules, reader.now))
    reader.now += 900
    reader.say("chip-1", "chip", DOG)
    assert chips(reader) == [DOG]
    reader.now += 1_100
    reader.say("chip-1", "chip", DOG)
    assert chips(reader) == [DOG, DOG]
    reader.keep(reader.core.tick(reader.now))
    assert repeats(reader) == 2
