"""M of N: do so many of a zone's devices say so? What a device that is not heard counts as, the rule says.

Each voice is a question of its own (a level, a state); here they are only counted.
"""

from collections.abc import Sequence

from hub.alarms.alarm import Truth
from hub.reading import Value
from hub.rules.rule import Rule
from hub.rules.truth import Plain, Question

_T, _F, _U = Truth


class Vote(Plain):
    """True with `least` true voices; false when even all unknown ones would not do; else unknown.

    `fail-safe`: an unknown voice counts as true beside one that really is.
    """

    __slots__ = ("_fail_safe", "_least", "_said", "_voices")

    def __init__(self, rule: Rule, voices: Sequence[Question]) -> None:
        """One voice a device."""
        super().__init__(None)
        self._least, self._fail_safe = rule.least, rule.degraded == "fail-safe"
        self._voices = list(voices)
        self._said = [_U] * len(self._voices)

    def ask(self, now: int, standing: bool) -> Truth:
        """See Question. Each voice has its own deadband."""
        self._said = [voice.ask(now, said is _T) for voice, said in zip(self._voices, self._said, strict=True)]
        true, unknown = self._said.count(_T), self._said.count(_U)
        if true >= self._least or (self._fail_safe and true and true + unknown >= self._least):
            return _T
        return _F if true + unknown < self._least else _U

    def until(self, now: int) -> int | None:
        """The first voice that may change."""
        edges = [edge for voice in self._voices if (edge := voice.until(now)) is not None]
        return min(edges, default=None)

    def limit(self, now: int) -> float | None:
        """So many voices."""
        return float(self._least)

    def value(self, now: int) -> Value | None:
        """How many say so."""
        return float(self._said.count(_T))

    def take_over(self, old: Question) -> None:
        """What each said, where there are as many."""
        if isinstance(old, Vote) and len(old._said) == len(self._said):
            self._said = list(old._said)
