"""When to worry: rule packs (`hub/rules/*.toml`) as frozen structs, checked at the door, with the site's own numbers.

A rule is data. What it makes of readings stands in hub.truth, what an alarm is in hub.alarm.
"""

import re
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from device_profiles import vocabulary
from device_profiles.door import Refusal, nearest, parse, read_toml
from hub.alarm import Manners, OperatorState, Truth
from hub.reading import Kind, Label
from hub.site import Device, NoiseClass, Severity, Site, Strict, Zone

PACKS = Path(__file__).parent / "rules"
MAX_SHELF_S: dict[str, float] = {"P1": 0.0, "P2": 8 * 3600.0, "P3": 8 * 3600.0, "P4": 8 * 3600.0}

Seconds: TypeAlias = Annotated[float, Meta(ge=0.0)]
Area: TypeAlias = Literal["safety", "security", "environment", "device", "system"]
RuleKind: TypeAlias = Literal["level", "state", "event", "no-data", "link-down", "self"]


class Story(Strict, frozen=True, kw_only=True):
    """What the rule does with `series`, one value a second ("40x30 62x40 _x20"): the operator's state at some seconds.

    Underscore: nothing came. `at`: the local time of second 0. `acts`: what a person does at a second. `listed`: what
    stands in the rule's list.
    """

    name: str
    series: str
    expect: dict[str, str]
    at: str = "12:00"
    noise_class: NoiseClass = "1"
    acts: dict[str, Literal["ack", "reset"]] = {}
    listed: list[str] = []


class Rule(Strict, frozen=True, kw_only=True):
    """One reason to worry. Times in seconds, limits in the vocabulary's unit; docs/alarms.md explains each key."""

    id: str
    kind: RuleKind
    quantity: str = ""
    above: float | Literal["noise"] | None = None  # "noise": the limit of the zone's class, GB 3096-2008
    below: float | None = None
    plus: float = 0.0  # on top of the limit; GB 3096-2008 allows 15 dB for a single sound at night
    deadband: Seconds = 0.0
    states: list[str] = msgspec.field(name="is", default_factory=list)
    when: Literal["always", "zone-closed", "night"] = "always"
    unless_in: str = ""
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
    applies: list[str] = []  # classes of profiles, as "noise"; empty: every device that reads the quantity
    yields_to: list[str] = []  # rules that say it better: where one of them applies, this one does not
    depends: Literal["nothing", "link"] = "nothing"  # link: not said while the device's link is down
    title: Label
    response: Label
    story: list[Story]

    @property
    def manners(self) -> Manners:
        """How this rule's alarms behave, in ms."""
        unknown = {"hold": Truth.UNKNOWN, "false": Truth.FALSE, "true": Truth.TRUE}
        return Manners(
            on_delay=ms(self.on_delay),
            off_delay=ms(self.off_delay),
            on_unknown=unknown[self.on_unknown],
            latches=self.latch == "latches",
            ack_required=self.ack == "required",
            max_shelf=ms(MAX_SHELF_S[self.severity]),
        )


class _Pack(Strict, frozen=True, kw_only=True):
    rule: list[Rule]


_TIMES = {"on_delay", "off_delay"}
PARAMETERS: dict[str, frozenset[str]] = {
    "level": frozenset({"above", "below", "plus", "deadband"} | _TIMES),
    "state": frozenset(_TIMES),
    "event": frozenset({"hold"} | _TIMES),
    "no-data": frozenset(_TIMES),
    "link-down": frozenset(_TIMES),
    "self": frozenset(_TIMES),
}
_BELONGS: dict[str, set[str]] = {  # which keys only some kinds have
    "above": {"level"},
    "below": {"level"},
    "plus": {"level"},
    "deadband": {"level"},
    "is": {"state", "event"},
    "unless_in": {"event"},
    "hold": {"event"},
    "per": {"event"},
}


def load_rules(site: Site, path_of_site: Path, packs: Path = PACKS) -> tuple[Rule, ...]:
    """All rules of the packs with the site's numbers in place. Raises Refusal (of a pack, or of the site file)."""
    rules: dict[str, Rule] = {}
    for file in sorted(packs.glob("*.toml")):
        for at, rule in enumerate(load_pack(file)):
            if rule.id in rules:
                raise Refusal(file, f"rule[{at}].id", "is taken by another rule", value=rule.id)
            rules[rule.id] = rule
    _check_yields(rules, packs)
    for rule_id, numbers in site.rules.items():
        if rule_id not in rules:
            raise Refusal(path_of_site, f"rule.{rule_id}", "there is no such rule", right=nearest(rule_id, rules))
        rules[rule_id] = _with_numbers(rules[rule_id], numbers, path_of_site)
    return tuple(rules.values())


def load_pack(file: Path) -> list[Rule]:
    """The rules of one file, each checked for itself."""
    rules = parse(_Pack, read_toml(file), file=file).rule
    for at, rule in enumerate(rules):
        _check(rule, file, f"rule[{at}]")
    return rules


def covers(rule: Rule, device: Device, zone: Zone | None) -> bool:
    """True when the rule watches this device (of this zone). Rules of links and of the hub itself watch no device."""
    if rule.kind in ("link-down", "self"):
        return False
    if rule.applies and device.profile.id.partition("/")[0] not in rule.applies:
        return False
    if rule.quantity and rule.quantity not in device.profile.reading:
        return False
    return rule.when != "zone-closed" or (zone is not None and zone.closed != "")


def ms(seconds: float) -> int:
    """Seconds as whole milliseconds."""
    return round(seconds * 1000)


def _with_numbers(rule: Rule, numbers: dict[str, float], path: Path) -> Rule:
    known = PARAMETERS[rule.kind]
    for name, value in numbers.items():
        if name not in known:
            right = nearest(name, known)
            raise Refusal(path, f"rule.{rule.id}.{name}", "is no number of this rule", value=value, right=right)
    changed = parse(Rule, msgspec.to_builtins(rule) | numbers, file=path, key=f"rule.{rule.id}")
    _check(changed, path, f"rule.{rule.id}")
    return changed


def _check(rule: Rule, file: Path, key: str) -> None:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.id):
        raise Refusal(file, f"{key}.id", "not an id", value=rule.id, right="lower case letters and single hyphens")
    _check_keys(rule, file, key)
    _check_quantity(rule, file, key)
    if rule.kind == "level" and (rule.above is None) == (rule.below is None):
        raise Refusal(file, key, "a level has one limit", value=rule.id, right="write `above` or `below`")
    if rule.kind == "event" and rule.hold <= 0:
        raise Refusal(file, f"{key}.hold", "an event is true for some seconds", right="as hold = 60.0")
    if not rule.story:
        raise Refusal(file, f"{key}.story", "a rule comes with a story that shows it", value=rule.id)
    for at, story in enumerate(rule.story):
        _check_story(story, file, f"{key}.story[{at}]")


def _check_keys(rule: Rule, file: Path, key: str) -> None:
    """A key that this kind of rule would silently ignore is refused."""
    for name, kinds in _BELONGS.items():
        field = "states" if name == "is" else name
        default = [] if name == "is" else next(f.default for f in msgspec.structs.fields(Rule) if f.name == field)
        if rule.kind not in kinds and getattr(rule, field) != default:
            right = f"belongs to {' and '.join(sorted(kinds))} rules"
            raise Refusal(file, f"{key}.{name}", f"means nothing in a {rule.kind} rule", right=right)


def _check_quantity(rule: Rule, file: Path, key: str) -> None:
    if rule.kind in ("link-down", "self") or (rule.kind == "no-data" and not rule.quantity):
        if rule.quantity:
            raise Refusal(file, f"{key}.quantity", "a link reads no quantity, nor does the hub", value=rule.quantity)
        return
    quantity = vocabulary.require(rule.quantity, file=file, key=f"{key}.quantity").quantity
    fitting = {
        "level": {Kind.GAUGE, Kind.COUNTER},
        "state": {Kind.STATE},
        "event": {Kind.EVENT},
        "no-data": set(Kind),
    }
    if quantity.kind not in fitting[rule.kind]:
        raise Refusal(file, f"{key}.quantity", f"is a {quantity.kind}, in a {rule.kind} rule", value=rule.quantity)
    if rule.kind != "state":
        return
    if not rule.states:
        raise Refusal(file, f"{key}.is", "says in which states to worry", right=f"of {', '.join(quantity.states)}")
    for state in rule.states:
        if state not in quantity.states:
            right = nearest(state, quantity.states)
            raise Refusal(file, f"{key}.is", f"not a state of {rule.quantity}", value=state, right=right)


def _check_story(story: Story, file: Path, key: str) -> None:
    for second in (*story.expect, *story.acts):
        if not second.isdigit():
            raise Refusal(file, key, "is not a second", value=second, right='as expect = { 29 = "normal" }')
    for second, state in story.expect.items():
        if state not in list(OperatorState):
            right = nearest(state, OperatorState)
            raise Refusal(file, f"{key}.expect.{second}", "not a state of an alarm", value=state, right=right)
    if not story.expect:
        raise Refusal(file, f"{key}.expect", "a story expects something", value=story.name)
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", story.at):
        raise Refusal(file, f"{key}.at", "not a time of the day", value=story.at, right='as "22:30"')


def _check_yields(rules: dict[str, Rule], packs: Path) -> None:
    for rule in rules.values():
        for other in rule.yields_to:
            if other not in rules:
                key = f"rule {rule.id}.yields_to"
                raise Refusal(packs, key, "there is no such rule", value=other, right=nearest(other, rules))
