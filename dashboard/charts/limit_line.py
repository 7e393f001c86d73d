"""The limit that a chart draws: the one by which its quantity was judged at each instant, not today's.

By the rules of the site's files under what people had set by then (the journal keeps each change), by day and by night.
A change of the files themselves has no history: they count as they are.
"""

import math
from collections.abc import Mapping, Sequence

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
from hub.settings.site import Device

FIGURES = frozenset({"energy-mean", "mean", "min", "max"})  # of a window: in the quantity's own unit


class LimitLine:
    """The limits of one series. For one thread: it remembers the hours it looked up last."""

    def __init__(self, office: Office, device: Device, quantity: str) -> None:
        """Rules that look at each reading; where there is none, those that look at a mean or an extreme of a window."""
        site = office.site
        self._device, self._site, self._zone = device, site, site.zones_by_id().get(device.zone)
        self._night = Hours(site.night, site.tz)
        closed = self._zone.closed if self._zone is not None else ""
        self._closed = Hours(closed, site.tz, Days(calendar_or_seed(office.data))) if closed else None
        about = {rule.id: rule for rule in plain().values() if _about(rule, quantity)}
        set_here = [limit for limit in office.view.limits() if limit.rule in about]
        self._spans = self._epochs(about, set_here)

    def at(self, ts: int, value: float = math.nan) -> float | None:
        """The limit at an instant; of two the one that the value is nearer to. None: there was none."""
        rules = next(rules for since, rules in self._spans if since <= ts)
        above = min((self._above(rule, ts) for rule in rules if self._holds(rule, ts)), default=math.inf)
        below = max((_below(rule) for rule in rules if self._holds(rule, ts)), default=-math.inf)
        if math.isinf(above) and math.isinf(below):
            return None
        if math.isinf(above) or math.isinf(below):
            return below if math.isinf(above) else above
        return below if value < (above + below) / 2 else above

    def _epochs(self, about: Mapping[str, Rule], changes: Sequence[Limit]) -> list[tuple[int, list[Rule]]]:
        """From when on which rules held, newest first; the last one from ever."""
        found: list[tuple[int, list[Rule]]] = [(-1, self._rules(about, ()))]
        for nth, limit in enumerate(changes, 1):
            found.append((limit.at, self._rules(about, changes[:nth])))
        return found[::-1]

    def _rules(self, about: Mapping[str, Rule], changes: Sequence[Limit]) -> list[Rule]:
        numbers = {rule: table for rule, table in self._site.rules.items() if rule in about}
        try:
            rules = numbered(about, merged(numbers, current(changes).values()), self._site, SITE)
        except Refusal:  # what was set does not fit the files of today
            rules = numbered(about, numbers, self._site, SITE)
        mine = [rule for rule in rules if rule.use == "on" and covers(rule, self._device, self._zone)]
        return [rule for rule in mine if rule.kind == "level"] or mine

    def _holds(self, rule: Rule, ts: int) -> bool:
        hours = {"night": self._night, "zone-closed": self._closed}.get(rule.when)
        return hours is None or hours.inside(ts)

    def _above(self, rule: Rule, ts: int) -> float:
        noise_class = (self._zone.noise_class if self._zone is not None else None) or self._site.noise_class
        return upper(rule, noise_class)[isinstance(rule.above, str) and self._night.inside(ts)]


def _below(rule: Rule) -> float:
    return -math.inf if rule.below is None else rule.below - rule.plus


def _about(rule: Rule, quantity: str) -> bool:
    figure = rule.kind == "level" or (rule.kind == "aggregate" and rule.aggregate in FIGURES)
    return figure and rule.quantity == quantity and (rule.above is not None or rule.below is not None)
