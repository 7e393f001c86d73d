"""The register of dogs as one value: chip, note, certificate, lost or not, and where each was read lately. Pure.

A dog is its chip; owners are in owners.py. Where a dog was read is shown by place and not as a way through the garden:
only of a dog that is lost each time is shown, for then somebody is looking for it.
"""

from collections.abc import Iterable, Mapping
from datetime import date

import msgspec

from dashboard.places.traces import Trace
from hub.devices.kennel import LOST, OVERDUE, REGISTERED, VACCINATED, changes

LONGEST_NOTE = 80
SOON_DAYS = 30
MOST_TIMES = 30


class Dog(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. `until`: the last good day of its certificate, ISO 8601; empty: nobody knows."""

    chip: str
    note: str = ""
    until: str = ""
    lost: bool = False
    lost_note: str = ""

    def vaccination(self, today: date) -> str:
        """overdue, soon (within thirty days), good, or unknown."""
        last = day(self.until)
        if last is None:
            return "unknown"
        return "overdue" if last < today else "soon" if (last - today).days <= SOON_DAYS else "good"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A dog at a place: when last, and (of a lost one) each time, newest first."""

    chip: str
    zone: str
    last: int
    times: list[int]


class Change(msgspec.Struct, frozen=True):
    """One order to the hub: an entry of a list put in, or taken off."""

    kind: str
    list: str
    text: str


def register(lists: Mapping[str, Mapping[str, str]]) -> dict[str, Dog]:
    """By chip. `lists`: name -> entry -> note, as the journal has them; a lost dog need not be registered."""
    dogs, until, lost = (lists.get(name, {}) for name in (REGISTERED, VACCINATED, LOST))
    return {
        chip: Dog(
            chip=chip, note=dogs.get(chip, ""), until=until.get(chip, ""), lost=chip in lost,
            lost_note=lost.get(chip, ""),
        )
        for chip in sorted({*dogs, *lost})
    }  # fmt: skip


def sightings(found: Iterable[tuple[str, Trace]], lost: Iterable[str]) -> list[Seen]:
    """By chip and place, the newest first. `found`: zone and event, newest first."""
    wanted, times = frozenset(lost), dict[tuple[str, str], list[int]]()
    for zone, trace in found:
        times.setdefault((str(trace.value), zone), []).append(trace.ts)
    seen = [
        Seen(chip=chip, zone=zone, last=all_of[0], times=all_of[:MOST_TIMES] if chip in wanted else [])
        for (chip, zone), all_of in times.items()
    ]
    return sorted(seen, key=lambda each: each.last, reverse=True)


def edits(dog: Dog, lists: Mapping[str, Mapping[str, str]], today: date) -> list[Change]:
    """What makes the register say this of the dog: nothing where it says so already."""
    found, chip = [], dog.chip
    if lists.get(REGISTERED, {}).get(chip) != dog.note:
        found.append(Change("list-add", REGISTERED, f"{chip} {dog.note}".strip()))
    if lists.get(VACCINATED, {}).get(chip, "") != dog.until:
        text = f"{chip} {dog.until}".strip()
        found.append(Change("list-add" if dog.until else "list-remove", VACCINATED, text))
    overdue = chip in lists.get(OVERDUE, {})
    if dog.until:
        for change in changes({chip: dog.until}, {chip} if overdue else set(), today):
            found.append(Change("list-add" if change.overdue else "list-remove", OVERDUE, chip))
    elif overdue:
        found.append(Change("list-remove", OVERDUE, chip))
    return found


def removal(chip: str, lists: Mapping[str, Mapping[str, str]]) -> list[Change]:
    """Off every list that it stands on."""
    names = (REGISTERED, LOST, VACCINATED, OVERDUE)
    return [Change("list-remove", name, chip) for name in names if chip in lists.get(name, {})]


def day(text: str) -> date | None:
    """ISO 8601, or None."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def grouped(chip: str) -> str:
    """Three digits at a time, as people read it and no spreadsheet takes for a number."""
    return ".".join(chip[at : at + 3] for at in range(0, len(chip), 3))
