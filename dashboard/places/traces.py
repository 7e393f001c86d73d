"""Events that tell who went where (passages, chips): read from history and journal, shown without anybody's name.

A credential is shown as a mark that is made anew for each gate and each day, so that no two of them can be joined. Rows
older than the site keeps them (30 days, where it says nothing) are gone from the files; nothing here keeps any.
"""

import base64
import hashlib
import hmac
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from dashboard.office import Office
from hub.history.store import StoreError
from hub.journal.batches import Row
from hub.reading import Value
from hub.settings.site import Site

LOG = logging.getLogger("zhian.office")
DAY_MS = 86_400_000
MARK = 4  # characters: enough to see the same card twice at a gate, too few to be a number


class Trace(msgspec.Struct, frozen=True):
    """One event of one device. `detail`: what the device said with it."""

    device: str
    ts: int
    value: Value
    detail: dict[str, str]


class Traces(msgspec.Struct, frozen=True):
    """The newest events, newest first. `whole` False: the history could not be asked, and older ones are missing."""

    found: list[Trace]
    whole: bool


def traces(office: Office, devices: Iterable[str], quantity: str, since: int, limit: int) -> dict[str, Traces]:
    """By device, at most `limit` each, no older than the site keeps them. Raises JournalUnreadable."""
    names, now = list(devices), office.clock.now()
    since = max(since, now - kept_ms(office.site))
    fresh = office.view.events_not_in_history(names, quantity, since)
    found = {}
    for name in names:
        rows, whole = [row for row in fresh if row.device == name], True
        try:
            rows += office.history.events(name, quantity, since, now + 1, limit)
        except StoreError as error:
            LOG.warning("history: %s", error)
            whole = False
        found[name] = Traces(_joined(rows)[:limit], whole)
    return found


def kept_ms(site: Site) -> int:
    """How long the site keeps who went where."""
    return site.history.trace_days * DAY_MS


def mark(key: bytes, gate: str, credential: str, day: str) -> str:
    """What is shown of a credential: the same for one gate on one day (ISO 8601), and never again anywhere."""
    text = "\0".join((gate, day, credential)).encode()
    return base64.b32encode(hmac.new(key, text, hashlib.sha256).digest()).decode()[:MARK]


def local_day(office: Office, at: int) -> str:
    """The day of an instant on the site's wall clock."""
    return datetime.fromtimestamp(at / 1000, office.site.tz).date().isoformat()


def _joined(rows: Sequence[Row]) -> list[Trace]:
    """Each event once, whether history, journal or both have it."""
    once = {(row.ts, row.value, row.detail): row for row in rows}
    detail = msgspec.json.Decoder(dict[str, str]).decode
    found = [Trace(row.device, row.ts, row.value, detail(row.detail) if row.detail else {}) for row in once.values()]
    return sorted(found, key=lambda trace: trace.ts, reverse=True)
