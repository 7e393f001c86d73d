"""A stop at any moment loses no alarm, invents none, and lets no time count that nobody watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.reading import Value
    from hub.rules.door import Rule
    from tests.hub.conftest import Yard

NOISE = "noise-limit/noise-1"
HELD = "gate-held/gate-1"
LAKE = "water-presence/radar-1"


def test_a_firing_alarm_is_still_firing(night: Yard) -> None:
    """And is not said again: neither at the start nor on the first reading."""
    night.wait(5, ("radar-1", "presence", "present"))
    night.restart(30)
    night.wait(3)
    assert night.state(LAKE) == "unacked"
    night.wait(3, ("radar-1", "presence", "present"))
    assert (night.state(LAKE), night.told(LAKE)) == ("unacked", ["raised"])
    night.wait(10, ("radar-1", "presence", "absent"))
    assert night.told(LAKE) == ["raised", "cleared"]


def test_a_delay_goes_on_where_it_was(yard: Yard) -> None:
    """gate-held waits 60 s: 40 before the stop and 20 after it, and not one second of the hour between."""
    yard.wait(41, ("gate-1", "gate", "open"))
    yard.restart(3600)
    yard.now += 1000
    yard.say("gate-1", "gate", "open")
    yard.wait(19, ("gate-1", "gate", "open"))
    assert yard.state(HELD) == "normal"
    yard.wait(1, ("gate-1", "gate", "open"))
    assert yard.state(HELD) == "unacked"


def test_an_event_ends_after_its_hold_also_over_a_stop(yard: Yard) -> None:
    """What was due while the hub was away is done at the start."""
    key = "chip-unregistered/chip-1/900000000000001"
    yard.say("chip-1", "chip", "900000000000001")
    yard.wait(5)
    yard.order("ack", key, occurrence=1)
    yard.restart(20)
    yard.wait(34)
    assert yard.state(key) == "acked"
    yard.wait(1)
    assert yard.state(key) == "normal"


def test_a_rule_that_is_gone_withdraws_its_alarms(yard: Yard) -> None:
    """With a word to who was told, and a closed occurrence."""
    yard.wait(31, ("noise-1", "laeq", 70.0))
    yard.restart(5, tuple(rule for rule in yard.rules if rule.id != "noise-limit"))
    assert (yard.state(NOISE), yard.kept.occurrences[NOISE, 1].closed) == ("normal", "withdrawn")
    assert (yard.events(NOISE), yard.told(NOISE)) == (["raised", "withdrawn"], ["raised", "cleared"])


def test_other_numbers_keep_the_alarm(yard: Yard) -> None:
    """A rule that was changed is the same rule: its alarm goes on."""
    yard.wait(31, ("noise-1", "laeq", 70.0))
    yard.restart(5, tuple(replace(rule, on_delay=5.0) if rule.id == "noise-limit" else rule for rule in yard.rules))
    yard.wait(3, ("noise-1", "laeq", 70.0))
    assert (yard.state(NOISE), yard.told(NOISE)) == ("unacked", ["raised"])


def test_an_ack_survives(night: Yard) -> None:
    """What a person has done is not asked of him again."""
    night.wait(5, ("radar-1", "presence", "present"))
    night.order("ack", LAKE, occurrence=1)
    night.restart(10)
    night.wait(3, ("radar-1", "presence", "present"))
    assert (night.state(LAKE), night.kept.alarms[LAKE].acked_by) == ("acked", "keeper")


VALUES: dict[tuple[str, str], list[Value]] = {
    ("noise-1", "laeq"): [40.0, 44.0, 46.0, 70.0],
    ("gate-1", "gate"): ["open", "closed", "stuck"],
    ("radar-1", "presence"): ["present", "absent"],
    ("sos-1", "sos"): ["pressed", "idle"],
    ("chip-1", "chip"): ["900000000000001", "900000000000002"],
}
QUIET: dict[tuple[str, str], Value] = {
    ("noise-1", "laeq"): 40.0,
    ("gate-1", "gate"): "closed",
    ("radar-1", "presence"): "absent",
    ("sos-1", "sos"): "idle",
    ("relay-1", "relay_1"): "off",
}
SAYING = st.sampled_from([(*series, value) for series, values in VALUES.items() for value in values])
STEP = st.tuples(st.lists(SAYING, max_size=4), st.integers(1, 25), st.sampled_from(["", "ack", "reset"]))


def lived(yard: Yard, history: list[tuple[list[tuple[str, str, Value]], int, str]], cut: int) -> dict[str, object]:
    """Live through it. Before step |cut| the hub restarts (not if `cut` < 0), the links come anew, everybody speaks."""
    last = dict(QUIET)
    for (device, quantity), value in last.items():
        yard.say(device, quantity, value)
    for at, (saying, seconds, act) in enumerate(history):
        if at == abs(cut):
            if cut >= 0:
                yard.restart(0)
            yard.link_down()
            yard.link_up()
            yard.now += 1
            for (device, quantity), value in last.items():
                yard.say(device, quantity, value)
        for device, quantity, value in saying:
            yard.say(device, quantity, value)
            if quantity != "chip":  # an event is said once
                last[device, quantity] = value
        yard.wait(seconds)
        if act:
            for key, row in list(yard.kept.alarms.items()):
                yard.order(act, key, occurrence=row.occurrence)
    kept = ("state", "occurrence", "activations", "announced", "filter")
    return {key: [getattr(row, name) for name in kept] for key, row in yard.kept.alarms.items() if row.occurrence}


@settings(max_examples=100)
@given(history=st.lists(STEP, min_size=2, max_size=8), cut=st.integers(1, 7))
def test_a_restart_in_no_time_changes_nothing(
    open_yard: Callable[..., Yard],
    odd: tuple[Rule, ...],
    history: list[tuple[list[tuple[str, str, Value]], int, str]],
    cut: int,
) -> None:
    """Cut anywhere, start anew from the rows, hear everybody again: the same alarms as without the cut."""
    cut = min(cut, len(history) - 1)
    through, restarted = open_yard(11.0), open_yard(11.0)
    for yard in (through, restarted):
        yard.restart(0, odd)
        yard.link_up()
    assert lived(through, history, -cut) == lived(restarted, history, cut)


def test_the_rows_are_all_there_is(night: Yard) -> None:
    """What a core is built from goes through JSON as it would through the journal, and comes back the same."""
    night.wait(5, ("radar-1", "presence", "present"))
    memory = night.kept.memory()
    assert msgspec.json.decode(msgspec.json.encode(memory), type=type(memory)) == memory
