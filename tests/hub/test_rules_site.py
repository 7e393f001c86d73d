"""What a site may say about rules: numbers, zones, on and off, packs, own files; and how `zhian rules` shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from device_profiles.door import Refusal
from hub.alarms.bind import Bound
from hub.commands.rules import rules_command
from hub.commands.site import check_command
from hub.rules.door import PACKS, Rule, all_rules, load_rules
from hub.settings.door import load_site
from hub.settings.site import Packs, Site

OWN = """
[[rule]]
id = "our-quiet-hours"
kind = "expression"
expression = "laeq > 50 and (hour >= 13 and hour < 15)"
on_delay = 10.0
severity = "P4"
area = "environment"
zones = ["square"]
title = { zh = "午休噪声", en = "Noise at the midday rest" }
response = { zh = "提醒。", en = "Remind them." }

  [[rule.story]]
  name = "a drill at half past one"
  at = "13:30"
  series = "45x5 70x20"
  expect = { 14 = "normal", 15 = "unacked" }

  [[rule.story]]
  name = "and at three it may go on"
  at = "14:59"
  series = "70x90"
  expect = { 20 = "unacked", 70 = "returned" }
"""
FILE = """
[site]
id = "ours"
name = { zh = "我们", en = "ours" }
timezone = "Asia/Shanghai"

[[zone]]
id = "square"
name = { zh = "广场", en = "square" }

[[zone]]
id = "yard"
name = { zh = "院", en = "yard" }

[[link]]
id = "mqtt"
kind = "mqtt"

  [[link.device]]
  id = "noise-1"
  profile = "noise/json-mqtt"
  zone = "square"

  [[link.device]]
  id = "noise-2"
  profile = "noise/json-mqtt"
  zone = "yard"
"""


OURS = '[packs]\nfiles = ["ours.toml"]\n'


def loaded(folder: Path, text: str, own: str = OWN) -> tuple[Rule, ...]:
    """The rules of a site file that says this at its end."""
    (folder / "ours.toml").write_text(own, encoding="utf-8")
    path = folder / "site.toml"
    path.write_text(FILE + text, encoding="utf-8")
    return load_rules(load_site(path), path)


def bound(folder: Path, text: str) -> Bound:
    """What watches what there."""
    rules = loaded(folder, text)
    return Bound(load_site(folder / "site.toml"), rules, 0)


def test_a_zone_has_a_limit_of_its_own(tmp_path: Path) -> None:
    """And every other zone that of the site."""
    watched = bound(
        tmp_path, "[rule.noise-limit]\nabove = 60.0\n[rule.noise-limit.zone.square]\nabove = 50.0\n"
    ).watched()
    limits = {
        source: question.limit(0) for (rule, source), question in watched.items() if rule == "noise-limit" and question
    }
    assert limits == {"noise-1": 50.0, "noise-2": 60.0}


def test_a_rule_is_switched_on_for_a_zone(tmp_path: Path) -> None:
    """The boundary's limit where the meter stands at a boundary, in place of the area's, and nowhere else."""
    watched = bound(tmp_path, '[rule.noise-boundary.zone.square]\nuse = "on"\n').watched()
    found = {key for key in watched if key[0] in ("noise-boundary", "noise-laeq")}
    assert found == {("noise-boundary", "noise-1"), ("noise-laeq", "noise-2")}


def test_a_rule_and_a_pack_are_switched_off(tmp_path: Path) -> None:
    """Switched off is still listed, left out is gone."""
    text = '[packs]\noff = ["chip"]\n[rule.noise-limit]\nuse = "off"\n'
    names = {rule.id for rule in loaded(tmp_path, text)}
    path = tmp_path / "site.toml"
    everything = {rule.id for rule in all_rules(load_site(path), path)}
    assert "noise-limit" not in names
    assert "noise-limit" in everything
    assert not any("chip" in name or "dog" in name for name in everything)


def test_a_site_has_rules_of_its_own(tmp_path: Path) -> None:
    """For the zones that they name."""
    watched = bound(tmp_path, OURS).watched()
    assert [source for rule, source in watched if rule == "our-quiet-hours"] == ["noise-1"]


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ('[packs]\noff = ["chips"]', "packs.off[0]", '"chip"'),
        ('[packs]\nfiles = ["not-there.toml"]', "packs.files[0]", ""),
        ('[packs]\nof = ["chip"]', "packs.of", '"off"'),
        ("[rule.noise-limit.zone.sqare]\nabove = 50.0", "rule.noise-limit.zone.sqare", '"square"'),
        ("[rule.noise-limit.zone.square]\nabov = 50.0", "rule.noise-limit.zone.square.abov", '"above"'),
        ("[rule.noise-limit]\nzone = 3", "rule.noise-limit.zone", "[rule.noise-limit.zone.lake]"),
        ('[rule.noise-limit]\nuse = "no"', "rule.noise-limit.use", ""),
        ('[rule.noise-limit]\non_delay = "long"', "rule.noise-limit.on_delay", ""),
        ("[rule.water-level]\nhihi = 1.0", "rule.water-level.hihi", "more than 1.5"),
        (OURS + "[rule.our-quiet-hours.zone.yard]\non_delay = 1.0", "rule.our-quiet-hours.zone.yard", "square"),
    ],
)  # fmt: skip
def test_a_mistake_of_the_site_is_named(tmp_path: Path, text: str, key: str, hint: str) -> None:
    """File, key and the nearest right word."""
    with pytest.raises(Refusal) as caught:
        loaded(tmp_path, text + "\n")
    assert caught.value.key == key
    assert hint in caught.value.right


def test_a_rule_for_lives_that_is_off_is_warned_of(tmp_path: Path) -> None:
    """A site may; nobody should find out by an accident."""
    loaded(tmp_path, '[rule.sos]\nuse = "off"\n')
    ran = CliRunner().invoke(check_command, [str(tmp_path / "site.toml")], catch_exceptions=False)
    assert "warning: rule sos is switched off" in ran.output
    loaded(tmp_path, '[rule.noise-limit]\nuse = "off"\n')
    ran = CliRunner().invoke(check_command, [str(tmp_path / "site.toml")], catch_exceptions=False)
    assert "switched off" not in ran.output


def run(*arguments: str) -> Result:
    """`zhian rules ...`."""
    return CliRunner().invoke(rules_command, arguments, catch_exceptions=False)


def test_the_stories_of_a_site_are_run_too(tmp_path: Path) -> None:
    """One line a file; all as told: exit 0."""
    loaded(tmp_path, OURS)
    ran = run("test", str(tmp_path / "site.toml"))
    assert ran.exit_code == 0
    assert "ours.toml        1 rules    2 stories  all as told" in ran.output
    assert "gate.toml" in ran.output


def test_a_story_that_comes_out_otherwise_is_drawn(tmp_path: Path) -> None:
    """Exit 1, with what came, what was seen and what was expected where."""
    loaded(tmp_path, OURS, OWN.replace('14 = "normal", 15', "14"))
    ran = run("test", str(tmp_path / "site.toml"))
    assert ran.exit_code == 1
    assert "our-quiet-hours: a drill at half past one" in ran.output
    assert "seen      ···············UUUUUUUUUU" in ran.output
    assert "expected                U" in ran.output
    assert "second 14: unacked, not normal" in ran.output


def test_the_list_says_what_watches_what(tmp_path: Path) -> None:
    """With its limit; what is off, and what finds nothing to watch."""
    loaded(tmp_path, "[rule.noise-limit.zone.square]\nabove = 50.0\n")
    ran = run("list", str(tmp_path / "site.toml"))
    words = ran.output.split("\n")
    assert (
        words[words.index(next(line for line in words if line.startswith("noise-limit"))) + 1]
        .strip()
        .startswith("noise-1 (50)")
    )
    assert words[words.index(next(line for line in words if line.startswith("water-level"))) + 1].strip() == "off"
    assert words[words.index(next(line for line in words if line.startswith("smoke"))) + 1].strip() == "nothing here"


def test_packs_that_are_left_out_leave_no_hole(site: Site) -> None:
    """Each pack can be left out alone: no rule of another one leans on it without saying so."""
    for pack in PACKS.glob("*.toml"):
        assert load_rules(replace(site, packs=Packs(off=(pack.stem,))), Path("site.toml"))
