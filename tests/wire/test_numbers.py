"""Numbers on the wire, against published values, and back again."""

import json
import math
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.wire import numbers

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "modbus.json").read_text())
KINDS = {"float32": "f32", "float64": "f64", "int32": "i32", "int64": "i64"}
INTEGERS = ["u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64"]
ORDERS = ["ABCD", "CDAB", "BADC", "DCBA"]


@pytest.mark.parametrize("order", ORDERS)
def test_the_four_byte_orders(order: str) -> None:
    """27123.5 in all four orders, as published."""
    data = bytes.fromhex(VECTORS["word_order"][order])
    assert numbers.read("f32", data, order) == VECTORS["word_order"]["value"]
    assert numbers.write("f32", VECTORS["word_order"]["value"], order) == data


@pytest.mark.parametrize("vector", [v for v in VECTORS["numbers"] if v["type"] in KINDS], ids=lambda v: v["hex"])
def test_published_numbers(vector: dict[str, str | float]) -> None:
    """Floats and integers of device manuals, as people print them."""
    kind, data = KINDS[str(vector["type"])], bytes.fromhex(str(vector["hex"]))
    assert numbers.read(kind, data) == vector["value"]
    assert numbers.write(kind, float(vector["value"]) if kind[0] == "f" else int(vector["value"])) == data


def test_a_little_endian_float() -> None:
    """Cheap probes send the bytes the other way round."""
    (vector,) = [v for v in VECTORS["numbers"] if v["type"] == "float32_le"]
    assert numbers.read("f32", bytes.fromhex(vector["hex"]), "DCBA") == vector["value"]


@pytest.mark.parametrize(
    ("kind", "hexadecimal", "value"),
    [("u16le", "2E01", 302), ("u16be", "012E", 302), ("i16le", "FEFF", -2), ("u32le", "01000000", 1), ("i8", "FD", -3)],
)
def test_the_orders_of_serial_frames(kind: str, hexadecimal: str, value: int) -> None:
    """Serial frames spell the order in the type."""
    assert numbers.width(kind) == len(bytes.fromhex(hexadecimal))
    assert numbers.read(kind, bytes.fromhex(hexadecimal)) == value
    assert numbers.write(kind, value).hex().upper() == hexadecimal


@given(st.sampled_from(INTEGERS), st.sampled_from(ORDERS), st.binary(min_size=8, max_size=8))
def test_any_bytes_are_an_integer_and_back(kind: str, order: str, data: bytes) -> None:
    """Reading loses nothing: writing gives the same bytes."""
    data = data[: numbers.width(kind)]
    assert numbers.write(kind, numbers.read(kind, data, order), order) == data


@given(st.sampled_from(["f32", "f64"]), st.sampled_from(ORDERS), st.binary(min_size=8, max_size=8))
def test_any_bytes_are_a_float_and_back(kind: str, order: str, data: bytes) -> None:
    """The shortest decimal means the same float, up to the largest; NaN stays NaN and infinity infinite."""
    data = data[: numbers.width(kind)]
    number = numbers.read(kind, data, order)
    plain = struct.unpack(">f" if kind == "f32" else ">d", numbers.arrange(data, order))[0]
    assert math.isnan(number) == math.isnan(plain)
    if not math.isnan(number):
        assert numbers.write(kind, number, order) == data


@pytest.mark.parametrize(
    ("data", "number"),
    [
        ("436CC28F", "236.76"),
        ("3DCCCCCD", "0.1"),
        ("3F800001", "1.0000001"),
        ("42280001", "42.000004"),
        ("4B7FFFFF", "16777215.0"),
        ("7F7FFFFF", "3.4028234663852886e+38"),
        ("FF7FFFFF", "-3.4028234663852886e+38"),
        ("7F800000", "inf"),
        ("3C344C41", "0.0110045085"),
    ],
)
def test_a_short_float_is_printed_short(data: str, number: str) -> None:
    """People see the digits that the device meant, and as many as it takes."""
    assert repr(numbers.read("f32", bytes.fromhex(data))) == number


@pytest.mark.parametrize(("kind", "number"), [("u8", 256), ("u16", -1), ("i8", 128), ("f32", 1e39), ("u64", 2**64)])
def test_what_does_not_fit_is_refused(kind: str, number: float) -> None:
    """A simulated device cannot say what the real one has no bits for."""
    with pytest.raises(ValueError, match=f"does not fit {kind}"):
        numbers.write(kind, number)


@pytest.mark.parametrize(
    ("raw", "scale", "offset", "value"),
    [
        (557, 0.1, 0.0, 55.7),
        (820, 0.1, 0.0, 82.0),
        (3, 0.1, -0.3, 0.0),
        (1127, 0.001, 0.0, 1.127),
        (302, 1e-05, 0.0, 0.00302),
        (-40, 0.5, 2.25, -17.75),
        (7, 10.0, 0.0, 70.0),
        (12, 1.0, 0.0, 12.0),
        (55.7, 0.1, 0.0, 5.57),
        (0.1, 3.0, 0.0, 0.3),
        (2**53 - 1, 0.01, 0.0, 90071992547409.91),
    ],
)
def test_scaling_leaves_no_dust(raw: float, scale: float, offset: float, value: float) -> None:
    """557 tenths are 55.7, not 55.7 and a bit; what people see is what the device meant."""
    assert numbers.scaled(raw, scale, offset) == value
    assert isinstance(numbers.scaled(raw, scale, offset), float)


@given(
    st.integers(-(2**31), 2**32),
    st.sampled_from([1.0, 0.1, 0.01, 0.001, 0.5, 2.0, 10.0]),
    st.sampled_from([0.0, -40.0, 0.5]),
)
def test_scaling_and_back(raw: int, scale: float, offset: float) -> None:
    """What the simulator writes is what the decoder read."""
    assert numbers.unscaled(numbers.scaled(raw, scale, offset), scale, offset, whole=True) == raw


def test_unscaling_keeps_a_float_where_the_wire_carries_floats() -> None:
    """Only whole numbers are rounded."""
    assert numbers.unscaled(5.57, 0.1, 0.0, whole=False) == 55.7
    assert numbers.unscaled(5.57, 1.0, 0.0, whole=False) == 5.57
    assert numbers.unscaled(5.57, 1.0, 0.0, whole=True) == 6
