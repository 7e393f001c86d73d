"""Which rule watches what: made once at the start, so that a reading finds its few alarms without any search.

Pure: built from the site and the rules; `hub.core` runs it.
"""

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from device_profiles import vocabulary
from hub.alarms.former import Former
from hub.alarms.instance import Instance
from hub.calendar.days import Days
from hub.care.drill import Drills, Failed, Overdue
from hub.devices.debounce import Debounce
from hub.devices.health import DeviceWatch, LinkWatch, VoiceWatch
from hub.outcome import Memory, Service, Upkeep
from hub.reading import Kind, Reading
from hub.rules.door import covers
from hub.rules.kinds.balance import Balance
from hub.rules.kinds.make import Maker, Place
from hub.rules.kinds.vote import Vote
from hub.rules.own import SOURCE, Own
from hub.rules.rule import KEEPERS, TESTS, ZONED, Rule
from hub.rules.truth import Event, LinkDown, Question, Series
from hub.settings.site import Device, Site, Zone
from hub.speaking.route import VOICE


class Family:
    """A rule that alarms once a value, at one device: an alarm is made when its value first comes."""

    __slots__ = ("_make", "_probe", "_siren", "_source", "_zone", "members", "rule")

    def __init__(self, rule: Rule, device: Device, make: Callable[[], Event], *, siren: bool) -> None:
        """`make` gives one question a value; all look in the rule's live lists."""
        self.rule, self._source, self._zone = rule, device.id, device.zone
        self._make, self._siren = make, siren
        self._probe = make()
        self.members: dict[str, Instance] = {}

    def member(self, value: str) -> Instance:
        """The alarm of this value."""
        known = self.members.get(value)
        if known is None:
            known = Instance(self.rule, self._source, self._make(), zone=self._zone, value=value, siren=self._siren)
            self.members[value] = known
        return known

    def worries_about(self, value: str) -> bool:
        """False for what the rule's list or its states leave out: no alarm need be made for it."""
        return self._probe.counts(value)


class Channel:
    """One quantity of one device, and the alarms that hang on it; `feeds` hear of each reading first."""

    __slots__ = ("debounce", "events", "families", "feeds", "keepers", "levels", "series")

    def __init__(self, series: Series, debounce: Debounce | None = None) -> None:
        """Nothing hangs on it yet."""
        self.series = series
        self.debounce = debounce
        self.feeds: list[Callable[[Reading, int], None]] = []  # windows and counters hear of every reading
        self.keepers: list[Instance] = []  # as well, and what they make of it is kept
        self.levels: list[Instance] = []
        self.events: list[Instance] = []
        self.families: list[Family] = []

    def recall(self, reading: Reading, now: int) -> None:
        """What was last read before the start `now`."""
        self.series.ts, self.series.value = min(reading.ts, now), reading.value
        if self.debounce is not None:
            self.debounce.remember(reading)
        for instance in self.keepers:
            instance.question.remember(reading, now)

    def kept(self, item: Reading, now: int) -> list[Instance]:
        """The keepers hear of it; those whose count has to be kept now."""
        return [instance for instance in self.keepers if instance.feed(item, now)]


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
        self.own: dict[str, Instance] = {}  # what the hub knows of itself, by rule
        self._former = Former(site, now, old)
        self.links: dict[str, LinkWatch] = {link.id: self._former.link(link) for link in site.links}
        for name in (VOICE + voice.id for voice in site.voices):
            self.links[name] = (old.links.get(name) if old is not None else None) or VoiceWatch(name, now)
        self.profiles = site.devices()
        self.devices: dict[str, DeviceWatch] = {
            device.id: self._former.device(device, self.links[device.link]) for device in self.profiles.values()
        }
        self.altered = self._former.altered
        self.channels: dict[tuple[str, str], Channel] = {}
        self.debounces: dict[tuple[str, str], Debounce] = {}
        names = {name for rule in rules for name in (rule.unless_in, rule.only_in) if name}
        self.lists: dict[str, set[str]] = {name: set() for name in names}
        self.lists |= self._former.lists
        self.services: dict[str, Service] = old.services if old is not None else {}  # what is out of service, by target
        self.calibrating: dict[str, Upkeep] = old.calibrating if old is not None else {}  # calibrations under way
        self.instances: dict[str, Instance] = {}
        self.of_source: dict[str, list[Instance]] = {source: [] for source in (*self.links, *self.profiles)}
        self.of_link: dict[str, list[DeviceWatch]] = {link: [] for link in self.links}
        self.listening: dict[str, list[Instance]] = {}  # device -> the alarms that orders to it matter to
        self._zones = site.zones_by_id()
        self.drills: Drills = old.drills if old is not None else Drills()
        self.tested: list[str] = []  # zones that are to be tested each day
        self._make = Maker(site, self.lists, now, self.days, self.drills)
        self._bind(rules)
        for was in old.instances.values() if old is not None else ():
            self.instance(was.key, was.rule.id, was.source)  # a family's alarms are made when they are known
        self._former = Former(site, now)  # nothing is handed over after the start

    def _bind(self, rules: tuple[Rule, ...]) -> None:
        """Hang the rules' alarms on what they listen to: channels first, for a rule may lean on another device's."""
        for device in self.profiles.values():
            self._add_channels(device)
        for device in self.profiles.values():
            self._add_device(device, rules)
        for zone in self.site.zones:
            self._add_zone(zone, [rule for rule in rules if rule.kind in ZONED])
        for rule in rules:
            self._add_deviceless(rule)

    def recall(self, memory: Memory) -> None:
        """The lists, tests and services that people left."""
        for entry in memory.entries:
            if entry.present:
                self.lists.setdefault(entry.list, set()).add(entry.id)
        self.drills.recall(memory.drills)
        self.services.update({row.target: row for row in memory.services})
        self.calibrating.update({row.device: row for row in memory.upkeep})

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
            if self.out_of_service(instance):
                instance.withhold()
        return instance

    def out_of_service(self, instance: Instance) -> bool:
        """True while this alarm, or the device that it is about, is out of service."""
        return bool(self.services) and (instance.key in self.services or instance.source in self.services)

    def shift(self, gap: int, now: int) -> None:
        """The clock was set by `gap` ms to `now`, or the machine slept: no time has passed for anything here."""
        watches: list[DeviceWatch | LinkWatch] = [*self.devices.values(), *self.links.values()]
        for watch in watches:
            watch.shift(gap)
            watch.written = min(watch.written, now)
        for channel in self.channels.values():
            channel.series.rx += gap
            channel.series.ts = min(channel.series.ts, now)
        for instance in self.instances.values():
            instance.shift(gap, now)
        for row in self.calibrating.values():
            self.calibrating[row.device] = replace(row, until=row.until + gap)

    def learn(self, rule: str, why: str) -> None:
        """What the hub has found out about itself; the alarm is to be evaluated after that."""
        question = self.own[rule].question
        if isinstance(question, Own):
            question.learn(why)

    def series(self, device: str, quantity: str) -> Series | None:
        """The last fresh reading of this quantity."""
        channel = self.channels.get((device, quantity))
        return channel.series if channel is not None else None

    def looking_in(self, name: str) -> list[Instance]:
        """The alarms whose rule looks in this list."""
        return [
            instance for instance in self.instances.values() if name in (instance.rule.unless_in, instance.rule.only_in)
        ]

    def watched(self) -> dict[tuple[str, str], Question | None]:
        """(rule, source) -> the question; None where one is made for each value that comes."""
        found: dict[tuple[str, str], Question | None] = {}
        for device in self.profiles:
            found |= {(family.rule.id, device): None for family in self._families(device)}
        for key, instance in self.instances.items():
            found[instance.rule.id, key.removeprefix(f"{instance.rule.id}/")] = instance.question
        return found

    def _families(self, source: str) -> Iterator[Family]:
        for (device, _), channel in self.channels.items():
            if device == source:
                yield from channel.families

    def _add_channels(self, device: Device) -> None:
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

    def _add_device(self, device: Device, rules: tuple[Rule, ...]) -> None:
        zone = self._zones.get(device.zone)
        fitting = {rule.id: rule for rule in rules if rule.kind not in ZONED and covers(rule, device, zone)}
        for rule in fitting.values():
            if not any(other in fitting for other in rule.yields_to):
                self._add_rule(rule, device, zone)

    def _add_rule(self, rule: Rule, device: Device, zone: Zone | None) -> None:
        siren = _sounds(rule, zone)
        channel = self.channels.get((device.id, rule.quantity))
        if rule.kind == "event" and rule.per == "value" and channel is not None:
            channel.families.append(Family(rule, device, self._make.events(rule, zone), siren=siren))
            return
        question = self._make.question(rule, self._place(device, zone))
        blind = self.devices[device.id] if rule.depends == "link" else None
        series = channel.series if channel is not None and rule.kind == "level" else None
        instance = Instance(rule, device.id, question, zone=device.zone, siren=siren, series=series, blind=blind)
        instance = self._add(instance, device.id)
        if rule.kind == "event" and channel is not None:
            channel.events.append(instance)
            return
        for quantity in self._make.fed(rule, device):
            self._feed(self.channels[device.id, quantity], instance)
        for quantity in self._make.asked(rule, device):
            self.channels[device.id, quantity].levels.append(instance)
        if rule.kind in ("discrepancy", "sequence"):
            self.listening.setdefault(device.id, []).append(instance)

    def _add_deviceless(self, rule: Rule) -> None:
        """The rules that watch links and voices, or the hub itself."""
        if rule.kind == "link-down":
            for watch in self.links.values():
                if isinstance(watch, VoiceWatch) == ("voice" in rule.applies):
                    self._add(Instance(rule, watch.id, LinkDown(watch)), watch.id)
        if rule.kind == "self":
            self.own[rule.id] = self._add(Instance(rule, SOURCE, Own()), SOURCE)

    def _feed(self, channel: Channel, instance: Instance) -> None:
        if instance.rule.kind in KEEPERS:
            channel.keepers.append(instance)
        else:
            channel.feeds.append(instance.question.ear())

    def _place(self, device: Device, zone: Zone | None) -> Place:
        series = {name: self.channels[device.id, name].series for name in device.profile.reading}
        return Place(self.devices[device.id], zone, series)

    def _add_zone(self, zone: Zone, rules: list[Rule]) -> None:
        """The rules that look at a whole zone: they hang on each of its devices that they cover."""
        for rule in rules:
            members = [
                device for device in self.profiles.values() if device.zone == zone.id and covers(rule, device, zone)
            ]
            question = self._of_zone(rule, zone, members)
            if question is None:
                continue
            instance = Instance(rule, zone.id, question, zone=zone.id, siren=_sounds(rule, zone))
            instance = self._former.instance(instance, zone, zone.id)
            self.instances[instance.key] = instance
            for device in () if rule.kind in TESTS else members:
                self.of_source[device.id].append(instance)
                for quantity in {rule.quantity, rule.entered, rule.left} & set(device.profile.reading):
                    self._feed(self.channels[device.id, quantity], instance)
                    self.channels[device.id, quantity].levels.append(instance)

    def _of_zone(self, rule: Rule, zone: Zone, members: list[Device]) -> Question | None:
        """None where the zone has too few devices for the rule."""
        if rule.kind in TESTS:
            return self._of_tests(rule, zone)
        if rule.kind == "vote":
            voices = [self._make.voice(rule, self._place(device, zone)) for device in members]
            return Vote(rule, voices) if len(voices) >= rule.least else None
        found = {
            name: [
                (device.id, self.channels[device.id, name].series)
                for device in members
                if name in device.profile.reading
            ]
            for name in (rule.entered, rule.left, rule.quantity)
        }
        if not all(found.values()):
            return None
        ways = [series for name in (rule.entered, rule.left) for _, series in found[name]]
        return Balance(rule, ways, dict(found[rule.quantity]))

    def _of_tests(self, rule: Rule, zone: Zone) -> Question | None:
        """None where no alarm takes part in tests: there is nothing to be tested."""
        if not any(each.zone == zone.id and each.rule.drill == "marks" for each in self.instances.values()):
            return None
        if zone.id not in self.tested:
            self.tested.append(zone.id)
        return Failed(self.drills, zone.id) if rule.kind == "test-failed" else Overdue(rule, self.drills, zone.id)

    def _add(self, instance: Instance, source: str) -> Instance:
        """Known to all indexes from now on; what is returned may be the alarm of the binding before a reload."""
        instance = self._former.instance(instance, self._zones.get(instance.zone), instance.zone)
        self.instances[instance.key] = instance
        self.of_source.setdefault(source, []).append(instance)
        return instance


def _sounds(rule: Rule, zone: Zone | None) -> bool:
    return rule.siren == "sounds" and zone is not None and zone.siren is not None
