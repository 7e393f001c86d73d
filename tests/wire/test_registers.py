"""Values in registers: byte orders of 64 bits, bit fields, digits, texts, and the words for "no value"."""

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin

from device_profiles.types import ModbusLink, ModbusProfile, RegisterField
from firmware_bridge.raw import Registers
from firmware_bridge.wire import encode, numbers, registers
from firmware_bridge.wire.decode import decode
from hub.reading import Fault, FaultKind, Label, Reading, Value

LABEL = Label(zh="x", en="x")
STATES: dict[str, list[int | str | bool]] = {"open": ["OPEN", "AUF"], "closed": ["ZU"]}
TEXT = RegisterField(address=0, type="text", length=8, choices=STATES)
NUMBER = RegisterField(address=0, type="text", length=8)


def profile(**reading: RegisterField) -> ModbusProfile:
    """A device that reads these."""
    return ModbusProfile(
        profile=1, id="test/x", title=LABEL, source="made by hand", sample=[], link=ModbusLink(), reading=reading
    )


def said(field: RegisterField, data: bytes, name: str = "laeq") -> Value | FaultKind:
    """The value of the one field, or the kind of its fault."""
    answer = Registers("holding", 0, len(data) // 2, data)
    (word,) = decode("d", profile(**{name: field}), answer, 0)
    assert isinstance(word, Reading | Fault)
    return word.value if isinstance(word, Reading) else word.kind


@pytest.mark.parametrize(
    ("order", "layout"),
    [("ABCD", "ABCDEFGH"), ("CDAB", "GHEFCDAB"), ("BADC", "BADCFEHG"), ("DCBA", "HGFEDCBA")],
)
def test_orders_of_64_bits(order: str, layout: str) -> None:
    """ABCD big-endian, CDAB words from the last, BADC bytes swapped in each word, DCBA little-endian throughout."""
    assert numbers.arrange(b"ABCDEFGH", order) == layout.encode()
    assert numbers.arrange(layout.encode(), order) == b"ABCDEFGH"


@pytest.mark.parametrize("kind", ["u64", "i64", "f64", "u32", "i32", "f32"])
@pytest.mark.parametrize(("order", "word_order"), [("ABCD", "big"), ("CDAB", "little")])
def test_orders_as_pymodbus_has_them(kind: str, order: str, word_order: str) -> None:
    """Both orders of words that pymodbus knows are ours, for 32 and 64 bits."""
    names = {"u": "UINT", "i": "INT", "f": "FLOAT"}
    number = {"u": 0x0102030405060708, "i": -2, "f": 27123.5}[kind[0]] if kind[1:] == "64" else 27123
    theirs = ModbusClientMixin.convert_to_registers(
        float(number) if kind[0] == "f" else int(number),
        ModbusClientMixin.DATATYPE[names[kind[0]] + kind[1:]],
        word_order=word_order,  # type: ignore[arg-type]  # a Literal
    )
    data = b"".join(word.to_bytes(2, "big") for word in theirs)
    assert numbers.read(kind, data, order) == number
    assert numbers.write(kind, number, order) == data


@pytest.mark.parametrize(
    ("bits", "want"),
    [((0, 0), 0), ((1, 1), 1), ((0, 3), 6), ((4, 11), 0xA5), ((15, 15), 1), ((12, 15), 8), ((0, 15), 0x8A56)],
    ids=str,
)
def test_bit_fields(bits: tuple[int, int], want: int) -> None:
    """Bit 0 is the lowest of the number, both ends belong to the field."""
    field = RegisterField(address=0, bits=bits)
    assert registers.read(field, b"\x8a\x56") == want
    swapped = msgspec.structs.replace(field, order="BADC")
    assert registers.read(swapped, b"\x56\x8a") == want


@given(st.integers(0, 2**32 - 1), st.integers(0, 31), st.integers(0, 31), st.sampled_from(["ABCD", "CDAB", "DCBA"]))
def test_bit_fields_leave_their_neighbours(whole: int, one: int, other: int, order: str) -> None:
    """Writing a field changes its own bits only, and reads back."""
    field = RegisterField(address=0, type="u32", bits=(min(one, other), max(one, other)), order=order)  # type: ignore[arg-type]  # text
    before = numbers.write("u32", whole, order)
    number = registers.read(field, before)
    assert isinstance(number, int)
    assert number == int(f"{whole:032b}"[31 - max(one, other) : 32 - min(one, other)], 2)
    assert registers.write(field, number, before) == before
    cleared = registers.write(field, 0, before)
    assert registers.read(field, cleared) == 0
    assert registers.write(field, number, cleared) == before


def test_one_status_word_is_many_states() -> None:
    """Single bits and a field of one register become states, each by itself."""
    on: dict[str, list[int | str | bool]] = {"off": [0], "on": [1]}
    fields = {f"relay_{n + 1}": RegisterField(address=0, bits=(n, n), choices=on) for n in range(3)}
    gate = RegisterField(address=0, bits=(8, 10), choices={"closed": [0], "open": [1], "stuck": [7]})
    words = decode("d", profile(gate=gate, **fields), Registers("holding", 0, 1, b"\x07\x05"), 0)
    values = {word.quantity: word.value for word in words if isinstance(word, Reading)}
    assert values == {"relay_1": "on", "relay_2": "off", "relay_3": "on", "gate": "stuck"}
    assert encode.memory(profile(gate=gate, **fields), values) == {"holding": {0: 0x0705}}
    assert said(gate, b"\x02\x00", "gate") is FaultKind.UNKNOWN_CHOICE


@pytest.mark.parametrize(
    ("kind", "data", "want"),
    [
        ("bcd16", "09 87", 987.0),
        ("bcd32", "12 34 56 78", 12345678.0),
        ("bcd16", "0A 00", FaultKind.MALFORMED),
        ("bcd32", "00 00 00 F0", FaultKind.MALFORMED),
        ("bcd16", "FF FF", FaultKind.ABSENT),
    ],
)
def test_digits(kind: str, data: str, want: float | FaultKind) -> None:
    """Four bits a digit; a digit above 9 is none, unless it is the device's word for no value."""
    field = RegisterField(address=0, type=kind, absent=[0xFFFF])  # type: ignore[arg-type]  # text
    assert said(field, bytes.fromhex(data), "energy") == want


@given(st.integers(0, 99_999_999), st.sampled_from(["ABCD", "CDAB", "BADC", "DCBA"]))
def test_digits_and_back(number: int, order: str) -> None:
    """All of eight digits, in every order; nine do not fit."""
    field = RegisterField(address=0, type="bcd32", order=order)  # type: ignore[arg-type]  # text
    data = registers.write(field, number, b"")
    assert numbers.arrange(data, order).hex() == f"{number:08}"
    assert registers.read(field, data) == number
    for wrong in (number + 100_000_000, -1):
        with pytest.raises(ValueError, match="8 decimal digits"):
            registers.write(field, wrong, b"")


@pytest.mark.parametrize(
    ("data", "want"),
    [
        (b"OPEN\0\0\0\0", "open"),
        (b"OPEN    ", "open"),
        (b"OPEN \0\0\0", "open"),
        (b"    AUF\0", "open"),
        (b"open\0\0\0\0", FaultKind.UNKNOWN_CHOICE),
        (b"OP\0EN\0\0\0", FaultKind.MALFORMED),
        (b"\xff" * 8, FaultKind.MALFORMED),
        (b"\0" * 8, FaultKind.UNKNOWN_CHOICE),
    ],
)
def test_texts(data: bytes, want: str | FaultKind) -> None:
    """Padding is cut off, nothing else is: a text is one of the device's words, letter by letter, or a fault."""
    assert said(TEXT, data, "gate") == want
    swapped = b"".join(data[at : at + 2][::-1] for at in range(0, 8, 2))
    assert said(msgspec.structs.replace(TEXT, order="BADC"), swapped, "gate") == want


def test_texts_and_back() -> None:
    """What the simulator writes is read again; a word too long for its registers is refused."""
    for order in ("ABCD", "BADC"):
        field = msgspec.structs.replace(TEXT, order=order)
        memory = encode.memory(profile(gate=field), {"gate": "open"})
        data = b"".join(memory["holding"][at].to_bytes(2, "big") for at in range(4))
        assert said(field, data, "gate") == "open"
    with pytest.raises(ValueError, match="more than 8 bytes"):
        registers.write(TEXT, "OPEN 门禁", b"")
    assert registers.read(TEXT, "门禁\0\0".encode()) == "门禁"


@pytest.mark.parametrize(
    ("data", "want"),
    [
        (b"  55.70\0", 55.7),
        (b"00000061", 61.0),
        (b"-5\0\0\0\0\0\0", FaultKind.OUT_OF_RANGE),
        (b"5,5\0\0\0\0\0", FaultKind.MALFORMED),
        (b"1e2\0\0\0\0\0", FaultKind.MALFORMED),
        (b"nan\0\0\0\0\0", FaultKind.MALFORMED),
        (b"\0" * 8, FaultKind.MALFORMED),
        (b"----\0\0\0\0", FaultKind.ABSENT),
    ],
)
def test_numbers_written_as_text(data: bytes, want: float | FaultKind) -> None:
    """A decimal number and nothing else: no exponent, no comma, no guess."""
    assert said(msgspec.structs.replace(NUMBER, absent=["----"]), data) == want


@pytest.mark.parametrize("value", [55.7, 61.0, 0.5, 120.0])
def test_numbers_as_text_and_back(value: float) -> None:
    """What the simulator writes as text is the same number."""
    field = msgspec.structs.replace(NUMBER, scale=0.5)
    memory = encode.memory(profile(laeq=field), {"laeq": value})["holding"]
    assert registers.read(field, b"".join(memory[at].to_bytes(2, "big") for at in range(4))) == value / 0.5


NANS = ["7FC00000", "FFC00000", "7F800001", "7FFFFFFF"]


@pytest.mark.parametrize("pattern", [*NANS, "7F800000", "FF800000"])
def test_patterns_of_no_value(pattern: str) -> None:
    """Every NaN is "nan", an infinity is its pattern; what the profile does not name is a fault of form."""
    data = bytes.fromhex(pattern)
    plain = RegisterField(address=0, type="f32")
    assert said(plain, data) is FaultKind.MALFORMED
    named = msgspec.structs.replace(plain, absent=["nan", 0x7F800000, 0xFF800000])
    assert said(named, data) is FaultKind.ABSENT
    assert said(named, struct.pack(">f", 55.5)) == 55.5
    swapped = msgspec.structs.replace(named, order="CDAB")
    assert said(swapped, data[2:] + data[:2]) is FaultKind.ABSENT


@pytest.mark.parametrize(
    ("kind", "absent", "data"),
    [
        ("i16", [0x7FFF, 0x8000, 0xFFFF], ["7FFF", "8000", "FFFF"]),
        ("i16", [-1], ["FFFF"]),
        ("u32", [0xFFFFFFFF, 0x7FFFFFFF], ["FFFFFFFF", "7FFFFFFF"]),
        ("f64", [0x7FF8000000000000, 9999], ["7FF8000000000000", struct.pack(">d", 9999.0).hex()]),
    ],
)
def test_several_words_for_no_value(kind: str, absent: list[int | str | bool], data: list[str]) -> None:
    """Each of them, as a number or as its pattern."""
    field = RegisterField(address=0, type=kind, absent=absent)  # type: ignore[arg-type]  # text
    assert {said(field, bytes.fromhex(each), "water_level") for each in data} == {FaultKind.ABSENT}


def test_no_value_of_a_bit_field() -> None:
    """A word that fits the bits is one of theirs; a larger one is the whole number's."""
    field = RegisterField(address=0, bits=(0, 3), absent=[15, 0xFFF0])
    assert [said(field, bytes.fromhex(data), "water_level") for data in ("000F", "120F", "FFF0", "FFF1")] == [
        FaultKind.ABSENT,
        FaultKind.ABSENT,
        FaultKind.ABSENT,
        1.0,
    ]
    small = RegisterField(address=0, bits=(4, 7), absent=[7])
    assert said(small, b"\0\x07", "water_level") == 0.0


def test_what_cannot_be_written() -> None:
    """The simulator refuses a value that its field cannot hold."""
    with pytest.raises(ValueError, match="does not fit bits 0 to 1"):
        registers.write(RegisterField(address=0, bits=(0, 1)), 4, b"\0\0")
    with pytest.raises(ValueError, match="is not a number"):
        registers.write(RegisterField(address=0), "OPEN", b"\0\0")
    with pytest.raises(ValueError, match="is not one of open, closed"):
        encode.memory(profile(gate=TEXT), {"gate": "stuck"})
