"""The ordinary life of one device, second by second, and what a script or an order makes of it.

Every quantity of the vocabulary has one; what is normal raises no alarm. Players carry it to a cable, not this file.
"""

import math
import random
from collections.abc import Iterable, Mapping

import msgspec

from device_profiles import vocabulary
from firmware_bridge.simulate.script import Mute, Scene, Script
from hub.reading import Kind, Value
from hub.settings.site import Device

TRAVEL_S = 1.5  # a gate moves so long before it is where it was ordered
PASS_S = 3.0  # and stays open so long when somebody is let in
SWITCH_S = 0.3  # anything else obeys so quickly
AUTO_CLOSE_S = 8.0  # a gate that was ordered open closes by itself
PAUSE_S = {"passage": 40.0, "chip": 50.0, "other_chip": 90.0}  # mean time between two events of an ordinary evening

# quantity: middle, slow walk +- , quick noise +- . Levels of a quiet evening: below the night limit of 45 dB.
_GAUGES: dict[str, tuple[float, float, float]] = {
    "laeq": (39.0, 2.0, 0.6),
    "lafmax": (43.5, 2.0, 0.6),
    "lafmin": (34.5, 2.0, 0.4),
    "lcpeak": (60.0, 3.0, 1.0),
    "distance": (0.0, 0.0, 0.0),
    "water_level": (1.127, 0.02, 0.002),
    "water_temperature": (18.0, 0.5, 0.0),
    "battery": (3.92, 0.02, 0.005),
    "battery_level": (84.0, 1.0, 0.0),
    "rssi": (-71.0, 4.0, 2.0),
    "temperature": (22.0, 1.5, 0.1),
    "humidity": (62.0, 4.0, 0.3),
    "wind_speed": (1.4, 0.8, 0.3),
    "pm1": (11.0, 3.0, 0.5),
    "pm2_5": (18.0, 5.0, 0.8),
    "pm10": (31.0, 7.0, 1.0),
    "tsp": (55.0, 12.0, 2.0),
    "residual_current": (38.0, 6.0, 1.0),
    "cable_temperature": (31.0, 2.0, 0.2),
    "voltage": (228.0, 3.0, 0.5),
    "current": (8.0, 3.0, 0.4),
    "power": (1.8, 0.6, 0.1),
    "pressure": (320.0, 8.0, 1.0),
    "tilt": (0.3, 0.05, 0.02),
}
_A_SECOND = {"energy": 0.0005, "flow": 0.0002, "count_in": 0.02, "count_out": 0.02}  # how counters grow


class Said(msgspec.Struct, frozen=True):
    """Something that happened once: `values` of the events, and what goes with them."""

    values: dict[str, str]
    detail: dict[str, str]


class Moment(msgspec.Struct, frozen=True):
    """What the device would say now: all its states and gauges, the events since the last look, and whether it can."""

    values: dict[str, Value]
    events: list[Said]
    mute: Mute


class _Held(msgspec.Struct, frozen=True):
    value: Value
    since: float
    until: float


class Life:
    """One device's evening. Times are seconds since the play began."""

    def __init__(self, device: Device, script: Script) -> None:
        """Two plays of one script differ in nothing but the moments at which they look."""
        self._device, self._script = device, script
        self._random = random.Random(device.id)
        self._words = {name: _quantity(name) for name in device.profile.reading}
        self._walk = dict.fromkeys(device.profile.reading, 0.0)
        self._held: dict[str, list[_Held]] = {}
        self._last = 0.0
        self._next = {
            name: self._random.expovariate(1 / pause) for name, pause in PAUSE_S.items() if name in self._walk
        }

    def look(self, now: float) -> Moment:
        """What there is to say at `now`; time goes forward only."""
        scenes = self._script.now(self._device.id, now)
        events = [*self._ordinary_events(now), *self._scripted_events(now)]
        mute = next((scene.mute for scene in scenes if scene.mute is not Mute.NO), Mute.NO)
        values = {**self._ordinary(now), **self._holding(now), **self._scripted(scenes)}
        self._last = now
        return Moment(self._consistent(values), events, mute)

    def obey(self, command: str, seconds: float | None, now: float) -> None:
        """Carry out an order as such a device does: a gate travels first, and closes by itself in the end."""
        for name, state in self._device.profile.command[command].confirm.items():
            self._held[name] = []  # the last order counts
            if name != "gate":
                self._hold(name, state, now + SWITCH_S, now + SWITCH_S + (seconds or math.inf))
                continue
            arrives = now + TRAVEL_S
            self._hold(name, "moving", now, arrives)
            self._hold(name, state, arrives, arrives + (seconds or AUTO_CLOSE_S) if state == "open" else math.inf)

    def _hold(self, quantity: str, value: Value, since: float, until: float) -> None:
        """Say this value from `since` to `until`; a newer one counts more."""
        held = [each for each in self._held.get(quantity, []) if each.until > self._last]
        self._held[quantity] = [*held, _Held(value, since, until)]

    def _ordinary(self, now: float) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for name, word in self._words.items():
            if word.kind is Kind.STATE:
                values[name] = next(iter(word.states))  # the first state of the vocabulary is the one at rest
            elif word.kind is Kind.COUNTER:
                values[name] = round(1000 + now * _A_SECOND.get(word.name, 0.001), word.decimals)
            elif word.kind is Kind.GAUGE:
                values[name] = self._gauge(name, word, now - self._last)
        return values

    def _gauge(self, name: str, word: vocabulary.Quantity, passed: float) -> float:
        middle, walk, noise = _GAUGES.get(word.name, (_middle(word), 0.0, 0.0))
        step = self._random.gauss(0.0, 0.15 * math.sqrt(min(max(passed, 0.0), 60.0)))
        self._walk[name] = max(-1.0, min(1.0, 0.999 * self._walk[name] + step))
        return round(middle + walk * self._walk[name] + noise * self._random.uniform(-1, 1), max(word.decimals, 1))

    def _holding(self, now: float) -> dict[str, Value]:
        return {
            name: each.value
            for name, layers in self._held.items()
            for each in layers  # a later layer covers an earlier one
            if each.since <= now < each.until
        }

    def _scripted(self, scenes: Iterable[Scene]) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for scene in scenes:
            for name, value in scene.set.items():
                spread = scene.spread * self._random.uniform(-1, 1)
                values[name] = value if isinstance(value, str) else round(value + spread, 3)
        return values

    def _ordinary_events(self, now: float) -> list[Said]:
        due = [name for name, at in self._next.items() if at <= now]
        for name in due:
            self._next[name] = now + self._random.expovariate(1 / PAUSE_S[name])
        return [said for name in due if (said := self._event(name, now))]

    def _event(self, name: str, now: float) -> Said | None:
        if name == "chip":
            chips = list(self._script.registered)
            return Said({"chip": self._random.choice(chips)}, {}) if chips else None
        if name == "other_chip":
            return Said({"other_chip": f"em4100:{self._random.randrange(1, 1 << 40):010X}"}, {})
        if self._holding(now).get("gate") == "locked":
            return None
        return self._passage(now)

    def _passage(self, now: float) -> Said:
        if "gate" in self._walk:
            self._hold("gate", "open", now, now + PASS_S)
        direction = self._random.choice(["in", "out"])
        return Said(
            {"passage": "granted"}, {"direction": direction, "credential": f"c-{self._random.randrange(999):03}"}
        )

    def _scripted_events(self, now: float) -> list[Said]:
        due = self._script.events(self._device.id, self._last, now)
        return [Said(dict(scene.event), dict(scene.detail)) for scene in due]

    def _consistent(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """A distance belongs to somebody: a JSON device leaves it out while nobody is there."""
        if values.get("presence") == "absent" and self._device.profile.KIND == "mqtt":
            return {name: value for name, value in values.items() if name != "distance"}
        return dict(values)


def _quantity(name: str) -> vocabulary.Quantity:
    return vocabulary.require(name, file="the profile", key="reading").quantity


def _middle(word: vocabulary.Quantity) -> float:
    low, high = word.range or (0.0, 100.0)
    return low + (high - low) / 4
