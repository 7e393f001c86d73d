"""States as bars of durations. A state holds until the next while the device speaks at all; else it is unknown."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import msgspec

from dashboard.charts.heard import Heard
from dashboard.charts.series import POINTS, patience
from dashboard.charts.telling import blind as blind_spans
from dashboard.charts.telling import said, told
from dashboard.charts.window import Window
from dashboard.office import Office
from device_profiles import vocabulary
from hub.reading import Label
from hub.settings.site import Device

MOST_STRETCHES = 1_500
SEVERAL = "*"  # in a stretch too short to be drawn, more than one state


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


def read(office: Office, device: Device, quantity: str, window: Window) -> Stretches:
    """The states of a window. While the store cannot answer: what the journal still has."""

    def tell(deaf: bool) -> tuple[list[tuple[int, str]], Heard]:
        heard = Heard(patience(device, window.length // POINTS))
        return changes(said(office, device, quantity, window, deaf=deaf), window.since, heard), heard

    (found, heard), whole = told(office, tell)
    blind = blind_spans(office, device, window, heard)
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
