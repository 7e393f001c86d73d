"""Dog chips (ISO 11784): 3 digits of country or maker and 12 of the animal, from the four spellings that people meet.

The code's 64 bits from the most significant: animal 1, retag 3, user 5, reserved 5, RUDI 1, data block 1,
country 10, national 38. Whose dog it is, and whether its code was issued by right, is not decided here.
"""

import re
from collections.abc import Iterator

from hub.reading import Label

MAX_NATIONAL = 2**38 - 1
TEST, SHARED = 999, 900  # ICAR: 999 is for tests, 900 is shared by makers, 901 to 998 are one maker's each

_DECIMAL = re.compile(r"(\d{3})(\d{12})", re.ASCII)
_GROUPED = re.compile(r"\d{3}(\.\d{3}){4}", re.ASCII)
_DOT_HEX = re.compile(r"([0-9A-F]{3})\.([0-9A-F]{10})")
_HEX_64 = re.compile(r"[0-9A-F]{16}")
_STRANGE = re.compile(r"[^0-9A-F.]")

# ISO 3166-1, the numeric codes that are given out.
_NUMERIC = """
004 008 010 012 016 020 024 028 031 032 036 040 044 048 050 051 052 056 060 064 068 070 072 074 076 084 086
090 092 096 100 104 108 112 116 120 124 132 136 140 144 148 152 156 158 162 166 170 174 175 178 180 184 188
191 192 196 203 204 208 212 214 218 222 226 231 232 233 234 238 239 242 246 248 250 254 258 260 262 266 268
270 275 276 288 292 296 300 304 308 312 316 320 324 328 332 334 336 340 344 348 352 356 360 364 368 372 376
380 384 388 392 398 400 404 408 410 414 417 418 422 426 428 430 434 438 440 442 446 450 454 458 462 466 470
474 478 480 484 492 496 498 499 500 504 508 512 516 520 524 528 531 533 534 535 540 548 554 558 562 566 570
574 578 580 581 583 584 585 586 591 598 600 604 608 612 616 620 624 626 630 634 638 642 643 646 652 654 659
660 662 663 666 670 674 678 682 686 688 690 694 702 703 704 705 706 710 716 724 728 729 732 740 744 748 752
756 760 762 764 768 772 776 780 784 788 792 795 796 798 800 804 807 818 826 831 832 833 834 840 850 854 858
860 862 876 882 887 894
"""
_COUNTRIES = frozenset(map(int, _NUMERIC.split()))


def canonical(country: int, national: int) -> str | None:
    """15 digits, or None when ISO 11784 has no such animal (country 0 or over 999, number 0 or over 38 bits)."""
    if not (1 <= country <= 999 and 1 <= national <= MAX_NATIONAL):
        return None
    return f"{country:03d}{national:012d}"


def parse_any(text: str) -> str | None:
    """15 digits from decimal, dot-hex 3E7.1CBE991A14, left-64 8000F9DC..., right-64 (bits reversed); None if none fits.

    Blanks, hyphens and underscores are allowed; a hexadecimal text that could be both a left- and a right-64 is None.
    """
    plain = _plain(text)
    numbers = _numbers(plain)
    if numbers is not None:
        return canonical(*numbers)
    return _from_64(int(plain, 16)) if _HEX_64.fullmatch(plain) else None


def understand(text: str) -> str | Label:
    """15 digits, or what is wrong with what a person typed, in words for that person."""
    return parse_any(text) or _why_not(_plain(text))


def remark(chip: str) -> Label | None:
    """What is odd about the issuer of a chip (15 digits), which a person should hear; None when nothing is.

    Codes: ISO 3166-1 numeric up to 899, ICAR from 900. The dog is real all the same: nothing is refused for it.
    """
    country = int(chip[:3])
    if country == TEST:
        return Label(zh="999 是测试代码，不应出现在活犬身上", en="999 is the test code: no living dog should have it")
    if country < SHARED and country not in _COUNTRIES:
        return Label(zh=f"没有国家使用代码 {chip[:3]}", en=f"no country has the code {chip[:3]}")
    return None


def _plain(text: str) -> str:
    plain = re.sub(r"[\s_-]", "", text).upper()
    return plain.replace(".", "") if _GROUPED.fullmatch(plain) else plain


def _numbers(plain: str) -> tuple[int, int] | None:
    """Country and national number, where the spelling itself is without doubt."""
    if decimal := _DECIMAL.fullmatch(plain):
        return int(decimal[1]), int(decimal[2])
    if dotted := _DOT_HEX.fullmatch(plain):
        return int(dotted[1], 16), int(dotted[2], 16)
    return None


def _why_not(plain: str) -> Label:
    """Why this is no chip; the first thing that a person would mend."""
    if not plain:
        return Label(zh="没有填写芯片号", en="there is no number")
    if strange := _STRANGE.search(plain):
        return Label(zh=f"{strange[0]!r} 不是半角数字", en=f"{strange[0]!r} is not a digit")
    numbers = _numbers(plain)
    if numbers is not None:
        return _no_such(*numbers)
    if _HEX_64.fullmatch(plain):
        return Label(
            zh="这 16 位十六进制码不能确定是哪个芯片，请填 15 位数字",
            en="these 16 hexadecimal digits are no chip beyond doubt; write its 15 digits",
        )
    if len(plain) == 10:
        return Label(
            zh="10 位码是 125 kHz 标签，不是 ISO 11784 芯片",
            en="10 digits are a tag of 125 kHz, not a chip of ISO 11784",
        )
    return Label(
        zh=f"芯片号应为 15 位数字，这里有 {len(plain)} 位",
        en=f"a chip number has 15 digits, here are {len(plain)}; write it as 156000000000101",
    )


def _no_such(country: int, national: int) -> Label:
    if not 1 <= country <= TEST:
        return Label(
            zh=f"代码 {country:03d} 不存在：001–899 为国家，900–998 为厂商，999 为测试",
            en=f"there is no code {country:03d}: 001 to 899 are countries, 900 to 998 makers, 999 tests",
        )
    return Label(
        zh=f"后 12 位应在 000000000001 与 {MAX_NATIONAL:012d} 之间",
        en=f"the animal's 12 digits lie between 000000000001 and {MAX_NATIONAL:012d}, not {national:012d}",
    )


def _from_64(code: int) -> str | None:
    """The side whose header bits are those of an animal; else the one whose spare bits are all zero; never a guess."""
    sides = (code, int(f"{code:064b}"[::-1], 2))
    for headers in ((0x8000, 0x8001), (0x0000, 0x0001)):
        found = set(_with_headers(sides, headers))
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def _with_headers(sides: tuple[int, int], headers: tuple[int, int]) -> Iterator[str]:
    for side in sides:
        if side >> 48 in headers and (chip := from_bits(side)):
            yield chip


def from_bits(code: int) -> str | None:
    """15 digits from the 64 bits of the code; None when it is no chip."""
    return canonical(code >> 38 & 0x3FF, code & MAX_NATIONAL)
