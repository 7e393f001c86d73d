"""The kinds in the whole core: orders, severities that rise in place, dead lines, and what outlives a restart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from device_profiles.door import Refusal
from hub.journal.writer import FILE, Journal
from hub.reading import LinkState
from hub.rules.door import PACKS, Rule, load_pack, load_rules
from tests.hub.conftest import NOON, Yard

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.outcome import Outcome
    from hub.settings.site import Site

ORDER, FORCED = "order-unreached/gate-1", "gate-forced/gate-1"
NOISE = "noise-limit/noise-1"


def opened(yard: Yard) -> None:
    """The hub opens gate-1."""
    order = yard.order("command", "gate-1", command="open")
    yard.keep(yard.core.sent(order.id, yard.now))


def test_an_order_that_is_not_reached_is_an_alarm(yard: Yard) -> None:
    """Eight seconds of the command and two of the rule; over when the gate says open."""
    yard.say("gate-1", "gate", "closed")
    opened(yard)
    yard.wait(9, ("gate-1", "gate", "closed"))
    assert yard.state(ORDER) == "normal"
    yard.wait(1, ("gate-1", "gate", "closed"))
    assert (yard.state(ORDER), yard.kept.alarms[ORDER].value) == ("unacked", "gate=open")
    yard.say("gate-1", "gate", "open")
    assert yard.state(ORDER) == "returned"


def test_an_order_under_way_is_watched_over_a_restart(yard: Yard) -> None:
    """The order itself becomes unknown and is never sent again; that the gate did not open is still said."""
    yard.say("gate-1", "gate", "closed")
    opened(yard)
    yard.wait(3)
    yard.restart(2)
    yard.link_up()
    yard.wait(10, ("gate-1", "gate", "closed"))
    assert yard.state(ORDER) == "unacked"


def test_an_order_that_was_reached_before_the_restart_is_not_missed_after_it(yard: Yard) -> None:
    """The other half of the same: no alarm out of a restart."""
    yard.say("gate-1", "gate", "closed")
    opened(yard)
    yard.wait(3, ("gate-1", "gate", "open"))
    yard.restart(2)
    yard.link_up()
    yard.wait(20, ("gate-1", "gate", "closed"))
    assert yard.state(ORDER) == "normal"


def test_a_gate_that_the_hub_opens_is_not_forced(yard: Yard) -> None:
    """The order is its cause; the next opening has none."""
    yard.wait(2, ("gate-1", "gate", "closed"))
    opened(yard)
    yard.wait(10, ("gate-1", "gate", "open"))
    assert yard.state(FORCED) == "normal"
    yard.wait(20, ("gate-1", "gate", "closed"))
    yard.wait(5, ("gate-1", "gate", "open"))
    assert yard.state(FORCED) == "unacked"


def loud(site: Site, rules: tuple[Rule, ...]) -> Yard:
    """noise-limit with a second limit: from 80 dB on it is for a life."""
    worse = {"hihi": 80.0, "worst": "P1"}
    changed = [replace(rule, **worse) if rule.id == "noise-limit" else rule for rule in rules]
    return Yard(site, tuple(changed), NOON)


def test_a_worse_level_is_said_again_and_cannot_stay_shelved(site: Site, rules: tuple[Rule, ...]) -> None:
    """The same occurrence, now P1: off the shelf, unacknowledged, told to those who hear P1."""
    yard = loud(site, rules)
    yard.wait(31, ("noise-1", "laeq", 60.0))
    yard.order("shelve", NOISE, seconds=3600.0, text="we know")
    yard.order("ack", NOISE, occurrence=1)
    yard.wait(1, ("noise-1", "laeq", 85.0))
    row = yard.kept.alarms[NOISE]
    assert (row.severity, row.state, row.shelved_until, row.occurrence) == ("P1", "unacked", None, 1)
    assert yard.events(NOISE)[-3:] == ["worsened", "unshelved", "renotified"]
    assert [flip.severity for flip in yard.kept.flips if flip.key == NOISE and flip.announce][-1] == "P1"


def test_an_easing_level_is_noted_and_told_to_nobody(site: Site, rules: tuple[Rule, ...]) -> None:
    """Down: the journal only; the occurrence remembers its worst, and its end is told as such."""
    yard = loud(site, rules)
    yard.wait(31, ("noise-1", "laeq", 85.0))
    assert yard.kept.alarms[NOISE].severity == "P1"
    told = len(yard.told(NOISE))
    yard.wait(2, ("noise-1", "laeq", 60.0))
    assert (yard.kept.alarms[NOISE].severity, len(yard.told(NOISE))) == ("P3", told)
    assert yard.events(NOISE)[-1] == "eased"
    assert yard.kept.occurrences[NOISE, 1].severity == "P1"
    yard.restart(1)
    yard.link_up()
    yard.wait(1, ("noise-1", "laeq", 85.0))
    assert (yard.kept.alarms[NOISE].severity, yard.told(NOISE)[-1]) == ("P1", "raised")


def test_a_dead_line_leaves_the_water_unwatched_at_once(yard: Yard) -> None:
    """Three seconds of patience for a broker that restarts; the plain silence of other devices is not said again."""
    yard.wait(2, ("radar-1", "presence", "absent"), ("gate-1", "gate", "closed"))
    yard.link("mqtt", LinkState.DOWN)
    yard.wait(2)
    assert yard.state("water-unwatched/radar-1") == "normal"
    yard.wait(1)
    assert yard.state("water-unwatched/radar-1") == "unacked"
    yard.wait(30)
    assert yard.told("device-silent/gate-1") == []


def test_a_line_that_comes_back_in_time_was_never_dead(yard: Yard) -> None:
    """Two seconds are a restart of the broker."""
    yard.wait(2, ("radar-1", "presence", "absent"))
    yard.link("mqtt", LinkState.DOWN)
    yard.wait(2)
    yard.link("mqtt", LinkState.UP)
    yard.wait(10, ("radar-1", "presence", "absent"))
    assert yard.told("water-unwatched/radar-1") == []


def test_a_dead_line_hides_no_active_alarm(night: Yard) -> None:
    """Somebody was at the water when the line died: that alarm stays, and is seen."""
    night.wait(5, ("radar-1", "presence", "present"))
    night.link_down()
    night.wait(60)
    row = night.kept.alarms["water-presence/radar-1"]
    assert (row.state, row.suppressed) == ("unacked", ())


def test_an_edited_rule_goes_on_counting(site: Site, rules: tuple[Rule, ...]) -> None:
    """Four refusals before a live reload, one after it; and an order that was under way is still waited for."""
    yard = Yard(site, rules, NOON)
    opened(yard)
    for _ in range(4):
        yard.wait(1, ("gate-1", "passage", "denied"))
    edited = tuple(replace(rule, off_delay=1.0) for rule in rules)
    yard.keep(yard.core.rebind(site, edited, yard.now))
    yard.wait(1, ("gate-1", "passage", "denied"))
    assert yard.state("gate-denied-often/gate-1") == "unacked"
    yard.wait(6, ("gate-1", "gate", "closed"))
    assert yard.state(ORDER) == "unacked"


def test_unknown_that_counts_as_true_raises(site: Site, rules: tuple[Rule, ...]) -> None:
    """`on_unknown = "true"`, and nothing was ever heard: raised, with the first look at the clock."""
    sure = tuple(replace(rule, on_unknown="true") if rule.id == "tamper" else rule for rule in rules)
    yard = Yard(site, sure, NOON)
    yard.wait(1)
    assert yard.state("tamper/gate-1") == "unacked"


def test_late_readings_fill_no_window(yard: Yard) -> None:
    """What is history for an alarm is history for a window: five refusals of yesterday are none of today."""
    yard.say("gate-1", "passage", "granted", ts=yard.now)
    for at in range(10):
        yard.say("gate-1", "passage", "denied", ts=yard.now - 1000 - at)
    yard.wait(5)
    assert yard.state("gate-denied-often/gate-1") == "normal"


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_a_clock_that_is_set_raises_and_clears_nothing(yard: Yard, step: float) -> None:
    """An hour forward or back: what the windows hold is as old as before."""
    for _ in range(5):
        yard.wait(2, ("gate-1", "passage", "denied"))
    assert yard.state("gate-denied-often/gate-1") == "unacked"
    yard.now += round(step * 1000)
    yard.wait(10, ("gate-1", "gate", "closed"))
    assert yard.state("gate-denied-often/gate-1") == "unacked"
    yard.wait(125, ("gate-1", "gate", "closed"))
    assert yard.state("gate-denied-often/gate-1") == "normal"


def test_what_rules_remember_goes_through_the_journal(tmp_path: Path, site: Site, yard: Yard) -> None:
    """The rows of a transaction come back as they were."""
    journal = Journal(tmp_path / FILE, site)
    yard.say("gate-1", "gate", "closed")
    order = yard.order("command", "gate-1", command="open")
    outcome: Outcome = yard.core.sent(order.id, yard.now)
    assert {row.key for row in outcome.inner} >= {ORDER}
    journal.write([outcome])
    assert journal.memory().inner == outcome.inner
    journal.close()


# --- the door ---------------------------------------------------------------------------------------------------------

HEAD = """
[[rule]]
id = "r"
severity = "P3"
area = "system"
title = { zh = "例", en = "case" }
response = { zh = "看", en = "look" }
"""
TAIL = '\n  [[rule.story]]\n  name = "s"\n  series = "1"\n  expect = { 0 = "normal" }\n'
KINDS = {
    "level": 'quantity = "laeq"\nabove = 5.0\nhihi = 6.0\nworst = "P1"',
    "deviation": 'quantity = "temperature"\nagainst = "water_temperature"\nabove = 5.0',
    "rate": 'quantity = "water_level"\nabove = 0.3\nwindow = 600.0',
    "aggregate": 'quantity = "laeq"\naggregate = "energy-mean"\nabove = 5.0\nwindow = 600.0',
    "vote": 'quantity = "presence"\nis = ["present"]\nleast = 2',
    "balance": 'quantity = "people"\nentered = "count_in"\nleft = "count_out"\nwithin = 10.0',
    "sequence": 'quantity = "gate"\nis = ["open"]\ncause = "passage"\ncause_is = ["granted"]\nwithin = 10.0',
    "expression": "expression = 'gate == \"open\" and hour >= 22'",
    "discrepancy": "within = 2.0",
}


def pack(folder: Path, kind: str, keys: str) -> list[Rule]:
    """A file of one rule."""
    file = folder / "pack.toml"
    file.write_text(f'{HEAD}kind = "{kind}"\n{keys}\n{TAIL}', encoding="utf-8")
    return load_pack(file)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_taken(tmp_path: Path, kind: str) -> None:
    """The examples that the refusals below are made from."""
    assert [rule.kind for rule in pack(tmp_path, kind, KINDS[kind])] == [kind]


@pytest.mark.parametrize(
    ("kind", "wrong", "right", "key", "hint"),
    [
        ("level", "hihi = 6.0", "hihi = 4.0", "hihi", "more than 5"),
        ("level", '"P1"', '"P4"', "worst", ""),
        ("level", 'worst = "P1"', "", "worst", 'worst = "P1"'),
        ("level", "hihi = 6.0", "lolo = 1.0", "lolo", "below"),
        ("deviation", 'against = "water_temperature"', "", "against", "quantity"),
        ("deviation", "water_temperature", "water_temprature", "against", "water_temperature"),
        ("deviation", "water_temperature", "gate", "against", ""),
        ("rate", "window = 600.0", "", "window", "600"),
        ("rate", "above = 0.3", "above = 0.3\nbelow = -0.3", "", "the fall"),
        ("rate", "water_level", "gate", "quantity", ""),
        ("aggregate", "energy-mean", "energy_mean", "aggregate", ""),
        ("aggregate", "energy-mean", "count", "aggregate", "energy-mean, mean"),
        ("aggregate", "above = 5.0", "", "", "above"),
        ("aggregate", "window = 600.0", "window = 600.0\nvalid = 1.5", "valid", ""),
        ("aggregate", "window = 600.0", 'window = 600.0\nleast = 2', "least", "vote"),
        ("vote", "least = 2", "", "least", "2"),
        ("vote", "least = 2", "least = 2\nabove = 3.0", "", "`is`"),
        ("vote", "least = 2", 'least = 2\nwhen = "night"', "when", ""),
        ("balance", "count_out", "people", "left", ""),
        ("balance", "within = 10.0", "", "within", "10"),
        ("sequence", 'cause = "passage"', "", "cause", "passage"),
        ("sequence", '"granted"', '"grantd"', "cause_is", "granted|denied"),
        ("sequence", '"open"', '"opn"', "is", "open"),
        ("expression", "gate ==", "gat ==", "expression", "gate"),
        ("expression", '\\"open\\"', '\\"opened\\"', "expression", "open"),
        ("expression", "gate == \"open\" and hour >= 22", "hour >= 22", "expression", "gate"),
        ("discrepancy", "within = 2.0", 'quantity = "gate"', "quantity", ""),
    ],
)  # fmt: skip
def test_a_mistake_in_a_kind_is_named(tmp_path: Path, kind: str, wrong: str, right: str, key: str, hint: str) -> None:
    """The key, and what would be right."""
    wrong = wrong.replace("\\", "")
    assert wrong in KINDS[kind]
    with pytest.raises(Refusal) as caught:
        pack(tmp_path, kind, KINDS[kind].replace(wrong, right.replace("\\", "")))
    assert caught.value.key == (f"rule[0].{key}" if key else "rule[0]")
    assert hint in caught.value.right


def test_every_pack_stands_alone(site: Site, tmp_path: Path, open_yard: Callable[..., Yard]) -> None:
    """Each file can be read by itself, and a core runs on all of them."""
    assert all(load_pack(file) for file in PACKS.glob("*.toml"))
    assert len(load_rules(site, tmp_path / "site.toml")) > 25
    open_yard().wait(1)
