"""An effect without its cause: a gate that opened though nobody was let in and no order was given.

A change that was seen is judged by its cause. One that nobody saw, while the device or the hub was away, is unknown
to such a rule; a rule of its own (`judges = "unseen"`) tells of it.
"""

from collections.abc import Mapping

import msgspec

from hub.alarms.alarm import Truth
from hub.calendar.schedule import Hours
from hub.reading import Reading, Value
from hub.rules.rule import Rule, ms
from hub.rules.truth import Plain, Question, Series

AWAY_MS = 15_000  # a hub that died and was started again is back within a few seconds
_T, _F, _U = Truth


class Sequence(Plain):
    """Is the device in a state that it came into without cause?

    A cause counts for `within` after it, and for the on delay before it (two messages may cross). A hub that was away
    for less than AWAY_MS counts as one that has seen: the causes that it missed come from the broker, or still count.
    """

    __slots__ = (
        "_allowed",
        "_away",
        "_causes",
        "_entered",
        "_grace",
        "_heard",
        "_inside",
        "_judged",
        "_quantity",
        "_series",
        "_states",
        "_unseen",
        "_within",
    )

    def __init__(self, rule: Rule, series: Series, hours: Hours | None) -> None:
        """`series` is that of the effect; it and the causes come by `take` and `ordered`."""
        super().__init__(hours)
        self._series, self._quantity, self._states = series, rule.quantity, frozenset(rule.states)
        self._causes = (rule.cause, frozenset(rule.cause_is))
        self._within, self._grace = ms(rule.within), ms(rule.on_delay)
        self._allowed = self._entered = self._heard = -1
        self._unseen = rule.judges == "unseen"
        self._inside = self._away = False  # away: the hub has just started, and nothing was heard since
        self._judged = _U  # of the state that it is in now

    def ask(self, now: int, standing: bool) -> Truth:
        """See Question."""
        if not self._asked(now):
            return _F
        if not self._series.visible(now):
            return _U
        return self._judged if self._inside else _F

    def take(self, item: Reading, now: int) -> None:
        """The effect, or a cause."""
        if item.quantity == self._quantity:
            self._effect(item.value in self._states, now)
        elif item.quantity == self._causes[0] and (not self._causes[1] or item.value in self._causes[1]):
            self._cause(now, self._within)

    def ordered(self, confirm: Mapping[str, str], within: int, now: int) -> bool:
        """An order that leads into one of the states is a cause for as long as it may take."""
        if confirm.get(self._quantity) in self._states:
            self._cause(now, max(self._within, within))
            return True
        return False

    def value(self, now: int) -> Value | None:
        """The state."""
        return self._series.value

    def shift(self, gap: int) -> None:
        """All instants move."""
        self._allowed += gap
        self._entered += gap
        self._heard += gap

    def keep(self) -> str:
        """What the state that it is in was judged to be, and what is allowed."""
        return msgspec.json.encode((self._inside, self._judged, self._entered, self._allowed)).decode()

    def remember(self, item: Reading, now: int) -> None:
        """How it was when the hub stopped: what it is found to be now is held against it."""
        if item.quantity == self._quantity:
            self._inside, self._heard, self._away = item.value in self._states, min(item.rx, now), True

    def recall(self, kept: str, now: int) -> None:
        """As it was judged, if it is still in that state."""
        self._inside, self._judged, self._entered, self._allowed = msgspec.json.decode(
            kept, type=tuple[bool, Truth, int, int]
        )

    def take_over(self, old: Question) -> None:
        """What was seen."""
        if isinstance(old, Sequence):
            self._allowed, self._entered, self._heard = old._allowed, old._entered, old._heard
            self._inside, self._judged, self._away = old._inside, old._judged, old._away

    def _effect(self, inside: bool, now: int) -> None:
        if inside and not self._inside:
            self._entered, self._judged = now, self._judge(now)
        self._inside, self._heard, self._away = inside, now, False

    def _judge(self, now: int) -> Truth:
        """Of a state that it has just been found in."""
        if self._heard < 0:
            return _U  # it was never heard to be in another
        silence, gap = self._series.watch.silent_after, now - self._heard
        seen = not ((silence > 0 and gap >= silence) or (self._away and gap >= AWAY_MS))
        if seen is self._unseen:
            return _F if self._unseen else _U
        return _F if now <= self._allowed else _T

    def _cause(self, now: int, lasts: int) -> None:
        self._allowed = max(self._allowed, now + lasts)
        if self._inside and self._judged is _T and now - self._entered <= self._grace:
            self._judged = _F
