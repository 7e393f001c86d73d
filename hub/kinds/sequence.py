"""An effect without its cause: a gate that opened though nobody was let in and no order was given.

Only a change that was seen can be judged. What was so at the start, or after silence, is unknown.
"""

from collections.abc import Mapping

import msgspec

from hub.alarm import Truth
from hub.reading import Reading, Value
from hub.rule import Rule, ms
from hub.schedule import Hours
from hub.truth import Plain, Question, Series

_T, _F, _U = Truth


class Sequence(Plain):
    """Is the device in a state that it came into without cause?

    A cause counts for `within` after it, and for the on delay before it (two messages may cross).
    """

    __slots__ = (
        "_allowed",
        "_causes",
        "_entered",
        "_grace",
        "_heard",
        "_inside",
        "_judged",
        "_quantity",
        "_series",
        "_states",
        "_within",
    )

    def __init__(self, rule: Rule, series: Series, hours: Hours | None) -> None:
        """`series` is that of the effect; it and the causes come by `take` and `ordered`."""
        super().__init__(hours)
        self._series, self._quantity, self._states = series, rule.quantity, frozenset(rule.states)
        self._causes = (rule.cause, frozenset(rule.cause_is))
        self._within, self._grace = ms(rule.within), ms(rule.on_delay)
        self._allowed = self._entered = self._heard = -1
        self._inside = False
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

    def recall(self, kept: str, now: int) -> None:
        """As it was, if it is still in that state; a change while the hub was away was not seen."""
        self._inside, self._judged, self._entered, self._allowed = msgspec.json.decode(
            kept, type=tuple[bool, Truth, int, int]
        )

    def take_over(self, old: Question) -> None:
        """What was seen."""
        if isinstance(old, Sequence):
            self._allowed, self._entered, self._heard = old._allowed, old._entered, old._heard
            self._inside, self._judged = old._inside, old._judged

    def _effect(self, inside: bool, now: int) -> None:
        silence = self._series.watch.silent_after
        unseen = self._heard < 0 or (silence > 0 and now - self._heard >= silence)
        self._heard = now
        if inside and not self._inside:
            self._entered = now
            self._judged = _U if unseen else _F if now <= self._allowed else _T
        self._inside = inside

    def _cause(self, now: int, lasts: int) -> None:
        self._allowed = max(self._allowed, now + lasts)
        if self._inside and self._judged is _T and now - self._entered <= self._grace:
            self._judged = _F
