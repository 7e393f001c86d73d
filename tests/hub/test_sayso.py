"""A manager's orders: limits that hold at once and reset nothing, mutes that end by themselves, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from device_profiles.door import Refusal
from hub.orders import sayso
from hub.orders.sayso import LONGEST_MUTE_S, Sayso, rules_in_force
from hub.outcome import Order, OrderState, Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hub.conftest import Yard

NOISE = "noise-limit/noise-1"
LOUD = ("noise-1", "laeq", 70.0)


class Manager:
    """Says what is to hold in a yard, and keeps the rows."""

    def __init__(self, yard: Yard) -> None:
        """Nothing said yet."""
        self.yard, self.rows = yard, Outcome()
        self.sayso = Sayso(yard.site, [], [], yard.core.rebind)

    def says(self, kind: str, target: str, command: str = "", **more: object) -> str:
        """State and outcome of the order."""
        now = self.yard.now
        order = Order(
            id=1, token="t", kind=kind, target=target, command=command, actor="lin", issued=now, expires=now + 1000,
            text="dance",
        )  # fmt: skip
        order = replace(order, **more)
        outcome = self.yard.keep(self.sayso.take(order, now))
        self.rows.limits += outcome.limits
        self.rows.mutes += outcome.mutes
        return f"{outcome.orders[-1].state} {outcome.orders[-1].outcome}"


@pytest.fixture
def manager(yard: Yard) -> Manager:
    """At noon."""
    return Manager(yard)


def test_a_limit_holds_at_once_and_resets_nothing(manager: Manager) -> None:
    """An alarm that was raised and seen stays so under its new number, and ends by it; the row keeps the old value."""
    yard = manager.yard
    yard.wait(31, LOUD)
    yard.order("ack", NOISE, occurrence=1)
    assert manager.says("limit", "noise-limit/square", "above=60") == "done done"
    assert yard.state(NOISE) == "acked"
    yard.wait(5, LOUD)
    assert (yard.state(NOISE), yard.told(NOISE)) == ("acked", ["raised"])
    assert manager.says("limit", "noise-limit/square", "above=75") == "done done"
    yard.wait(61, LOUD)
    assert (yard.state(NOISE), yard.told(NOISE)) == ("normal", ["raised", "cleared"])
    assert [(row.value, row.before, row.actor, row.reason) for row in manager.rows.limits] == [
        (60.0, "noise", "lin", "dance"), (75.0, 60.0, "lin", "dance"),
    ]  # fmt: skip


def test_a_delay_that_is_running_goes_on(manager: Manager) -> None:
    """Twenty seconds have held already; the limit that is changed meanwhile does not begin anew."""
    yard = manager.yard
    yard.wait(20, LOUD)
    manager.says("limit", "noise-limit", "above=60")
    yard.wait(9, LOUD)
    assert yard.state(NOISE) == "normal"
    yard.wait(2, LOUD)
    assert yard.state(NOISE) == "unacked"


def test_taken_back_the_file_holds_again(manager: Manager) -> None:
    """And nothing can be taken back that was not set."""
    yard = manager.yard
    assert manager.says("limit-clear", "noise-limit", "above") == "refused not-set"
    manager.says("limit", "noise-limit", "above=80")
    yard.wait(40, LOUD)
    assert yard.state(NOISE) == "normal"
    assert manager.says("limit-clear", "noise-limit", "above") == "done done"
    yard.wait(31, LOUD)
    assert yard.state(NOISE) == "unacked"
    assert (manager.rows.limits[-1].value, manager.rows.limits[-1].before) == (None, 80.0)


def test_a_restart_and_a_reload_keep_what_was_set(manager: Manager) -> None:
    """A new process starts with it; another site file lies under it."""
    yard = manager.yard
    manager.says("limit", "noise-limit", "above=80")
    yard.restart(rules=rules_in_force(yard.site, yard.rules, manager.rows.limits))
    again = Sayso(yard.site, manager.rows.limits, [], yard.core.rebind)
    yard.wait(40, LOUD)
    assert yard.state(NOISE) == "normal"
    yard.keep(yard.core.rebind(yard.site, again.renew(yard.site, yard.rules), yard.now))
    yard.wait(40, LOUD)
    assert yard.state(NOISE) == "normal"
    assert rules_in_force(yard.site, yard.rules, []) is yard.rules


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (("limit", "sos", "use=off"), "refused p1-only-stricter:use = on"),
        (("limit", "nonsense", "above=1"), "refused no-such-rule:nonsense"),
        (("limit", "noise-limit", "above=x y"), "refused does-not-fit:'x y' is not a number"),
        (("mute", "moon"), "refused no-such-zone:moon"),
        (("mute", "lake"), "refused seconds-out-of-range:1..28800"),
        (("unmute", "lake"), "refused not-set:lake"),
    ],
)
def test_what_cannot_be_done_changes_nothing(manager: Manager, order: tuple[str, ...], why: str) -> None:
    """Refused in words, without a row."""
    assert manager.says(*order) == why
    assert not manager.rows.limits
    assert not manager.rows.mutes


@pytest.mark.parametrize("seconds", [0.0, -5.0, LONGEST_MUTE_S + 1, float("inf"), float("nan")])
def test_a_mute_has_an_end_within_eight_hours(manager: Manager, seconds: float) -> None:
    """There is none for ever, and none of no time."""
    assert manager.says("mute", "lake", seconds=seconds).startswith("refused seconds-out-of-range")


def test_every_order_says_why_and_comes_in_time(manager: Manager) -> None:
    """Without a reason nothing is done, and not when the order is too late."""
    assert manager.says("mute", "lake", seconds=60.0, text=" ") == "refused no-reason"
    assert manager.says("limit", "noise-limit", "above=60", text="") == "refused no-reason"
    assert manager.says("mute", "lake", seconds=60.0, expires=manager.yard.now) == "expired expired"
    assert manager.says("mute", "lake", seconds=60.0) == "done done"


def test_one_mute_a_zone(manager: Manager) -> None:
    """A new one ends the one before; it ends by the clock, or by a person, who is named."""
    yard = manager.yard
    manager.says("mute", "lake", seconds=60.0)
    yard.wait(10)
    manager.says("mute", "lake", seconds=60.0)
    first, old, new = manager.rows.mutes
    assert (first.at, first.ended, old.at, old.ended) == (old.at, None, first.at, new.at)
    assert (new.holds(new.at), new.holds(new.until), new.holds(new.at - 1)) == (True, False, False)
    yard.wait(5)
    assert manager.says("unmute", "lake") == "done done"
    assert (manager.rows.mutes[-1].ended, manager.rows.mutes[-1].ended_by) == (yard.now, "lin")
    assert manager.says("unmute", "lake") == "refused not-set:lake"


def test_a_p1_alarm_is_never_shelved_by_the_core(night: Yard) -> None:
    """Whatever a page sends: the core itself says no."""
    night.wait(5, ("radar-1", "presence", "present"))
    order = night.order("shelve", "water-presence/radar-1", text="quiet please", seconds=60.0, occurrence=1)
    assert (order.state, order.outcome) == (OrderState.REFUSED, "rejected:not-shelvable")
    assert night.state("water-presence/radar-1") == "unacked"


def test_rule_files_that_were_spoilt_meanwhile_end_nothing(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Orders go by the files as they were at the start; a reload that meets wrong ones goes on without limits."""
    yard = manager.yard

    def spoilt(*_: object) -> None:
        raise Refusal(tmp_path, "rule[0].kind", "not a kind")

    monkeypatch.setattr(sayso, "plain_rules", spoilt)
    assert manager.says("limit", "noise-limit", "above=80") == "done done"
    assert manager.sayso.renew(yard.site, yard.rules) is yard.rules
    assert manager.says("limit", "noise-limit", "above=70") == "done done"
