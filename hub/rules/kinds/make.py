"""Makes the question of a rule for one device: the one place that knows which class each kind is.

Nothing is asked here.
"""

from collections.abc import Callable
from typing import NamedTuple

from device_profiles.counting import end_of
from hub.calendar.days import Days
from hub.calendar.schedule import Hours
from hub.care.drill import DrillHours, Drills
from hub.devices.health import DeviceWatch
from hub.rules.kinds.condition import Condition, Local
from hub.rules.kinds.discrepancy import Discrepancy
from hub.rules.kinds.expression import compiled
from hub.rules.kinds.level import Level, Measured
from hub.rules.kinds.measure import Count, Deviation, Gathered, Measure, Rise
from hub.rules.kinds.sequence import Sequence
from hub.rules.rule import Rule
from hub.rules.truth import Event, NoData, Question, Series, State
from hub.settings.site import Device, NoiseClass, Site, Zone


class Place(NamedTuple):
    """A device, where it is, and its series by quantity."""

    watch: DeviceWatch
    zone: Zone | None
    series: dict[str, Series]


class Maker:
    """Knows the site's hours and lists."""

    def __init__(self, site: Site, lists: dict[str, set[str]], now: int, days: Days, drills: Drills) -> None:
        """`lists` are live, and so is the calendar in `days`, which hours by the kind of the day lean on."""
        self._site, self._lists, self._now, self._days, self._drills = site, lists, now, days, drills
        self._devices = site.devices()
        self._night = Hours(site.night, site.tz)
        self._hours: dict[str, Hours] = {}

    def question(self, rule: Rule, place: Place) -> Question:
        """The rule asked of this device."""
        hours = self._hours_of(rule, place.zone)
        if rule.kind == "no-data":
            return NoData(place.watch, hours, at_once=rule.depends == "nothing")
        if rule.kind == "event":
            return self._event(rule, hours)
        if rule.kind == "discrepancy":
            return Discrepancy(rule)
        if rule.kind == "sequence":
            return Sequence(rule, place.series[rule.quantity], hours)
        if rule.kind == "expression":
            local = Local(self._site.tz, self._night, self._closed(place.zone))
            return Condition(rule, place.series, hours, local)
        return self.voice(rule, place)

    def voice(self, rule: Rule, place: Place) -> Question:
        """A level, or whatever is asked of a figure or a state; what a vote counts is one of these."""
        hours = self._hours_of(rule, place.zone)
        series = place.series[rule.quantity]
        if rule.kind == "state" or (rule.kind == "vote" and rule.states):
            return State(rule, series, hours)
        noise_class = self._class_of(place.zone)
        if rule.kind in ("level", "vote"):
            return Level(rule, series, hours, noise_class, self._night)
        return Measured(rule, series, self._measure(rule, place), hours, noise_class, self._night)

    def events(self, rule: Rule, zone: Zone | None) -> Callable[[], Event]:
        """Makes the questions of a rule that alarms once a value."""
        hours = self._hours_of(rule, zone)
        return lambda: self._event(rule, hours)

    def fed(self, rule: Rule, device: Device) -> list[str]:
        """The quantities whose readings the question has to be told of."""
        if rule.kind in ("rate", "aggregate"):
            return [rule.quantity]
        if rule.kind == "sequence":
            return [rule.quantity, rule.cause]
        return _confirmed(device) if rule.kind == "discrepancy" else []

    def asked(self, rule: Rule, device: Device) -> list[str]:
        """The quantities after whose readings the question is to be asked. A window is asked by the clock."""
        if rule.kind in ("no-data", "event", "rate") or (rule.kind == "aggregate" and rule.aggregate != "count"):
            return []
        if rule.kind == "expression":
            return compiled(rule.expression).quantities
        named = [name for name in (rule.quantity, rule.against, rule.cause) if name]
        return named + (_confirmed(device) if rule.kind == "discrepancy" else [])

    def _measure(self, rule: Rule, place: Place) -> Measure:
        series = place.series[rule.quantity]
        if rule.kind == "deviation":
            return Deviation(series, place.series[rule.against])
        if rule.kind == "rate":
            return Rise(rule, series)
        if rule.aggregate == "count":
            return Count(rule, series, self._now)
        return Gathered(rule, series, end_of(self._devices[place.watch.id].profile, rule.quantity))

    def _event(self, rule: Rule, hours: Hours | None) -> Event:
        only = self._lists[rule.only_in] if rule.only_in else None
        return Event(rule, self._lists.get(rule.unless_in, set()), hours, only)

    def _class_of(self, zone: Zone | None) -> NoiseClass:
        return (zone.noise_class if zone is not None else None) or self._site.noise_class

    def _hours_of(self, rule: Rule, zone: Zone | None) -> Hours | None:
        if rule.when == "night":
            return self._night
        closed = self._closed(zone) if rule.when == "zone-closed" else None
        if closed is None or zone is None or rule.drill == "ignores":
            return closed
        return DrillHours(self._site, zone, self._drills, closed)

    def _closed(self, zone: Zone | None) -> Hours | None:
        if zone is None or not zone.closed:
            return None
        return self._hours.setdefault(zone.id, Hours(zone.closed, self._site.tz, self._days))


def _confirmed(device: Device) -> list[str]:
    """What the device says when an order was carried out."""
    return sorted({name for command in device.profile.command.values() for name in command.confirm})
