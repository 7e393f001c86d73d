"""Decoding JSON messages: each field for itself, dated and judged, and nothing taken for what it is not."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles import types
from device_profiles.load import profiles
from device_profiles.types import JsonField, MqttProfile
from firmware_bridge import raw
from firmware_bridge.wire.decode import MAX_PAYLOAD, decode
from firmware_bridge.wire.quick_json import MAX_MESSAGE
from hub.reading import Fault, Quality, Reading, Value

RX = 1_760_000_000_000
NOISE, GATE, SOS = (profiles()[name] for name in ("noise/json-mqtt", "gate/json-mqtt", "sos/json-mqtt"))
WORDS = st.sampled_from(["ts", "laeq", "gate", "passage", "direction", "sos", "battery_level", "presence", "tamper"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.just("open"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def _json(profile: types.Profile, text: str | bytes, **message: bool | int) -> list[Reading | Fault]:
    payload = text if isinstance(text, bytes) else text.encode()
    shape = raw.Message("t", payload, qos=int(message.get("qos", 1)), retained=bool(message.get("retained")))
    return decode("dev", profile, shape, RX)


def _values(said: list[Reading | Fault]) -> dict[str, Value]:
    return {word.quantity: word.value for word in said if isinstance(word, Reading)}


def _kinds(said: list[Reading | Fault]) -> list[str]:
    return [word.kind for word in said if isinstance(word, Fault)]


@given(st.sampled_from([NOISE, GATE, SOS]), st.dictionaries(WORDS, VALUES, max_size=6))
def test_any_json_gives_readings_in_range_and_faults(profile: types.Profile, document: dict[str, object]) -> None:
    """Right keys with any values: what comes through is a sane number or a known word, dated not after now."""
    said = _json(profile, json.dumps(document))
    assert said
    for word in said:
        if isinstance(word, Reading):
            assert isinstance(word.value, float | str)
            assert not isinstance(word.value, float) or 0.0 <= word.value <= 140.0
            assert 0 < word.ts <= RX + 5000


@pytest.mark.parametrize(
    "value",
    ["true", "null", '"55.7"', "[55.7]", '{"v": 55.7}', "NaN", "Infinity", "-Infinity", "1e400", "1" * 400, "1" * 5000],
)
def test_a_number_must_be_a_number(value: str) -> None:
    """Whatever is not a finite JSON number is malformed, and is kept for a look."""
    said = _json(NOISE, f'{{"laeq": {value}}}')
    assert (_kinds(said), _values(said)) == (["malformed"], {})
    assert isinstance(said[0], Fault)
    assert said[0].payload is not None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b'"\xff"',
        b"[" * 60_000,
        b'{"a":' * 9_000,
        b"55.7",
        b"[1, 2]",
        b'{"laeq": 5',
        b"\x00",
        b'{"a": 1}',
    ],
    ids=lambda payload: repr(payload[:8]),
)
def test_what_is_no_message_of_ours_is_malformed(payload: bytes) -> None:
    """Not JSON, no object, or no quantity of the profile: one fault with at most 4 kB of what came."""
    (fault,) = _json(NOISE, payload)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.source, fault.payload) == ("malformed", "dev", payload[:MAX_PAYLOAD])


def test_a_message_has_a_size() -> None:
    """64 kB are read, one byte more is refused, whatever it says."""
    body = b'{"laeq": 55.7, "x": "' + b"y" * (MAX_MESSAGE - 23) + b'"}'
    assert len(body) == MAX_MESSAGE
    assert _values(_json(NOISE, body)) == {"laeq": 55.7}
    assert _kinds(_json(NOISE, body + b" ")) == ["malformed"]


def test_each_field_fails_alone() -> None:
    """One bad field costs that field: the sound level is no worse for a broken battery."""
    said = _json(NOISE, '{"laeq": 55.7, "battery": "full", "lafmax": 900}')
    assert _values(said) == {"laeq": 55.7}
    assert sorted(_kinds(said)) == ["malformed", "out-of-range"]


@pytest.mark.parametrize(
    ("ts", "expected", "quality"),
    [
        (RX - 60_000, RX - 60_000, Quality.GOOD),
        (RX + 5_000, RX + 5_000, Quality.GOOD),
        (RX + 5_001, RX, Quality.SKEWED),
        (10**30, RX, Quality.SKEWED),
        (1, 1, Quality.GOOD),
    ],
)
def test_a_device_may_date_its_readings(ts: int, expected: int, quality: Quality) -> None:
    """A clock up to 5 s ahead is believed; further ahead, the hub's is taken and the reading says so."""
    (reading,) = _json(NOISE, f'{{"ts": {ts}, "laeq": 55.7}}')
    assert isinstance(reading, Reading)
    assert (reading.ts, reading.rx, reading.quality) == (expected, RX, quality)


@pytest.mark.parametrize("ts", ["0", "-5", "1760000000.5", '"1760000000000"', "true", "null", "[1]", "{}"])
def test_a_time_that_is_none_is_a_fault_but_loses_no_call_for_help(ts: str) -> None:
    """The fault is told, and what was said counts from now on: a button without a clock still calls."""
    said = _json(SOS, f'{{"ts": {ts}, "sos": "pressed"}}')
    assert _kinds(said) == ["malformed"]
    (reading,) = [word for word in said if isinstance(word, Reading)]
    assert (reading.value, reading.ts, reading.quality) == ("pressed", RX, Quality.SKEWED)


@pytest.mark.parametrize(
    ("qos", "retained", "ts", "quality"),
    [
        (1, False, RX, Quality.GOOD),
        (2, False, RX, Quality.GOOD),
        (0, False, RX, Quality.BEST_EFFORT),
        (0, True, RX, Quality.RETAINED),
        (1, True, RX + 60_000, Quality.RETAINED),
        (0, False, RX + 60_000, Quality.SKEWED),
    ],
)
def test_how_a_message_came_says_what_it_is_good_for(qos: int, retained: bool, ts: int, quality: Quality) -> None:
    """A replayed old message is never news, whatever else is true of it."""
    (reading,) = _json(SOS, f'{{"ts": {ts}, "sos": "pressed"}}', qos=qos, retained=retained)
    assert isinstance(reading, Reading)
    assert reading.quality is quality


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ('"direction": "in", "credential": "c-1"', {"direction": "in", "credential": "c-1"}),
        ('"direction": "进"', {"direction": "进"}),
        ('"other": 1', None),
    ],
)
def test_what_goes_with_an_event(detail: str, expected: dict[str, str] | None) -> None:
    """Named details travel with the event; what was not said is not there."""
    (reading,) = _json(GATE, f'{{"passage": "granted", {detail}}}')
    assert isinstance(reading, Reading)
    assert reading.detail == expected


@pytest.mark.parametrize("detail", ["1", "null", '""', '"' + "x" * 65 + '"', '"a\\nb"', '["in"]', '"\\u0000"'])
def test_a_detail_is_a_short_printable_text(detail: str) -> None:
    """Nothing long, empty or invisible gets into the journal by the side door."""
    said = _json(GATE, f'{{"gate": "open", "passage": "granted", "credential": {detail}}}')
    assert (_kinds(said), _values(said)) == (["malformed"], {"gate": "open"})


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"passage": "Granted"}', "malformed"),
        ('{"passage": "granted\\n"}', "malformed"),
        ('{"passage": 1}', "malformed"),
        ('{"passage": null}', "malformed"),
        ('{"gate": null}', "malformed"),
        ('{"gate": ["open"]}', "malformed"),
        ('{"gate": {"is": "open"}}', "malformed"),
        ('{"gate": "OPEN"}', "unknown-choice"),
        ('{"tamper": 0}', "unknown-choice"),
        ('{"tamper": 0.0}', "unknown-choice"),
    ],
)
def test_words_are_taken_by_the_letter(text: str, kind: str) -> None:
    """An event fits its pattern wholly, a state is one of the profile's words, and 0 is not false."""
    said = _json(GATE, text)
    assert (_kinds(said), _values(said)) == ([kind], {})


def test_pointers_scales_and_absent_words_of_a_foreign_json() -> None:
    """A maker's own JSON: nested values, tenths, and words for "no value" of any type."""
    assert isinstance(NOISE, MqttProfile)
    reading = {
        "laeq": JsonField(pointer="/d/0/v", scale=0.1, unit="dB"),
        "lafmax": JsonField(pointer="/d/1/v", absent=["n/a", False, -1], unit="dB"),
        "passage": JsonField(type="text", absent=["none"]),
    }
    foreign = msgspec.structs.replace(NOISE, reading=reading, ts="/meta/time")
    said = _json(foreign, f'{{"meta": {{"time": {RX - 5}}}, "d": [{{"v": 557}}, {{"v": 60}}]}}')
    assert [(word.value, word.ts) for word in said if isinstance(word, Reading)] == [(55.7, RX - 5), (60.0, RX - 5)]
    for absent in ('"n/a"', "false", "-1", "-1.0"):
        assert _kinds(_json(foreign, f'{{"d": [{{"v": 557}}, {{"v": {absent}}}]}}')) == ["absent"]
    assert _kinds(_json(foreign, '{"d": [{"v": 557}, {"v": 0}]}')) == ["out-of-range"]
    assert _kinds(_json(foreign, '{"passage": "none"}')) == ["absent"]


def test_a_choice_that_lists_text_where_a_number_is_wanted_is_malformed() -> None:
    """A profile that forgets its choices still gives no reading out of a text."""
    assert isinstance(GATE, MqttProfile)
    bare = msgspec.structs.replace(GATE, reading={"gate": JsonField(type="choice")})
    assert _kinds(_json(bare, '{"gate": "open"}')) == ["malformed"]
