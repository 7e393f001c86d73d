"""A small community in memory, for tests of the deciding core: it keeps what the core says as the journal would.

For annotations: `from tests.hub.conftest import Yard` under TYPE_CHECKING.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from device_profiles.types import Duration, JsonField, MqttCommand, MqttLink, MqttProfile
from hub.care.reminder import REMINDER
from hub.core import Core
from hub.outcome import (
    Alarm,
    Drill,
    Entry,
    Flip,
    Health,
    Inner,
    Memory,
    Occurrence,
    Order,
    OrderState,
    Outcome,
    Service,
    Upkeep,
)
from hub.reading import Fault, FaultKind, Label, LinkChange, LinkState, News, Quality, Reading, Value
from hub.rules.door import Rule, load_rules
from hub.settings.site import Device, Devices, MqttBrokerLink, Siren, Site, Zone

NAME = Label(zh="测试", en="test")
NOON = round(datetime(2026, 1, 5, 12, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)


def _profile(name: str, quantities: list[str], silent_after: float, command: dict[str, MqttCommand]) -> MqttProfile:
    return MqttProfile(
        profile=1,
        id=name,
        title=NAME,
        source="made for tests",
        sample=[],
        link=MqttLink(silent_after=silent_after),
        reading={quantity: JsonField() for quantity in quantities},
        command=command,
    )


def _command(confirm: dict[str, str], within: float, seconds: Duration | None = None) -> MqttCommand:
    return MqttCommand(label=NAME, confirm=confirm, within=within, payload={"do": "it"}, seconds=seconds)


def _device(
    device: str,
    folder: str,
    zone: str,
    quantities: list[str],
    silent_after: float = 20.0,
    command: dict[str, MqttCommand] | None = None,
) -> Device:
    link = "port" if folder == "chip" else "mqtt"
    profile = _profile(f"{folder}/test", quantities, silent_after, command or {})
    return Device(id=device, profile=profile, options=profile.link, zone=zone, name=NAME, link=link)


def _site() -> Site:
    pulse = Duration(min=0.5, max=60.0, default=8.0)
    devices = [
        _device("noise-1", "noise", "square", ["laeq", "lafmax", "battery_level"], 10.0),
        _device("radar-1", "water", "lake", ["presence"]),
        _device(
            "gate-1", "gate", "square", ["gate", "passage", "tamper"], 20.0, {"open": _command({"gate": "open"}, 8.0)}
        ),
        _device("sos-1", "sos", "lake", ["sos"]),
        _device("relay-1", "relay", "lake", ["relay_1"], 5.0, {"pulse": _command({"relay_1": "on"}, 3.0, pulse)}),
    ]
    chip = _device("chip-1", "chip", "square", ["chip"], 0.0)
    siren = Siren(device="relay-1", command="pulse", seconds=8.0)
    zones = (
        Zone(id="square", name=NAME, noise_class="1"),
        Zone(id="lake", name=NAME, closed="22:00-06:00", siren=siren),
    )
    links = (
        MqttBrokerLink(id="mqtt", devices=Devices(devices)),
        MqttBrokerLink(id="port", listen="127.0.0.1:1", devices=Devices((chip,))),
    )
    return Site(id="test", name=NAME, timezone="Asia/Shanghai", zones=zones, links=links)


class Kept:
    """The journal's tables, as dicts."""

    def __init__(self) -> None:
        """Empty."""
        self.latest: dict[tuple[str, str], Reading] = {}
        self.health: dict[str, Health] = {}
        self.alarms: dict[str, Alarm] = {}
        self.occurrences: dict[tuple[str, int], Occurrence] = {}
        self.orders: dict[int, Order] = {}
        self.entries: dict[tuple[str, str], Entry] = {}
        self.inner: dict[str, Inner] = {}
        self.drills: dict[tuple[str, int], Drill] = {}
        self.services: dict[str, Service] = {}
        self.upkeep: dict[tuple[str, int], Upkeep] = {}
        self.readings: list[Reading] = []
        self.faults: list[Fault] = []
        self.flips: list[Flip] = []

    def write(self, outcome: Outcome) -> None:
        """One transaction."""
        for reading in outcome.readings:
            self.readings.append(reading)
            if reading.fresh:
                self.latest[reading.device, reading.quantity] = reading
        self.faults += outcome.faults
        self.flips += outcome.flips
        self.health |= {row.source: row for row in outcome.health}
        self.alarms |= {row.key: row for row in outcome.alarms}
        self.occurrences |= {(row.key, row.occurrence): row for row in outcome.occurrences}
        self.orders |= {row.id: row for row in outcome.orders}
        self.inner |= {row.key: row for row in outcome.inner}
        self.drills |= {(row.zone, row.at): row for row in outcome.drills}
        self.services |= {row.target: row for row in outcome.services}
        self.upkeep |= {(row.device, row.at): row for row in outcome.upkeep}
        self.entries |= {(row.list, row.id): row for row in outcome.entries}

    def memory(self) -> Memory:
        """What a new core is given."""
        return Memory(
            latest=list(self.latest.values()),
            health=list(self.health.values()),
            alarms=list(self.alarms.values()),
            occurrences=[row for row in self.occurrences.values() if not row.closed],
            orders=[row for row in self.orders.values() if row.state in (OrderState.REQUESTED, OrderState.SENT)],
            entries=list(self.entries.values()),
            inner=list(self.inner.values()),
            drills=list(self.drills.values()),
            services=[row for row in self.services.values() if row.ended is None],
            upkeep=[row for row in self.upkeep.values() if row.ended is None],
            reminded=max((flip.at for flip in self.flips if flip.event == REMINDER), default=0),
        )


class Yard:
    """The community with its core and its journal. Time is `now`; nothing happens but by a call."""

    def __init__(self, site: Site, rules: tuple[Rule, ...], now: int, *, linked: bool = True) -> None:
        """Started at `now`, with both links up (`linked`)."""
        self.site, self.rules, self.now = site, rules, now
        self.kept = Kept()
        self.last = Outcome()
        self._orders = 0
        self.core = Core(site, rules, self.kept.memory(), now)
        self.keep(self.core.begin(now))
        if linked:
            self.link_up()

    def link_up(self) -> None:
        """Both links say that they are up."""
        self.link("mqtt", LinkState.UP)
        self.link("port", LinkState.UP)

    def keep(self, outcome: Outcome) -> Outcome:
        """Write what the core said."""
        self.last = outcome
        self.kept.write(outcome)
        return outcome

    def link_down(self) -> None:
        """Both links say that they are down."""
        self.link("mqtt", LinkState.DOWN)
        self.link("port", LinkState.DOWN)

    def restart(self, down: float = 0.0, rules: tuple[Rule, ...] | None = None) -> Outcome:
        """The hub stops, and starts again after `down` seconds from what was written."""
        self.now += round(down * 1000)
        self.rules = self.rules if rules is None else rules
        self.core = Core(self.site, self.rules, self.kept.memory(), self.now)
        return self.keep(self.core.begin(self.now))

    def accept(self, *news: News) -> Outcome:
        """One batch."""
        return self.keep(self.core.accept(list(news), self.now))

    def say(
        self, device: str, quantity: str, value: Value, ts: int | None = None, quality: Quality = Quality.GOOD
    ) -> Outcome:
        """One reading, now; `ts` where the device has a clock."""
        at = self.now if ts is None else ts
        return self.accept(Reading(device=device, quantity=quantity, value=value, ts=at, rx=self.now, quality=quality))

    def fault(self, source: str, kind: FaultKind) -> Outcome:
        """One fault, now."""
        return self.accept(Fault(source=source, kind=kind, detail="as the test says", rx=self.now))

    def link(self, link: str, state: LinkState) -> Outcome:
        """The link says how it is."""
        return self.accept(LinkChange(link=link, state=state, detail="as the test says", rx=self.now))

    def wait(self, seconds: float, *saying: tuple[str, str, Value]) -> None:
        """So many seconds, with a tick each, after these readings each."""
        for _ in range(round(seconds)):
            self.now += 1000
            for device, quantity, value in saying:
                self.say(device, quantity, value)
            self.keep(self.core.tick(self.now))

    def order(self, kind: str, target: str, **more: object) -> Order:
        """What became of it at once; a dispatched one is as it was dispatched."""
        self._orders += 1
        order = Order(
            id=self._orders,
            token=f"t{self._orders}",
            kind=kind,
            target=target,
            actor="keeper",
            issued=self.now,
            expires=self.now + 10_000,
        )
        outcome = self.keep(self.core.order(replace(order, **more), self.now))
        return [*outcome.orders, *outcome.dispatch][0]

    def state(self, key: str) -> str:
        """The operator's state of an alarm."""
        return self.kept.alarms[key].state if key in self.kept.alarms else "normal"

    def told(self, key: str) -> list[str]:
        """Everything that voices were to say of it."""
        return [flip.announce for flip in self.kept.flips if flip.key == key and flip.announce]

    def events(self, key: str) -> list[str]:
        """Its timeline."""
        return [flip.event for flip in self.kept.flips if flip.key == key]


@pytest.fixture(scope="session")
def site() -> Site:
    """The small community."""
    return _site()


@pytest.fixture(scope="session")
def rules(site: Site) -> tuple[Rule, ...]:
    """The packs as they are."""
    return load_rules(site, Path("site.toml"))


@pytest.fixture(scope="session")
def odd(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """The same rules with delays of odd half seconds, so that a millisecond never decides at a whole second.

    Without those of windows: what a window holds is unknown after a restart, until it has filled again.
    """
    return tuple(
        replace(rule, on_delay=rule.on_delay and rule.on_delay + 0.5, off_delay=rule.off_delay and rule.off_delay + 0.5)
        for rule in rules
        if not rule.window
    )


@pytest.fixture(scope="session")
def open_yard(site: Site, rules: tuple[Rule, ...]) -> Callable[..., Yard]:
    """Makes a yard that starts so many hours after noon."""

    def opened(hours: float = 0.0, *, linked: bool = True) -> Yard:
        return Yard(site, rules, NOON + round(timedelta(hours=hours) / timedelta(milliseconds=1)), linked=linked)

    return opened


@pytest.fixture
def yard(open_yard: Callable[..., Yard]) -> Yard:
    """At noon."""
    return open_yard()


@pytest.fixture
def night(open_yard: Callable[..., Yard]) -> Yard:
    """At eleven in the evening: the lake is closed, and it is noise night."""
    return open_yard(11.0)
