"""By which limits a zone was judged when: those of the site's files and of what people set, as the journal notes it.

Reads only. What is noted says nothing of a time before; then the first that is known counts.
"""

import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import msgspec

from hub.outcome import Limit
from hub.rows import to_struct
from hub.rules.limits import current, merged
from hub.rules.noise import BOUNDARY_RULE, ZoneLimits, limits_by, zone_limits
from hub.rules.told import Place, Told, read
from hub.settings.site import Site

LOG = logging.getLogger("zhian.office")


def past_limits(db: sqlite3.Connection, site: Site, zone: str, until: int) -> list[tuple[int, ZoneLimits]]:
    """Since when (ms; the first: from ever) which limits held before `until`, oldest first, each unlike the last."""
    files, changes = _files(db), _changes(db)
    first = files[0][1] if files else None
    times = sorted(at for at in {*(at for at, _ in files[1:]), *(change.at for change in changes)} if at < until)
    found: list[tuple[int, ZoneLimits]] = []
    for since in (0, *times):
        told = next((told for at, told in reversed(files) if at <= since), first)
        held = _of(site, told, zone, [change for change in changes if change.at <= since])
        if not found or found[-1][1] != held:
            found.append((since, held))
    return found


def within(limits: Sequence[tuple[int, ZoneLimits]], since: int) -> tuple[tuple[int, ZoneLimits], ...]:
    """Of limits that held one after the other those that ended after `since`, each with its end; without the last."""
    return tuple((end, held) for (_, held), (end, _) in pairwise(limits) if end > since)


def _of(site: Site, told: Told | None, zone: str, changes: Iterable[Limit]) -> ZoneLimits:
    numbers: Mapping[str, Mapping[str, object]] = site.rules if told is None else told.numbers
    boundary = merged({BOUNDARY_RULE: numbers.get(BOUNDARY_RULE, {})}, current(changes).values())[BOUNDARY_RULE]
    if told is None:
        return zone_limits(msgspec.structs.replace(site, rules={**site.rules, BOUNDARY_RULE: boundary}), zone)
    return limits_by(told.zones.get(zone, Place()).noise_class or told.noise_class, boundary, zone)


def _files(db: sqlite3.Connection) -> list[tuple[int, Told]]:
    found = []
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'file_limits'").fetchone():
        return []  # a journal of before
    for at, text in db.execute("SELECT at, told FROM file_limits ORDER BY id").fetchall():
        try:
            found.append((int(at), read(text)))
        except msgspec.MsgspecError as error:
            LOG.warning("limits of the files since %d cannot be read: %s", at, error)
    return found


def _changes(db: sqlite3.Connection) -> list[Limit]:
    rows = db.execute("SELECT * FROM rule_limit WHERE rule = ? AND key = 'use' ORDER BY id", (BOUNDARY_RULE,))
    return [to_struct(Limit, row) for row in rows]
