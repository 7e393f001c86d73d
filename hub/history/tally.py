"""A series in steps of the site's clock: levels' figures, states' durations, counters' increases, counts of events.

Pure and streaming: a tally is told of readings in order of time, and gives a Step for each that is over. Gaps stay
gaps: what was not measured is in no figure, and `coverage` says how much was.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

import msgspec

from hub.devices.counter import How, exchanged, step
from hub.history.store import by_energy
from hub.reading import Kind, Value

DAY_S = 86_400


class Grid:
    """Steps of `step_s` seconds, counted from each midnight of the site; `step_s` divides a day. Instants in ms."""

    def __init__(self, step_s: int, zone: tzinfo) -> None:
        """ValueError for a step that does not divide a day."""
        if step_s < 1 or DAY_S % step_s:
            raise ValueError(step_s)
        self._step, self._zone = step_s * 1000, zone
        self._day = (0, 0)

    def around(self, at: int) -> tuple[int, int]:
        """Begin and end of the step of an instant. Where the clocks are set, a day's last one is cut short."""
        if not self._day[0] <= at < self._day[1]:
            local = datetime.fromtimestamp(at // 1000, UTC).astimezone(self._zone).replace(tzinfo=None)
            midnight = local.replace(hour=0, minute=0, second=0)
            self._day = (self._instant(midnight), self._instant(midnight + timedelta(days=1)))
        if self._step == DAY_S * 1000:
            return self._day
        begin = at - (at - self._day[0]) % self._step
        return begin, min(begin + self._step, self._day[1])

    def _instant(self, wall: datetime) -> int:
        return int(wall.replace(tzinfo=self._zone).timestamp()) * 1000


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What one series did from `since` until `until` (ms since 1970). Whatever does not apply or is not known is None.

    `word`: a state with its `seconds`, or an event with its `count`; of one step there is one for each word. `increase`
    of a counter is what it rose while it was heard, `in_gaps` what it rose besides. `coverage` 0 to 1: the share of
    the step in which the series was heard.
    """

    since: int
    until: int
    word: str = ""
    low: float | None = None
    mean: float | None = None
    high: float | None = None
    count: int | None = None
    increase: float | None = None
    in_gaps: float | None = None
    resets: int | None = None
    seconds: float | None = None
    coverage: float = 0.0


class Tally:
    """The steps of one series. What all have in common: the grid, and when it was heard."""

    def __init__(self, grid: Grid, since: int, until: int, longest: int) -> None:
        """[since, until) in ms. Silence of more than `longest` ms is a gap."""
        self._grid, self._until, self._longest = grid, until, longest
        self._at = since  # everything before is accounted for
        self._end = min(grid.around(since)[1], until)
        self._begin = since
        self._last: int | None = None  # when it was heard last
        self._heard = 0

    def take(self, ts: int, value: Value | None) -> Iterator[Step]:
        """A reading, in order of time; the one before the span may come first. None: only that its device is there."""
        yield from self._hear(ts)
        if ts < self._until:
            self._count(ts, value)

    def done(self) -> Iterator[Step]:
        """What is left, up to the end."""
        yield from self._hear(self._until)

    def _hear(self, ts: int) -> Iterator[Step]:
        known = self._last is not None and ts - self._last <= self._longest
        while self._at < min(ts, self._until):
            end = min(ts, self._end)
            if known:
                self._heard += end - self._at
                self._hold(end - self._at)
            self._at = end
            if end == self._end:
                yield from self._told(self._begin, end, self._heard / (end - self._begin))
                self._begin, self._end, self._heard = end, min(self._grid.around(end)[1], self._until), 0
        self._last = ts

    def _hold(self, ms: int) -> None:
        """So long it was as it was told last."""

    def _count(self, ts: int, value: Value | None) -> None:
        """Take the reading in."""

    def _told(self, since: int, until: int, coverage: float) -> Iterator[Step]:
        """The step is over: what it was, and begin anew."""
        raise NotImplementedError


class Levels(Tally):
    """A gauge: lowest, mean, highest. Sound levels by energy, IEC 61672-1; all else by its arithmetic mean."""

    def __init__(self, grid: Grid, since: int, until: int, longest: int, *, energy: bool) -> None:
        """`energy`: a sound level."""
        super().__init__(grid, since, until, longest)
        self._energy = energy
        self._low, self._high, self._sum, self._n = math.inf, -math.inf, 0.0, 0

    def _count(self, ts: int, value: Value | None) -> None:
        if isinstance(value, float | int) and ts >= self._begin:
            self._low, self._high = min(self._low, value), max(self._high, value)
            self._sum += 10.0 ** (value / 10) if self._energy else value
            self._n += 1

    def _told(self, since: int, until: int, coverage: float) -> Iterator[Step]:
        step = Step(since=since, until=until, count=self._n, coverage=coverage)
        if self._n:
            middle = 10 * math.log10(self._sum / self._n) if self._energy else self._sum / self._n
            mean = max(self._low, min(self._high, middle))
            step = msgspec.structs.replace(step, low=self._low, mean=mean, high=self._high)
        yield step
        self._low, self._high, self._sum, self._n = math.inf, -math.inf, 0.0, 0


class Increases(Tally):
    """A counter: by how much it rose up to the readings in a step. Its first reading of all says nothing of before."""

    def __init__(
        self, grid: Grid, since: int, until: int, longest: int, *, end: float | None, exchanges: Sequence[int] = ()
    ) -> None:
        """`end`: the value at which it is 0 again, where that is known (device_profiles/counting.py).

        `exchanges`: when the device became another one.
        """
        super().__init__(grid, since, until, longest)
        self._over, self._exchanges = end, exchanges
        self._before: tuple[int, float] | None = None
        self._risen, self._aside, self._n, self._resets = 0.0, 0.0, 0, 0

    def _count(self, ts: int, value: Value | None) -> None:
        if not isinstance(value, float | int):
            return
        if ts >= self._begin:
            self._n += 1
            if self._before is not None:
                self._step(self._before, ts, value)
        self._before = ts, value

    def _step(self, before: tuple[int, float], ts: int, value: float) -> None:
        other = exchanged((before[0], ts), self._exchanges)
        how, by = (How.OTHER, 0.0) if other else step(before[1], value, self._over)
        self._resets += how in (How.RESET, How.OTHER)
        if ts - before[0] <= self._longest:
            self._risen += by
        else:
            self._aside += by

    def _told(self, since: int, until: int, coverage: float) -> Iterator[Step]:
        yield Step(
            since=since, until=until, count=self._n, coverage=coverage, resets=self._resets,
            increase=self._risen if self._n else None, in_gaps=self._aside,
        )  # fmt: skip
        self._risen, self._aside, self._n, self._resets = 0.0, 0.0, 0, 0


class Durations(Tally):
    """States: a state holds until the next one while its device speaks at all; after that it is unknown."""

    def __init__(self, grid: Grid, since: int, until: int, longest: int) -> None:
        """Nothing was said yet."""
        super().__init__(grid, since, until, longest)
        self._state: str | None = None
        self._held = Counter[str]()

    def _hold(self, ms: int) -> None:
        if self._state is not None:
            self._held[self._state] += ms

    def _count(self, ts: int, value: Value | None) -> None:
        if isinstance(value, str):
            self._state = value

    def _told(self, since: int, until: int, coverage: float) -> Iterator[Step]:
        known = sum(self._held.values()) / (until - since)
        for state, ms in sorted(self._held.items()):
            yield Step(since=since, until=until, word=state, seconds=ms / 1000, coverage=known)
        if not self._held:
            yield Step(since=since, until=until)
        self._held.clear()


class Counts(Tally):
    """Events. None in a step: nobody came, as far as `coverage` says that anybody would have been heard."""

    def __init__(self, grid: Grid, since: int, until: int, longest: int, *, named: bool) -> None:
        """Not `named`: what the event says (whose chip it was) is left out, and all are counted together."""
        super().__init__(grid, since, until, longest)
        self._named = named
        self._found = Counter[str]()

    def _count(self, ts: int, value: Value | None) -> None:
        if isinstance(value, str) and ts >= self._begin:
            self._found[value if self._named else ""] += 1

    def _told(self, since: int, until: int, coverage: float) -> Iterator[Step]:
        for event, count in sorted(self._found.items()):
            yield Step(since=since, until=until, word=event, count=count, coverage=coverage)
        if not self._found:
            yield Step(since=since, until=until, count=0 if coverage else None, coverage=coverage)
        self._found.clear()


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """What a tally must know of its series. `end`, `exchanges`: of a counter; `named`: of events."""

    kind: Kind
    quantity: str
    longest: int
    end: float | None = None
    exchanges: Sequence[int] = ()
    named: bool = True


def tally(manner: Manner, grid: Grid, since: int, until: int) -> Tally:
    """The tally that a quantity of this kind takes, of [since, until) in ms."""
    span = grid, since, until, manner.longest
    match manner.kind:
        case Kind.STATE:
            return Durations(*span)
        case Kind.EVENT:
            return Counts(*span, named=manner.named)
        case Kind.COUNTER:
            return Increases(*span, end=manner.end, exchanges=manner.exchanges)
        case _:
            return Levels(*span, energy=by_energy(manner.quantity))
