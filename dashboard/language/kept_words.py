"""How long things are kept, in sentences from the figures that hub/keeping/retention.py works by; and kinds of days.

What is deleted when is decided there; docs/history.md tells the same table.
"""

from typing import Any

import msgspec

from dashboard.language.i18n import gettext, lazy_gettext
from hub.keeping import retention
from hub.settings.site import Site

KEEP_BACKUPS = 7  # as hub.keeping.agenda, which a page need not load; a test holds them together
DAY_KINDS: dict[str, Any] = {  # Any: flask_babel's lazy strings, here and below
    "holiday": lazy_gettext("holiday"),
    "adjusted": lazy_gettext("adjusted workday (a weekend that is worked)"),
    "plain": lazy_gettext("plain: as its weekday is"),
}
WEEKDAYS: tuple[Any, ...] = (
    lazy_gettext("Mon"),
    lazy_gettext("Tue"),
    lazy_gettext("Wed"),
    lazy_gettext("Thu"),
    lazy_gettext("Fri"),
    lazy_gettext("Sat"),
    lazy_gettext("Sun"),
)
CHANNEL_STATES: dict[str, Any] = {
    "works": lazy_gettext("gets through"),
    "failing": lazy_gettext("fails"),
    "untried": lazy_gettext("never tried"),
}


class Kept(msgspec.Struct, frozen=True):
    """What, and for how long."""

    what: str
    long: str


def kept(site: Site) -> list[Kept]:
    """In the reader's language, the most asked for first."""
    days = gettext("%(n)s days, then really gone", n=retention.KEEP_TRACES_MS // retention.DAY_MS)
    return [
        Kept(gettext("Readings"), _readings(site)),
        Kept(gettext("Passages and dog chips: who went where"), days),
        Kept(
            gettext("Alarms and incidents"), gettext("for good; those about a passage or a chip as long as the passage")
        ),
        Kept(gettext("Orders"), gettext("%(n)s days", n=retention.KEEP_ORDER_MS // retention.DAY_MS)),
        Kept(
            gettext("Faults of lines and devices"), gettext("%(n)s days", n=retention.KEEP_FAULT_MS // retention.DAY_MS)
        ),
        Kept(
            gettext("Unreadable payloads"),
            gettext(
                "%(n)s days, and the newest %(most)s at most",
                n=retention.KEEP_TRACES_MS // retention.DAY_MS,
                most=f"{retention.KEEP_QUARANTINED:,}",
            ),
        ),
        Kept(gettext("Audit trail"), gettext("for good")),
        Kept(gettext("Nightly backups"), gettext("the newest %(n)s", n=KEEP_BACKUPS)),
    ]


def _readings(site: Site) -> str:
    if site.history.store == "duckdb":
        return gettext("for years, as long as the disk has room")
    return gettext("as long as the server at %(url)s keeps them", url=site.history.url)


def size(count: int) -> str:
    """Bytes as people read them: 12.3 MB (a MB is a million bytes)."""
    for unit, step in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count} B"
