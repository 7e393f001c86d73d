"""Dog chips (ISO 11784): 3 digits of country or maker and 12 of the animal, from the four spellings that people meet.

The code's 64 bits from the most significant: animal 1, retag 3, user 5, reserved 5, RUDI 1, data block 1,
country 10, national 38. Whose dog it is, and whether a code is misused, is not decided here.
"""

import re

MAX_NATIONAL = 2**38 - 1

_DECIMAL = re.compile(r"(\d{3})(\d{12})", re.ASCII)
_GROUPED = re.compile(r"\d{3}(\.\d{3}){4}", re.ASCII)
_DOT_HEX = re.compile(r"([0-9A-F]{3})\.([0-9A-F]{10})")
_HEX_64 = re.compile(r"[0-9A-F]{16}")


def canonical(country: int, national: int) -> str | None:
    """15 digits, or None when ISO 11784 has no such animal (country 0 or over 999, number 0 or over 38 bits)."""
    if not (1 <= country <= 999 and 1 <= national <= MAX_NATIONAL):
        return None
    return f"{country:03d}{national:012d}"


def parse_any(text: str) -> str | None:
    """15 digits from decimal, dot-hex 3E7.1CBE991A14, left-64 8000F9DC..., right-64 (bits reversed); None if none fits.

    Blanks, hyphens and underscores are allowed; a hexadecimal text that could be both a left- and a right-64 is None.
    """
    plain = re.sub(r"[\s_-]", "", text).upper()
    if _GROUPED.fullmatch(plain):
        plain = plain.replace(".", "")
    if decimal := _DECIMAL.fullmatch(plain):
        return canonical(int(decimal[1]), int(decimal[2]))
    if dotted := _DOT_HEX.fullmatch(plain):
        return canonical(int(dotted[1], 16), int(dotted[2], 16))
    return _from_64(int(plain, 16)) if _HEX_64.fullmatch(plain) else None


def _from_64(code: int) -> str | None:
    """The side whose header bits are those of an animal; else the one whose spare bits are all zero; never a guess."""
    sides = (code, int(f"{code:064b}"[::-1], 2))
    for headers in ((0x8000, 0x8001), (0x0000, 0x0001)):
        found = {chip for side in sides if side >> 48 in headers and (chip := _fields(side))}
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def _fields(code: int) -> str | None:
    return canonical(code >> 38 & 0x3FF, code & MAX_NATIONAL)
