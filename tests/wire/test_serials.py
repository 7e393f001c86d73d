"""A message's number, and whether it wants a receipt: read once a message, and never at the price of its readings."""

import pytest
from msgspec.structs import replace

from device_profiles.load import profiles
from device_profiles.types import MqttProfile
from firmware_bridge.raw import Message
from firmware_bridge.wire import encode
from firmware_bridge.wire.decode import decode
from firmware_bridge.wire.serials import Numbered
from hub.reading import Fault, Reading, Serial

RX = 1_760_000_000_000


def profile() -> MqttProfile:
    """The house convention."""
    found = profiles()["noise/json-mqtt"]
    assert isinstance(found, MqttProfile)
    return found


def said(text: str, *, retained: bool = False, of: MqttProfile | None = None) -> list[Reading | Fault]:
    """What the message says."""
    return decode("d", of or profile(), Message("t", text.encode(), retained=retained), RX)


def serial(text: str, *, retained: bool = False) -> Serial | None:
    """Its number."""
    found = said(text, retained=retained)
    return found.serial if isinstance(found, Numbered) else None


@pytest.mark.parametrize(
    ("more", "boot", "seq", "wants"),
    [
        ('"seq": 0', "", 0, False),
        ('"seq": 4294967296, "boot": "x7"', "x7", 4294967296, False),
        ('"seq": 5, "boot": 12, "ack": true', "12", 5, True),
        ('"seq": 5, "ack": false', "", 5, False),
    ],
)
def test_numbers_of_the_house(more: str, boot: str, seq: int, wants: bool) -> None:
    """`seq`, `boot` as text or number, `ack`: all but `seq` may be left out."""
    found = serial(f'{{"laeq": 50, {more}}}')
    assert found is not None
    assert (found.boot, found.seq, found.wants_receipt) == (boot, seq, wants)
    assert [word.value for word in said(f'{{"laeq": 50, {more}}}') if isinstance(word, Reading)] == [50.0]


def test_a_message_without_a_number_has_none() -> None:
    """Nothing changes for a device that does not count."""
    assert serial('{"laeq": 50}') is None
    assert [type(word) for word in said('{"laeq": 50, "boot": 3}')] == [Reading]


def test_an_old_message_that_the_broker_kept_does_not_count() -> None:
    """A retained message came before; its number says nothing about what is missing now."""
    assert serial('{"laeq": 50, "seq": 5, "ack": true}', retained=True) is None


@pytest.mark.parametrize(
    "more",
    [
        '"seq": "5"',
        '"seq": -1',
        '"seq": true',
        '"seq": 1.5',
        '"seq": 9223372036854775808',
        '"seq": null',
        '"seq": 5, "boot": true',
        '"seq": 5, "boot": null',
        f'"seq": 5, "boot": "{"x" * 65}"',
        '"seq": 5, "ack": 1',
        '"ack": true',
    ],
)
def test_a_number_that_is_none_costs_no_reading(more: str) -> None:
    """It is malformed, and is told; the reading stays, as one of an uncounted message."""
    text = f'{{"laeq": 50, {more}}}'
    assert serial(text) is None
    fault, reading = said(text)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.payload) == ("malformed", text.encode())
    assert isinstance(reading, Reading)


def test_a_numbered_message_that_says_nothing_is_counted_too() -> None:
    """It is refused, but it did come: no gap may be made of it."""
    found = said('{"seq": 5, "noise": 1}')
    assert isinstance(found, Numbered)
    assert [type(word) for word in found] == [Fault]


def test_two_messages_of_one_number_are_told_apart() -> None:
    """By their words: a device that counts anew without saying so is not silenced."""
    first, second = serial('{"laeq": 50, "seq": 5}'), serial('{"laeq": 51, "seq": 5}')
    assert first is not None
    assert second is not None
    assert first.digest != second.digest
    assert first == serial('{"laeq": 50, "seq": 5}')


def test_another_products_counter_is_not_ours_by_chance() -> None:
    """Only a profile that names the key has its messages counted; elsewhere `seq` is a word of the device's own."""
    own = replace(profile(), seq="", boot="", ack="")
    assert not isinstance(said('{"laeq": 50, "seq": 5}', of=own), Numbered)
    named = replace(profile(), seq="/meta/n", boot="/meta/run", ack="")
    found = said('{"laeq": 50, "meta": {"n": 5, "run": "r"}, "ack": true}', of=named)
    assert isinstance(found, Numbered)
    assert (found.serial.seq, found.serial.boot, found.serial.wants_receipt) == (5, "r", False)


def test_a_simulated_message_carries_its_number() -> None:
    """Both ends from one description."""
    payload = encode.message(profile(), {"laeq": 50.0}, ts=RX, serial=("run-1", 7))
    found = serial(payload.decode())
    assert found is not None
    assert (found.boot, found.seq) == ("run-1", 7)
    uncounted = encode.message(replace(profile(), seq="", boot=""), {"laeq": 50.0}, serial=("run-1", 7))
    assert uncounted == b'{"laeq":50.0}'
