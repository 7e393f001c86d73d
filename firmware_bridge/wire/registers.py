"""One value in the bytes of Modbus registers, and back: numbers, bit fields, BCD digits and texts.

What it means (scale, choices, range) is `decode`'s business, and which registers there are the profile's.
"""

import math
import re
from decimal import Decimal

from device_profiles.types import RegisterField
from firmware_bridge.wire import numbers

_DECIMAL = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?")
_BCD = {"bcd16": "u16", "bcd32": "u32"}


def read(field: RegisterField, data: bytes) -> int | float | str | None:
    """The raw value in exactly `field.width` bytes; None: the device's own word for "no value".

    Raises ValueError for digits that are none and for a text that is none.
    """
    data = numbers.arrange(data, field.order)
    if field.type == "text":
        return _text(field, data)
    pattern = int.from_bytes(data, "big")
    if field.bits is not None:
        first, last = field.bits
        most = (1 << last - first + 1) - 1
        value = pattern >> first & most
        # a word too large for these bits is one of the whole number
        return None if value in field.absent or (pattern > most and pattern in field.absent) else value
    if pattern in field.absent:
        return None
    if field.type in _BCD:
        if not data.hex().isdecimal():
            raise ValueError(f"not decimal digits: {data.hex(' ')}")
        number: int | float = int(data.hex())
    else:
        number = numbers.read(field.type, data)
    absent = number in field.absent or ("nan" in field.absent and math.isnan(number))
    return None if absent else number


def write(field: RegisterField, raw: int | float | str, before: bytes) -> bytes:
    """The bytes that `read` reads as `raw`; of a bit field, the other bits stay as `before`. Raises ValueError."""
    if field.type == "text":
        text = raw if isinstance(raw, str) else f"{Decimal(repr(raw)):f}"
        data = text.encode()
        if len(data) > field.length:
            raise ValueError(f"{text!r} has more than {field.length} bytes")
        return numbers.arrange(data.ljust(field.length, b"\0"), field.order)
    if isinstance(raw, str):
        raise ValueError(f"{raw!r} is not a number")
    if field.bits is not None:
        return numbers.write(
            field.type, _with_bits(field.bits, int(raw), numbers.read(field.type, before, field.order)), field.order
        )
    if field.type in _BCD:
        digits = str(int(raw))
        if not digits.isdecimal() or len(digits) > 2 * field.width:
            raise ValueError(f"{raw} has no {2 * field.width} decimal digits")
        return numbers.write(_BCD[field.type], int(digits, 16), field.order)
    return numbers.write(field.type, raw, field.order)


def _with_bits(bits: tuple[int, int], value: int, whole: int | float) -> int:
    first, last = bits
    most = (1 << last - first + 1) - 1
    if not 0 <= value <= most:
        raise ValueError(f"{value} does not fit bits {first} to {last}")
    return int(whole) & ~(most << first) | value << first


def _text(field: RegisterField, data: bytes) -> int | float | str | None:
    """Without the NULs and blanks around it. Where no choices are, it must be a decimal number."""
    try:
        text = data.rstrip(b"\0 ").decode().strip(" ")
    except UnicodeDecodeError:
        raise ValueError(f"not a text: {data.hex(' ')}") from None
    if text in field.absent:
        return None
    if not text.isprintable():
        raise ValueError(f"not a text: {data.hex(' ')}")
    if field.choices:
        return text
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"not a decimal number: {text!r}")
    return float(text) if "." in text else int(text)
