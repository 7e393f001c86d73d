"""What a step of a counter from one reading to the next means: it rose, went over its end, began anew, or is another.

Pure. Where the counter ends is the profile's knowledge (`device_profiles/counting.py`).
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

NEAR = 0.1  # a tenth: so near to its end a counter may go over it, so near to nought it has begun anew


class How(StrEnum):
    """Of a step."""

    ROSE = "rose"
    ROLLED = "rolled"  # over its end, to nought and on
    RESET = "reset"  # began anew, at nought
    OTHER = "other"  # goes on elsewhere: another meter, one that was set, one that trembles in its last digit


class Step(NamedTuple):
    """What it means, and by how much the counter rose; never below zero."""

    how: How
    by: float


def exchanged(between: tuple[int, int], exchanges: Sequence[int]) -> bool:
    """True when a person said that the device became another one after the first instant, up to the second (ms)."""
    return any(between[0] < at <= between[1] for at in exchanges)


def step(before: float, value: float, end: float | None) -> Step:
    """From one reading to the next; `end`: the value at which it is 0 again, where that is known.

    What nobody counted is not counted: a counter that falls, and not to about nought, tells no rise.
    """
    if value >= before:
        return Step(How.ROSE, value - before)
    if end is not None and before < end and value >= 0 and end - before + value <= NEAR * end:
        return Step(How.ROLLED, end - before + value)
    if 0 <= value <= NEAR * before:
        return Step(How.RESET, value)
    return Step(How.OTHER, 0.0)
