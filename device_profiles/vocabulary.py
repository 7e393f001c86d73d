"""The closed vocabulary: every quantity that a device may speak of, read once from `quantities.toml`.

Pages, rules and reports depend on these words and on nothing of a maker's.
"""

import re
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from device_profiles.door import Refusal, nearest, parse, read_toml
from hub.reading import Kind, Label

FILE = Path(__file__).with_name("quantities.toml")


class Quantity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One word: its unit, kind, sane range (in that unit), labels, and how readings of it are put together."""

    kind: Kind
    label: Label
    aggregate: Literal["mean", "energy", "last", "count", "sum-of-steps", "duration"]
    unit: str = ""
    range: tuple[float, float] | None = None
    decimals: int = 1
    states: dict[str, Label] = {}
    pattern: str = ""  # what the text of an event looks like, as a regular expression
    trace: bool = False  # says who went where: kept for a short legal life only
    urgent: bool = False  # lives hang on it: it travels in a lane of its own
    numbered: bool = False  # may be spoken with a channel number: relay_1, relay_2 ...
    name: str = ""


class Word(msgspec.Struct, frozen=True):
    """A spoken quantity: the vocabulary's entry and, for numbered ones, the channel (0 = none)."""

    quantity: Quantity
    channel: int = 0


@cache
def quantities() -> dict[str, Quantity]:
    """All words by name."""
    table = read_toml(FILE)
    parsed = {name: parse(Quantity, {**entry, "name": name}, file=FILE, key=name) for name, entry in table.items()}
    for name, quantity in parsed.items():
        if bool(quantity.states) != (quantity.kind is Kind.STATE):
            raise Refusal(FILE, f"{name}.states", "a state names its states, and nothing else does")
    return parsed


@cache
def find(name: str) -> Word | None:
    """The word for `laeq` or `relay_3`; None when the vocabulary has none."""
    known = quantities()
    if name in known:
        return Word(known[name])
    numbered = re.fullmatch(r"(\w+?)_([1-9]\d?)", name)
    if numbered and numbered[1] in known and known[numbered[1]].numbered:
        return Word(known[numbered[1]], int(numbered[2]))
    return None


def require(name: str, *, file: str | Path, key: str) -> Word:
    """The word, or a Refusal that names the nearest one."""
    word = find(name)
    if word is None:
        raise Refusal(file, key, "not a quantity of the vocabulary", value=name, right=nearest(name, quantities()))
    return word
