"""Dog chips: one animal, however its number is spelled."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles import iso11784

FOLDER = Path(__file__).parents[1] / "vectors"
FDXB = json.loads((FOLDER / "fdxb.json").read_text())
READERS = json.loads((FOLDER / "reader_serial.json").read_text())


@pytest.mark.parametrize("tag", FDXB["representations"], ids=lambda tag: tag["decimal"])
@pytest.mark.parametrize("spelling", ["decimal", "dot_hex", "left64", "right64"])
def test_the_four_published_spellings(tag: dict[str, str], spelling: str) -> None:
    """Decimal, dot-hex, left-64 and right-64 are the same animal, in capitals or not."""
    assert iso11784.parse_any(tag[spelling]) == tag["decimal"]
    assert iso11784.parse_any(tag[spelling].lower()) == tag["decimal"]


@pytest.mark.parametrize("tag", [v for v in FDXB["vectors"] if "id8" in v], ids=lambda tag: tag["id8"])
def test_published_telegrams(tag: dict[str, str | int]) -> None:
    """Eight bytes off the air, most significant first, are a left-64 spelling, animal bit or not, data block or not."""
    chip = f"{tag['country']:03}{tag['national']:012}"
    assert iso11784.parse_any(bytes.fromhex(str(tag["id8"]))[::-1].hex()) == chip


@pytest.mark.parametrize(
    "text", ["900 250000023921", "900_250000023921", "900-250000023921", "900.250.000.023.921", " 900250000023921\n"]
)
def test_how_people_group_digits(text: str) -> None:
    """The search box takes what stands on the vet's paper."""
    assert iso11784.parse_any(text) == "900250000023921"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "12345678901234",
        "1234567890123456",
        "000000000112233",
        "156000000000000",
        "156274877906944",
        "3E7.1CBE991A1",
        "3FF.1CBE991A14",
        "9002500000239２1",
        "0000000000000000",
        "FFFFFFFFFFFFFFFF",
        FDXB["vectors"][0]["id8"],
    ],
)
def test_what_is_no_chip_is_none(text: str) -> None:
    """Wrong length, country 0 or over 999, number 0 or over 38 bits, other digits, raw bytes: never a guess."""
    assert iso11784.parse_any(text) is None


def test_a_code_that_reads_both_ways_is_none() -> None:
    """A header at either end: both readings could be meant, so neither is taken."""
    left = 0x8000 << 48 | 156 << 38 | 5 << 20 | 1
    assert iso11784.parse_any(f"{left:016X}") is None
    assert iso11784.parse_any(f"{left & ~1 | 2:016X}") == f"156{(5 << 20) + 2:012d}"


def test_the_negative_vector() -> None:
    """All zeros have a right checksum and are nobody."""
    zeros = next(v for v in FDXB["negative"] if set(v["id8"]) == {"0"})
    assert iso11784.parse_any(zeros["id8"]) is None
    assert iso11784.canonical(0, 0) is None


@pytest.mark.parametrize("reader", [v for v in READERS["vectors"] if "country" in v], ids=lambda v: v["format"][:20])
def test_published_reader_numbers(reader: dict[str, int]) -> None:
    """Country and national number of every published reader frame make 15 digits that the vocabulary takes."""
    chip = iso11784.canonical(reader["country"], reader["national"])
    assert chip == f"{reader['country']:03d}{reader['national']:012d}"
    assert chip is not None
    assert iso11784.parse_any(chip) == chip


@given(st.integers(1, 999), st.integers(1, iso11784.MAX_NATIONAL))
def test_every_chip_is_itself_in_decimal_and_dot_hex(country: int, national: int) -> None:
    """Two spellings without doubt for all of ISO 11784; the 64-bit ones give this chip or, in doubt, none."""
    chip = iso11784.canonical(country, national)
    assert chip is not None
    assert iso11784.parse_any(chip) == chip
    assert iso11784.parse_any(f"{country:03X}.{national:010X}") == chip
    code = 0x8000 << 48 | country << 38 | national
    assert iso11784.parse_any(f"{code:016X}") in (chip, None)
    assert iso11784.parse_any(f"{int(f'{code:064b}'[::-1], 2):016X}") in (chip, None)


@given(st.text(max_size=24))
def test_any_text_is_a_chip_or_none(text: str) -> None:
    """People type anything into a search box."""
    chip = iso11784.parse_any(text)
    assert chip is None or (len(chip) == 15 and chip.isdigit())
