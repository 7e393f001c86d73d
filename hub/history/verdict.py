"""What an answer of a history server means for the rows that were sent: one table, and nothing that acts on it. Pure.

Sources: InfluxDB 1.8, 2.x and 3 Core, "HTTP status codes" of their write endpoints; RFC 9110 (10.2.3, Retry-After).
"""

import math
import re
from collections.abc import Mapping
from enum import StrEnum

from hub.history.store import StoreError

PAUSE_S = 60.0  # where only a person can help: asking more often only fills a log
LONGEST_S = 900.0  # a server that asks for more is asked again all the same


class Verdict(StrEnum):
    """What becomes of the rows of a request."""

    STORED = "stored"
    POINT = "point"  # one of them is wrong: halve until it stands alone, and set it apart with the server's words
    SIZE = "size"  # too many at once: halve, and send no more than that again
    TOKEN = "token"  # noqa: S105  # a person must mend token or rights
    PLACE = "place"  # the database is not there: a 1.x server is told to make it, elsewhere a person must
    LATER = "later"  # the server cannot now: wait, as long as it says where it does
    ADDRESS = "address"  # what answers there is no such server, or stands elsewhere


POLICY: Mapping[int, Verdict] = {
    200: Verdict.STORED,
    204: Verdict.STORED,
    400: Verdict.POINT,
    401: Verdict.TOKEN,
    403: Verdict.TOKEN,
    404: Verdict.PLACE,
    405: Verdict.ADDRESS,
    408: Verdict.LATER,
    413: Verdict.SIZE,
    422: Verdict.POINT,
    429: Verdict.LATER,
}

_HELP = {
    Verdict.TOKEN: "check history.token_file and its rights",
    Verdict.PLACE: "check history.url and history.bucket, or make the bucket",
    Verdict.ADDRESS: "check history.url",
}
_DROPPED = re.compile(r"beyond retention policy.*?dropped=(\d+)")


class Unavailable(StoreError):
    """The server takes nothing now; `pause_s`: how long it, or the kind of trouble, asks to be left alone."""

    def __init__(self, words: str, pause_s: float = 0.0) -> None:
        """Words for the page, with the server's own in them."""
        super().__init__(words)
        self.pause_s = pause_s


def judge(status: int) -> Verdict:
    """The policy for a status. One that no table names: another 4xx or 3xx is no such server, all else is for later."""
    found = POLICY.get(status)
    if found is not None:
        return found
    return Verdict.ADDRESS if 300 <= status < 500 else Verdict.LATER


def unavailable(url: str, status: int, words: str, retry_after: str | None = None) -> Unavailable:
    """The error for a verdict that is not about the rows, with what would help where a person must."""
    verdict = judge(status)
    help_ = _HELP.get(verdict)
    pause = PAUSE_S if help_ else asked_pause_s(retry_after)
    return Unavailable(f"{url}: {status}: {words}{f' ({help_})' if help_ else ''}", pause)


def asked_pause_s(retry_after: str | None) -> float:
    """Retry-After in seconds, at most LONGEST_S; 0 where there is none. A date (rare) counts as PAUSE_S."""
    if not retry_after:
        return 0.0
    try:
        seconds = float(retry_after)
    except ValueError:
        return PAUSE_S
    return min(max(seconds, 0.0), LONGEST_S) if math.isfinite(seconds) else PAUSE_S


def all_too_old(words: str, sent: int) -> bool:
    """True when the server says that it dropped all `sent` points because its retention would delete them at once."""
    found = _DROPPED.search(words)
    return found is not None and int(found[1]) >= sent
