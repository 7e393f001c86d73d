"""JSON Pointer (RFC 6901): where a value stands in a JSON document, read and written.

Reading never raises; what is not there is MISSING, which is not null.
"""

from enum import Enum
from functools import lru_cache
from typing import Final


class Missing(Enum):
    """The type of MISSING."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


def find(document: object, pointer: str) -> object | Missing:
    """The value at `pointer` ("" is the whole document), or MISSING."""
    here = document
    for step in _steps(pointer):
        if isinstance(here, dict):
            here = here.get(step, MISSING)
        elif isinstance(here, list) and _is_index(step) and int(step) < len(here):
            here = here[int(step)]
        else:
            return MISSING
    return here


def put(document: dict[str, object], pointer: str, value: object) -> None:
    """Set the value at `pointer`, making the objects on the way. Raises ValueError when something else stands there."""
    *way, last = _steps(pointer) or ("",)
    here = document
    for step in way:
        below = here.setdefault(step, {})
        if not isinstance(below, dict):
            raise ValueError(f"{pointer}: {step} is not an object")
        here = below
    here[last] = value


@lru_cache(maxsize=4096)
def _steps(pointer: str) -> tuple[str, ...]:
    """RFC 6901, 4: ~1 means /, then ~0 means ~."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def _is_index(step: str) -> bool:
    """RFC 6901, 4: digits without a leading zero. The bound keeps `int` off endless digits."""
    return step.isascii() and step.isdigit() and len(step) < 10 and (step == "0" or step[0] != "0")
