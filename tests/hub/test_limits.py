"""Limits that people set while the hub runs: what wins over what, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from hub.outcome import Limit
from hub.rules.door import PACKS, load_pack, plain_rules
from hub.rules.limits import LOOSER, SITE, Book, Origin, Wrong, is_looser, parse_setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.rules.door import Rule
    from hub.settings.site import Site

FILE: dict[str, dict[str, object]] = {"noise-limit": {"above": 60.0, "zone": {"square": {"above": 58.0}}}}


@pytest.fixture(scope="module")
def plain(site: Site) -> Mapping[str, Rule]:
    """The packs' rules."""
    return plain_rules(site, SITE)


def limit(rule: str, key: str, value: float | str | None, zone: str = "", at: int = 1) -> Limit:
    """Set by somebody."""
    return Limit(rule=rule, zone=zone, key=key, value=value, before=None, actor="lin", reason="dance", at=at)


def above(book: Book, zone: str) -> object:
    """The noise limit that is in force in a zone."""
    found = [rule for rule in book.rules if rule.id == "noise-limit" and zone not in rule.except_zones]
    return next(rule.above for rule in found if not rule.zones or zone in rule.zones)


def refused(book: Book, wanted: Limit) -> str:
    """Why it is."""
    with pytest.raises(Wrong) as caught:
        book.change(wanted)
    return f"{caught.value.word}:{caught.value.detail}"


def test_what_is_set_wins_until_it_is_taken_back(plain: Mapping[str, Rule], site: Site) -> None:
    """Page over site file over pack; a zone over all zones, whoever set either; taken back, the file holds again."""
    book = Book(plain, replace(site, rules=FILE), [])
    assert (above(book, "square"), above(book, "lake")) == (58, 60)
    wide = book.change(limit("noise-limit", "above", 55.0))
    assert (above(wide, "square"), above(wide, "lake")) == (58, 55)
    both = wide.change(limit("noise-limit", "above", 50.0, "square"))
    assert (above(both, "square"), above(both, "lake")) == (50, 55)
    back = both.change(limit("noise-limit", "above", None, "square"))
    assert (above(back, "square"), above(back, "lake")) == (58, 55)
    assert above(Book(plain, site, []), "lake") == "noise"


def test_every_number_says_where_it_comes_from(plain: Mapping[str, Rule], site: Site) -> None:
    """Pack, site file, or the page with who and when; and what would hold had nobody set anything."""
    mine = limit("noise-limit", "above", 50.0, "square")
    book = Book(plain, replace(site, rules=FILE), [mine])
    assert book.origin("noise-limit", "square", "above") == Origin(50.0, "page", mine)
    assert book.origin("noise-limit", "square", "above", page=False) == Origin(58.0, "site")
    assert book.origin("noise-limit", "lake", "above") == Origin(60.0, "site")
    assert book.origin("noise-limit", "lake", "on_delay") == Origin(30.0, "pack")


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (limit("nonsense", "above", 1.0), "no-such-rule:nonsense"),
        (limit("noise-limit", "above", 50.0, "moon"), "no-such-zone:moon"),
        (limit("noise-limit", "severity", "P4"), "no-such-limit:severity (above, below,"),
        (limit("noise-limit", "above", 1e9), "out-of-range:"),
        (limit("noise-limit", "on_delay", 90_000.0), "out-of-range:0..86400"),
        (limit("noise-limit", "on_delay", -1.0), "out-of-range:0..86400"),
        (limit("noise-limit", "above", "loud"), "does-not-fit:"),
        (limit("water-level", "above", 2.5), "does-not-fit:hihi > 2.5"),
        (limit("noise-limit", "above", None), "not-set:"),
        (limit("sos", "use", "off"), "p1-only-stricter:use = on"),
        (limit("water-presence", "on_delay", 60.0), "p1-only-stricter:on_delay = 2.0"),
        (limit("water-level", "hihi", 2.4), "p1-only-stricter:hihi = 2.0"),
        (limit("water-level", "lolo", 0.05), "p1-only-stricter:lolo = 0.1"),
    ],
)
def test_what_may_not_be_set_is_refused(plain: Mapping[str, Rule], site: Site, wanted: Limit, why: str) -> None:
    """With the word for it, and what would be right; the present limits stay."""
    book = Book(plain, site, [])
    assert refused(book, wanted).startswith(why)
    assert book.set == {}


def test_a_rule_for_lives_may_be_made_stricter(plain: Mapping[str, Rule], site: Site) -> None:
    """And then less strict again, down to what the files say."""
    strict = Book(plain, site, []).change(limit("water-presence", "on_delay", 0.5))
    assert strict.change(limit("water-presence", "on_delay", 2.0)).rules
    assert refused(strict, limit("water-presence", "on_delay", 2.1)).startswith("p1-only-stricter")
    assert Book(plain, site, []).change(limit("water-level", "above", 1.8)).rules  # its P1 begins at `hihi`


def test_what_does_not_fit_a_new_site_file_takes_no_other_along(plain: Mapping[str, Rule], site: Site) -> None:
    """It is out of force, with the reason; the rest holds; and what is gone from the site does no harm."""
    rows = [limit("noise-limit", "above", 50.0), limit("water-level", "above", 1.9, at=2), limit("gone", "hold", 1.0)]
    rows.append(limit("noise-limit", "above", 40.0, "old-zone"))
    book = Book(plain, replace(site, rules={"water-level": {"hihi": 1.8}}), rows)
    assert set(book.unfit) == {rows[1].place, rows[2].place, rows[3].place}
    assert book.unfit[rows[1].place] == "hihi > 1.9"
    assert above(book, "lake") == 50
    assert book.origin("water-level", "", "above").where == "pack"
    assert len(book.rules) == len(Book(plain, site, []).rules)


def test_the_newest_of_a_place_counts(plain: Mapping[str, Rule], site: Site) -> None:
    """The others are history, a row that takes back ends them all."""
    rows = [limit("noise-limit", "above", value) for value in (50.0, 45.0)]
    assert above(Book(plain, site, rows), "lake") == 45
    assert above(Book(plain, site, [*rows, limit("noise-limit", "above", None)]), "lake") == "noise"


def test_every_number_of_a_rule_knows_which_way_is_looser() -> None:
    """Or is never to be changed here where lives hang on it."""
    assert not is_looser("above", 2.0, 1.9)
    assert is_looser("above", 2.0, 2.1)
    assert is_looser("below", 0.3, 0.2)
    assert is_looser("window", 60.0, 30.0)
    assert is_looser("window", 60.0, 90.0)
    assert is_looser("above", "noise", 40.0)
    assert not is_looser("hihi", None, 3.0)
    assert set(LOOSER).isdisjoint({"use", "window", "valid"})


def test_a_setting_is_a_number_or_a_word() -> None:
    """Nothing else: not infinity, not a text with signs."""
    assert parse_setting("above=58") == ("above", 58.0)
    assert parse_setting("use=off") == ("use", "off")
    for text in ("above=5 8", "above=", "above", "above=1e999", "above=[1]", "above=N/A"):
        with pytest.raises(Wrong):
            parse_setting(text)


def test_a_whole_number_stays_one(plain: Mapping[str, Rule], site: Site) -> None:
    """`least` counts devices."""
    vote = [rule for file in sorted(PACKS.glob("*.toml")) for rule in load_pack(file) if rule.kind == "balance"]
    assert vote
    book = Book(plain, site, []).change(limit("water-deficit", "within", 5.0))
    assert next(rule.within for rule in book.rules if rule.id == "water-deficit") == 5.0
