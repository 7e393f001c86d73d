"""What a few registers may mean: every way to read them, ranked by what a person sees on the display or expects.

Pure. It never says that a way is right, only which are plausible: who chooses compares at two different values.
"""

import math
from collections.abc import Callable, Iterator
from itertools import groupby

import msgspec

from device_profiles import vocabulary
from firmware_bridge.wire import numbers

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
SCALES = (1.0, 0.1, 0.01)
_WHOLE = ("u16", "i16", "u32", "i32", "u64", "bcd16", "bcd32")
_FLOATS = ("f32", "f64")
_EASY = 1e-3, 1e6  # what displays show: a number smaller or larger than that is seldom meant
_EXACT = 0.002  # relative: the display rounds, and the value moves on between display and reading


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One way to read the registers. `also`: other ways that give the same value. `score`: 1 best, 0 not plausible."""

    type: str
    order: str
    scale: float
    value: float
    score: float
    also: list[str] = []

    @property
    def name(self) -> str:
        """As a person writes it."""
        order = "" if self.order == "ABCD" else f" {self.order}"
        return f"{self.type}{order}" + ("" if self.scale == 1.0 else f" x {self.scale:g}")


def ways(data: bytes, *, expect: float | None = None, quantity: str = "") -> list[Way]:
    """All ways, the most plausible first; those with one value are one entry.

    `expect`: what the display shows, ranks by nearness. `quantity`: a word of the vocabulary, whose sane range counts.
    Without either, small numbers with few digits in simple types are plausible. Raises Refusal for an unknown word.
    """
    score = _scorer(expect, quantity)
    found = [
        Way(
            type=kind,
            order=order,
            scale=scale,
            value=value,
            score=round(score(kind, value) * _simple(kind, order, scale), 4),
        )
        for kind, order, scale, value in _all(data)
    ]
    found.sort(key=lambda way: (way.value, -way.score))
    merged = [_merge(list(same)) for _, same in groupby(found, key=lambda way: way.value)]
    return sorted(merged, key=lambda way: -way.score)


def bits(data: bytes) -> str:
    """The registers as bits, highest first, in fours: "0000 0010 0010 1101"."""
    text = "".join(f"{byte:08b}" for byte in data)
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def block(way: Way, table: str, address: int, quantity: str = "") -> str:
    """A [reading] table for a profile; empty for what a profile cannot say (BCD)."""
    if way.type.startswith("bcd"):
        return ""
    word = vocabulary.find(quantity) if quantity else None
    lines = [
        f"[reading.{quantity or 'QUANTITY'}]",
        f'table = "{table}"',
        f"address = {address}",
        f'type = "{way.type}"',
    ]
    lines += [f'order = "{way.order}"'] if way.order != "ABCD" else []
    lines += [f"scale = {way.scale:g}"] if way.scale != 1.0 else []
    lines += [f'unit = "{word.quantity.unit}"'] if word and word.quantity.unit else []
    return "\n".join(lines) + "\n"


def _all(data: bytes) -> Iterator[tuple[str, str, float, float]]:
    for kind in (*_WHOLE, *_FLOATS):
        width = int(kind[3:]) // 8 if kind.startswith("bcd") else numbers.width(kind)
        if width > len(data):
            continue
        for order in ORDERS if width > 2 else ("ABCD", "BADC"):
            raw = _number(kind, data[:width], order)
            if raw is None or not math.isfinite(raw):
                continue
            for scale in SCALES if kind in _WHOLE else (1.0,):
                yield kind, order, scale, numbers.scaled(raw, scale, 0.0)


def _number(kind: str, data: bytes, order: str) -> int | float | None:
    """None when these are no BCD digits."""
    if not kind.startswith("bcd"):
        return numbers.read(kind, data, order)
    digits = numbers.arrange(data, order).hex()
    return int(digits) if digits.isdecimal() else None


def _scorer(expect: float | None, quantity: str) -> Callable[[str, float], float]:
    """How well a value of a type fits what is known, 0 to 1."""
    limits = None
    if quantity:
        limits = vocabulary.require(quantity, file="zhian probe", key="--quantity").quantity.range

    def score(kind: str, value: float) -> float:
        if limits is not None and not limits[0] <= value <= limits[1]:
            return 0.0
        return _easy(kind, value) if expect is None else _near(value, expect)

    return score


def _near(value: float, expect: float) -> float:
    """1 within what a display rounds away, and falling with the relative distance."""
    off = abs(value - expect) / max(abs(expect), 1e-9)
    return 1.0 if off <= _EXACT else _EXACT / off


def _easy(kind: str, value: float) -> float:
    """How likely somebody would show this number to a person. A float of few digits is no coincidence."""
    if value == 0:
        return 0.3  # says nothing: all types read it
    if not _EASY[0] <= abs(value) <= _EASY[1]:
        return 0.05
    digits = _digits(value)
    if kind in _FLOATS and digits <= 6:
        return 1.0
    return 0.8 if digits <= 5 else 0.6 if digits <= 7 else 0.2


def _digits(value: float) -> int:
    return len(f"{abs(value):.15g}".replace(".", "").strip("0"))


def _simple(kind: str, order: str, scale: float) -> float:
    """Of two ways that fit alike the usual one: one register, straight order, tenths before hundredths."""
    factor = {"u16": 1.0, "i16": 0.98, "f32": 0.97, "u32": 0.95, "i32": 0.94}.get(kind, 0.9)
    factor *= {"ABCD": 1.0, "CDAB": 0.99}.get(order, 0.95)
    return factor * {1.0: 1.0, 0.1: 0.999}.get(scale, 0.995)


def _merge(same: list[Way]) -> Way:
    first, *others = same
    return msgspec.structs.replace(first, also=[way.name for way in others])
