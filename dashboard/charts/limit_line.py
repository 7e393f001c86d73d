"""The limit that a chart draws: the one by which its quantity was judged at each instant, not today's.

By the rules of the site's files of then (the hub notes what they say, whenever that changes) under what people had set
by then (the journal keeps each change), by day and by night.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from dashboard.office import Office
from dashboard.rulebook import plain
from device_profiles.door import Refusal
from hub.calendar.days import Days, calendar_or_seed
from hub.calendar.schedule import Hours
from hub.outcome import Limit
from hub.rules.door import covers, numbered
from hub.rules.kinds.level import upper
from hub.rules.limits import SITE, current, merged
from hub.rules.rule import Rule
from hub.rules.told import Place, Told, has_limit, read, told_of
from hub.settings.site import Device, NoiseClass

LOG = logging.getLogger("zhian.office")


class _Epoch(NamedTuple):
    """What held from `since` on (ms): rules that look at the series, the night, the hours when the place is closed."""

    since: int
    rules: list[Rule]
    night: Hours
    closed: Hours | None
    noise_class: NoiseClass


class _Files(NamedTuple):
    """What the files said from `since` on, and their rules by id."""

    since: int
    told: Told
    plain: Mapping[str, Rule]


class LimitLine:
    """The limits of one series. For one thread: it remembers the hours it looked up last."""

    def __init__(self, office: Office, device: Device, quantity: str) -> None:
        """Rules that look at each reading; where there is none, those that look at a mean or an extreme of a window."""
        self._site, self._device, self._days = office.site, device, Days(calendar_or_seed(office.data))
        files = _files(office, quantity) or [_Files(-1, told_of(office.site, plain()), _about(plain(), quantity))]
        known = {rule for each in files for rule in each.plain}
        changes = [limit for limit in office.view.limits() if limit.rule in known]
        times = sorted({each.since for each in files[1:]} | {limit.at for limit in changes})
        self._epochs = [self._epoch(since, files, changes) for since in reversed([-1, *times])]

    def at(self, ts: int, value: float = math.nan) -> float | None:
        """The limit at an instant; of two the one that the value is nearer to. None: there was none."""
        epoch = next(epoch for epoch in self._epochs if epoch.since <= ts)
        above = min((_above(epoch, rule, ts) for rule in epoch.rules if _holds(epoch, rule, ts)), default=math.inf)
        below = max((_below(rule) for rule in epoch.rules if _holds(epoch, rule, ts)), default=-math.inf)
        if math.isinf(above) and math.isinf(below):
            return None
        if math.isinf(above) or math.isinf(below):
            return below if math.isinf(above) else above
        return below if value < (above + below) / 2 else above

    def _epoch(self, since: int, files: Sequence[_Files], changes: Sequence[Limit]) -> _Epoch:
        """By the files and changes that counted at an instant; before the first files that are known: by those."""
        _, told, about = next((each for each in reversed(files) if each.since <= since), files[0])
        place, tz = told.zones.get(self._device.zone, Place()), self._site.tz
        set_here = [limit for limit in changes if limit.at <= since and limit.rule in about]
        rules = self._rules(about, {rule: told.numbers[rule] for rule in about if rule in told.numbers}, set_here)
        zone = self._site.zones_by_id().get(self._device.zone)
        zone = None if zone is None else replace(zone, closed=place.closed)
        mine = [rule for rule in rules if rule.use == "on" and covers(rule, self._device, zone)]
        mine = [rule for rule in mine if rule.kind == "level"] or mine
        closed = Hours(place.closed, tz, self._days) if place.closed else None
        return _Epoch(since, mine, Hours(told.night, tz), closed, place.noise_class or told.noise_class)

    def _rules(
        self, about: Mapping[str, Rule], numbers: Mapping[str, Mapping[str, object]], changes: Sequence[Limit]
    ) -> Sequence[Rule]:
        """What was set may not fit the files of then, and they not the rules that this version knows."""
        of_file = {rule: self._of_zones(table) for rule, table in numbers.items()}
        for tables in (merged(of_file, current(changes).values()), of_file):
            try:
                return numbered(about, tables, self._site, SITE)
            except Refusal as error:
                LOG.warning("limits of before: %s", error)
        return list(about.values())

    def _of_zones(self, table: Mapping[str, object]) -> Mapping[str, object]:
        """Without numbers for zones that the site has no more: its device is in one of today's."""
        zones = table.get("zone")
        if not isinstance(zones, Mapping):
            return table
        return {**table, "zone": {zone: of for zone, of in zones.items() if zone in self._site.zones_by_id()}}


def _files(office: Office, quantity: str) -> list[_Files]:
    """Since when the site's files said what, as far as this version can read it; oldest first."""
    found = []
    for at, text in office.view.file_limits():
        try:
            told = read(text)
            found.append(_Files(at, told, _about(told.plain(), quantity)))
        except msgspec.MsgspecError as error:
            LOG.warning("limits of the files since %d cannot be read: %s", at, error)
    return found


def _about(rules: Mapping[str, Rule], quantity: str) -> dict[str, Rule]:
    return {rule.id: rule for rule in rules.values() if has_limit(rule) and rule.quantity == quantity}


def _holds(epoch: _Epoch, rule: Rule, ts: int) -> bool:
    hours = {"night": epoch.night, "zone-closed": epoch.closed}.get(rule.when)
    return hours is None or hours.inside(ts)


def _above(epoch: _Epoch, rule: Rule, ts: int) -> float:
    return upper(rule, epoch.noise_class)[isinstance(rule.above, str) and epoch.night.inside(ts)]


def _below(rule: Rule) -> float:
    return -math.inf if rule.below is None else rule.below - rule.plus
