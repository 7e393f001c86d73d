"""Which rule watches what: made once at the start, so that a reading finds its few alarms without any search.

Pure: built from the site and the rules; `hub.core` runs it.
"""

from collections.abc import Iterator

from device_profiles import vocabulary
from hub.days import Days
from hub.debounce import Debounce
from hub.former import Former
from hub.health import DeviceWatch, LinkWatch
from hub.instance import Instance
from hub.own import SOURCE, Own
from hub.reading import Kind
from hub.rules import Rule, covers
from hub.schedule import Hours
from hub.site import Device, Site, Zone
from hub.truth import Event, Level, LinkDown, NoData, Question, Series, State


class Family:
    """A rule that alarms once a value, at one device: an alarm is made when its value first comes."""

    __slots__ = ("_hours", "_listed", "_probe", "_siren", "_source", "_zone", "members", "rule")

    def __init__(self, rule: Rule, device: Device, listed: set[str], hours: Hours | None, *, siren: bool) -> None:
        """`listed` is the live list of `unless_in`."""
        self.rule, self._source, self._zone = rule, device.id, device.zone
        self._listed, self._hours, self._siren = listed, hours, siren
        self._probe = Event(rule, listed, hours)
        self.members: dict[str, Instance] = {}

    def member(self, value: str) -> Instance:
        """The alarm of this value."""
        known = self.members.get(value)
        if known is None:
            question = Event(self.rule, self._listed, self._hours)
            known = Instance(self.rule, self._source, question, zone=self._zone, value=value, siren=self._siren)
            self.members[value] = known
        return known

    def worries_about(self, value: str) -> bool:
        """False for what the rule's list or its states leave out: no alarm need be made for it."""
        return self._probe.counts(value)


class Channel:
    """One quantity of one device, and the alarms that hang on it."""

    __slots__ = ("debounce", "events", "families", "levels", "series")

    def __init__(self, series: Series, debounce: Debounce | None = None) -> None:
        """Nothing hangs on it yet."""
        self.series = series
        self.debounce = debounce
        self.levels: list[Instance] = []
        self.events: list[Instance] = []
        self.families: list[Family] = []


class Bound:
    """Everything that the core looks things up in. `lists` are live: rules see a change at once."""

    def __init__(
        self,
        site: Site,
        rules: tuple[Rule, ...],
        now: int,
        old: "Bound | None" = None,
        days: Days | None = None,
    ) -> None:
        """All watches as they are at the start `now` (ms); after a reload, with all that `old` knows.

        `days`: the calendar that hours lean on.
        """
        self.site = site
        self.days: Days = old.days if old is not None else days or Days()
        self.own: dict[str, Instance] = {}
        self._former = Former(site, now, old)
        self.links: dict[str, LinkWatch] = {link.id: self._former.link(link) for link in site.links}
        self.profiles = site.devices()
        self.devices: dict[str, DeviceWatch] = {
            device.id: self._former.device(device, self.links[device.link]) for device in self.profiles.values()
        }
        self.altered = self._former.altered
        self.channels: dict[tuple[str, str], Channel] = {}
        self.debounces: dict[tuple[str, str], Debounce] = {}
        self.lists: dict[str, set[str]] = {rule.unless_in: set() for rule in rules if rule.unless_in}
        self.lists |= self._former.lists
        self.instances: dict[str, Instance] = {}
        self.of_source: dict[str, list[Instance]] = {source: [] for source in (*self.links, *self.profiles)}
        self.of_link: dict[str, list[DeviceWatch]] = {link: [] for link in self.links}
        self._zones = site.zones_by_id()
        self._night = Hours(site.night, site.tz)
        self._hours: dict[str, Hours] = {}
        for device in self.profiles.values():
            self._add_device(device, rules)
        for rule in rules:
            if rule.kind == "link-down":
                for watch in self.links.values():
                    self._add(Instance(rule, watch.id, LinkDown(watch)), watch.id)
            if rule.kind == "self":
                self.own[rule.id] = self._add(Instance(rule, SOURCE, Own()), SOURCE)
        for was in old.instances.values() if old is not None else ():
            self.instance(was.key, was.rule.id, was.source)  # a family's alarms are made when they are known
        self._former = Former(site, now)  # nothing is handed over after the start

    def instance(self, key: str, rule: str, source: str) -> Instance | None:
        """The alarm of this key, made if it is of a family; None when no rule of the site can have it."""
        if key in self.instances:
            return self.instances[key]
        value = key.removeprefix(f"{rule}/{source}/")
        for family in self._families(source):
            if family.rule.id == rule and value != key:
                return self.member(family, source, value)
        return None

    def member(self, family: Family, source: str, value: str) -> Instance:
        """The family's alarm of this value, known to all indexes."""
        instance = family.member(value)
        if instance.key not in self.instances:
            family.members[value] = instance = self._add(instance, source)
        return instance

    def series(self, device: str, quantity: str) -> Series | None:
        """The last fresh reading of this quantity."""
        channel = self.channels.get((device, quantity))
        return channel.series if channel is not None else None

    def looking_in(self, name: str) -> list[Instance]:
        """The alarms whose rule looks in this list."""
        return [instance for instance in self.instances.values() if instance.rule.unless_in == name]

    def _families(self, source: str) -> Iterator[Family]:
        for (device, _), channel in self.channels.items():
            if device == source:
                yield from channel.families

    def _add_device(self, device: Device, rules: tuple[Rule, ...]) -> None:
        watch = self.devices[device.id]
        self.of_link[device.link].append(watch)
        for quantity in device.profile.reading:
            word = vocabulary.find(quantity)
            kind = word.quantity.kind if word is not None else None
            window = getattr(device.options, "debounce", 0.0) if kind is Kind.EVENT else 0.0
            if window:
                self.debounces[device.id, quantity] = self._former.debounce(device.id, quantity, window)
            self.channels[device.id, quantity] = Channel(
                self._former.series(watch, quantity, gauge=kind is Kind.GAUGE),
                self.debounces.get((device.id, quantity)),
            )
        zone = self._zones.get(device.zone)
        fitting = {rule.id: rule for rule in rules if covers(rule, device, zone)}
        for rule in fitting.values():
            if not any(other in fitting for other in rule.yields_to):
                self._add_rule(rule, device, zone)

    def _add_rule(self, rule: Rule, device: Device, zone: Zone | None) -> None:
        siren = rule.siren == "sounds" and zone is not None and zone.siren is not None
        hours = self._hours_of(rule, zone)
        channel = self.channels.get((device.id, rule.quantity))
        if rule.kind == "event" and rule.per == "value" and channel is not None:
            listed = self.lists.get(rule.unless_in, set())
            channel.families.append(Family(rule, device, listed, hours, siren=siren))
            return
        instance = Instance(
            rule,
            device.id,
            self._question(rule, device, zone, hours),
            zone=device.zone,
            siren=siren,
            series=channel.series if channel is not None and rule.kind != "no-data" else None,
            blind=self.devices[device.id] if rule.depends == "link" else None,
        )
        instance = self._add(instance, device.id)
        if channel is not None and rule.kind != "no-data":
            (channel.events if rule.kind == "event" else channel.levels).append(instance)

    def _question(self, rule: Rule, device: Device, zone: Zone | None, hours: Hours | None) -> Question:
        if rule.kind == "no-data":
            return NoData(self.devices[device.id], hours)
        if rule.kind == "event":
            return Event(rule, self.lists.get(rule.unless_in, set()), hours)
        series = self.channels[device.id, rule.quantity].series
        if rule.kind == "state":
            return State(rule, series, hours)
        noise_class = (zone.noise_class if zone is not None else None) or self.site.noise_class
        return Level(rule, series, hours, noise_class, self._night)

    def _hours_of(self, rule: Rule, zone: Zone | None) -> Hours | None:
        if rule.when == "night":
            return self._night
        if rule.when == "zone-closed" and zone is not None:
            return self._hours.setdefault(zone.id, Hours(zone.closed, self.site.tz, self.days))
        return None

    def _add(self, instance: Instance, source: str) -> Instance:
        """Known to all indexes from now on; what is returned may be the alarm of the binding before a reload."""
        instance = self._former.instance(instance, self._zones.get(instance.zone), instance.zone)
        self.instances[instance.key] = instance
        self.of_source.setdefault(source, []).append(instance)
        return instance
