"""What a device said in a window, history and journal as one stream; and when it said nothing at all.

States, events and every single number; a line of numbers has buckets (series.py). Nothing is held in memory at once.
"""

import heapq
import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TypeVar

from dashboard.charts.heard import Heard
from dashboard.charts.series import POINTS
from dashboard.charts.window import Window
from dashboard.language import words
from dashboard.office import Office
from hub.history.store import StoreError
from hub.reading import Kind
from hub.settings.site import Device

LOG = logging.getLogger("zhian.office")

T = TypeVar("T", float, str)
R = TypeVar("R")


def told(office: Office, tell: Callable[[bool], R]) -> tuple[R, bool]:
    """What is told with the history; while it cannot be asked, without it, and that it was so."""
    try:
        return tell(False), True
    except StoreError as error:
        LOG.warning("history: %s", error)
        return tell(True), False


def said(office: Office, device: Device, quantity: str, window: Window, *, deaf: bool) -> Iterator[tuple[int, str]]:
    """What was said last before the window, and in it, oldest first; `deaf`: by the journal alone."""
    kept: list[Iterable[tuple[int, str]]] = []
    if not deaf:
        before = office.history.last_before(device.id, quantity, window.since)
        told = chain.from_iterable(office.history.states(device.id, quantity, window.since, window.until))
        kept = [[] if before is None else [(before[0], str(before[1]))], told]
    fresh = office.view.texts_not_in_history(device.id, quantity, 0, everything=deaf)
    return _merged(chain.from_iterable(kept), fresh, window.until)


def numbers(
    office: Office, device: Device, quantity: str, window: Window, *, deaf: bool
) -> Iterator[tuple[int, float]]:
    """The same of numbers."""
    kept: list[Iterable[tuple[int, float]]] = []
    if not deaf:
        before = office.history.last_before(device.id, quantity, window.since)
        told = chain.from_iterable(office.history.samples(device.id, quantity, window.since, window.until))
        kept = [[] if before is None or isinstance(before[1], str) else [(before[0], before[1])], told]
    fresh = office.view.not_in_history(device.id, quantity, 0, everything=deaf)
    return _merged(chain.from_iterable(kept), fresh, window.until)


def blind(office: Office, device: Device, window: Window, heard: Heard) -> list[tuple[int, int]]:
    """When the device said nothing at all: neither this, nor a number, nor another state."""
    since = window.since - heard.longest
    others = sorted(device.profile.reading, key=lambda name: words.kind(name) is Kind.STATE)  # numbers first: cheaper
    for name in others:
        if not (silent := heard.gaps(window.since, window.until)):
            return []
        part = Window(max(since, silent[0][0] - heard.longest), silent[-1][1])
        try:
            heard.also(_other(office, device, name, part, heard.longest))
        except StoreError:
            continue
    return heard.gaps(window.since, window.until)


def _other(office: Office, device: Device, quantity: str, window: Window, longest: int) -> Heard:
    """When something else was said; events do not count, for their silence is no sign."""
    heard = Heard(longest)
    match words.kind(quantity):
        case Kind.STATE:
            times: Iterable[int] = (ts for ts, _ in said(office, device, quantity, window, deaf=False))
        case Kind.EVENT:
            times = ()
        case _:
            found = office.history.series(device.id, quantity, window.since, window.until, POINTS)
            fresh = office.view.not_in_history(device.id, quantity, window.since)
            times = sorted([*(bucket.ts for bucket in found), *(ts for ts, _ in fresh)])
    for ts in times:
        heard.at(ts)
    return heard


def _merged(kept: Iterable[tuple[int, T]], fresh: list[tuple[int, T]], until: int) -> Iterator[tuple[int, T]]:
    return (pair for pair in heapq.merge(kept, fresh, key=lambda pair: pair[0]) if pair[0] < until)
