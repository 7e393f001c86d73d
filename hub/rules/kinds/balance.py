"""Entered, left, still visible: who went in, did not come out and is not seen any more. The drowning deficit.

Counters of a zone's devices are added up from a point at which a person said that all was well. Whoever is seen counts
as inside even if no counter saw him enter, and nobody can leave who is not inside.
"""

import msgspec

from hub.alarms.alarm import Truth
from hub.reading import Reading, Value
from hub.rules.rule import Rule, ms
from hub.rules.truth import Plain, Question, Series

_T, _F, _U = Truth


class _Counted(msgspec.Struct):
    """How many are inside as far as the counters say, and where each counter stood (`device/quantity`)."""

    inside: float = 0.0
    last: dict[str, float] = {}
    early: float = 0.0  # seen before a counter counted them in, and when
    early_at: int = 0
    gone: float = 0.0  # counted out, and perhaps still seen for a moment
    gone_at: int = 0


class Balance(Plain):
    """Is somebody missing? `fail-safe`: whoever is inside while the eyes are blind counts as not seen.

    Eye and counter need not agree at once: for `within` one may be ahead of the other.
    """

    __slots__ = ("_counted", "_entered", "_fail_safe", "_left", "_quantity", "_seen", "_ways", "_within")

    def __init__(self, rule: Rule, ways: list[Series], seen: dict[str, Series]) -> None:
        """`ways`: the counters' series; `seen`: device -> its series of how many it sees."""
        super().__init__(None)
        self._quantity, self._entered, self._left = rule.quantity, rule.entered, rule.left
        self._within = ms(rule.within)
        self._fail_safe = rule.degraded == "fail-safe"
        self._ways, self._seen = ways, seen
        self._counted = _Counted()

    def ask(self, now: int, standing: bool) -> Truth:
        """See Question."""
        counting = all(series.visible(now) for series in self._ways)
        if self._counted.inside <= 0:
            return _F if counting else _U
        visible = self._visible(now)
        if visible is None:
            return _T if self._fail_safe else _U
        if self._counted.inside > visible:
            return _T if counting or self._fail_safe else _U
        return _F if counting else _U

    def limit(self, now: int) -> float | None:
        """Nobody may be missing."""
        return 0.0

    def value(self, now: int) -> Value | None:
        """How many are missing; all that are inside while nobody can be seen."""
        return self._counted.inside - (self._visible(now) or 0.0)

    def take(self, item: Reading, now: int) -> None:
        """A counter went on, or so many are seen."""
        if not isinstance(item.value, float | int):
            return
        if item.quantity == self._quantity:
            self._look(now)
            return
        key = f"{item.device}/{item.quantity}"
        last = self._counted.last.get(key)
        self._counted.last[key] = item.value
        if last is None:
            return  # where it stood before it was first read says nothing
        step = item.value - last if item.value >= last else item.value  # a lower one has begun anew
        if step > 0 and item.quantity == self._left:
            self._leave(step, now)
        elif step > 0:
            self._enter(step, now)

    def settle(self, now: int) -> None:
        """All is well: nobody is inside but those that are seen."""
        self._counted.inside = self._visible(now) or 0.0

    def shift(self, gap: int) -> None:
        """Both moments move."""
        self._counted.early_at += gap
        self._counted.gone_at += gap

    def keep(self) -> str:
        """The count, and where the counters stood: what they count while the hub is away is not lost."""
        return msgspec.json.encode(self._counted).decode()

    def recall(self, kept: str, now: int) -> None:
        """As it was."""
        self._counted = msgspec.json.decode(kept, type=_Counted)

    def take_over(self, old: Question) -> None:
        """The count goes on."""
        if isinstance(old, Balance):
            self._counted = old._counted

    def _look(self, now: int) -> None:
        """Whoever is seen is inside, but for those that were counted out a moment ago."""
        counted = self._counted
        gone = counted.gone if now - counted.gone_at <= self._within else 0.0
        more = (self._visible(now) or 0.0) - counted.inside - gone
        if more > 0:
            counted.early = more + (counted.early if now - counted.early_at <= self._within else 0.0)
            counted.early_at = now
            counted.inside += more

    def _enter(self, step: float, now: int) -> None:
        """Those that were seen a moment before are not counted twice."""
        counted = self._counted
        known = min(step, counted.early) if now - counted.early_at <= self._within else 0.0
        counted.early -= known
        counted.inside += step - known

    def _leave(self, step: float, now: int) -> None:
        """Nobody can leave who is not inside."""
        counted = self._counted
        counted.gone = step + (counted.gone if now - counted.gone_at <= self._within else 0.0)
        counted.gone_at = now
        counted.inside = max(0.0, counted.inside - step)

    def _visible(self, now: int) -> float | None:
        """How many are seen; None when one of the eyes is blind."""
        total = 0.0
        for series in self._seen.values():
            if not series.visible(now) or not isinstance(series.value, float | int):
                return None
            total += series.value
        return total
