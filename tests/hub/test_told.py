"""What the site's files said of limits comes back as it was, and is kept once."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace

from hub.journal.writer import FILE, Journal
from hub.rules.door import numbered, plain_rules
from hub.rules.limits import SITE
from hub.rules.told import Place, has_limit, read, told_of, written

if TYPE_CHECKING:
    from pathlib import Path

    from hub.settings.site import Site


def test_every_rule_with_a_limit_comes_back(site: Site) -> None:
    """All packs: what decides about a limit is as it was; its stories and words are left out."""
    plain = plain_rules(site, SITE)
    back = read(written(told_of(site, plain))).plain()
    assert set(back) == {rule.id for rule in plain.values() if has_limit(rule)}
    assert len(back) >= 5
    for name, rule in back.items():
        quiet = replace(plain[name], title=rule.title, response=rule.response, story=rule.story)
        assert msgspec.to_builtins(rule) == msgspec.to_builtins(quiet)


def test_they_take_numbers_as_the_files_do(site: Site) -> None:
    """A rule that comes back goes through the door with numbers on top, as it did then."""
    back = read(written(told_of(site, plain_rules(site, SITE)))).plain()
    off = numbered(back, {name: {"use": "off"} for name in back}, site, SITE)
    assert {(rule.id, rule.use) for rule in off} == {(name, "off") for name in back}


def test_the_order_of_a_file_says_nothing(site: Site) -> None:
    """Tables and keys moved about are the same; a class, an hour or a number is not."""
    tables = {"noise-limit": {"above": 61.0, "on_delay": 5.0}, "noise-laeq": {"above": 50.0}}
    turned = {rule: dict(reversed(table.items())) for rule, table in reversed(tables.items())}
    plain = plain_rules(site, SITE)
    text = written(told_of(replace(site, rules=tables), plain))
    assert written(told_of(replace(site, rules=turned), plain)) == text
    changed = (replace(site, rules=tables, noise_class="3"), replace(site, rules=tables, night="23:00-05:00"))
    assert text not in {written(told_of(each, plain)) for each in (*changed, site)}


def test_what_hangs_on_the_zone_is_in_it(site: Site) -> None:
    """Its class, and the hours when nobody should be there."""
    zones = (replace(site.zones[0], noise_class="4a", closed="20:00-06:00"), *site.zones[1:])
    told = read(written(told_of(replace(site, zones=zones), {})))
    assert told.zones[zones[0].id] == Place(noise_class="4a", closed="20:00-06:00")


def test_the_same_is_noted_once(tmp_path: Path, site: Site) -> None:
    """Only what differs from the newest; with a clock that was set back no row is older than the one before."""
    with closing(Journal(tmp_path / FILE, site)) as journal:
        for told, at in (("a", 5), ("a", 6), ("b", 7), ("a", 3)):
            journal.note_files(told, at)
        assert [tuple(row) for row in journal.db.execute("SELECT told, at FROM file_limits ORDER BY id")] == [
            ("a", 5), ("b", 7), ("a", 7),
        ]  # fmt: skip


def test_a_rule_that_is_none_any_more_is_said(site: Site) -> None:
    """A note of another version's is not half believed."""
    told = told_of(site, plain_rules(site, SITE))
    name = next(iter(told.rules))
    with pytest.raises(msgspec.ValidationError, match="kind"):
        replace(told, rules={name: {**told.rules[name], "kind": "guess"}}).plain()
