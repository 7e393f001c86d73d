"""Plain JSON read in one step is read just as `decode` reads it, and everything else is left to `decode`."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from device_profiles import load
from device_profiles.types import MqttProfile
from firmware_bridge.raw import Message
from firmware_bridge.wire.decode import decode, decoder
from firmware_bridge.wire.quick_json import quick
from firmware_bridge.wire.serials import Numbered
from hub.reading import Fault, Reading

RX = 1_760_000_000_000
PROFILES = {name: found for name, found in load.profiles().items() if isinstance(found, MqttProfile)}
QUICK = sorted(name for name, found in PROFILES.items() if quick(found) is not None)

VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**70), 2**70),
    st.floats(20.0, 140.0),
    st.integers(20, 140),
    st.sampled_from(["present", "absent", "open", "closed", "OPEN", "", None, True, False, [], {}, "55.7", -0.0]),
    st.text(max_size=5),
)
TIMES = st.one_of(st.integers(RX - 100_000, RX + 10_000), st.sampled_from([0, -1, 2**64, 1.5, "now", None, True]))
NUMBERS: st.SearchStrategy[Any] = st.one_of(
    st.integers(0, 2**64), st.integers(-5, 5), st.sampled_from([5.0, "5", True, None, []])
)
BOOTS: st.SearchStrategy[Any] = st.one_of(
    st.text(max_size=70), st.integers(), st.sampled_from([True, None, 1.5, {}, "b" * 64, "b" * 65])
)
ACKS = st.sampled_from([True, False, 1, "true", None])


@st.composite
def documents(draw: st.DrawFn, profile: MqttProfile) -> dict[str, Any]:
    """Messages that are mostly as they should be."""
    names = [*profile.reading, "firmware"]
    words = [word for field in profile.reading.values() for some in field.choices.values() for word in some]
    values = st.one_of(VALUES, st.sampled_from(words)) if words else VALUES
    document: dict[str, Any] = draw(st.dictionaries(st.sampled_from(names), values, max_size=4))
    if draw(st.booleans()):
        document[profile.ts.removeprefix("/")] = draw(TIMES)
    if draw(st.booleans()):
        document |= draw(st.fixed_dictionaries({}, optional={"seq": NUMBERS, "boot": BOOTS, "ack": ACKS}))
    return document


def test_the_house_profiles_of_gauges_are_quick() -> None:
    """The devices that speak most are read in one step."""
    assert "noise/json-mqtt" in QUICK
    assert {"water/json-mqtt", "sos/json-mqtt"} <= set(QUICK)


@pytest.mark.parametrize("name", QUICK)
@settings(max_examples=300)
@given(data=st.data())
def test_quick_is_decode(name: str, data: st.DataObject) -> None:
    """Whatever comes: the made-ready decoder says exactly what `decode` says, NaN-free and to the last bit."""
    profile = PROFILES[name]
    payload = json.dumps(data.draw(documents(profile))).encode()
    message = Message("t", payload, data.draw(st.integers(0, 1)), data.draw(st.booleans()))
    quickly, slowly = decoder(profile)("device", message, RX), decode("device", profile, message, RX)
    assert quickly == slowly
    assert getattr(quickly, "serial", None) == getattr(slowly, "serial", None)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 5000,
        b'{"laeq": 1e999}',
        b'{"laeq": 50, "laeq": 60}',
        b'{"laeq": NaN}',
        b"\xff",
        b'{"laeq":50}x',
    ],
)
def test_odd_bytes_too(payload: bytes) -> None:
    """What is hardly JSON is read alike by both."""
    profile = PROFILES["noise/json-mqtt"]
    message = Message("t", payload)
    assert decoder(profile)("device", message, RX) == decode("device", profile, message, RX)


def test_what_is_not_plain_is_left_to_decode() -> None:
    """A replayed message, a clock that is ahead and a value out of range are not taken in one step."""
    read = quick(PROFILES["noise/json-mqtt"])
    assert read is not None
    good = Message("t", b'{"ts": 1760000000000, "laeq": 55.7}')
    assert [type(item) for item in read("device", good, RX) or []] == [Reading]
    assert read("device", replace(good, retained=True), RX) is None
    numbered = read("device", Message("t", b'{"laeq": 55.7, "seq": 5, "boot": "x", "ack": true}'), RX)
    assert isinstance(numbered, Numbered)
    assert (numbered.serial.boot, numbered.serial.seq, numbered.serial.wants_receipt) == ("x", 5, True)
    assert read("device", good, RX - 60_000) is None
    loud = Message("t", b'{"laeq": 212}')
    assert read("device", loud, RX) is None
    assert isinstance(decoder(PROFILES["noise/json-mqtt"])("device", loud, RX)[0], Fault)
