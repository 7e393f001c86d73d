"""The lists of dogs that rules look in, and which of them the calendar keeps: whose vaccination has run out.

Pure. A dog is its chip here; its owner is nobody's business in this room.
"""

from collections.abc import Mapping, Set
from datetime import date
from typing import NamedTuple

REGISTERED, LOST, VACCINATED, OVERDUE = "dogs", "lost-dogs", "vaccinated-until", "vaccination-overdue"


class Change(NamedTuple):
    """A chip that has to go on the list of the overdue, or off it."""

    chip: str
    overdue: bool


def changes(until: Mapping[str, str], overdue: Set[str], today: date) -> list[Change]:
    """What is to be done today. `until`: chip -> last day (ISO 8601) of its certificate; that day is still good.

    A dog without a certificate is not overdue: nobody knows. One that was put on the list by hand stays there.
    """
    found = []
    for chip, last in sorted(until.items()):
        late = date.fromisoformat(last) < today
        if late != (chip in overdue):
            found.append(Change(chip, late))
    return found
