"""A flood of alarms: when there is one, what of it is told in digests, when it is over. Pure: instants are arguments.

ISA-18.2 and IEC 62682 count per operator, and a site has one. What tells of it: `hub/speaking/speaker.py`, and an alarm
of the hub itself (rule `alarm-flood`), which is also what a flood is remembered by across a restart.
"""

from collections.abc import Iterable

import msgspec

from hub.alarms.isa import FLOOD, TEN_MINUTES
from hub.outcome import Alarm, Flip
from hub.rules.own import SOURCE

RULE = "alarm-flood"
KEY = f"{RULE}/{SOURCE}"
OVER = 5  # fewer than this in ten minutes end it (ISA-18.2-2016, 16.5: so that it does not come and go)
GATHER_MS = 10_000  # from its begin to the first digest
EVERY_MS = 300_000  # between two digests of one voice to one person


class Flood(msgspec.Struct, frozen=True):
    """Instants (ms) of the latest alarms that were told, no more than it takes; and the last flood, open or over."""

    recent: tuple[int, ...] = ()
    since: int | None = None
    until: int | None = None

    @property
    def on(self) -> bool:
        """There is one now."""
        return self.since is not None and self.until is None

    def covers(self, at: int) -> bool:
        """True for what happened within the last flood: it may be told in a digest."""
        return self.since is not None and self.since <= at and (self.until is None or at <= self.until)

    def pause(self, last: int | None, now: int) -> int:
        """How many ms until a digest is due, whose last one was at `last`. Over: it is due at once."""
        if self.since is None or not self.on:
            return 0
        due = self.since + GATHER_MS if last is None or last < self.since else last + EVERY_MS
        return min(EVERY_MS, max(0, due - now))

    def step(self, told: Iterable[int], now: int) -> "Flood":
        """The same after these alarms, oldest first. An instant ahead of `now` (the clock was set) counts."""
        flood = self
        for at in told:
            at = min(at, now)
            recent = (*flood.recent[-FLOOD:], at)
            many = len(recent) > FLOOD and at - recent[0] < TEN_MINUTES
            flood = Flood(recent, at, None) if many and not flood.on else Flood(recent, flood.since, flood.until)
        if flood.on and sum(now - at < TEN_MINUTES for at in flood.recent) < OVER:
            return Flood(flood.recent, flood.since, now)
        return flood


def told(flips: Iterable[Flip]) -> list[int]:
    """When people were told of an alarm; that there is a flood is none of its own."""
    return [flip.at for flip in flips if flip.announce == "raised" and flip.key != KEY]


def recalled(recent: Iterable[int], alarm: Alarm | None, now: int) -> Flood:
    """After a restart: the latest instants, oldest first, and the row of the flood's own alarm."""
    if alarm is None or alarm.raised is None:
        return Flood().step(recent, now)
    over = None if alarm.filter == "on" else alarm.cleared
    return Flood(tuple(min(at, now) for at in recent)[-FLOOD - 1 :], alarm.raised, over)
