"""Orders into what a cable carries, and what is refused before it leaves."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles import types
from device_profiles.load import profiles
from device_profiles.types import Duration, MqttCommand, MqttProfile, SerialCommand, SerialProfile
from firmware_bridge.raw import Action, Publish, Write
from firmware_bridge.wire import orders
from hub.reading import Label

RELAY = profiles()["relay/waveshare-8ch"]
GATE = profiles()["gate/json-mqtt"]
LABEL = Label(zh="鸣响", en="Sound")


@pytest.fixture
def siren() -> MqttProfile:
    """A gate that also sounds for a time, and has a plain and a special `open`."""
    assert isinstance(GATE, MqttProfile)
    confirm = {"gate": "open"}
    sound = MqttCommand(
        label=LABEL, payload={"do": "sound"}, confirm=confirm, within=5, seconds=Duration(min=1, max=60, default=5)
    )
    hold = MqttCommand(label=LABEL, payload={"do": "open", "hold": True}, confirm=confirm, within=5)
    return msgspec.structs.replace(GATE, command={**GATE.command, "sound": sound, "hold": hold})


@pytest.fixture
def horn() -> SerialProfile:
    """A serial device that takes orders."""
    chip = profiles()["chip/wl-134a"]
    assert isinstance(chip, SerialProfile)
    order = SerialCommand(label=LABEL, bytes="02 B1 03", confirm={"chip": "x"}, within=5)
    return msgspec.structs.replace(chip, command={"sound": order})


def _send(profile: types.Profile, command: str, seconds: float | None = None, topic: str = "") -> Action:
    return orders.action(profile, command, seconds=seconds, order_id="7", expires=1_760_000_010_000, topic=topic)


def test_a_publish_carries_id_expiry_and_topic() -> None:
    """The device can do it once and not too late, and the broker cannot deliver it late."""
    publish = _send(GATE, "open", topic="zhongshan/gate-north/do")
    assert isinstance(publish, Publish)
    assert (publish.topic, publish.expires_s, publish.retain) == ("zhongshan/gate-north/do", 10, False)
    assert msgspec.json.decode(publish.payload) == {"do": "open", "id": "7", "expires": 1_760_000_010_000}
    assert orders.read(GATE, publish) == orders.read(GATE, publish.payload) == ("open", None)


@pytest.mark.parametrize(("waited", "left"), [(0, 10), (1, 10), (3_000, 7), (9_900, 1), (20_000, 1)])
def test_a_broker_keeps_it_no_longer_than_it_is_good(waited: int, left: int) -> None:
    """What it has waited for at the hub, a broker need not wait any more; the device hears when and till when."""
    start, told = 1_760_000_000_000, {"order_id": "7", "device": "gate-1", "issued": 1_760_000_000_000}
    publish = orders.action(GATE, "open", expires=start + 10_000, now=start + waited, **told)  # type: ignore[arg-type]  # of both types
    assert isinstance(publish, Publish)
    assert publish.expires_s == left
    said = {"do": "open", "id": "7", "device": "gate-1", "issued": start, "expires": start + 10_000}
    assert msgspec.json.decode(publish.payload) == said


def test_seconds_go_along_in_json(siren: MqttProfile) -> None:
    """A duration is told in seconds; left out, it is the profile's default."""
    for given_, told in ((None, 5), (2.5, 2.5)):
        publish = _send(siren, "sound", given_)
        assert isinstance(publish, Publish)
        assert msgspec.json.decode(publish.payload)["seconds"] == told
        assert orders.read(siren, publish) == ("sound", told)


def test_the_most_special_order_is_read(siren: MqttProfile) -> None:
    """Where one order says all that another says and more, it is the one that was meant."""
    assert orders.read(siren, _send(siren, "hold")) == ("hold", None)
    assert orders.read(siren, _send(siren, "open")) == ("open", None)


def test_serial_orders(horn: SerialProfile) -> None:
    """The profile's bytes, and nothing else, are the order."""
    assert _send(horn, "sound") == b"\x02\xb1\x03"
    assert orders.read(horn, b"\x02\xb1\x03") == ("sound", None)
    assert orders.read(horn, b"\x02\xb1\x04") is None


def test_the_default_pulse_is_a_second() -> None:
    """No seconds: the profile's default, in the board's ticks of 100 ms."""
    assert _send(RELAY, "pulse_3") == Write(5, 0x0202, 10)


def test_a_duration_between_two_ticks_is_the_nearest() -> None:
    """760 ms are eight ticks of 100 ms, 740 ms are seven."""
    assert _send(RELAY, "pulse_1", 0.76) == Write(5, 0x0200, 8)
    assert _send(RELAY, "pulse_1", 0.74) == Write(5, 0x0200, 7)


@pytest.mark.parametrize(
    ("command", "seconds", "words"),
    [
        ("pulse_1", 0.0, "pulse_1 takes 0.1 to 3276.7 seconds, not 0"),
        ("pulse_1", 3276.8, "pulse_1 takes 0.1 to 3276.7 seconds, not 3276.8"),
        ("pulse_1", -1.0, "not -1"),
        ("pulse_1", math.nan, "not nan"),
        ("pulse_1", math.inf, "not inf"),
        ("on_1", 3.0, "on_1 takes no seconds, 3 were given"),
        ("pulse", 1.0, "has no command 'pulse'; it has on_1"),
    ],
)
def test_what_the_device_cannot_do_is_refused_in_clear_words(command: str, seconds: float, words: str) -> None:
    """A duration outside the profile's bounds never leaves: a word too large would mean another time."""
    with pytest.raises(ValueError, match=words):
        _send(RELAY, command, seconds)


def test_a_device_without_commands_says_so() -> None:
    """A meter takes no orders."""
    with pytest.raises(ValueError, match="it has no command at all"):
        _send(profiles()["noise/generic-rs485"], "on")


@given(st.integers(1, 0x7FFF), st.integers(1, 8))
def test_every_tick_of_a_pulse_comes_back(ticks: int, channel: int) -> None:
    """The word on the wire is exactly the ticks, for all that the board can say."""
    write = _send(RELAY, f"pulse_{channel}", ticks / 10)
    assert write == Write(5, 0x0200 + channel - 1, ticks)
    assert orders.read(RELAY, write) == (f"pulse_{channel}", ticks / 10)


@pytest.mark.parametrize(
    "action",
    [Write(5, 0, 0x5500), Write(6, 0, 0), Write(5, 0x0300, 7), b"on", Publish("t", b"on")],
)
def test_a_relay_does_not_understand_other_words(action: Action) -> None:
    """A toggle, a register, another coil, bytes: no order of this profile."""
    assert orders.read(RELAY, action) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"open",
        b"[1]",
        b'{"do": "opne"}',
        b'{"open": true}',
        b"\xff",
        b'"\xff"',
        b'{"a":' * 3000,
        b'{"do": ["open"]}',
    ],
)
def test_a_gate_does_not_understand_other_words(payload: bytes) -> None:
    """A simulated device answers nonsense with nothing, never with an exception."""
    assert orders.read(GATE, payload) is None
    assert orders.read(GATE, Write(5, 0, 0xFF00)) is None


def test_seconds_that_are_no_number_are_left_out(siren: MqttProfile) -> None:
    """The order is understood; how long is then the device's own default."""
    assert orders.read(siren, b'{"do": "sound", "seconds": "long"}') == ("sound", None)


COLUMN = profiles()["speech/json-mqtt"]


def _say(text: str, command: str = "say") -> Publish:
    sent = orders.action(COLUMN, command, text=text, order_id="7", expires=1_760_000_010_000)
    assert isinstance(sent, Publish)
    return sent


@given(st.text(min_size=1, max_size=120).filter(str.strip))
def test_a_text_goes_along_as_it_is(text: str) -> None:
    """Whatever it holds, in UTF-8, beside volume and repeat; the device understands the command."""
    said = msgspec.json.decode(_say(text).payload)
    assert (said["text"], said["volume"], said["repeat"], said["id"]) == (text, 80, 2, "7")
    assert orders.read(COLUMN, _say(text)) == ("say", None)
    assert orders.read(COLUMN, _say(text, "say_softly")) == ("say_softly", None)


@pytest.mark.parametrize(
    ("command", "text", "why"),
    [("say", " ", "says nothing without a text"), ("say", "a" * 121, "takes 120 characters, not 121"),
     ("hush", "hello", "takes no text")],
)  # fmt: skip
def test_a_text_that_does_not_fit_is_refused_before_it_leaves(command: str, text: str, why: str) -> None:
    """In clear words."""
    with pytest.raises(ValueError, match=why):
        _say(text, command)


@pytest.mark.parametrize("text", ["", 5, None, "a" * 121])
def test_a_device_takes_no_order_to_speak_without_words(text: object) -> None:
    """Nor one that is longer than it can read."""
    payload = {"do": "say", "volume": 80, "repeat": 2, "id": "7", "expires": 1, "text": text}
    assert orders.read(COLUMN, msgspec.json.encode(payload)) is None
