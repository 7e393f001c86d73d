"""Encoding for simulated devices: the exact inverse of decoding."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.load import profiles
from device_profiles.types import (
    AddressRanges,
    FrameField,
    HexText,
    JsonField,
    ModbusProfile,
    MqttProfile,
    RegisterField,
    SerialProfile,
)
from firmware_bridge import raw
from firmware_bridge.wire import encode
from firmware_bridge.wire.decode import decode
from firmware_bridge.wire.framing import Framer
from hub.reading import Reading, Value

RX = 1_760_000_000_000


def _modbus(name: str) -> ModbusProfile:
    profile = profiles()[name]
    assert isinstance(profile, ModbusProfile)
    return profile


def _serial(name: str) -> SerialProfile:
    profile = profiles()[name]
    assert isinstance(profile, SerialProfile)
    return profile


def _mqtt(name: str) -> MqttProfile:
    profile = profiles()[name]
    assert isinstance(profile, MqttProfile)
    return profile


def _read(profile: ModbusProfile | SerialProfile | MqttProfile, *words: raw.Raw) -> dict[str, Value]:
    said = [word for arrived in words for word in decode("dev", profile, arrived, RX)]
    assert all(isinstance(word, Reading) for word in said)
    return {word.quantity: word.value for word in said if isinstance(word, Reading)}


def _answer(profile: ModbusProfile, values: dict[str, Value]) -> raw.Registers:
    held = encode.memory(profile, values)["holding"]
    first, last = min(held), max(held)
    data = b"".join(held.get(at, 0).to_bytes(2, "big") for at in range(first, last + 1))
    return raw.Registers("holding", first, last - first + 1, data)


@given(st.integers(300, 1300))
def test_every_sound_level_of_the_meter(tenths: int) -> None:
    """All 1001 values that the register can say come back as they were set."""
    meter = _modbus("noise/generic-rs485")
    assert _read(meter, _answer(meter, {"laeq": tenths / 10})) == {"laeq": tenths / 10}


@given(st.integers(-10, 60), st.integers(0, 65535))
def test_neighbours_in_one_register_do_not_overwrite_each_other(degrees: int, level: int) -> None:
    """Temperature and level share a word: both come back, and the registers that are always answered are there."""
    probe = _modbus("water/escort-td500")
    values: dict[str, Value] = {"water_temperature": float(degrees), "water_level": level / 1000}
    assert len(encode.memory(probe, values)["holding"]) == 4
    assert _read(probe, _answer(probe, values)) == values


def test_what_is_read_along_is_zero_and_never_what_no_read_may_touch() -> None:
    """A simulated unit answers for readable gaps and for the least it sends, and refuses the rest."""
    meter = msgspec.structs.replace(
        _modbus("noise/generic-rs485"),
        reading={"laeq": RegisterField(address=1), "lafmax": RegisterField(address=8)},
        forbidden=AddressRanges(holding=[(3, 4)]),
        read_to_clear=AddressRanges(holding=[(6, 6)]),
    )
    assert encode.filler(meter) == {"holding": {}}
    assert set(encode.filler(msgspec.structs.replace(meter, gaps="readable"))["holding"]) == {2, 5, 7}
    assert set(encode.filler(msgspec.structs.replace(meter, min_registers=3))["holding"]) == {0, 2, 7, 9, 10}
    assert encode.filler(_modbus("relay/waveshare-8ch")) == {"coil": {}}


@given(st.dictionaries(st.integers(1, 8), st.sampled_from(["on", "off"]), min_size=1))
def test_coils_are_bits(states: dict[int, str]) -> None:
    """A coil is 0 or 1 at its own address; what was not set is not there."""
    relay = _modbus("relay/waveshare-8ch")
    held = encode.memory(relay, {f"relay_{n}": state for n, state in states.items()})
    assert held == {"coil": {n - 1: int(state == "on") for n, state in states.items()}}


@pytest.mark.parametrize("order", ["ABCD", "CDAB", "BADC", "DCBA"])
@pytest.mark.parametrize(("kind", "value"), [("f32", 236.76), ("f64", 1234567.891), ("u32", 4e9), ("i64", 12.0)])
def test_long_numbers_in_all_orders(order: str, kind: str, value: float) -> None:
    """Numbers of several registers, with a gap between them, come back."""
    near = msgspec.convert({"address": 7, "type": kind, "order": order}, RegisterField)
    far = RegisterField(address=20, type="u16", scale=0.1)
    profile = msgspec.structs.replace(_modbus("noise/generic-rs485"), reading={"energy": near, "flow": far})
    values: dict[str, Value] = {"energy": value, "flow": 1.5}
    assert _read(profile, _answer(profile, values)) == values


@given(st.integers(1, 999), st.integers(1, 2**38 - 1))
def test_every_chip_in_a_frame(country: int, national: int) -> None:
    """Any chip can be simulated, and the framer takes the frame."""
    reader = _serial("chip/wl-134a")
    chip = f"{country:03d}{national:012d}"
    frames = Framer(reader.frame).feed(encode.frame(reader, {"chip": chip}))
    assert _read(reader, *frames) == {"chip": chip}


@given(st.sampled_from(["absent", "present"]), st.integers(0, 20000))
def test_every_radar_state_and_distance(state: str, centimetres: int) -> None:
    """Presence and distance can be simulated at will."""
    radar = _serial("water/hlk-ld2410")
    values: dict[str, Value] = {"presence": state, "distance": centimetres / 100}
    assert _read(radar, *Framer(radar.frame).feed(encode.frame(radar, values))) == values


def test_a_state_of_several_words_keeps_the_templates_word() -> None:
    """The first sample stands still (2): somebody present is still standing still, nobody is 0."""
    radar = _serial("water/hlk-ld2410")
    assert encode.frame(radar, {"presence": "present"})[8] == 2
    assert encode.frame(radar, {"presence": "absent"})[8] == 0
    assert encode.frame(radar, {}) == encode.template(radar)


def test_fields_from_the_end_and_digits_most_significant_first() -> None:
    """The other ways that a frame may be written."""
    reader = _serial("chip/wl-134a")
    fields = {
        "chip": FrameField(type="iso11784", country=HexText(at=11, chars=4), national=HexText(at=1, chars=10)),
        "battery_level": FrameField(type="u8", at=-4, unit="%"),
    }
    profile = msgspec.structs.replace(reader, reading=fields)
    values: dict[str, Value] = {"chip": "156000000000042", "battery_level": 48.0}
    data = encode.frame(profile, values)
    assert data[1:15] == b"000000002A009C"
    assert _read(profile, *Framer(profile.frame).feed(data)) == values


LEVELS = st.integers(200, 1400).map(lambda tenths: tenths / 10)


@given(LEVELS, LEVELS, st.integers(1, RX + 5000))
def test_every_message_of_a_noise_monitor(laeq: float, lafmax: float, ts: int) -> None:
    """Numbers and time come back as they were said."""
    monitor = _mqtt("noise/json-mqtt")
    payload = encode.message(monitor, {"laeq": laeq, "lafmax": lafmax}, ts=ts)
    said = decode("dev", monitor, raw.Message("t", payload), RX)
    assert [(word.value, word.ts) for word in said if isinstance(word, Reading)] == [(laeq, ts), (lafmax, ts)]


def test_a_foreign_json_with_pointers_and_scale() -> None:
    """Nested pointers and tenths are written where they are read; a detail that no field names is left out."""
    fields = {
        "laeq": JsonField(pointer="/d/level", scale=0.1, unit="dB"),
        "passage": JsonField(type="text", detail={"direction": "/d/way"}),
    }
    profile = msgspec.structs.replace(_mqtt("noise/json-mqtt"), reading=fields, ts="/d/time")
    payload = encode.message(profile, {"laeq": 55.7, "passage": "granted"}, ts=RX, detail={"direction": "in", "x": "y"})
    assert msgspec.json.decode(payload) == {
        "d": {"time": RX, "level": 557, "way": "in"},
        "passage": "granted",
    }
    assert _read(profile, raw.Message("t", payload)) == {"laeq": 55.7, "passage": "granted"}


def test_what_a_device_cannot_say_is_refused() -> None:
    """A scene that asks a device for a word that it does not have is a mistake of the scene's."""
    meter, radar, gate = _modbus("noise/generic-rs485"), _serial("water/hlk-ld2410"), _mqtt("gate/json-mqtt")
    with pytest.raises(ValueError, match="noise/generic-rs485 does not read lafmax"):
        encode.memory(meter, {"lafmax": 60.0})
    with pytest.raises(ValueError, match="'loud' is not a number"):
        encode.memory(meter, {"laeq": "loud"})
    with pytest.raises(ValueError, match="does not fit u16"):
        encode.memory(meter, {"laeq": 6553.6})
    with pytest.raises(ValueError, match="'calibrating' is not one of absent, present"):
        encode.frame(radar, {"presence": "calibrating"})
    with pytest.raises(ValueError, match=r"1\.0 is not one of closed"):
        encode.message(gate, {"gate": 1.0})
    with pytest.raises(ValueError, match=r"1\.0 is not a text"):
        encode.message(gate, {"passage": 1.0})
    with pytest.raises(ValueError, match="'loud' is not a number"):
        encode.message(_mqtt("noise/json-mqtt"), {"laeq": "loud"})


def test_a_chip_that_does_not_fit_or_has_no_place_is_refused() -> None:
    """More digits than the frame has, or a profile that does not say where."""
    reader = _serial("chip/wl-134a")
    short = FrameField(type="iso11784", country=HexText(at=11, chars=1), national=HexText(at=1, chars=10))
    with pytest.raises(ValueError, match="999 has more than 1 hexadecimal digits"):
        encode.frame(msgspec.structs.replace(reader, reading={"chip": short}), {"chip": "999000000000001"})
    nowhere = FrameField(type="iso11784")
    with pytest.raises(ValueError, match="does not say where"):
        encode.frame(msgspec.structs.replace(reader, reading={"chip": nowhere}), {"chip": "999000000000001"})
