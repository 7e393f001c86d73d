"""What the site's files said of limits: kept when it is another thing than before, so that the past has its own.

Pure. `Told` has what a chart or a report needs to draw the limits of a time whose files are gone; the journal keeps it.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from hub.rules.rule import Rule
from hub.settings.site import DayHours, NoiseClass, Site

FIGURES = frozenset({"energy-mean", "mean", "min", "max"})  # of a window: in the quantity's own unit


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of a zone what its limits hang on."""

    noise_class: NoiseClass | None = None
    closed: str | DayHours = ""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one time: rules with a limit as their packs have them, and what the site file says of them.

    `numbers` is as the `[rule]` tables of a site file. Stories and words of the rules are left out.
    """

    night: str
    noise_class: NoiseClass
    zones: dict[str, Place]
    rules: dict[str, dict[str, Any]]  # Any: a rule's keys and values, without those that are as usual
    numbers: dict[str, dict[str, Any]]  # Any: as in the file

    def plain(self) -> dict[str, Rule]:
        """The rules, by id. Raises msgspec.ValidationError where this version knows no such rule any more."""
        return {name: msgspec.convert(_USUAL | given, Rule) for name, given in self.rules.items()}


def told_of(site: Site, plain: Mapping[str, Rule]) -> Told:
    """What the files say now. `plain`: see hub.rules.door.plain_rules."""
    rules = {rule.id: _unusual(rule) for rule in plain.values() if has_limit(rule)}
    return Told(
        night=site.night,
        noise_class=site.noise_class,
        zones={zone.id: Place(noise_class=zone.noise_class, closed=zone.closed) for zone in site.zones},
        rules=rules,
        numbers={name: dict(table) for name, table in site.rules.items() if name in rules},
    )


def written(told: Told) -> str:
    """As the journal keeps it: the same files are the same text, in whatever order they are written."""
    return msgspec.json.encode(told, order="deterministic").decode()


def read(text: str) -> Told:
    """What `written` wrote. Raises msgspec.MsgspecError."""
    return _decode(text)


def has_limit(rule: Rule) -> bool:
    """True for a rule whose limit is one of its quantity, which can be drawn."""
    figure = rule.kind == "level" or (rule.kind == "aggregate" and rule.aggregate in FIGURES)
    return figure and (rule.above is not None or rule.below is not None)


def _unusual(rule: Rule) -> dict[str, Any]:  # Any: as above
    return {
        key: value
        for key, value in msgspec.to_builtins(rule).items()
        if _USUAL.get(key, ...) != value and key not in _MUTE
    }


_MUTE = frozenset({"story", "title", "response"})
_NONE = {"zh": "", "en": ""}
_BLANK = {"id": "", "kind": "level", "severity": "P4", "area": "system", "title": _NONE, "response": _NONE,
          "story": [{"name": "none is kept", "series": "0x2", "expect": {"1": "normal"}}]}  # fmt: skip
_USUAL: dict[str, Any] = msgspec.to_builtins(msgspec.convert(_BLANK, Rule))  # Any: as above
_decode = msgspec.json.Decoder(Told).decode
