"""What a rule and its stories are: frozen structs. Nothing is loaded, checked or decided here.

hub.rules.door reads them from files, hub.rules.kinds.door checks them, hub.rules.truth and hub.rules.kinds make
questions of them.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from hub.alarms.alarm import Manners, Truth
from hub.reading import Label
from hub.settings.site import NoiseClass, Severity, Strict

MAX_SHELF_S: dict[str, float] = {"P1": 0.0, "P2": 8 * 3600.0, "P3": 8 * 3600.0, "P4": 8 * 3600.0}

Seconds: TypeAlias = Annotated[float, Meta(ge=0.0)]
Area: TypeAlias = Literal["safety", "security", "environment", "device", "system"]
Aggregate: TypeAlias = Literal["energy-mean", "mean", "min", "max", "spread", "count", "changes", "increase"]
RuleKind: TypeAlias = Literal[
    "level",
    "deviation",
    "rate",
    "aggregate",
    "state",
    "event",
    "discrepancy",
    "no-data",
    "link-down",
    "self",
    "vote",
    "balance",
    "sequence",
    "expression",
    "test-overdue",
    "test-failed",
]
KEEPERS = frozenset({"balance", "discrepancy", "sequence"})  # kinds whose questions remember something across a restart
TESTS = frozenset({"test-overdue", "test-failed"})  # kinds that ask about the tests of a zone
ZONED = frozenset({"vote", "balance"}) | TESTS  # kinds that look at a whole zone: their alarms are the zone's


class Story(Strict, frozen=True, kw_only=True):
    """What the rule does with `series`, one value a second ("40x30 62x40 _x20"): the operator's state at some seconds.

    Underscore: nothing came. `also`: more series, of other quantities of the device ("passage") or of another device
    of the zone ("b/presence"; the first is "a"). `every`: seconds between two values. `at`: the local time of second 0.
    `acts`: what happens at a second: ack, reset, or a command that the hub sends to the device. `listed`: what stands
    in the rule's list.
    """

    name: str
    series: str
    expect: dict[str, str]
    also: dict[str, str] = {}
    every: Annotated[float, Meta(gt=0.0)] = 1.0
    at: str = "12:00"
    noise_class: NoiseClass = "1"
    acts: dict[str, str] = {}
    listed: list[str] = []


class Rule(Strict, frozen=True, kw_only=True):
    """One reason to worry. Times in seconds, limits in the vocabulary's unit; docs/alarms.md explains each key."""

    id: str
    kind: RuleKind
    quantity: str = ""
    use: Literal["on", "off"] = "on"  # off: only where the site says "on"
    zones: list[str] = []  # only in these zones; empty: in all
    except_zones: list[str] = []
    above: float | Literal["noise", "boundary"] | None = None  # the limit of the zone's class: GB 3096, GB 22337
    below: float | None = None
    plus: float = 0.0  # on top of the limit; GB 3096-2008 allows 15 dB for a single sound at night
    deadband: Seconds = 0.0
    hihi: float | None = None  # from here on it is `worst`
    lolo: float | None = None
    worst: Severity | Literal[""] = ""
    against: str = ""  # deviation: the quantity that is subtracted
    window: Seconds = 0.0
    aggregate: Aggregate | Literal[""] = ""
    valid: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.75  # our choice: HJ 906-2017 names the share, not the number
    states: list[str] = msgspec.field(name="is", default_factory=list)
    cause: str = ""  # sequence: the quantity that allows the state
    cause_is: list[str] = []
    judges: Literal["seen", "unseen"] = "seen"  # sequence: changes that were seen, or those while somebody was away
    within: Seconds = 0.0
    least: Annotated[int, Meta(ge=0)] = 0  # vote: so many devices of the zone
    entered: str = ""  # balance: the counters
    left: str = ""
    degraded: Literal["strict", "fail-safe"] = "strict"
    expression: str = ""
    when: Literal["always", "zone-closed", "night"] = "always"
    unless_in: str = ""
    only_in: str = ""
    hold: Seconds = 0.0
    per: Literal["source", "value"] = "source"
    on_delay: Seconds = 0.0
    off_delay: Seconds = 0.0
    on_unknown: Literal["hold", "false", "true"] = "hold"
    severity: Severity
    area: Area
    latch: Literal["latches", "follows"] = "follows"
    ack: Literal["required", "not-required"] = "required"
    siren: Literal["sounds", "silent"] = "silent"
    drill: Literal["marks", "ignores"] = "ignores"  # marks: takes part in the tests of its zone
    applies: list[str] = []  # classes of profiles, as "noise"; empty: every device that reads the quantity
    yields_to: list[str] = []  # rules that say it better: where one of them applies, this one does not
    depends: Literal["nothing", "link"] = "nothing"  # link: not said while the device's link is down
    title: Label
    response: Label
    story: list[Story]

    def __repr__(self) -> str:
        """Its name: all of its keys fill a page."""
        return f"Rule({self.id!r})"

    def further(self, one: float, other: float) -> float:
        """The one that is further out: above, below, or away from the middle of both limits."""
        if self.below is None:
            return max(one, other)
        if not isinstance(self.above, float | int):
            return min(one, other)
        middle = (self.above + self.below) / 2
        return max(one, other, key=lambda value: abs(value - middle))

    def manners(self, severity: Severity | None = None) -> Manners:
        """How this rule's alarms behave, in ms; `severity` where it is not the rule's own (a `worst` one)."""
        unknown = {"hold": Truth.UNKNOWN, "false": Truth.FALSE, "true": Truth.TRUE}
        return Manners(
            on_delay=ms(self.on_delay),
            off_delay=ms(self.off_delay),
            on_unknown=unknown[self.on_unknown],
            latches=self.latch == "latches",
            ack_required=self.ack == "required",
            max_shelf=ms(MAX_SHELF_S[severity or self.severity]),
        )


def ms(seconds: float) -> int:
    """Seconds as whole milliseconds."""
    return round(seconds * 1000)
