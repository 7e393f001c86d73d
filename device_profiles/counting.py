"""How far a counter counts before it is at nought again: from the profile, which has it from the register or the maker.

Pure. What a step from one reading to the next means is `hub/devices/counter.py`'s business.
"""

import re

from device_profiles import vocabulary
from device_profiles.types import FrameField, JsonField, Profile, RegisterField
from device_profiles.vocabulary import Quantity
from hub.reading import Kind

_DIGITS = {"bcd16": 10**4, "bcd32": 10**8}
_UNSIGNED = re.compile(r"u(8|16|32|64)(le|be)?")


def end_of(profile: Profile, quantity: str) -> float | None:
    """The value, in the quantity's unit, at which this device's counter is 0 again; None: nobody knows."""
    word, field = vocabulary.find(quantity), profile.reading.get(quantity)
    return None if word is None or field is None else counts_to(field, word.quantity)


def counts_to(field: RegisterField | FrameField | JsonField, quantity: Quantity) -> float | None:
    """`rolls_over` where the maker says it; else one step past his range or past the register, whichever is first.

    None for a number of JSON or of floating point, which has no last value, and for what does not count up from 0.
    """
    if quantity.kind is not Kind.COUNTER or field.scale <= 0 or field.offset:
        return None
    if field.rolls_over is not None:
        return field.rolls_over
    values = _values(field)
    ends = [] if values is None else [values * field.scale]
    if field.range is not None:
        ends.append(field.range[1] + (10.0**-quantity.decimals if values is None else field.scale))
    return min(ends, default=None)


def _values(field: RegisterField | FrameField | JsonField) -> int | None:
    """How many different whole numbers stand there; None where they have signs, fractions or no width."""
    if isinstance(field, RegisterField) and field.bits is not None:
        return 1 << (field.bits[1] - field.bits[0] + 1)
    found = _UNSIGNED.fullmatch(field.type)
    return 1 << int(found[1]) if found else _DIGITS.get(field.type)
