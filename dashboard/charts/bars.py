"""Events as counts and counters as increases, a bar for each stretch of the site's clock. Gaps stay gaps.

A counter that falls went over its end, began anew from zero, or is another one, and each is told apart
(`hub/devices/counter.py`); so is what it counted during a gap, for nobody knows when that was.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, TypedDict

import msgspec

from dashboard.charts.heard import Heard
from dashboard.charts.series import patience
from dashboard.charts.telling import blind as blind_spans
from dashboard.charts.telling import numbers, said, told
from dashboard.charts.thin import given_up
from dashboard.charts.window import Window
from dashboard.language import words
from dashboard.office import Office
from device_profiles.counting import end_of
from hub.devices.counter import How, exchanged, step
from hub.keeping.retention import KEEP_TRACES_MS, TRACES
from hub.reading import Kind
from hub.settings.site import Device

MOST_BARS = 200
MINUTE_MS = 60_000
STEPS_MS = tuple(MINUTE_MS * n for n in (1, 5, 15, 60, 360, 1440, 7 * 1440, 28 * 1440, 364 * 1440))


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
    """A counter: by how much it rose; `in_gaps` of it while nothing was heard.

    How often it began anew from zero, went over its end (`rolled`), or went on elsewhere, as another meter does
    (`others`): then nothing is counted. `thinned`: where readings were given up, as the disk was nearly full.
    """

    in_gaps: float
    resets: int
    thinned: list[tuple[int, int]]
    rolled: int
    others: int


def read(office: Office, device: Device, quantity: str, window: Window) -> Bars:
    """Of a counter or of events. While the store cannot answer: what the journal still has."""
    found = _increases if words.kind(quantity) is Kind.COUNTER else _counts
    return found(office, device, quantity, window)


def bar_width(length: int) -> int:
    """The shortest of STEPS_MS that cuts the window into at most MOST_BARS."""
    return next((step for step in STEPS_MS if length <= step * MOST_BARS), STEPS_MS[-1])


def _increases(office: Office, device: Device, quantity: str, window: Window) -> Increases:
    grid = _grid(office, window)
    longest = patience(device, grid.width // 3)

    exchanges = [row.at for row in office.view.upkeep(device.id) if row.kind == "exchange"]

    def tell(deaf: bool) -> _Risen:
        wide = Window(grid.begin, window.until)
        return _Risen(grid, window.since, longest, end_of(device.profile, quantity), exchanges).take(
            numbers(office, device, quantity, wide, deaf=deaf)
        )

    risen, whole = told(office, tell)
    places = words.decimals(quantity) + 1
    return Increases(
        **_frame(device, quantity, window, grid),
        value=[round(risen.bars[n], places) if n in risen.bars else None for n in range(len(grid.stamps))],
        total=round(risen.total, places),
        gaps=risen.heard.gaps(grid.begin, window.until),
        in_gaps=round(risen.in_gaps, places),
        resets=risen.how[How.RESET],
        thinned=given_up(office, grid.begin, window.until),
        rolled=risen.how[How.ROLLED],
        others=risen.how[How.OTHER],
        whole=whole,
    )


def _counts(office: Office, device: Device, quantity: str, window: Window) -> Counts:
    grid = _grid(office, window)
    wide = Window(grid.begin, window.until)
    first = max(grid.begin, office.clock.now() - KEEP_TRACES_MS if quantity in TRACES else 0)

    def tell(deaf: bool) -> tuple[Counter[int], int, Heard]:
        count, total, heard = Counter[int](), 0, Heard(patience(device, grid.width // 3))
        for ts, _ in said(office, device, quantity, wide, deaf=deaf):
            heard.at(ts)
            if ts >= first:
                count[(ts - grid.begin) // grid.width] += 1
                total += ts >= window.since
        return count, total, heard

    (count, total, heard), whole = told(office, tell)
    blind = blind_spans(office, device, wide, heard) if _speaks_else(device) else []
    known = [not any(a <= at and at + grid.width <= b for a, b in blind) for at in grid.stamps]
    return Counts(
        **_frame(device, quantity, window, grid),
        value=[float(count[n]) if known[n] or count[n] else None for n in range(len(grid.stamps))],
        total=total,
        gaps=blind,
        whole=whole,
    )


class _Grid(NamedTuple):
    width: int
    begin: int
    stamps: list[int]


class _Risen:
    """How a counter rose, bar by bar."""

    def __init__(self, grid: _Grid, since: int, longest: int, end: float | None, exchanges: Sequence[int]) -> None:
        """`since`: from when on the total counts; the first bar may begin before. `end`: where the counter has one."""
        self._exchanges = exchanges
        self._grid, self._since, self._end, self.heard = grid, since, end, Heard(longest)
        self.bars: dict[int, float] = {}
        self.total, self.in_gaps = 0.0, 0.0
        self.how = Counter[How]()

    def take(self, values: Iterable[tuple[int, float]]) -> "_Risen":
        """All of them, in order."""
        before: tuple[int, float] | None = None
        for ts, value in values:
            self.heard.at(ts)
            if before is not None and ts >= self._grid.begin:
                self._step(before, ts, value)
            before = ts, value
        return self

    def _step(self, before: tuple[int, float], ts: int, value: float) -> None:
        bar = (ts - self._grid.begin) // self._grid.width
        self.bars.setdefault(bar, 0.0)
        other = exchanged((before[0], ts), self._exchanges)
        how, by = (How.OTHER, 0.0) if other else step(before[1], value, self._end)
        known = ts - before[0] <= self.heard.longest
        if known:
            self.bars[bar] += by
        if ts < self._since or (not known and before[0] < self._since):
            return  # not of the window, or nobody knows how much of it
        self.total += by
        self.in_gaps += 0.0 if known else by
        self.how[how] += 1


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
