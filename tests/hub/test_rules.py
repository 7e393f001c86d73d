"""Rule packs and the site's numbers: a mistake is refused with file, key and the right word."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from device_profiles.door import Refusal
from hub.rules.door import PACKS, Rule, load_pack, load_rules
from hub.settings.site import Site

GOOD = """
[[rule]]
id = "gate-held"
kind = "state"
quantity = "gate"
is = ["open"]
on_delay = 60.0
severity = "P2"
area = "security"
title = { zh = "门", en = "gate" }
response = { zh = "看", en = "look" }

  [[rule.story]]
  name = "held"
  series = "openx70"
  expect = { 60 = "unacked" }
"""


def refused(folder: Path, text: str) -> Refusal:
    """What the door says of a pack."""
    file = folder / "pack.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Refusal) as caught:
        load_pack(file)
    return caught.value


def test_a_good_pack_is_taken(tmp_path: Path) -> None:
    """The example that the refusals below are made from."""
    (tmp_path / "pack.toml").write_text(GOOD, encoding="utf-8")
    (rule,) = load_pack(tmp_path / "pack.toml")
    assert (rule.states, rule.on_delay, rule.manners().on_delay) == (["open"], 60.0, 60_000)


@pytest.mark.parametrize(
    ("wrong", "right", "key", "hint"),
    [
        ("on_delay = 60.0", "on_dely = 60.0", "rule[0].on_dely", "on_delay"),
        ("on_delay = 60.0", "on_delay = -1.0", "rule[0].on_delay", ""),
        ('quantity = "gate"', 'quantity = "gat"', "rule[0].quantity", "gate"),
        ('quantity = "gate"', 'quantity = "laeq"', "rule[0].quantity", ""),
        ('is = ["open"]', 'is = ["opened"]', "rule[0].is", "open"),
        ('is = ["open"]', "", "rule[0].is", "closed"),
        ('is = ["open"]', 'is = ["open"]\ndeadband = 1.0', "rule[0].deadband", "level"),
        ('kind = "state"', 'kind = "stat"', "rule[0].kind", ""),
        ('id = "gate-held"', 'id = "Gate held"', "rule[0].id", ""),
        ('60 = "unacked"', '60 = "unaked"', "rule[0].story[0].expect.60", "unacked"),
        ('60 = "unacked"', 'sixty = "unacked"', "rule[0].story[0]", ""),
        ('expect = { 60 = "unacked" }', "expect = {}", "rule[0].story[0].expect", ""),
        ('name = "held"', 'name = "held"\n  at = "25:00"', "rule[0].story[0].at", "22:30"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, wrong: str, right: str, key: str, hint: str) -> None:
    """File, key, and the nearest right word where there is one."""
    refusal = refused(tmp_path, GOOD.replace(wrong, right))
    assert (refusal.file, refusal.key) == (str(tmp_path / "pack.toml"), key)
    assert hint in refusal.right


def test_a_rule_without_a_story_is_refused(tmp_path: Path) -> None:
    """Rules ship with their stories."""
    text = GOOD[: GOOD.index("  [[rule.story]]")] + "story = []\n"
    assert refused(tmp_path, text).key == "rule[0].story"


@pytest.mark.parametrize(("limits", "key"), [("", "rule[0]"), ("above = 0.0\nbelow = 1.0", "rule[0].above")])
def test_a_level_has_limits_that_leave_something(tmp_path: Path, limits: str, key: str) -> None:
    """Not none, and not two that leave no room between them."""
    text = GOOD.replace('"state"', '"level"').replace('"gate"', '"laeq"').replace('is = ["open"]', limits)
    assert refused(tmp_path, text).key == key


def test_two_rules_of_one_name_are_refused(tmp_path: Path, site: Site) -> None:
    """Also in two files."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(Refusal, match="is taken"):
        load_rules(site, Path("site.toml"), tmp_path)


def test_a_rule_cannot_yield_to_nobody(tmp_path: Path, site: Site) -> None:
    """The nearest rule is named."""
    (tmp_path / "a.toml").write_text(
        GOOD.replace('area = "security"', 'area = "security"\nyields_to = ["gate-hold"]'), encoding="utf-8"
    )
    with pytest.raises(Refusal, match=r'did you mean "gate-held"'):
        load_rules(site, Path("site.toml"), tmp_path)


def numbered(site: Site, rule: str, **numbers: float) -> dict[str, Rule]:
    """The rules of the packs with these numbers of the site."""
    changed = replace(site, rules={rule: dict(numbers)})
    return {rule.id: rule for rule in load_rules(changed, Path("site.toml"))}


def test_a_site_sets_numbers(site: Site) -> None:
    """And nothing else of the rule changes."""
    plain = {rule.id: rule for rule in load_rules(site, Path("site.toml"))}
    rules = numbered(site, "noise-limit", above=52.0, on_delay=5.0)
    assert rules["noise-limit"] == replace(plain["noise-limit"], above=52.0, on_delay=5.0)
    assert rules["gate-held"] == plain["gate-held"]


@pytest.mark.parametrize(
    ("rule", "number", "value", "key", "hint"),
    [
        ("gate-hold", "on_delay", 5.0, "rule.gate-hold", "gate-held"),
        ("gate-held", "on_dellay", 5.0, "rule.gate-held.on_dellay", "on_delay"),
        ("gate-held", "above", 5.0, "rule.gate-held.above", "on_delay"),
        ("gate-held", "on_delay", -5.0, "rule.gate-held.on_delay", ""),
    ],
)
def test_a_sites_mistake_is_named(site: Site, rule: str, number: str, value: float, key: str, hint: str) -> None:
    """Of the site file, with the nearest word."""
    with pytest.raises(Refusal) as caught:
        numbered(site, rule, **{number: value})
    assert (caught.value.file, caught.value.key) == ("site.toml", key)
    assert hint in caught.value.right


def test_every_rule_speaks_both_languages() -> None:
    """Title and what to do, in Chinese and English, in every pack."""
    for file in PACKS.glob("*.toml"):
        for rule in load_pack(file):
            assert all((rule.title.zh, rule.title.en, rule.response.zh, rule.response.en)), rule.id
