"""What a reload goes on with: the watches, values and alarms of the old binding, handed to the new one by their keys.

Pure. What did not change is the same object afterwards; what did change keeps its state. Only a device that is wired
otherwise, and a link that is opened anew, begin as they do at a start: unknown until they speak.
"""

from typing import Protocol

from msgspec.structs import asdict, replace

from hub.alarms.instance import Instance
from hub.devices.debounce import Debounce
from hub.devices.health import DeviceWatch, LinkWatch
from hub.rules.rule import TESTS, ZONED
from hub.rules.truth import Series
from hub.settings.site import Device, Devices, SerialPortLink, Site, SiteLink, Zone

_MANNERS = frozenset(
    {"silent_after", "every", "timeout", "latency", "debounce"}
)  # options that change what is asked when, not whom


class Binding(Protocol):
    """What is taken from the old `hub.alarms.bind.Bound`."""

    site: Site
    links: dict[str, LinkWatch]
    devices: dict[str, DeviceWatch]
    instances: dict[str, Instance]
    lists: dict[str, set[str]]
    debounces: dict[tuple[str, str], Debounce]

    def series(self, device: str, quantity: str) -> Series | None:
        """The last fresh reading of a quantity."""


class Former:
    """The binding before a reload; each method gives what the new one goes on with. Without one, all is new."""

    def __init__(self, site: Site, now: int, old: Binding | None = None) -> None:
        """`site` is the new one. `altered`: links and devices that are new, opened anew, or wired otherwise."""
        self.altered: set[str] = set()
        self._now, self._old = now, old
        self._links = {link.id: link for link in old.site.links} if old is not None else {}
        self._devices = old.site.devices() if old is not None else {}
        self._zones = old.site.zones_by_id() if old is not None else {}
        self._same_hours = old is not None and _clockwork(old.site) == _clockwork(site)

    @property
    def lists(self) -> dict[str, set[str]]:
        """The live lists, the same sets."""
        return dict(self._old.lists) if self._old is not None else {}

    def link(self, link: SiteLink) -> LinkWatch:
        """Its watch: as it was, unless the link is opened anew."""
        was = self._links.get(link.id)
        watch = self._old.links[link.id] if self._old is not None and was is not None else LinkWatch(link.id, self._now)
        if was is None or not same_cable(was, link):
            self.altered.add(link.id)
            if was is not None:
                watch.reopen(self._now)
        return watch

    def device(self, device: Device, link: LinkWatch) -> DeviceWatch:
        """Its watch: as it was, unless the device is wired otherwise."""
        was, silent_after = self._devices.get(device.id), device.options.silent_after
        if self._old is None or was is None:
            self.altered.add(device.id)
            return DeviceWatch(device.id, link, silent_after, self._now)
        watch = self._old.devices[device.id]
        watch.rewire(link, silent_after)
        if not same_wiring(was, device):
            self.altered.add(device.id)
            watch.forget(self._now)
        elif device.link in self.altered and watch.link_lost(link.detail, self._now):
            self.altered.add(device.id)
        return watch

    def series(self, watch: DeviceWatch, quantity: str, *, gauge: bool) -> Series:
        """Its last value; believed no more when the device is wired otherwise."""
        series = self._old.series(watch.id, quantity) if self._old is not None else None
        if series is None:
            return Series(watch, gauge=gauge)
        series.ages = watch.silent_after if gauge else 0
        series.known = series.known and watch.heard is not None
        series.calm_until = 0  # the rules that were asked may be other ones now
        return series

    def debounce(self, device: str, quantity: str, window_s: float) -> Debounce:
        """What it remembers of repeated events, with the window of the new file."""
        old = self._old.debounces.get((device, quantity)) if self._old is not None else None
        if old is None:
            return Debounce(device, window_s)
        old.widen(window_s)
        return old

    def instance(self, fresh: Instance, zone: Zone | None, place: str) -> Instance:
        """The alarm as it was; where its rule or its surroundings are other ones, the fresh one with all its state."""
        old = self._old.instances.get(fresh.key) if self._old is not None else None
        if old is None:
            return fresh
        whole_zone = fresh.rule.kind in ZONED - TESTS  # its devices may be other ones
        if (
            not whole_zone
            and old.rule == fresh.rule
            and old.zone == place
            and self._same_hours
            and self._zones.get(place) == zone
        ):
            return old
        fresh.take_over(old)
        return fresh


def same_cable(old: SiteLink, new: SiteLink) -> bool:
    """True when an open link can go on, whatever became of its list of devices."""
    if isinstance(old, SerialPortLink) and isinstance(new, SerialPortLink):
        return old.port == new.port and _serial(old) == _serial(new)  # the line's settings are its device's
    return replace(old, devices=Devices()) == replace(new, devices=Devices())


def same_wiring(old: Device, new: Device) -> bool:
    """True when the device is the same thing in the same place on its cable, so that its last values still stand."""
    return (old.link, old.profile, _address(old)) == (new.link, new.profile, _address(new))


def _address(device: Device) -> dict[str, object]:
    return {name: value for name, value in asdict(device.options).items() if name not in _MANNERS}


def _serial(link: SerialPortLink) -> list[object]:
    return [(device.id, device.profile, _address(device)) for device in link.devices]


def _clockwork(site: Site) -> tuple[str, str, str]:
    return site.timezone, site.night, site.noise_class
