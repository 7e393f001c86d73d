"""Which stretch of time a chart shows: one of the usual spans until now, two instants, or two dates of the site.

Pure functions of the request's arguments and now; instants are ms since 1970, spans half open.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta, tzinfo

import msgspec

DAY_MS = 86_400_000
SPANS_MS = {
    "1h": 3_600_000,
    "24h": DAY_MS,
    "7d": 7 * DAY_MS,
    "30d": 30 * DAY_MS,
    "90d": 90 * DAY_MS,
    "1y": 365 * DAY_MS,
}
SHORTEST_MS, LONGEST_MS = 10_000, 3_660 * DAY_MS


class Window(msgspec.Struct, frozen=True):
    """From `since` on, before `until`. `live`: it moves on with the time."""

    since: int
    until: int
    live: bool = False

    @property
    def length(self) -> int:
        """In ms."""
        return self.until - self.since


def asked_for(arguments: Mapping[str, str], now: int, zone: tzinfo) -> Window | None:
    """`range=24h`, or `since=` and `until=` (ms), or `from=` and `to=` (dates, both included); None for anything else.

    What lies in the future is cut off; a window has ten seconds at least and ten years at most.
    """
    try:
        if "from" in arguments or "to" in arguments:
            since, until = _midnight(arguments["from"], zone), _midnight(arguments["to"], zone, days=1)
        elif "since" in arguments or "until" in arguments:
            since, until = int(arguments["since"]), int(arguments["until"])
        else:
            return Window(now - SPANS_MS[arguments.get("range", "1h")], now, live=True)
    except (KeyError, ValueError, OverflowError):
        return None
    until = min(until, now)
    fits = since >= 0 and SHORTEST_MS <= until - since <= LONGEST_MS
    return Window(since, until) if fits else None


def _midnight(text: str, zone: tzinfo, days: int = 0) -> int:
    day = date.fromisoformat(text) + timedelta(days=days)
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)
