"""Numbers on the wire: integers and floats in the four byte orders, and the step from raw number to unit and back.

Names of types and orders are those of `device_profiles.types`. Nothing here knows a device or a quantity.
"""

import struct
from decimal import Decimal
from functools import lru_cache

_CODES = {
    "u8": "B",
    "i8": "b",
    "u16": "H",
    "i16": "h",
    "u32": "I",
    "i32": "i",
    "u64": "Q",
    "i64": "q",
    "f32": "f",
    "f64": "d",
}
_F32_MAX = (2 - 2**-23) * 2.0**127
_FRAME_ORDERS = {"le": "DCBA", "be": "ABCD"}


def width(kind: str) -> int:
    """Bytes of a number of this type ("u16", or as serial frames spell it "u16le")."""
    return struct.calcsize(_CODES[_plain(kind, "")[0]])


def read(kind: str, data: bytes, order: str = "ABCD") -> int | float:
    """The number in exactly `width(kind)` bytes. A float may be NaN or infinite; f32 comes as its shortest decimal."""
    kind, order = _plain(kind, order)
    number: int | float = struct.unpack(">" + _CODES[kind], arrange(data, order))[0]
    return shortest_f32(float(number)) if kind == "f32" else number


def write(kind: str, number: int | float, order: str = "ABCD") -> bytes:
    """The inverse of `read`. Raises ValueError when the number does not fit the type."""
    kind, order = _plain(kind, order)
    try:
        data = struct.pack(">" + _CODES[kind], number if kind.startswith("f") else int(number))
    except (struct.error, OverflowError) as error:
        raise ValueError(f"{number} does not fit {kind}: {error}") from None
    return arrange(data, order)


def arrange(data: bytes, order: str) -> bytes:
    """Wire order to most-significant-first, and back: each of the four orders is its own inverse.

    ABCD as it is, DCBA all bytes reversed, BADC bytes swapped in each word, CDAB words reversed.
    """
    if order == "ABCD":
        return data
    if order == "DCBA":
        return data[::-1]
    words = [data[at : at + 2] for at in range(0, len(data), 2)]
    if order == "BADC":
        return b"".join(word[::-1] for word in words)
    return b"".join(reversed(words))


def scaled(raw: int | float, scale: float, offset: float) -> float:
    """raw x scale + offset without the dust of binary fractions: 557 x 0.1 is 55.7. Raises OverflowError."""
    if scale == 1.0 and offset == 0.0:
        return float(raw)
    value = raw * scale + offset
    return round(value, _decimals(scale, offset)) if isinstance(raw, int) else float(f"{value:.15g}")


def unscaled(value: float, scale: float, offset: float, *, whole: bool) -> int | float:
    """The raw number that `scaled` turns into `value` (the nearest one, when the wire carries whole numbers)."""
    if scale == 1.0 and offset == 0.0:
        return round(value) if whole else value
    raw = (value - offset) / scale
    return round(raw) if whole else float(f"{raw:.15g}")


def shortest_f32(number: float) -> float:
    """The shortest decimal that means the same 32-bit float: 236.76, not 236.75999450683594."""
    for digits in (6, 7, 8, 9):
        short = float(f"{number:.{digits}g}")
        if abs(short) <= _F32_MAX and struct.pack(">f", short) == struct.pack(">f", number):
            return short
    return number  # NaN, infinite, or so near the largest that rounding would pass it


def _plain(kind: str, order: str) -> tuple[str, str]:
    """("u16le", any) -> ("u16", "DCBA"); Modbus types pass as they are."""
    return (kind[:-2], _FRAME_ORDERS[kind[-2:]]) if kind[-2:] in _FRAME_ORDERS else (kind, order)


@lru_cache(maxsize=1024)
def _decimals(scale: float, offset: float) -> int:
    """So many decimals a whole number x scale + offset can have."""
    exponents = (Decimal(repr(number)).normalize().as_tuple().exponent for number in (scale, offset))
    return max(0, *(-exponent for exponent in exponents if isinstance(exponent, int)))
