"""What a chart of states, events and counters shows: bars of durations, counts, increases. Gaps stay gaps.

A state holds until the next one while the device speaks at all; in its silence nothing is known. A counter that falls
was reset and has counted from zero; what it counted during a gap is told apart, for nobody knows when.
"""

import heapq
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, pairwise
from typing import NamedTuple, TypedDict, TypeVar

import msgspec

from dashboard import words
from dashboard.heard import Heard
from dashboard.office import Office
from dashboard.series import POINTS, patience
from dashboard.window import Window
from device_profiles import vocabulary
from hub.history.store import StoreError
from hub.reading import Kind, Label
from hub.retention import KEEP_TRACES_MS, TRACES
from hub.site import Device

LOG = logging.getLogger("zhian.office")
MOST_BARS = 200
MOST_STRETCHES = 1_500
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
STEPS_MS = tuple(MINUTE_MS * n for n in (1, 5, 15, 60, 360, 1440, 7 * 1440, 28 * 1440, 364 * 1440))
SEVERAL = "*"  # in a stretch too short to be drawn, more than one state

T = TypeVar("T", float, str)
R = TypeVar("R")


class Bars(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """One value for each `width` ms from `ts` on; null where nothing is known. Instants in ms since 1970."""

    device: str
    quantity: str
    unit: str
    decimals: int
    since: int
    until: int
    width: int
    ts: list[int]
    value: list[float | None]
    total: float
    gaps: list[tuple[int, int]]
    whole: bool


class Counts(Bars, frozen=True, kw_only=True, tag="event"):
    """Events: how many came."""


class Increases(Bars, frozen=True, kw_only=True, tag="counter"):
    """A counter: by how much it rose; `in_gaps` of it while nothing was heard; how often it began anew."""

    in_gaps: float
    resets: int


class _Grid(NamedTuple):
    width: int
    begin: int
    stamps: list[int]


class Stretch(msgspec.Struct, frozen=True, array_like=True):
    """A state from `since` to `until`."""

    since: int
    until: int
    state: str


class Stretches(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="state"):
    """States as they followed each other, and how long each was in all (ms); the rest, `unknown`, is in the gaps."""

    device: str
    quantity: str
    since: int
    until: int
    states: dict[str, Label]
    stretches: list[Stretch]
    totals: dict[str, int]
    unknown: int
    gaps: list[tuple[int, int]]
    whole: bool


def read(office: Office, device: Device, quantity: str, window: Window) -> Bars | Stretches:
    """The chart of anything that is not a gauge. While the store cannot answer: what the journal still has."""
    match words.kind(quantity):
        case Kind.STATE:
            return _states(office, device, quantity, window)
        case Kind.COUNTER:
            return _increases(office, device, quantity, window)
        case _:
            return _counts(office, device, quantity, window)


def bar_width(length: int) -> int:
    """The shortest of STEPS_MS that cuts the window into at most MOST_BARS."""
    return next((step for step in STEPS_MS if length <= step * MOST_BARS), STEPS_MS[-1])


def changes(said: Iterable[tuple[int, str]], since: int, heard: Heard) -> list[tuple[int, str]]:
    """Where the state became another one, the first at `since` at the earliest; tells `heard` of every word."""
    found: list[tuple[int, str]] = []
    for ts, state in said:
        heard.at(ts)
        if not found or state != found[-1][1]:
            found.append((max(ts, since), state))
    return found


def stretches(found: list[tuple[int, str]], until: int, blind: Sequence[tuple[int, int]]) -> Iterator[Stretch]:
    """Each state until the next, without what lies in the gaps, which are in order."""
    ahead = deque(blind)
    for (at, state), (end, _) in pairwise([*found, (until, "")]):
        begin = at
        while ahead and ahead[0][0] < end:
            a, b = ahead[0]
            if a > begin:
                yield Stretch(begin, a, state)
            begin = max(begin, b)
            if b > end:
                break
            ahead.popleft()
        if begin < end:
            yield Stretch(begin, end, state)


def _states(office: Office, device: Device, quantity: str, window: Window) -> Stretches:
    heard = Heard(patience(device, window.length // POINTS))
    found, whole = _told(
        office, lambda deaf: changes(_said(office, device, quantity, window, deaf), window.since, heard)
    )
    blind = _blind(office, device, window, heard)
    drawn = list(stretches(found, window.until, blind))
    totals = Counter[str]()
    for each in drawn:
        totals[each.state] += each.until - each.since
    word = vocabulary.find(quantity)
    return Stretches(
        device=device.id,
        quantity=quantity,
        since=window.since,
        until=window.until,
        states=word.quantity.states if word else {},
        stretches=_drawable(drawn, window),
        totals=dict(totals),
        unknown=window.length - sum(totals.values()),
        gaps=blind,
        whole=whole,
    )


def _drawable(found: list[Stretch], window: Window) -> list[Stretch]:
    """Not more than can be seen: what is shorter than a pixel is put together."""
    if len(found) <= MOST_STRETCHES:
        return found
    least, drawn = window.length // (MOST_STRETCHES // 2), list[Stretch]()
    for each in found:
        last = drawn[-1] if drawn else None
        if last and each.since == last.until and min(each.until - each.since, last.until - last.since) < least:
            state = last.state if last.state == each.state else SEVERAL
            drawn[-1] = Stretch(last.since, each.until, state)
        else:
            drawn.append(each)
    return drawn


class _Risen:
    """How a counter rose, bar by bar."""

    def __init__(self, begin: int, width: int, longest: int) -> None:
        self._begin, self._width, self.heard = begin, width, Heard(longest)
        self.bars: dict[int, float] = {}
        self.in_gaps, self.resets = 0.0, 0

    def take(self, values: Iterable[tuple[int, float]]) -> "_Risen":
        """All of them, in order. What the first has risen since before the window is no part of it."""
        before: tuple[int, float] | None = None
        for ts, value in values:
            self.heard.at(ts)
            if ts >= self._begin:
                self._step(before, ts, value)
            before = ts, value
        return self

    def _step(self, before: tuple[int, float] | None, ts: int, value: float) -> None:
        bar = (ts - self._begin) // self._width
        self.bars.setdefault(bar, 0.0)
        if before is None:
            return
        anew = value < before[1]
        by = value if anew else value - before[1]
        self.resets += anew
        if ts - before[0] <= self.heard.longest:
            self.bars[bar] += by
        elif before[0] >= self._begin:
            self.in_gaps += by


def _increases(office: Office, device: Device, quantity: str, window: Window) -> Increases:
    grid = _grid(office, window)
    longest = patience(device, grid.width // 3)

    def tell(deaf: bool) -> _Risen:
        wide = Window(grid.begin, window.until)
        return _Risen(grid.begin, grid.width, longest).take(_numbers(office, device, quantity, wide, deaf))

    risen, whole = _told(office, tell)
    places = words.decimals(quantity) + 1
    return Increases(
        **_frame(device, quantity, window, grid),
        value=[round(risen.bars[n], places) if n in risen.bars else None for n in range(len(grid.stamps))],
        total=round(sum(risen.bars.values()) + risen.in_gaps, places),
        gaps=risen.heard.gaps(grid.begin, window.until),
        in_gaps=round(risen.in_gaps, places),
        resets=risen.resets,
        whole=whole,
    )


def _counts(office: Office, device: Device, quantity: str, window: Window) -> Counts:
    grid = _grid(office, window)
    first = max(grid.begin, office.clock.now() - KEEP_TRACES_MS if quantity in TRACES else 0)
    heard = Heard(patience(device, grid.width // 3))

    def tell(deaf: bool) -> Counter[int]:
        count = Counter[int]()
        for ts, _ in _said(office, device, quantity, Window(grid.begin, window.until), deaf):
            heard.at(ts)
            if ts >= first:
                count[(ts - grid.begin) // grid.width] += 1
        return count

    count, whole = _told(office, tell)
    blind = _blind(office, device, window, heard) if _speaks_else(device) else []
    known = [not any(a <= at and at + grid.width <= b for a, b in blind) for at in grid.stamps]
    return Counts(
        **_frame(device, quantity, window, grid),
        value=[float(count[n]) if known[n] or count[n] else None for n in range(len(grid.stamps))],
        total=count.total(),
        gaps=blind,
        whole=whole,
    )


class _Frame(TypedDict):
    device: str
    quantity: str
    unit: str
    decimals: int
    since: int
    until: int
    width: int
    ts: list[int]


def _frame(device: Device, quantity: str, window: Window, grid: _Grid) -> _Frame:
    return {
        "device": device.id,
        "quantity": quantity,
        "unit": words.unit(quantity),
        "decimals": words.decimals(quantity),
        "since": window.since,
        "until": window.until,
        "width": grid.width,
        "ts": grid.stamps,
    }


def _grid(office: Office, window: Window) -> _Grid:
    """Bars that begin at whole ones of the site's clock, the first before the window."""
    width = bar_width(window.length)
    offset = datetime.fromtimestamp(window.since / 1000, office.site.tz).utcoffset()
    ahead = int(offset.total_seconds() * 1000) if offset else 0
    begin = (window.since + ahead) // width * width - ahead
    return _Grid(width, begin, list(range(begin, window.until, width)))


def _speaks_else(device: Device) -> bool:
    """True where a device says more than events, so that its silence is known from a quiet day."""
    return any(words.kind(quantity) is not Kind.EVENT for quantity in device.profile.reading)


def _blind(office: Office, device: Device, window: Window, heard: Heard) -> list[tuple[int, int]]:
    """When the device said nothing at all: neither this nor any number."""
    since = window.since - heard.longest
    for quantity in device.profile.reading:
        if words.kind(quantity) in (Kind.GAUGE, Kind.COUNTER):
            try:
                found = office.history.series(device.id, quantity, since, window.until, POINTS)
            except StoreError:
                found = []
            times = [bucket.ts for bucket in found]
            times += [ts for ts, _ in office.view.not_in_history(device.id, quantity, since)]
            heard.also(times)
    return heard.gaps(window.since, window.until)


def _told(office: Office, tell: Callable[[bool], R]) -> tuple[R, bool]:
    """What is told with the history; while it cannot be asked, without it, and that it was so."""
    try:
        return tell(False), True
    except StoreError as error:
        LOG.warning("history: %s", error)
        return tell(True), False


def _said(office: Office, device: Device, quantity: str, window: Window, deaf: bool) -> Iterator[tuple[int, str]]:
    """What was said last before the window, and in it, oldest first; `deaf`: by the journal alone."""
    kept: list[Iterable[tuple[int, str]]] = []
    if not deaf:
        before = office.history.last_before(device.id, quantity, window.since)
        told = chain.from_iterable(office.history.states(device.id, quantity, window.since, window.until))
        kept = [[] if before is None else [(before[0], str(before[1]))], told]
    fresh = office.view.texts_not_in_history(device.id, quantity, 0, everything=deaf)
    return _merged(chain.from_iterable(kept), fresh, window.until)


def _numbers(office: Office, device: Device, quantity: str, window: Window, deaf: bool) -> Iterator[tuple[int, float]]:
    """The same of numbers."""
    kept: list[Iterable[tuple[int, float]]] = []
    if not deaf:
        before = office.history.last_before(device.id, quantity, window.since)
        told = chain.from_iterable(office.history.samples(device.id, quantity, window.since, window.until))
        kept = [[] if before is None or isinstance(before[1], str) else [(before[0], before[1])], told]
    fresh = office.view.not_in_history(device.id, quantity, 0, everything=deaf)
    return _merged(chain.from_iterable(kept), fresh, window.until)


def _merged(kept: Iterable[tuple[int, T]], fresh: list[tuple[int, T]], until: int) -> Iterator[tuple[int, T]]:
    return (pair for pair in heapq.merge(kept, fresh, key=lambda pair: pair[0]) if pair[0] < until)
