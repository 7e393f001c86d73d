"""Daily tests of watched places (ISO 20380:2017, 6.1): which run, which were passed, what is due.

Pure. While a test runs, the rules that take part (`drill = "marks"`) are asked at any hour, and what they raise is
marked as a test. It proves each sensor of its zone or has failed; when its time is over everything is real again.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from hub.alarms.alarm import Truth
from hub.calendar.schedule import Hours
from hub.outcome import Drill, DrillState, Flip
from hub.rules.rule import Rule, ms
from hub.rules.truth import Plain
from hub.settings.site import Siren, Site, Zone

SHORTEST_S, LONGEST_S = 60.0, 900.0
LEAVE_MS = 60_000  # everything was seen: so long the tester has to walk out of view, and then an alarm is real again
SHORT_S = 2.0  # how long a siren sounds for a test
SOUNDS, WITHHELD = "short", "withheld"
_T, _F, _U = Truth


class Drills:
    """The tests of all zones, live: rules see a change at once."""

    def __init__(self) -> None:
        """Nothing known."""
        self._open: dict[str, Drill] = {}
        self._proved: dict[str, int] = {}
        self._verdict: dict[str, Drill] = {}
        self._news: dict[tuple[str, int], Drill] = {}
        self.stirred: set[str] = set()  # zones whose rules about tests have to be asked again

    def recall(self, rows: Iterable[Drill]) -> None:
        """As the journal has them, in any order."""
        for row in sorted(rows, key=lambda each: each.at):
            self._learn(row)

    def told(self) -> list[Drill]:
        """The rows that changed since this was last asked."""
        news = list(self._news.values())
        self._news.clear()
        return news

    def begin(self, zone: str, now: int) -> None:
        """From now on this zone is to be tested each day, unless that is known already."""
        if zone not in self._proved:
            self.put(Drill(zone=zone, at=now, until=now, state=DrillState.BEGUN, ended=now))

    def put(self, drill: Drill) -> None:
        """Another state of a test, or another test; to be written."""
        self._news[drill.zone, drill.at] = drill
        self._learn(drill)
        self.stirred.add(drill.zone)

    def open(self, zone: str) -> Drill | None:
        """The test that was begun in this zone and not ended."""
        return self._open.get(zone)

    def holds(self, zone: str, now: int) -> bool:
        """True while an alarm there is a test's. A clock that was set back before its beginning ends it."""
        drill = self._open.get(zone)
        return drill is not None and drill.at <= now < drill.until

    def over(self, now: int) -> list[Drill]:
        """Tests whose time is over, ended now."""
        ended = [drill for drill in self._open.values() if not drill.at <= now < drill.until]
        return [self._end(drill, now) for drill in ended]

    def catch(self, drill: Drill, flip: Flip) -> None:
        """An alarm was raised in it. When every sensor was seen it is passed, and ends soon."""
        known = {key for key, *_ in drill.caught}
        caught = drill.caught if flip.key in known else (*drill.caught, (flip.key, flip.occurrence, flip.at))
        drill = replace(drill, caught=caught)
        if drill.state is DrillState.RUNNING and {key for key, *_ in caught} >= set(drill.expected):
            drill = replace(drill, state=DrillState.PASSED, until=min(drill.until, flip.at + LEAVE_MS))
        self.put(drill)

    def proved(self, zone: str) -> int | None:
        """When its last passed test was ended, or since when it is to be tested."""
        return self._proved.get(zone)

    def missing(self, zone: str) -> str | None:
        """What the last test did not see, when it failed."""
        last = self._verdict.get(zone)
        if last is None or last.state is not DrillState.FAILED:
            return None
        return ", ".join(sorted(set(last.expected) - {key for key, *_ in last.caught})) or last.zone

    def _end(self, drill: Drill, now: int) -> Drill:
        state = drill.state
        if state is DrillState.RUNNING:
            state = DrillState.ENDED if drill.ended_by else DrillState.FAILED
        # Not when somebody looked, but when it was over: what was raised in between is real.
        drill = replace(drill, state=state, ended=max(drill.at, min(now, drill.until)))
        self.put(drill)
        return drill

    def _learn(self, drill: Drill) -> None:
        if drill.ended is None:
            self._open[drill.zone] = drill
        elif (known := self._open.get(drill.zone)) is not None and known.at == drill.at:
            del self._open[drill.zone]
        if drill.state in (DrillState.PASSED, DrillState.BEGUN):
            at = drill.caught[-1][2] if drill.caught else drill.at
            self._proved[drill.zone] = max(self._proved.get(drill.zone, at), at)
        if drill.state in (DrillState.PASSED, DrillState.FAILED):
            self._verdict[drill.zone] = drill


class DrillHours(Hours):
    """A zone's hours for the rules that take part in its tests: any hour is within them while one runs."""

    __slots__ = ("_drills", "_zone")

    def __init__(self, site: Site, zone: Zone, drills: Drills, hours: Hours) -> None:
        """`hours` are the zone's own."""
        super().__init__(zone.closed, site.tz, hours.days)
        self._drills, self._zone = drills, zone.id

    def inside(self, now: int) -> bool:
        """See Hours."""
        return self._drills.holds(self._zone, now) or super().inside(now)

    def until(self, now: int) -> int:
        """See Hours."""
        super().inside(now)
        drill = self._drills.open(self._zone)
        return self._until if drill is None or drill.until <= now else min(self._until, drill.until)


class Overdue(Plain):
    """Was the zone's last passed test longer ago than `within`? It is counted from the first start, too."""

    __slots__ = ("_drills", "_within", "_zone")

    def __init__(self, rule: Rule, drills: Drills, zone: str) -> None:
        """Of this zone."""
        super().__init__(None)
        self._drills, self._zone, self._within = drills, zone, ms(rule.within)

    def ask(self, now: int, standing: bool) -> Truth:
        """See Question."""
        at = self._drills.proved(self._zone)
        if at is None:
            return _U
        return _T if now - at >= self._within else _F

    def until(self, now: int) -> int | None:
        """When it will be due."""
        at = self._drills.proved(self._zone)
        return at + self._within if at is not None and at + self._within > now else None


class Failed(Plain):
    """Did the zone's last test not see what it should have? Until another one is passed."""

    __slots__ = ("_drills", "_zone")

    def __init__(self, drills: Drills, zone: str) -> None:
        """Of this zone."""
        super().__init__(None)
        self._drills, self._zone = drills, zone

    def ask(self, now: int, standing: bool) -> Truth:
        """See Question."""
        return _F if self._drills.missing(self._zone) is None else _T

    def value(self, now: int) -> str | None:
        """The alarms that were not raised."""
        return self._drills.missing(self._zone)


def shortened(siren: Siren, site: Site) -> float | None:
    """For how many seconds the siren sounds in a test; None where its command takes no seconds."""
    device = site.devices().get(siren.device)
    command = device.profile.command.get(siren.command) if device is not None else None
    if command is None or command.seconds is None:
        return None
    return min(max(SHORT_S, command.seconds.min), command.seconds.max)


def is_drill(key: str, occurrence: str, zone: str, raised: str, upto: str = "") -> str:
    """An SQL condition: what was last said of this occurrence (`upto` a flip's seq) belongs to a test.

    The arguments are columns. It was raised in a test, and not raised again after that test was over.
    """
    last = f"AND g.seq <= {upto}" if upto else ""
    return f"""EXISTS (SELECT 1 FROM drill d, json_each(d.caught) c
      WHERE d.zone = {zone} AND d.at BETWEEN {raised} - {round(LONGEST_S * 1000)} AND {raised}
      AND json_extract(c.value, '$[0]') = {key} AND json_extract(c.value, '$[1]') = {occurrence}
      AND NOT EXISTS (SELECT 1 FROM flip g WHERE g.key = {key} AND g.occurrence = {occurrence} {last}
        AND g.event IN ('raised', 'reactivated', 'renotified') AND g.at >= coalesce(d.ended, d.until)))"""  # noqa: S608  # our own names
