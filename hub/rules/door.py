"""When to worry: rule packs (`hub/rules/*.toml`), the site's own rule files and numbers, checked at the door.

A rule is data (hub.rules.rule). What it makes of readings stands in hub.rules.truth and hub.rules.kinds, what an alarm
is in hub.alarms.alarm.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import msgspec
from msgspec.structs import replace

from device_profiles.door import Refusal, nearest, parse, read_toml
from hub.rules.kinds.door import PARAMETERS, check
from hub.rules.kinds.expression import compiled
from hub.rules.rule import MAX_SHELF_S, ZONED, Rule, Story, ms
from hub.settings.site import Device, Site, Strict, Zone

__all__ = ["MAX_SHELF_S", "PACKS", "Rule", "Story", "all_rules", "covers", "load_pack", "load_rules", "ms", "numbered"]
__all__ += ["plain_rules"]

PACKS = Path(__file__).parent


class _Pack(Strict, frozen=True, kw_only=True):
    rule: list[Rule]


def load_rules(site: Site, path_of_site: Path, packs: Path = PACKS) -> tuple[Rule, ...]:
    """The rules that this site uses: packs, its own files, its numbers. Raises Refusal (of a pack, or of the site)."""
    return tuple(rule for rule in all_rules(site, path_of_site, packs) if rule.use == "on")


def all_rules(site: Site, path_of_site: Path, packs: Path = PACKS) -> tuple[Rule, ...]:
    """As `load_rules`, with those that are switched off. A rule with numbers for some zones is there once for each."""
    return numbered(plain_rules(site, path_of_site, packs), site.rules, site, path_of_site)


def plain_rules(site: Site, path_of_site: Path, packs: Path = PACKS) -> dict[str, Rule]:
    """The rules as their files have them, by id, before the site's numbers. Raises Refusal."""
    rules: dict[str, Rule] = {}
    for file in files(site, path_of_site, packs):
        for at, rule in enumerate(load_pack(file)):
            if rule.id in rules:
                raise Refusal(file, f"rule[{at}].id", "is taken by another rule", value=rule.id)
            rules[rule.id] = rule
    _check_yields(rules, {*rules, *_left_out(site, packs)}, packs)
    return rules


def numbered(
    rules: Mapping[str, Rule], numbers: Mapping[str, Mapping[str, object]], site: Site, path_of_site: Path
) -> tuple[Rule, ...]:
    """The rules with these numbers, which are as in the `[rule]` tables of a site file. Raises Refusal."""
    changed: list[Rule] = []
    for rule_id in numbers:
        if rule_id not in rules:
            raise Refusal(path_of_site, f"rule.{rule_id}", "there is no such rule", right=nearest(rule_id, rules))
    for rule in rules.values():
        changed += _changed_by(rule, numbers.get(rule.id, {}), site, path_of_site)
    return tuple(changed)


def files(site: Site, path_of_site: Path, packs: Path = PACKS) -> list[Path]:
    """The rule files of a site: the packs that it does not leave out, and its own, which lie beside the site file."""
    shipped = {file.stem: file for file in sorted(packs.glob("*.toml"))}
    for at, name in enumerate(site.packs.off):
        if name not in shipped:
            raise Refusal(path_of_site, f"packs.off[{at}]", "no such pack", value=name, right=nearest(name, shipped))
    own = [Path(name) for name in site.packs.files]
    for at, file in enumerate(own):
        if not file.is_file():
            raise Refusal(path_of_site, f"packs.files[{at}]", "there is no such file", value=str(file))
    return [file for name, file in shipped.items() if name not in site.packs.off] + own


def load_pack(file: Path) -> list[Rule]:
    """The rules of one file, each checked for itself."""
    return list(_checked(file, file.read_bytes() if file.is_file() else b""))


@lru_cache(maxsize=64)
def _checked(file: Path, _content: bytes) -> tuple[Rule, ...]:
    """Once for each content of a file: to check all packs takes a seventh of a second."""
    rules = parse(_Pack, read_toml(file), file=file).rule
    for at, rule in enumerate(rules):
        check(rule, file, f"rule[{at}]")
    return tuple(rules)


def covers(rule: Rule, device: Device, zone: Zone | None) -> bool:
    """True when the rule watches this device (of this zone). Rules of links and of the hub itself watch no device."""
    if rule.kind in ("link-down", "self") or not _in_zone(rule, device.zone):
        return False
    if rule.applies and device.profile.id.partition("/")[0] not in rule.applies:
        return False
    if rule.kind in ZONED and zone is None:
        return False
    read = device.profile.reading
    if rule.kind == "balance":
        if not {rule.quantity, rule.entered, rule.left} & set(read):
            return False
    elif any(quantity not in read for quantity in _reads(rule)):
        return False
    if rule.kind == "discrepancy" and not any(command.confirm for command in device.profile.command.values()):
        return False
    return rule.when != "zone-closed" or (zone is not None and zone.closed != "")


def _reads(rule: Rule) -> list[str]:
    names = compiled(rule.expression).quantities if rule.expression else []
    return [*names, *(name for name in (rule.quantity, rule.against, rule.cause) if name)]


def _in_zone(rule: Rule, zone: str) -> bool:
    return (not rule.zones or zone in rule.zones) and zone not in rule.except_zones


def _changed_by(rule: Rule, change: Mapping[str, object], site: Site, path: Path) -> Iterator[Rule]:
    """The rule as the site has it: once for each zone with numbers of its own, and once for all others."""
    whole = dict(change)
    zones = whole.pop("zone", {})
    key = f"rule.{rule.id}"
    if not isinstance(zones, Mapping):
        raise Refusal(path, f"{key}.zone", "is a table", value=zones, right=f"as [{key}.zone.lake]")
    plain = _with_numbers(rule, whole, path, key)
    for zone, numbers in zones.items():
        if zone not in site.zones_by_id():
            right = nearest(zone, site.zones_by_id())
            raise Refusal(path, f"{key}.zone.{zone}", "no such zone", right=right)
        if not isinstance(numbers, Mapping):
            raise Refusal(path, f"{key}.zone.{zone}", "is a table", value=numbers, right=f"as [{key}.zone.{zone}]")
        if not _in_zone(rule, zone):
            raise Refusal(path, f"{key}.zone.{zone}", "the rule does not watch this zone", right=", ".join(rule.zones))
        yield replace(_with_numbers(plain, numbers, path, f"{key}.zone.{zone}"), zones=[zone], except_zones=[])
    yield replace(plain, except_zones=[*plain.except_zones, *zones]) if zones else plain


def _with_numbers(rule: Rule, numbers: Mapping[str, object], path: Path, key: str) -> Rule:
    known = PARAMETERS[rule.kind] | {"use"}
    for name, value in numbers.items():
        if name not in known:
            right = nearest(name, known)
            raise Refusal(path, f"{key}.{name}", "is no number of this rule", value=value, right=right)
    if not numbers:
        return rule
    changed = parse(Rule, msgspec.to_builtins(rule) | dict(numbers), file=path, key=key)
    check(changed, path, key)
    return changed


def _left_out(site: Site, packs: Path) -> Iterator[str]:
    """The rules of the packs that the site leaves out: others may still yield to them."""
    for name in site.packs.off:
        yield from (rule.id for rule in load_pack(packs / f"{name}.toml"))


def _check_yields(rules: dict[str, Rule], known: set[str], packs: Path) -> None:
    for rule in rules.values():
        for other in rule.yields_to:
            if other not in known:
                key = f"rule {rule.id}.yields_to"
                raise Refusal(packs, key, "there is no such rule", value=other, right=nearest(other, known))
