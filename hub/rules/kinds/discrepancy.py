"""Commanded, but not reached: an order left for the device, and its reading never said that it was carried out.

What became of the order itself is hub.orders.desk's business; this is the alarm, which stays until the device is where
it was sent, or is sent elsewhere.
"""

from collections.abc import Mapping

import msgspec

from hub.alarms.alarm import Truth
from hub.reading import Reading, Value
from hub.rules.rule import Rule, ms
from hub.rules.truth import Plain, Question

_T, _F, _U = Truth


class _Wanted(msgspec.Struct):
    """What one quantity was ordered to be, and by when (ms) it has to say so."""

    state: str
    due: int
    met: bool = False


class Discrepancy(Plain):
    """Is something ordered, due, and not reached? Unknown while the order may still be carried out."""

    __slots__ = ("_extra", "_hold", "_wanted")

    def __init__(self, rule: Rule) -> None:
        """`within`: so much longer than the command's own time; `hold`: forgotten after so long (0: never)."""
        super().__init__(None)
        self._extra, self._hold = ms(rule.within), ms(rule.hold)
        self._wanted: dict[str, _Wanted] = {}

    def ask(self, now: int, standing: bool) -> Truth:
        """See Question."""
        pending = False
        for wanted in self._wanted.values():
            if wanted.met or (self._hold and now >= wanted.due + self._hold):
                continue
            if now >= wanted.due:
                return _T
            pending = True
        return _U if pending and standing else _F

    def until(self, now: int) -> int | None:
        """When an order is due, or forgotten."""
        edges = [wanted.due for wanted in self._wanted.values() if not wanted.met]
        edges += [due + self._hold for due in edges if self._hold]
        return min((edge for edge in edges if edge > now), default=None)

    def value(self, now: int) -> Value | None:
        """What should be."""
        late = [f"{name}={wanted.state}" for name, wanted in self._wanted.items() if not wanted.met]
        return ", ".join(late) or None

    def take(self, item: Reading, now: int) -> None:
        """The device says where it is: once there is enough, a pulse ends by itself."""
        wanted = self._wanted.get(item.quantity)
        if wanted is not None and item.value == wanted.state:
            wanted.met = True

    def ordered(self, confirm: Mapping[str, str], within: int, now: int) -> bool:
        """The last order of a quantity counts."""
        for name, state in confirm.items():
            self._wanted[name] = _Wanted(state, now + within + self._extra)
        return bool(confirm)

    def settle(self, now: int) -> None:
        """Somebody has looked: nothing is wanted any more."""
        self._wanted.clear()

    def shift(self, gap: int) -> None:
        """What is due moves."""
        for wanted in self._wanted.values():
            wanted.due += gap

    def keep(self) -> str:
        """What is still wanted."""
        return msgspec.json.encode({name: each for name, each in self._wanted.items() if not each.met}).decode()

    def recall(self, kept: str, now: int) -> None:
        """An order that was under way is due after the restart as old."""
        self._wanted = msgspec.json.decode(kept, type=dict[str, _Wanted])

    def take_over(self, old: Question) -> None:
        """The orders that are under way."""
        if isinstance(old, Discrepancy):
            self._wanted = old._wanted
