"""Watches the journal for changes ten times a second and tells every open page what kind of thing changed.

`Watcher.look` is plain and synchronous: one look, one Change or None. `Listener` is what waits for one page: changes
that its page has not taken yet are put together, so that a slow page costs a bounded amount and misses nothing.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cached_property

import msgspec

from dashboard.journal_view import JournalUnreadable, JournalView
from dashboard.language.words import kind
from dashboard.situation import HUB_FRESH_MS
from hub.clock import Clock
from hub.reading import Kind, Value

LOOK_S = 0.1
MOST_RECENT, MOST_RECENT_VALUES = 600, 20_000  # a minute of changes at the most
_NUMBER = re.compile(r"[0-9]{1,18}")
TURN = 25  # pages are woken at once
VALUES_SHARE = 0.1  # of its time the watcher spends at most so much on comparing the newest values
VALUES_S = 0.2  # and it tells of them at most so often: nobody reads a figure that changes faster


class What(StrEnum):
    """All that a page may be told to read again."""

    ALARMS = "alarms"
    ORDERS = "orders"
    INCIDENTS = "incidents"
    HEALTH = "health"
    STATES = "states"
    HUB = "hub"  # its sign of life came or went


class Change(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What is new; `values` by "device/quantity": ts, value."""

    now: int
    what: frozenset[str] = frozenset()  # words of What
    values: Mapping[str, tuple[int, Value]] = {}

    def joined(self, later: "Change") -> "Change":
        """Both as one."""
        return Change(now=later.now, what=self.what | later.what, values={**self.values, **later.values})

    def of(self, series: frozenset[str]) -> "Change":
        """What of it a page with these series is told."""
        values = {name: self.values[name] for name in self.values.keys() & series}
        return msgspec.structs.replace(self, values=values)

    @cached_property
    def wire(self) -> bytes:
        """As server-sent events: made once, however many pages are told."""
        parts = []
        if self.values:
            parts.append(event("values", {"now": self.now, "values": self.values}))
        if self.what:
            parts.append(event("change", {"now": self.now, "what": sorted(self.what)}))
        return b"".join(parts)


class Recent:
    """The newest changes by number: who comes back within seconds is told what came meanwhile, and nothing twice."""

    def __init__(self, run: str, most: int = MOST_RECENT, most_values: int = MOST_RECENT_VALUES) -> None:
        """`run`: another one at each start, so that no number of an earlier run is taken for one of this."""
        self._run, self._most, self._most_values = run, most, most_values
        self._number = self._values = 0
        self._kept: deque[Change] = deque()

    @property
    def id(self) -> str:
        """Of the newest change."""
        return f"{self._run}-{self._number}"

    def add(self, change: Change) -> None:
        """Remember it, and forget the oldest ones beyond what there is room for."""
        self._number += 1
        self._kept.append(change)
        self._values += len(change.values)
        while self._kept and (len(self._kept) > self._most or self._values > self._most_values):
            self._values -= len(self._kept.popleft().values)

    def since(self, last: str) -> list[Change] | None:
        """What came after the event of this id, oldest first; None where that is not known (any more)."""
        run, _, number = last.rpartition("-")
        behind = self._number - int(number) if run == self._run and _NUMBER.fullmatch(number) else -1
        if not 0 <= behind <= len(self._kept):
            return None
        return list(self._kept)[len(self._kept) - behind :]


class Watcher:
    """Remembers what it saw last. Used from one thread."""

    def __init__(self, view: JournalView, clock: Clock) -> None:
        """The first look tells nothing: pages were just made."""
        self._view, self._clock = view, clock
        self._version: int | None = None
        self._marks: dict[What, object] = {}
        self._values: dict[str, tuple[int, Value]] | None = None
        self._values_due = 0.0
        self._values_dirty = False

    def look(self) -> Change | None:
        """What has changed since the last look. An unreadable journal is a change of `hub`, once."""
        now = self._clock.now()
        try:
            what = set(self._look(now))
            values = self._new_values(at_once=bool(what))
        except JournalUnreadable:
            self._version = None
            what, values = set(self._mark(What.HUB, "unreadable")), {}
        if any(isinstance(value, str) for _, value in values.values()):
            what.add(What.STATES)
        return Change(now=now, what=frozenset(what), values=values) if what or values else None

    def _look(self, now: int) -> list[What]:
        version = self._view.version()
        changed: list[What] = []
        if version != self._version:
            self._version, self._values_dirty = version, True
            changed += self._mark(What.ALARMS, self._view.one("SELECT max(seq) FROM flip"))
            changed += self._mark(What.ORDERS, self._orders())
            changed += self._mark(What.INCIDENTS, self._view.one("SELECT max(seq) FROM incident_log"))
            changed += self._mark(What.HEALTH, self._health())
        beat = self._view.heartbeat()
        age = None if beat is None else now - beat
        fresh = age is not None and age <= HUB_FRESH_MS * max(1.0, self._clock.speed)
        return changed + self._mark(What.HUB, fresh)

    def _health(self) -> object:
        """How each device and link is, without the rest of its row: this is asked ten times a second."""
        sql = "SELECT group_concat(source || ' ' || state) FROM (SELECT source, state FROM health ORDER BY source)"
        return self._view.one(sql)  # in one row: between two rows any other thread may take the interpreter

    def _orders(self) -> object:
        """The newest orders and where they are: cheap, whatever the table's size."""
        sql = "SELECT group_concat(id || ' ' || state) FROM (SELECT id, state FROM orders ORDER BY id DESC LIMIT 100)"
        return self._view.one(sql)

    def _mark(self, name: What, seen: object) -> list[What]:
        before = self._marks.get(name, self)
        self._marks[name] = seen
        return [name] if before is not self and before != seen else []

    def _new_values(self, *, at_once: bool) -> dict[str, tuple[int, Value]]:
        """Series whose newest value is another one, in time to spare; with other news at once, so that it is one."""
        started = self._clock.monotonic()
        if not self._values_dirty or (started < self._values_due and not at_once):
            return {}
        worked = time.thread_time()  # of its own: waiting for others must not make it wait ten times longer
        self._values_dirty = False
        rows = self._view.rows("SELECT device, quantity, ts, value FROM latest")
        found = {f"{row[0]}/{row[1]}": (int(row[2]), row[3]) for row in rows}
        before, self._values = self._values, found
        spent = time.thread_time() - worked
        self._values_due = started + max(VALUES_S, spent / VALUES_SHARE) * self._clock.speed
        if before is None:
            return {}
        return {name: new for name, new in found.items() if _differs(name, before.get(name), new)}


class Listener:
    """One open page: which session it belongs to, which series it shows, and what it has not been told yet."""

    def __init__(self, session: str, series: frozenset[str]) -> None:
        """`series`: "device/quantity" names; only their values are sent."""
        self.session, self.series = session, series
        self.ended = ""  # why it must end, once it must
        self.said_s = 0.0  # when something was last handed to it, or when that was begun: its reader has not taken it
        self.blocked = False  # what was handed over is not taken yet
        self.patience = asyncio.Timeout(None)  # around its writing, armed by who sees that it takes nothing
        self._beat = False
        self._news: Change | None = None
        self._wake = asyncio.Event()

    def tell(self, change: Change) -> None:
        """Put the change together with what still waits."""
        self.take(change.of(self.series))
        self.wake()

    def take(self, mine: Change) -> bool:
        """The same with a change that has this page's series alone, and may be others' as well; does not wake it.

        Whether there is something to be woken for.
        """
        if not (mine.what or mine.values):
            return False
        self._news = self._news.joined(mine) if self._news else mine
        return True

    def wake(self) -> None:
        """See whether there is something to say."""
        self._wake.set()

    def end(self, why: str) -> None:
        """The page must stop listening."""
        self.ended = self.ended or why
        self._wake.set()

    def look(self, now_s: float, beat_s: float, blocked_s: float) -> None:
        """Let it beat where nothing was said for `beat_s`, and cut it off where nothing was taken for `blocked_s`.

        One look at all pages now and then costs less than two timers for each event of each page.
        """
        if self.blocked and now_s - self.said_s >= blocked_s:
            self.blocked = False  # once is enough
            self.patience.reschedule(now_s)
        elif not self.blocked and now_s - self.said_s >= beat_s:
            self._beat = True
            self._wake.set()

    async def next(self) -> Change | None:
        """What waits, or None when it is time for a beat or for the end."""
        while self._news is None and not self._beat and not self.ended:
            await self._wake.wait()
            self._wake.clear()
        news, self._news, self._beat = self._news, None, False
        return news


def tell_all(listeners: Iterable[Listener], change: Change) -> list[Listener]:
    """Tell every page, and return whom to wake; those that show the same series are told the very same."""
    parts: dict[frozenset[str], Change] = {}
    told = []
    for listener in listeners:
        mine = parts.get(listener.series)
        if mine is None:
            mine = parts[listener.series] = change.of(listener.series)
        if listener.take(mine):
            told.append(listener)
    return told


async def wake_in_turn(told: list[Listener], turn_s: float) -> None:
    """TURN of them every `turn_s`: whoever asks for a page meanwhile does not stand behind all of them.

    What could not be done in its time, since the loop was busy, is caught up.
    """
    loop = asyncio.get_running_loop()
    began, at = loop.time(), 0
    while at < len(told):
        due = TURN * (1 + int((loop.time() - began) / turn_s)) if turn_s else at + TURN
        for listener in told[at:due]:
            listener.wake()
        at = max(at, due)
        await asyncio.sleep(turn_s)


def event(name: str, body: object) -> bytes:
    """One server-sent event with JSON in it."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(body))


def _differs(name: str, before: tuple[int, Value] | None, new: tuple[int, Value]) -> bool:
    """A state that is only said again is no news; a number with a new time is, for the chart's sake, and each event."""
    if before is None:
        return True
    said_again = isinstance(new[1], str) and kind(name.rpartition("/")[2]) is Kind.STATE
    return before[1] != new[1] if said_again else before != new
