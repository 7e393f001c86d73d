"""Decoding: any bytes give readings or named faults, never an exception and never a guess."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles import types
from device_profiles.load import profiles
from device_profiles.types import (
    FixedBytes,
    FrameField,
    HexText,
    ModbusProfile,
    RegisterField,
    SerialProfile,
)
from firmware_bridge import raw
from firmware_bridge.wire.decode import MAX_PAYLOAD, decode
from firmware_bridge.wire.framing import Framer
from hub.reading import Fault, FaultKind, Reading, Value

RX = 1_760_000_000_000
RADAR = json.loads((Path(__file__).parents[1] / "vectors" / "radar_level.json").read_text())
READERS = json.loads((Path(__file__).parents[1] / "vectors" / "reader_serial.json").read_text())
GATE = profiles()["gate/json-mqtt"]
METER, RELAY, PROBE = (
    profiles()[name] for name in ("noise/generic-rs485", "relay/waveshare-8ch", "water/escort-td500")
)
CHIP, LD2410 = profiles()["chip/wl-134a"], profiles()["water/hlk-ld2410"]


def _said(profile: types.Profile, word: raw.Raw) -> list[Reading | Fault]:
    return decode("dev", profile, word, RX)


def _values(said: list[Reading | Fault]) -> dict[str, Value]:
    return {word.quantity: word.value for word in said if isinstance(word, Reading)}


def _kinds(said: list[Reading | Fault]) -> list[str]:
    return [word.kind for word in said if isinstance(word, Fault)]


def _modbus(**reading: RegisterField) -> ModbusProfile:
    assert isinstance(METER, ModbusProfile)
    return msgspec.structs.replace(METER, reading=reading)


# --- never an exception ----------------------------------------------------------------------------------------

ANY = st.one_of(
    st.builds(raw.Registers, st.sampled_from(["holding", "coil"]), st.integers(0, 9), st.integers(0, 16), st.binary()),
    st.builds(raw.Frame, st.binary(max_size=64)),
    st.builds(raw.Message, st.just("t"), st.binary(), st.integers(0, 2), st.booleans()),
    st.builds(raw.Alive, st.booleans()),
    st.builds(raw.Trouble, st.sampled_from(FaultKind), st.text(), st.none() | st.binary()),
)


@given(st.sampled_from(list(profiles().values())), ANY)
def test_any_raw_gives_readings_and_faults(profile: types.Profile, word: raw.Raw) -> None:
    """Whatever a cable brings, to whatever device: readings of that device's quantities, or named faults."""
    for said in _said(profile, word):
        assert isinstance(said, Reading | Fault)
        assert said.rx == RX
        assert not isinstance(said, Reading) or (said.device == "dev" and said.quantity in profile.reading)


@given(st.sampled_from([CHIP, LD2410]), st.binary(max_size=200))
def test_any_stream_through_framer_and_decode(profile: types.Profile, data: bytes) -> None:
    """The whole serial path takes any bytes."""
    assert isinstance(profile, SerialProfile)
    framer = Framer(profile.frame)
    for word in [*framer.feed(data), *framer.flush()]:
        assert all(isinstance(said, Reading | Fault) for said in _said(profile, word))


# --- Modbus ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "data", "value"),
    [
        (RegisterField(address=2, type="u16"), "0000 0000 022D", 557.0),
        (RegisterField(address=0, type="i16", order="DCBA"), "FEFF", -2.0),
        (RegisterField(address=0, type="u32", order="CDAB"), "0001 0000", 1.0),
        (RegisterField(address=0, type="f32", order="BADC"), "D346 00E7", 27123.5),
        (RegisterField(address=1, type="f64"), "0000 40DA7CE000000000", 27123.5),
        (RegisterField(address=0, type="u64"), "0000000000000105", 261.0),
        (RegisterField(address=0, type="u8", byte=1), "0105", 5.0),
        (RegisterField(address=0, type="u16", byte=1), "0001 0500", 261.0),
        (RegisterField(address=0, type="u16", scale=0.1, offset=-40.0), "022D", 15.7),
    ],
)
def test_registers_into_numbers(field: RegisterField, data: str, value: float) -> None:
    """All types, orders, byte offsets and scales."""
    answer = raw.Registers("holding", 0, len(data) // 4, bytes.fromhex(data))
    assert _said(_modbus(power=field), answer) == [Reading(device="dev", quantity="power", value=value, ts=RX, rx=RX)]


def test_only_what_lies_wholly_in_the_answer_is_read() -> None:
    """One block of a plan brings its own fields and says nothing of the others."""
    profile = _modbus(
        laeq=RegisterField(address=4), energy=RegisterField(address=5, type="u32"), flow=RegisterField(address=2)
    )
    assert _values(_said(profile, raw.Registers("holding", 3, 3, bytes.fromhex("0000 0032 0000")))) == {"laeq": 50.0}
    assert _said(profile, raw.Registers("input", 4, 1, bytes.fromhex("0032"))) == []
    assert _said(profile, raw.Registers("holding", 4, 0, b"")) == []


def test_bits_are_packed_lowest_first() -> None:
    """The first coil asked for is the lowest bit of the first byte, wherever the block begins."""
    values = _values(_said(RELAY, raw.Registers("coil", 3, 5, bytes([0b10010]))))
    assert values == {"relay_4": "off", "relay_5": "on", "relay_6": "off", "relay_7": "off", "relay_8": "on"}
    assert _values(_said(RELAY, raw.Registers("coil", 0, 8, b""))) == {}


@pytest.mark.parametrize(
    ("field", "data", "kind"),
    [
        (RegisterField(address=0, absent=[0xFFFF]), "FFFF", "absent"),
        (RegisterField(address=0, type="i16", absent=[0x8000]), "8000", "absent"),
        (RegisterField(address=0, type="i16", absent=[-1]), "FFFF", "absent"),
        (RegisterField(address=0, type="f32", absent=[0x7FC00000]), "7FC00000", "absent"),
        (RegisterField(address=0, type="f32"), "7FC00000", "malformed"),
        (RegisterField(address=0, type="f32"), "7F800000", "malformed"),
        (RegisterField(address=0, type="f64", scale=1e300), "7FE0000000000000", "malformed"),
        (RegisterField(address=0, type="u16"), "0010", "out-of-range"),
        (RegisterField(address=0, type="u16", range=(30.0, 60.0)), "0046", "out-of-range"),
        (RegisterField(address=0, type="bit"), "0001", "malformed"),
    ],
)
def test_what_is_no_value_is_a_named_fault(field: RegisterField, data: str, kind: str) -> None:
    """Absent, NaN, infinite, outside the maker's range or the sane one, a bit in a register: never a number."""
    said = _said(_modbus(laeq=field), raw.Registers("holding", 0, len(data) // 4, bytes.fromhex(data)))
    assert (_kinds(said), _values(said)) == ([kind], {})


def test_the_narrower_range_is_named() -> None:
    """Whose limit was passed: the maker's, or what is sane for the quantity."""
    (device,) = _said(METER, raw.Registers("holding", 0, 1, bytes.fromhex("0578")))
    (sane,) = _said(_modbus(laeq=RegisterField(address=0, range=(0, 999))), raw.Registers("holding", 0, 1, b"\x01\x00"))
    assert isinstance(device, Fault)
    assert isinstance(sane, Fault)
    assert device.detail == "laeq: 140 dB is not in the device's range 30 to 130"
    assert sane.detail == "laeq: 256 dB is not in the sane range 20 to 140"
    assert device.payload is None


def test_an_unknown_word_is_kept() -> None:
    """A register word that no choice names goes to the quarantine with its bytes."""
    field = RegisterField(address=0, choices={"closed": [0], "open": [1]})
    (fault,) = _said(_modbus(gate=field), raw.Registers("holding", 0, 1, b"\x00\x07"))
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.payload) == ("unknown-choice", b"\x00\x07")


def test_the_published_level_answer() -> None:
    """Escort TD-500: 20 degrees, level 1127."""
    vector = next(v for v in RADAR["vectors"] if "Escort" in v["device"])
    data = bytes.fromhex(vector["frame"])[3:-2]
    values = _values(_said(PROBE, raw.Registers("holding", 0, 4, data)))
    assert values == {"water_temperature": vector["temperature"], "water_level": vector["level"] / 1000}


# --- serial ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", [v for v in RADAR["vectors"] if "LD2410" in v["device"]], ids=lambda v: v["device"])
def test_the_published_radar_frames(vector: dict[str, str | int]) -> None:
    """States 1, 2 and 3 are somebody; the detection distance is in centimetres on the wire."""
    assert isinstance(LD2410, SerialProfile)
    frames = Framer(LD2410.frame).feed(bytes.fromhex(str(vector["frame"])))
    values = [_values(_said(LD2410, frame)) for frame in frames]
    assert values == [{"presence": "present", "distance": float(vector["detect_cm"]) / 100}]


@pytest.mark.parametrize("state", RADAR["ld2410_states"])
def test_every_published_radar_state(state: str) -> None:
    """No target is absent, 1 to 3 are present, and calibration is a fault: never `absent`."""
    assert isinstance(LD2410, SerialProfile)
    frame = bytearray.fromhex("F4F3F2F10D0002AA0251000000003B00005500F8F7F6F5")
    frame[8] = int(state)
    (found,) = Framer(LD2410.frame).feed(bytes(frame))
    said = _said(LD2410, found)
    expected = {"0": "absent", "1": "present", "2": "present", "3": "present"}.get(state)
    assert _values(said).get("presence") == expected
    assert _kinds(said) == ([] if expected else ["unknown-choice"])


def test_the_published_reader_frame() -> None:
    """WL-134A: the sheet's own frame."""
    vector = READERS["vectors"][0]
    assert isinstance(CHIP, SerialProfile)
    (frame,) = Framer(CHIP.frame).feed(bytes.fromhex(vector["frame"]))
    assert _values(_said(CHIP, frame)) == {"chip": vector["text"]}


@pytest.mark.parametrize(
    ("field", "data", "kind"),
    [
        (FrameField(type="u16le", at=3), b"\x02abc", "incomplete"),
        (FrameField(type="u16le", at=-9), b"\x02abc", "incomplete"),
        (FrameField(type="iso11784"), b"\x02abc", "malformed"),
        (
            FrameField(type="iso11784", country=HexText(at=0, chars=4), national=HexText(at=4, chars=9)),
            b"009C",
            "incomplete",
        ),
        (
            FrameField(type="iso11784", country=HexText(at=0, chars=4), national=HexText(at=4, chars=1)),
            b"+09C1",
            "malformed",
        ),
        (
            FrameField(type="iso11784", country=HexText(at=0, chars=4), national=HexText(at=4, chars=1)),
            b"009C0",
            "out-of-range",
        ),
        (FrameField(type="u8", at=0), b"\x02", "malformed"),
        (FrameField(type="fdxb", at=2), bytes(11), "incomplete"),
        (FrameField(type="fdxb", at=0), bytes(10), "out-of-range"),
        (FrameField(type="fdxb", at=0), bytes(9) + b"\x01", "checksum"),
        (FrameField(type="tag", scheme="em4100"), b"4500C5D1E9", "malformed"),
        (FrameField(type="tag", scheme="em4100", code=HexText(at=0, chars=10)), b"45", "incomplete"),
        (FrameField(type="tag", scheme="em4100", code=HexText(at=0, chars=10)), b"4500C5D1EZ", "malformed"),
        (FrameField(type="tag", scheme="em4100", code=HexText(at=0, chars=10)), b"0000000000", "out-of-range"),
        (FrameField(only=FixedBytes(at=0, one_of=["31"])), b"2", "unknown-choice"),
    ],
)
def test_frames_that_do_not_hold_the_field(field: FrameField, data: bytes, kind: str) -> None:
    """Too short, no place, no digits, nobody's number, a number where a chip belongs: a fault, never an exception."""
    assert isinstance(CHIP, SerialProfile)
    said = _said(msgspec.structs.replace(CHIP, reading={"chip": field}), raw.Frame(data))
    assert (_kinds(said), _values(said)) == ([kind], {})


def test_hexadecimal_text_most_significant_first_and_fields_from_the_end() -> None:
    """Both directions of digits, and places counted from the end."""
    assert isinstance(CHIP, SerialProfile)
    chip = FrameField(type="iso11784", country=HexText(at=0, chars=3), national=HexText(at=-10, chars=10))
    reading = {"chip": chip, "battery_level": FrameField(type="u8", at=-11, unit="%")}
    said = _said(msgspec.structs.replace(CHIP, reading=reading), raw.Frame(b"3E7\x37" + b"1CBE991A14"))
    assert _values(said) == {"chip": "999123456789012", "battery_level": 55.0}


BOTH = {
    "chip": FrameField(
        type="iso11784",
        country=HexText(at=1, chars=3),
        national=HexText(at=4, chars=10),
        only=FixedBytes(at=0, one_of=["31", "33"]),
    ),
    "other_chip": FrameField(
        type="tag", scheme="fdx-a", code=HexText(at=4, chars=10), only=FixedBytes(at=-14, one_of=["32"])
    ),
}


def test_a_reader_that_says_the_scheme_is_believed() -> None:
    """The same digits under another scheme's mark are another thing, and under an unknown mark nothing at all."""
    assert isinstance(CHIP, SerialProfile)
    reader = msgspec.structs.replace(CHIP, reading=BOTH)
    digits = b"3E71CBE991A14"
    for mark in (b"1", b"3"):
        assert _values(_said(reader, raw.Frame(mark + digits))) == {"chip": "999123456789012"}
    assert _values(_said(reader, raw.Frame(b"2" + digits))) == {"other_chip": "fdx-a:1CBE991A14"}
    unknown = _said(reader, raw.Frame(b"9" + digits))
    assert (_kinds(unknown), _values(unknown)) == (["unknown-choice"], {})


def test_the_published_tag_of_125_khz_is_never_an_iso_number() -> None:
    """EM-18's own tag through the framer: its scheme and its digits."""
    vector = next(each for each in READERS["vectors"] if each["format"].startswith("EM-18"))
    reader = profiles()["chip/rdm6300"]
    assert isinstance(reader, SerialProfile)
    (frame,) = Framer(reader.frame).feed(b"\x02" + vector["text"].encode() + b"\x03")
    assert _values(_said(reader, frame)) == {"other_chip": f"em4100:{vector['version']:02X}{vector['card']:08X}"}


def test_the_published_frames_of_an_addressed_reader() -> None:
    """134K-RW-USB-D1: code and CRC are read; its other payload is a frame of another kind, not a wrong number."""
    reader = profiles()["chip/134k-rw-usb-d1"]
    assert isinstance(reader, SerialProfile)
    code, decimal = (each for each in READERS["vectors"] if each["format"].startswith("134K"))
    (frame,) = Framer(reader.frame).feed(bytes.fromhex(code["frame"]))
    assert _values(_said(reader, frame)) == {"chip": f"{code['country']:03d}{code['national']:012d}"}
    (frame,) = Framer(reader.frame).feed(bytes.fromhex(decimal["frame"]))
    assert (_kinds(_said(reader, frame)), _values(_said(reader, frame))) == (["unknown-choice"], {})


# --- not data --------------------------------------------------------------------------------------------------


def test_birth_and_last_will() -> None:
    """A birth is no news; a last will is the fault `offline`."""
    assert _said(GATE, raw.Alive(True)) == []
    (fault,) = _said(GATE, raw.Alive(False))
    assert isinstance(fault, Fault)
    assert (fault.source, fault.kind, fault.rx) == ("dev", "offline", RX)


def test_the_cables_own_trouble_travels_as_it_is() -> None:
    """Kind and words of the link's trouble are the fault's; the payload is cut to 4 kB."""
    (fault,) = _said(METER, raw.Trouble(FaultKind.CHECKSUM, "wrong CRC", bytes(9000)))
    assert fault == Fault(source="dev", kind=FaultKind.CHECKSUM, detail="wrong CRC", rx=RX, payload=bytes(MAX_PAYLOAD))
    assert _said(METER, raw.Trouble(FaultKind.NO_ANSWER, "unit 1")) == [
        Fault(source="dev", kind=FaultKind.NO_ANSWER, detail="unit 1", rx=RX)
    ]


@pytest.mark.parametrize(
    ("profile", "word"),
    [(GATE, raw.Frame(b"")), (METER, raw.Message("t", b"{}")), (CHIP, raw.Registers("coil", 0, 1, b"\x01"))],
)
def test_the_wrong_kind_of_word_is_a_mismatch(profile: types.Profile, word: raw.Raw) -> None:
    """A frame from an MQTT device is a mistake of the wiring, and is told as one."""
    assert _kinds(_said(profile, word)) == ["mismatch"]
