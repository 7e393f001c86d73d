"""Which profile a Modbus unit answers to: each profile's own reads, judged by decode, and ranked by what they prove.

Pure. A device that is none of the library's may still answer as one: what is likely here is looked at by a person, on
the device's own display, before anything depends on it.
"""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

import msgspec

from device_profiles import vocabulary
from device_profiles.types import BIT_TABLES, ModbusProfile, RegisterField
from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire import numbers
from firmware_bridge.wire.decode import decode
from firmware_bridge.wire.modbus import Request
from firmware_bridge.wire.plan import plan
from hub.reading import Fault, FaultKind, Reading, Value

_BAUD_BITS = 3.0  # about eight speeds are usual
Answers: TypeAlias = Mapping[Request, Registers | Trouble]


class Verdict(StrEnum):
    """What the answers say of one profile."""

    LIKELY = "likely"  # every field was read, and is what the profile allows
    POSSIBLE = "possible"  # nothing contradicts it, but some field had no value just now
    UNLIKELY = "unlikely"


class Guess(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One profile: the verdict, the values read by it, why not, and how many bits of the answers speak for it."""

    profile: str
    verdict: Verdict
    bits: float
    values: dict[str, Value] = {}
    why: str = ""


def questions(profile: ModbusProfile, unit: int) -> tuple[Request, ...]:
    """What the hub would ask such a unit; empty for a profile that has no plan."""
    try:
        return plan(profile, unit)
    except ValueError:
        return ()


def judge(profile: ModbusProfile, unit: int, answers: Answers, baud: int = 0) -> Guess:
    """What `answers` (all of the profile's questions, or up to the first trouble) say of this profile.

    `baud` of the line counts a little, where it is the one with which the product is delivered; 0: not known.
    """
    said = [word for ask in questions(profile, unit) if ask in answers for word in decode("", profile, answers[ask], 0)]
    values = {word.quantity: word.value for word in said if isinstance(word, Reading)}
    faults = [word for word in said if isinstance(word, Fault)]
    against = [fault for fault in faults if fault.kind is not FaultKind.ABSENT]
    missing = [name for name in profile.reading if name not in values]
    if against or not values:
        why = f"{against[0].kind}: {against[0].detail}" if against else "no value was read"
        return Guess(profile=profile.id, verdict=Verdict.UNLIKELY, bits=0.0, why=why)
    verdict = Verdict.POSSIBLE if missing else Verdict.LIKELY
    why = f"no value just now: {', '.join(missing)}" if missing else ""
    bits = sum(proof(name, profile.reading[name]) for name in values) + (_BAUD_BITS if baud == profile.link.baud else 0)
    return Guess(profile=profile.id, verdict=verdict, bits=round(bits, 1), values=values, why=why)


def rank(guesses: Iterable[Guess]) -> list[Guess]:
    """Likely ones first, and of those the one that would be the greatest coincidence."""
    order = list(Verdict)
    return sorted(guesses, key=lambda guess: (order.index(guess.verdict), -guess.bits, guess.profile))


def proof(name: str, field: RegisterField) -> float:
    """Bits of coincidence it would take for random registers to pass as this field; 0 when it takes any."""
    if field.table in BIT_TABLES or field.type == "bit":
        width, allowed = 1, len({word for words in field.choices.values() for word in words}) or 2
        return width - math.log2(min(allowed, 2))
    width = 8 * numbers.width(field.type)
    if field.choices:
        return width - math.log2(max(1, sum(len(words) for words in field.choices.values())))
    low, high = _limits(name, field)
    raws = sorted((edge - field.offset) / field.scale for edge in (low, high))
    return max(0.0, width - math.log2(max(1.0, _patterns(field.type, *raws))))


def _limits(name: str, field: RegisterField) -> tuple[float, float]:
    """The narrower of the device's and the sane range."""
    sane = vocabulary.require(name, file="profile", key=name).quantity.range or (-math.inf, math.inf)
    own = field.range or sane
    return max(sane[0], own[0]), min(sane[1], own[1])


def _patterns(kind: str, low: float, high: float) -> float:
    """How many bit patterns of this type are a number in [low, high]."""
    if kind.startswith("f"):
        return _place(kind, high) - _place(kind, low) + 1.0
    width = 8 * numbers.width(kind)
    least, most = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if kind.startswith("i") else (0, 2**width - 1)
    return max(0.0, min(float(most), high) - max(float(least), low) + 1.0)


def _place(kind: str, number: float) -> int:
    """Where a float stands when all floats of its width are counted in order, zero at 0."""
    code, whole = (">f", ">I") if kind == "f32" else (">d", ">Q")
    try:
        pattern: int = struct.unpack(whole, struct.pack(code, abs(number)))[0]
    except OverflowError:
        pattern = struct.unpack(whole, struct.pack(code, math.inf))[0]
    return pattern if number >= 0 else -pattern


def same_everywhere(answers: Sequence[Registers | Trouble]) -> bool:
    """True when many units gave one and the same answer: a device that does not look at the unit number."""
    return len(answers) >= 8 and all(isinstance(each, Registers) and each == answers[0] for each in answers)


def block(profile: str, unit: int, taken: Iterable[str]) -> str:
    """A [[link.device]] table to paste into site.toml, with an id that is not `taken`."""
    stem = f"{profile.partition('/')[0]}-{unit}"
    used = set(taken)
    name = next(each for each in (stem, *(f"{stem}-{n}" for n in range(2, 1000))) if each not in used)
    return f'  [[link.device]]\n  id = "{name}"\n  profile = "{profile}"\n  unit = {unit}\n  # zone = "..."\n'
