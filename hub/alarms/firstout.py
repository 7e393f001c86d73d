"""First-out (ISA-18.2; FirstInGroup of OPC UA Part 9): of alarms that come together, which came first.

Pure, and the two questions that it asks the journal: it is made of the occurrences alone, so it is the same after a
restart and on every page. An alarm belongs to the group of an earlier one that came at most WINDOW_MS before it in the
same zone, or that is the alarm of its device's own link; of several such, to the earliest. A group is counted from its
first, and counts as one when it has more than one alarm in it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

WINDOW_MS = 60_000  # long enough for a delay of half a minute behind the cause, short enough to be one event
FEW, MANY = 60, 20_000  # rows that an announcement, and a page, look at; among more there is no first to be told

_BEGIN = """
WITH RECURSIVE back (at, steps) AS (
  SELECT :since, 0 UNION ALL
  SELECT (SELECT max(raised) FROM occurrence WHERE raised < back.at AND raised >= back.at - :window), steps + 1
  FROM back WHERE back.at IS NOT NULL AND steps < :most)
SELECT min(at) FROM back
"""
_BETWEEN = """
SELECT id, key, rule, source, zone, raised FROM occurrence WHERE raised BETWEEN :since AND :until
ORDER BY raised, id LIMIT :most
"""
Ask = Callable[[str, dict[str, int]], Sequence[Any]]  # Any: SQLite's rows


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """One occurrence: its number, and what it is of."""

    id: int
    key: str
    rule: str
    source: str
    zone: str
    raised: int


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Alarms that came together: the first of them, and all, in the order in which they came."""

    first: Came
    members: tuple[Came, ...]

    @property
    def others(self) -> int:
        """How many came after the first."""
        return len(self.members) - 1


def grouped(came: Iterable[Came], links: Mapping[str, str]) -> list[list[Came]]:
    """Every occurrence in exactly one group, its first one first. `links`: device -> its link.

    What came at the same instant is told apart by its number, however `came` is sorted.
    """
    found: list[list[Came]] = []
    latest: dict[str, list[Came]] = {}  # place -> the group that was begun there last
    for one in sorted(came, key=lambda one: (one.raised, one.id)):
        near = [latest[place] for place in _joins(one, links) if place in latest]
        open_ = [group for group in near if one.raised - group[0].raised <= WINDOW_MS]
        if open_:
            min(open_, key=lambda group: (group[0].raised, group[0].id)).append(one)
            continue
        found.append([one])
        latest[_begins(one)] = found[-1]
    return found


def groups(came: Iterable[Came], links: Mapping[str, str]) -> dict[int, Group]:
    """The group of each occurrence that did not come alone. One alarm that comes again and again is alone."""
    made: dict[int, Group] = {}
    for group in grouped(came, links):
        if len({one.key for one in group}) > 1:
            made |= dict.fromkeys((one.id for one in group), Group(first=group[0], members=tuple(group)))
    return made


def look(ask: Ask, instants: Iterable[int], links: Mapping[str, str], most: int = MANY) -> dict[int, Group]:
    """The groups around these instants (ms). Reads back to where for WINDOW_MS nothing had come, `most` rows each."""
    found: dict[int, Group] = {}
    for first, last in _spans(instants):
        since = ask(_BEGIN, {"since": first, "window": WINDOW_MS, "most": most})[0][0]
        rows = ask(_BETWEEN, {"since": since, "until": last + WINDOW_MS, "most": most})
        if 1 < len(rows) < most:
            found |= groups([Came(**{name: row[name] for name in Came.__struct_fields__}) for row in rows], links)
    return found


def _begins(one: Came) -> str:
    """The place where others may follow it; a thing without a zone is a place of its own."""
    return f"zone {one.zone}" if one.zone else f"source {one.source}"


def _joins(one: Came, links: Mapping[str, str]) -> list[str]:
    """The places whose alarms it may follow."""
    above = [f"source {links[one.source]}"] if one.source in links else []
    return [_begins(one), *above]


def _spans(instants: Iterable[int]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for at in sorted(set(instants)):
        if spans and at - spans[-1][1] <= 2 * WINDOW_MS:
            spans[-1] = (spans[-1][0], at)
        else:
            spans.append((at, at))
    return spans
