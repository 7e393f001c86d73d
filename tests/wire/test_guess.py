"""What registers may mean: whatever a device does with its number, the display's figure finds the way to read it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.door import Refusal
from device_profiles.vocabulary import quantities
from firmware_bridge.wire import numbers
from firmware_bridge.wire.guess import ORDERS, SCALES, Way, bits, block, ways

REST = bytes.fromhex("DE AD BE EF 13 37")  # what else stands there


def names(way: Way) -> list[str]:
    """All ways that give this value."""
    return [way.name, *way.also]


@given(
    kind=st.sampled_from(["u16", "i16", "u32", "i32"]),
    order=st.sampled_from(ORDERS),
    scale=st.sampled_from(SCALES),
    raw=st.integers(200, 30_000),
)
def test_the_display_finds_whole_numbers(kind: str, order: str, scale: float, raw: int) -> None:
    """In any type, order and scale: the way that gives what the display shows is the first."""
    data = numbers.write(kind, raw, order)
    shown = numbers.scaled(raw, scale, 0.0)

    best = ways((data + REST)[:8], expect=shown)[0]

    assert best.value == pytest.approx(shown, rel=0.002)


@given(order=st.sampled_from(ORDERS), shown=st.floats(1.0, 500.0).map(lambda number: round(number, 1)))
def test_the_display_finds_floats(order: str, shown: float) -> None:
    """A float of any order is found, though its words look like great whole numbers."""
    best = ways(numbers.write("f32", shown, order), expect=shown)[0]

    assert best.value == pytest.approx(shown, rel=0.002)


def test_a_float_of_few_digits_is_no_coincidence() -> None:
    """Without any hint a float that reads 55.7 is more plausible than the whole numbers in the same registers."""
    assert ways(numbers.write("f32", 55.7, "CDAB"))[0].name == "f32 CDAB"


def test_a_quantity_leaves_out_what_cannot_be() -> None:
    """The sane range of the vocabulary decides: 557 is no sound level, 55.7 is."""
    found = ways(bytes.fromhex("022D"), quantity="laeq")

    assert names(found[0])[:2] == ["u16 x 0.1", "i16 x 0.1"]
    low, high = quantities()["laeq"].range or (0, 0)
    assert all(low <= way.value <= high for way in found if way.score > 0)
    assert any(not low <= way.value <= high for way in found)  # shown all the same, behind


def test_decimal_digits_in_hexadecimal() -> None:
    """BCD is tried where all digits are decimal, and nowhere else."""
    assert "bcd16 x 0.1" in names(ways(bytes.fromhex("0557"), expect=55.7)[0])
    assert not [way for way in ways(bytes.fromhex("05A7")) if way.type == "bcd16" and way.order == "ABCD"]


def test_one_value_is_one_line() -> None:
    """Ways that cannot be told apart by this value stand together."""
    values = [way.value for way in ways(bytes.fromhex("0001 0002"))]

    assert len(values) == len(set(values))


def test_an_unknown_quantity_is_refused_with_the_nearest() -> None:
    """A word that the vocabulary lacks is the user's to mend."""
    with pytest.raises(Refusal, match='did you mean "laeq"'):
        ways(b"\0\0", quantity="laeqq")


def test_what_a_profile_can_say_is_ready_to_paste() -> None:
    """The block of the first way is a [reading] table; a profile knows no BCD, so there is none for it."""
    way = ways(numbers.write("f32", 55.7, "CDAB"), expect=55.7)[0]
    text = block(way, "input", 16, "laeq")

    assert text.splitlines() == [
        "[reading.laeq]",
        'table = "input"',
        "address = 16",
        'type = "f32"',
        'order = "CDAB"',
        'unit = "dB"',
    ]
    bcd = Way(type="bcd16", order="ABCD", scale=1.0, value=1.0, score=1.0)
    assert block(bcd, "input", 16, "laeq") == ""
    assert bits(bytes.fromhex("022D")) == "0000 0010 0010 1101"
