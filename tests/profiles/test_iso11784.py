"""Dog chips: one animal, however its number is spelled."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles import iso11784
from firmware_bridge.wire import fdxb
from hub.reading import Label

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


MISTYPED = [
    ("", "there is no number", "没有填写"),
    ("  ", "there is no number", "没有填写"),
    ("15600000000004", "15 digits, here are 14", "这里有 14 位"),
    ("900-25000002392", "15 digits, here are 14", "这里有 14 位"),
    ("９００250000023921", "'９' is not a digit", "不是半角数字"),
    ("90O250000023921", "'O' is not a digit", "不是半角数字"),
    ("000000000000042", "there is no code 000", "代码 000 不存在"),
    ("3E8.0000000001", "there is no code 1000", "001–899 为国家"),
    ("156000000000000", "between 000000000001 and 274877906943", "之间"),
    ("156999999999999", "not 999999999999", "之间"),
    ("8000270000500001", "no chip beyond doubt", "请填 15 位数字"),
    ("4500C5D1E9", "tag of 125 kHz", "125 kHz 标签"),
]


@pytest.mark.parametrize(("text", "en", "zh"), MISTYPED)
def test_a_person_is_told_what_is_wrong(text: str, en: str, zh: str) -> None:
    """Whoever mistypes a chip hears, in his language, what to mend; never a guess."""
    wrong = iso11784.understand(text)
    assert isinstance(wrong, Label)
    assert en in wrong.en
    assert zh in wrong.zh


@pytest.mark.parametrize("tag", FDXB["representations"], ids=lambda tag: tag["decimal"])
@pytest.mark.parametrize("spelling", ["decimal", "dot_hex", "left64", "right64"])
def test_what_is_understood_is_the_chip(tag: dict[str, str], spelling: str) -> None:
    """All four spellings pass where a person types them."""
    assert iso11784.understand(tag[spelling]) == tag["decimal"]


@given(st.text(max_size=24))
def test_any_text_is_understood_or_explained(text: str) -> None:
    """There is an answer to everything, in both languages, and it agrees with what is taken."""
    said = iso11784.understand(text)
    assert said == iso11784.parse_any(text) if isinstance(said, str) else said.zh and said.en
    assert isinstance(said, str) or iso11784.parse_any(text) is None


@pytest.mark.parametrize(
    ("chip", "odd"),
    [
        ("156000000000042", ""),
        ("900250000023921", ""),
        ("982000001088420", ""),
        ("999000000112233", "test code"),
        ("123112233445566", "no country has the code 123"),
        ("899000000000001", "no country has the code 899"),
    ],
)
def test_an_odd_issuer_is_remarked_and_not_refused(chip: str, odd: str) -> None:
    """Test codes and countries that are none are worth a word; the dog is real all the same."""
    remark = iso11784.remark(chip)
    assert (odd in remark.en if remark else False) == bool(odd)
    assert (remark is not None) == bool(odd)
    assert iso11784.understand(chip) == chip


def test_the_makers_of_the_published_list_are_no_oddity() -> None:
    """900 to 998 are makers' codes; only 999 among the published ones is for tests."""
    codes = FDXB["code_rules"]["manufacturers"]
    assert [code for code in codes if iso11784.remark(f"{code}000000000001")] == ["999"]


@pytest.mark.parametrize("tag", [v for v in FDXB["vectors"] if "crc2" in v], ids=lambda tag: tag["id8"])
def test_published_telegrams_with_their_crc(tag: dict[str, str | int]) -> None:
    """The code's own CRC is the published one; one flipped bit anywhere is told, and no chip is read."""
    telegram = bytes.fromhex(f"{tag['id8']}{tag['crc2']}")
    assert fdxb.wrong_checksum(telegram) == ""
    chip = iso11784.from_bits(fdxb.bits(telegram))
    assert chip == f"{tag['country']:03}{tag['national']:012}"
    assert fdxb.patched(telegram, chip) == telegram
    for bit in range(80):
        broken = bytearray(telegram)
        broken[bit // 8] ^= 1 << bit % 8
        assert fdxb.wrong_checksum(bytes(broken))


def test_the_negative_telegrams() -> None:
    """A flipped CRC bit is told; all zeros have a right CRC and are no chip."""
    flipped, zeros = (bytes.fromhex(v["id8"] + v["crc2"]) for v in FDXB["negative"])
    assert fdxb.wrong_checksum(flipped) == "the chip's CRC dd48 is wrong, dc48 would be right"
    assert fdxb.wrong_checksum(zeros) == ""
    assert iso11784.from_bits(fdxb.bits(zeros)) is None
