"""Water edges as one value each: is it watched, when was it tested, what came of its alarms in the last seven days.

Pure: made from rows of the journal. A place counts as watched only while nothing says the opposite: a silent sensor, a
failed test, a stuck one, a mute and a hub without heartbeat all do.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

import msgspec

from dashboard.journal_view import Happening
from dashboard.situation import Situation, Unwatched
from hub.alarms.people import FALSE
from hub.outcome import Drill, DrillState, Mute, Order
from hub.reading import Reading
from hub.settings.site import Device, Site, Zone

WATCHING = ("presence", "people")  # what tells that somebody is there
BLIND = ("water-unwatched", "water-eye-blind", "water-stuck", "water-test-failed")
FAILED, OVERDUE = "water-test-failed", "water-test-overdue"
WEEK_MS = 7 * 86_400_000
DUE_MS = 86_400_000  # ISO 20380:2017, 6.1: a test each day


class Spread(msgspec.Struct, frozen=True):
    """Spans in ms: the middle one and the worst, of how many."""

    median: int
    worst: int
    count: int


class Week(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a place's alarms. Tests count apart; `unjudged`: nobody has said yet what it was."""

    alarms: int
    false: int
    unjudged: int
    tests: int
    acked: Spread | None
    resolved: Spread | None


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """One test with its times: until it was seen, and until somebody acknowledged the alarm."""

    drill: Drill
    seen_ms: int | None
    acked_ms: int | None


class Sensor(msgspec.Struct, frozen=True, kw_only=True):
    """One device that watches the place; `seen`: when the running test was seen by it."""

    device: Device
    readings: list[Reading]
    takes_part: bool = False
    seen: int | None = None


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """One water edge with all that its part of the page says."""

    zone: Zone
    sensors: list[Sensor]
    unwatched: list[Unwatched]
    open: list[Happening]
    mute: Mute | None
    running: Drill | None
    passed: Drill | None
    tests: list[Tested]
    week: Week
    recent: list[Happening]
    orders: list[Order]
    hub_fresh: bool

    @property
    def blind(self) -> list[Happening]:
        """Alarms that say that nobody watches here."""
        return [each for each in self.open if each.rule in BLIND]

    @property
    def watched(self) -> bool:
        """True only while nothing says the opposite."""
        return self.hub_fresh and not self.unwatched and not self.blind

    @property
    def overdue(self) -> bool:
        """The daily test is overdue: the alarm about it stands."""
        return any(each.rule == OVERDUE for each in self.open)

    def due(self, now: int) -> bool:
        """No test was passed within a day."""
        return self.passed is None or now - self.passed.caught[-1][2] >= DUE_MS


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """The journal's rows about one place."""

    open: list[Happening]
    week: list[Happening]  # raised by what detects people, tests among them
    drills: list[Drill]  # newest first
    passed: Drill | None
    verdicts: Mapping[tuple[str, int], str]
    acks: Mapping[tuple[str, int], int]  # first acknowledgement of an occurrence, ms after it was raised
    latest: Mapping[tuple[str, str], Reading]
    orders: list[Order]


def edges(site: Site) -> dict[str, list[Device]]:
    """The zones with a sensor that watches water for people, with these."""
    found: dict[str, list[Device]] = {}
    for device in site.devices().values():
        watches = device.profile.id.startswith("water/") and any(name in device.profile.reading for name in WATCHING)
        if watches and device.zone:
            found.setdefault(device.zone, []).append(device)
    return {zone.id: found[zone.id] for zone in site.zones if zone.id in found}


def edge(zone: Zone, devices: Sequence[Device], rows: Rows, situation: Situation) -> Edge:
    """Put the rows together."""
    running = next((drill for drill in rows.drills if drill.ended is None and situation.now < drill.until), None)
    names = {device.id for device in devices}
    return Edge(
        zone=zone,
        sensors=[_sensor(device, rows, running) for device in devices],
        unwatched=[
            one for one in situation.unwatched if one.source in names or (one.zone == zone.id and one.until is not None)
        ],
        open=rows.open,
        mute=next((mute for mute in situation.mutes if mute.zone == zone.id), None),
        running=running,
        passed=rows.passed,
        tests=[_tested(drill, rows) for drill in rows.drills if drill is not running],
        week=week(rows.week, rows.verdicts, rows.acks),
        recent=[each for each in rows.week if not each.drill][:8],
        orders=rows.orders,
        hub_fresh=situation.hub_fresh,
    )


def week(
    found: Iterable[Happening], verdicts: Mapping[tuple[str, int], str], acks: Mapping[tuple[str, int], int]
) -> Week:
    """Counts and spans; a test, and what was said to be one, is no alarm."""
    found = list(found)
    real = [each for each in found if not each.drill and _word(each, verdicts) != "test"]
    return Week(
        alarms=len(real),
        false=sum(_word(each, verdicts) in FALSE for each in real),
        unjudged=sum(bool(each.closed) and not _word(each, verdicts) for each in real),
        tests=len(found) - len(real),
        acked=spread([acks[each.key, each.occurrence] for each in real if (each.key, each.occurrence) in acks]),
        resolved=spread([each.ended - each.raised for each in real if each.ended is not None]),
    )


def spread(spans: Sequence[int]) -> Spread | None:
    """Median and worst; None of nothing."""
    return Spread(round(median(spans)), max(spans), len(spans)) if spans else None


def _word(each: Happening, verdicts: Mapping[tuple[str, int], str]) -> str:
    return verdicts.get((each.key, each.occurrence), "").partition(" ")[0]


def _sensor(device: Device, rows: Rows, running: Drill | None) -> Sensor:
    expected = [key for key in running.expected if key.endswith(f"/{device.id}")] if running else []
    caught = {key: at for key, _, at in running.caught} if running else {}
    return Sensor(
        device=device,
        readings=[rows.latest[device.id, name] for name in WATCHING if (device.id, name) in rows.latest],
        takes_part=bool(expected),
        seen=next((caught[key] for key in expected if key in caught), None),
    )


def _tested(drill: Drill, rows: Rows) -> Tested:
    first = drill.caught[0] if drill.caught else None
    return Tested(
        drill=drill if drill.ended is not None or drill.state is not DrillState.RUNNING else _silent(drill),
        seen_ms=None if first is None else first[2] - drill.at,
        acked_ms=None if first is None else rows.acks.get(first[:2]),
    )


def _silent(drill: Drill) -> Drill:
    """Its time is over, and the hub has not said so: nobody may take it for running."""
    return msgspec.structs.replace(drill, state=DrillState.FAILED)
