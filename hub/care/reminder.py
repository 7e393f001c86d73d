"""The daily list of what is out of service: ISA-18.2 has it listed and looked at, for only a person ends it.

Pure: when it is due, what its flip holds. Once a day, through restarts: the flip itself is what is remembered.
"""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from hub.outcome import Flip, Service
from hub.reading import Label

KEY = "out-of-service"  # of its flips; the key of an alarm has a slash
REMINDER = "reminder"
HOUR = time(9)  # of the site's day: the office has come, and the night shift may still be asked


def is_due(rows: Sequence[Service], last: int, now: int, tz: ZoneInfo) -> bool:
    """True once a day, from HOUR on, where something was out of service by then; `last`: when it was told last (ms).

    A hub that was off at HOUR makes up for it.
    """
    since = last_hour(now, tz)
    if last > now:
        last = 0  # told by a clock that has been set back since
    return last < since and any(row.at < since or row.at > now for row in rows)


def reminded(rows: Sequence[Service], severity: str, now: int) -> Flip:
    """The flip that has it told; `severity`: the worst that is out of service, by which the voices are chosen."""
    longest_first = sorted(rows, key=lambda row: (row.at, row.target))
    return Flip(
        at=now, key=KEY, occurrence=0, event=REMINDER, before="normal", after="normal", announce=REMINDER,
        note=msgspec.json.encode(longest_first).decode(), severity=severity,
    )  # fmt: skip


def listed(note: str) -> list[Service]:
    """What a reminder's flip tells of, longest first."""
    return msgspec.json.decode(note, type=list[Service])


def title(count: int) -> Label:
    """What the list is called."""
    return Label(zh=f"停用中、无人监护：{count} 项", en=f"out of service, unwatched: {count}")


def last_hour(now: int, tz: ZoneInfo) -> int:
    """The latest HOUR of the wall clock that is not after `now` (ms)."""
    today = datetime.fromtimestamp(now / 1000, tz).date()
    at = _instant(datetime.combine(today, HOUR, tz))
    return at if at <= now else _instant(datetime.combine(today - timedelta(days=1), HOUR, tz))


def _instant(at: datetime) -> int:
    return round(at.timestamp() * 1000)
