"""Limits of rules that people set while the hub runs: what wins over what, and what may not be set.

Pure. The site file's own numbers go through the same checks (hub.rules.door, hub.rules.kinds.door); what is set here
lies over them until it is taken back. A P1 rule is only ever made stricter: to loosen one is the site file's business.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from device_profiles import vocabulary
from device_profiles.door import Refusal
from hub.orders.order import OrderWord
from hub.outcome import Limit
from hub.rules.door import numbered
from hub.rules.kinds.door import PARAMETERS
from hub.rules.rule import Rule
from hub.settings.site import Site

Value: TypeAlias = float | str | None
Place: TypeAlias = tuple[str, str, str]  # rule, zone ("": all), key
LONGEST_S = 86_400.0  # no delay or window that is set here is longer, unless the file's is
SITE = Path("site.toml")  # how the file is called in words; where it lies is known to who read it
# How a number makes a rule less careful: 1 when it grows, -1 when it shrinks. What is not here may do either.
LOOSER: dict[str, int] = {
    "above": 1, "below": -1, "plus": 1, "hihi": 1, "lolo": -1, "on_delay": 1, "off_delay": -1, "deadband": -1,
    "within": 1, "least": 1, "hold": -1,
}  # fmt: skip
_FAR = frozenset({"above", "below", "hihi", "lolo"})
_FIGURES = frozenset({"energy-mean", "mean", "min", "max"})  # of a window: in the quantity's own unit and range


class Origin(NamedTuple):
    """The value of a place, and where it comes from; `set` where it was set while the hub ran."""

    value: Value
    where: Literal["pack", "site", "page"]
    set: Limit | None = None


class Wrong(Exception):
    """It may not be set: the word of an order's outcome, and its detail."""

    def __init__(self, word: OrderWord, detail: str = "") -> None:
        """As `step_order` takes them."""
        self.word, self.detail = word, detail
        super().__init__(word, detail)


class Book:
    """The rules of a site as their files have them, and what was set since."""

    def __init__(self, plain: Mapping[str, Rule], site: Site, limits: Iterable[Limit]) -> None:
        """`plain`: see door.plain_rules; `limits`: oldest first. `unfit`: what does not fit the files any more."""
        self._plain, self._site = plain, site
        self.set = current(limits)
        self.unfit: dict[Place, str] = {}
        self.everything = self._fitting()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Those in force: without the ones that are switched off."""
        return tuple(rule for rule in self.everything if rule.use == "on")

    def origin(self, rule: str, zone: str, key: str, *, page: bool = True) -> Origin:
        """What holds there, and whence; `page` False: what would hold had nobody set anything."""
        numbers = self._site.rules.get(rule, {})
        zones = numbers.get("zone", {})
        tables = [("", numbers)]
        if zone:
            tables.insert(0, (zone, zones.get(zone, {}) if isinstance(zones, Mapping) else {}))
        for name, table in tables:
            limit = self.set.get((rule, name, key))
            if page and limit is not None and limit.place not in self.unfit:
                return Origin(limit.value, "page", limit)
            if key in table:
                return Origin(table[key], "site")  # type: ignore[arg-type]  # the door has checked it
        return Origin(getattr(self._plain[rule], key), "pack")

    def keys(self, rule: str) -> list[str]:
        """The numbers that this rule has, as a site file may set them."""
        return sorted(PARAMETERS[self._plain[rule].kind] | {"use"})

    def change(self, limit: Limit) -> "Book":
        """With one limit more (or one taken back). Raises Wrong."""
        self._check_place(limit)
        if limit.value is not None:
            self._check_value(limit)
        fresh = Book(self._plain, self._site, [*(self.set[place] for place in self.set), limit])
        if worse := [words for place, words in fresh.unfit.items() if place not in self.unfit or place == limit.place]:
            raise Wrong(OrderWord.UNFIT, worse[0])
        return fresh

    def _check_place(self, limit: Limit) -> None:
        if limit.rule not in self._plain:
            raise Wrong(OrderWord.NO_RULE, limit.rule)
        if limit.zone and limit.zone not in self._site.zones_by_id():
            raise Wrong(OrderWord.NO_ZONE, limit.zone)
        if limit.key not in self.keys(limit.rule):
            raise Wrong(OrderWord.NO_LIMIT, f"{limit.key} ({', '.join(self.keys(limit.rule))})")
        if limit.value is None and limit.place not in self.set:
            raise Wrong(OrderWord.NOT_SET)

    def _check_value(self, limit: Limit) -> None:
        rule, file = self._plain[limit.rule], self.origin(*limit.place, page=False).value
        low, high = _bounds(rule, limit.key, file)
        if isinstance(limit.value, float | int) and not low <= limit.value <= high:
            raise Wrong(OrderWord.OUT_OF_LIMITS, f"{low:g}..{high:g}")
        if _concerns_lives(rule, limit.key) and is_looser(limit.key, file, limit.value):
            raise Wrong(OrderWord.ONLY_STRICTER, f"{limit.key} = {file}")

    def _fitting(self) -> tuple[Rule, ...]:
        """All at once; where that cannot be, one after the other: one that does not fit takes no other along."""
        try:
            return self._numbered(self.set.values())
        except Refusal:
            pass
        kept: list[Limit] = []
        found = self._numbered(kept)
        for limit in sorted(self.set.values(), key=lambda each: each.at):
            try:
                found = self._numbered([*kept, limit])
                kept.append(limit)
            except Refusal as error:
                self.unfit[limit.place] = _demand(error)
        return found

    def _numbered(self, limits: Iterable[Limit]) -> tuple[Rule, ...]:
        return numbered(self._plain, merged(self._site.rules, limits), self._site, SITE)


def current(limits: Iterable[Limit]) -> dict[Place, Limit]:
    """The newest of each place, without those that were taken back."""
    newest: dict[Place, Limit] = {}
    for limit in limits:
        newest.pop(limit.place, None)
        newest[limit.place] = limit
    return {place: limit for place, limit in newest.items() if limit.value is not None}


def merged(numbers: Mapping[str, Mapping[str, object]], limits: Iterable[Limit]) -> dict[str, dict[str, object]]:
    """The `[rule]` tables of the site file with these laid over them. Neither is changed."""
    tables = {rule: dict(table) for rule, table in numbers.items()}
    for limit in limits:
        table = tables.setdefault(limit.rule, {})
        if limit.zone:
            zones = table.get("zone", {})
            table["zone"] = zones = dict(zones) if isinstance(zones, Mapping) else {}
            zones[limit.zone] = table = dict(zones.get(limit.zone, {}))
        table[limit.key] = _written(limit.value)
    return tables


def is_looser(key: str, file: Value, value: Value) -> bool:
    """True when a rule with `value` would be less careful than the files have it, or when that cannot be told."""
    if key == "use":
        return value == "off" and file != "off"
    if file == value or file is None:
        return False
    if isinstance(file, str) or isinstance(value, str | None) or key not in LOOSER:
        return True
    return (value - file) * LOOSER[key] > 0


def parse_setting(command: str) -> tuple[str, Value]:
    """`above=58` as key and value. Raises Wrong for what is neither a number nor a word."""
    key, _, text = command.partition("=")
    try:
        return key, msgspec.json.decode(text, type=float)
    except msgspec.MsgspecError:
        if not text.isalpha():
            raise Wrong(OrderWord.UNFIT, f"{text!r} is not a number") from None
        return key, text


def _concerns_lives(rule: Rule, key: str) -> bool:
    """A rule that is P1, or whose second limit is: that one's first limit may be moved, up to the second."""
    return rule.severity == "P1" or (rule.worst == "P1" and key not in ("above", "below"))


def _bounds(rule: Rule, key: str, file: Value) -> tuple[float, float]:
    word = vocabulary.find(rule.quantity) if rule.quantity else None
    plain = rule.kind in ("level", "vote") or rule.aggregate in _FIGURES
    if key in _FAR:
        return word.quantity.range if plain and word is not None and word.quantity.range else (-1e6, 1e6)
    if key in ("plus", "deadband", "least", "valid"):
        return (-1e6 if key == "plus" else 0.0), 1e6
    return 0.0, max(LONGEST_S, file if isinstance(file, float | int) else 0.0)


def _demand(error: Refusal) -> str:
    """What the rule's other numbers demand, as `hihi > 2` where it is one number; else in the door's words."""
    for words, sign in (("more than ", ">"), ("less than ", "<")):
        if error.right.startswith(words):
            return f"{error.key.rpartition('.')[2]} {sign} {error.right.removeprefix(words)}"
    return f"{error.problem}; {error.right}" if error.right else error.problem


def _written(value: Value) -> object:
    """As it would stand in a site file: a whole number without its point, for `least` is one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
