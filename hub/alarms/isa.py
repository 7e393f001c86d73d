"""Are the alarms themselves well? The figures of ISA-18.2-2016, table 7 (and IEC 62682), from the journal's rows.

Pure: rows in, figures out. They are indicators of whether people can still follow, not of how safe a place is.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

import msgspec

HOUR, TEN_MINUTES, DAY = 3_600_000, 600_000, 86_400_000
FLOOD = 10  # alarms in ten minutes: more is a flood
CHATTER, CHATTER_WITHIN = 3, 60_000  # so often within a minute is the usual first criterion
LOW, MEDIUM, HIGH = 0.80, 0.15, 0.05  # how announced alarms should be spread over priorities, about
GROUPS = {"P1": "high", "P2": "medium", "P3": "low", "P4": "low"}

Verdict: TypeAlias = Literal["well", "bearable", "too much"]


class Told(msgspec.Struct, frozen=True):
    """One time that people were told of an alarm: raised, happened again, or said again."""

    at: int
    key: str
    severity: str


class Standing(msgspec.Struct, frozen=True):
    """An alarm that is active at the end of the span, and since when."""

    key: str
    raised: int


class Source(msgspec.Struct, frozen=True):
    """One alarm, and how often it was told."""

    key: str
    times: int


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one span. Shares are 0 to 1."""

    since: int
    until: int
    alarms: int
    per_hour: float
    per_hour_verdict: Verdict  # 6 an hour are very likely acceptable, 12 the most that can be managed
    most_in_ten_minutes: int
    most_at: int | None
    most_verdict: Verdict  # no more than 10
    flooded: float  # share of all ten-minute periods with more than 10; acceptable: 1 %
    flooded_verdict: Verdict
    top: list[Source]
    top_share: float  # of the ten loudest alarms in all
    stale: list[str]  # active for a day and longer
    stale_verdict: Verdict  # fewer than five on any day
    chattering: list[str]  # told three times within a minute
    chattering_verdict: Verdict  # none
    priorities: dict[str, float]  # high, medium, low; about 5, 15 and 80 %


def health(told: Iterable[Told], standing: Iterable[Standing], since: int, until: int) -> Health:
    """The figures from `since` to `until` (ms); rows outside of the span are left out."""
    rows = sorted((row for row in told if since <= row.at < until), key=lambda row: row.at)
    hours = max(until - since, HOUR) / HOUR  # a minute says nothing of an hour
    most, most_at = _worst([row.at for row in rows])
    periods = Counter((row.at - since) // TEN_MINUTES for row in rows)
    flooded = sum(times > FLOOD for times in periods.values()) / max(1, math.ceil((until - since) / TEN_MINUTES))
    top = [Source(key, times) for key, times in Counter(row.key for row in rows).most_common(10)]
    stale = sorted(row.key for row in standing if until - row.raised >= DAY)
    chattering = _chattering(rows)
    groups = Counter(GROUPS[row.severity] for row in rows)
    return Health(
        since=since,
        until=until,
        alarms=len(rows),
        per_hour=round(len(rows) / hours, 2),
        per_hour_verdict=_verdict(len(rows) / hours, 6, 12),
        most_in_ten_minutes=most,
        most_at=most_at,
        most_verdict=_verdict(most, FLOOD, FLOOD),
        flooded=round(flooded, 4),
        flooded_verdict=_verdict(flooded, 0.01, 0.05),
        top=top,
        top_share=round(sum(source.times for source in top) / len(rows), 3) if rows else 0.0,
        stale=stale,
        stale_verdict=_verdict(len(stale), 4, 4),
        chattering=chattering,
        chattering_verdict=_verdict(len(chattering), 0, 0),
        priorities={name: round(groups[name] / len(rows), 3) if rows else 0.0 for name in ("high", "medium", "low")},
    )


def proposed_deadband(values: Sequence[float]) -> float | None:
    """Three times the noise of these readings (RMS of successive differences over the root of two), two digits.

    A slow change adds little to it. None for fewer than ten readings, or for ones that do not move.
    """
    steps = [after - before for before, after in itertools.pairwise(values)]
    if len(values) < 10 or not any(steps):
        return None
    noise = math.sqrt(math.fsum(step * step for step in steps) / len(steps) / 2)
    digits = 1 - math.floor(math.log10(3 * noise))
    scale = 10.0**digits
    return math.ceil(3 * noise * scale) / scale


def _worst(times: list[int]) -> tuple[int, int | None]:
    """The most in any ten minutes, and when those began."""
    most, at, first = 0, None, 0
    for last, time in enumerate(times):
        while time - times[first] >= TEN_MINUTES:
            first += 1
        if last - first + 1 > most:
            most, at = last - first + 1, times[first]
    return most, at


def _chattering(rows: list[Told]) -> list[str]:
    by_key: dict[str, list[int]] = {}
    for row in rows:
        by_key.setdefault(row.key, []).append(row.at)
    return sorted(
        key
        for key, times in by_key.items()
        if any(after - before <= CHATTER_WITHIN for before, after in zip(times, times[CHATTER - 1 :], strict=False))
    )


def _verdict(figure: float, well: float, bearable: float) -> Verdict:
    return "well" if figure <= well else "bearable" if figure <= bearable else "too much"
