"""Budgets: no window holds more than its limit, P1 always finds its reserve, and nothing waits longer than need be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.speaking.budget import Budgets, Limit

WECOM = (Limit(20, 60.0),)
CALL = (Limit(1, 60.0), Limit(5, 3600.0), Limit(20, 86_400.0))
KEY = ("robot",)


def spend_all(budgets: Budgets, severity: str, now: int, limits: tuple[Limit, ...] = WECOM) -> int:
    """How often it may be used at once."""
    used = 0
    while not budgets.wait(KEY, severity, now, limits):
        budgets.spend(KEY, now, limits)
        used += 1
    return used


def test_a_quarter_is_kept_for_p1() -> None:
    """Of 20 a minute, 15 are for all; P1 finds the last five, and then waits as everybody does."""
    budgets = Budgets()

    assert spend_all(budgets, "P4", 0) == 15
    assert budgets.wait(KEY, "P2", 1000, WECOM) == 59_000
    assert spend_all(budgets, "P1", 1000) == 5
    assert budgets.wait(KEY, "P1", 2000, WECOM) == 58_000


@pytest.mark.parametrize(("most", "ordinary"), [(1, 1), (3, 3), (4, 3), (5, 4), (100, 75)])
def test_a_small_limit_keeps_something_for_everybody(most: int, ordinary: int) -> None:
    """One call a minute is not reserved away."""
    assert Limit(most, 60.0).allowed("P3") == ordinary
    assert Limit(most, 60.0).allowed("P1") == most


@given(st.lists(st.tuples(st.integers(0, 40_000), st.sampled_from(["P1", "P2", "P4"])), max_size=120))
def test_no_minute_holds_more_than_twenty(steps: list[tuple[int, str]]) -> None:
    """Whatever comes when: in no span of a minute is the maker's limit passed, nor the others' part of it."""
    budgets, now, used = Budgets(), 0, list[tuple[int, str]]()
    for pause, severity in steps:
        now += pause
        if budgets.wait(KEY, severity, now, WECOM) == 0:
            budgets.spend(KEY, now, WECOM)
            used.append((now, severity))

    for number, (at, severity) in enumerate(used):
        before = [when for when, _ in used[:number] if at - 60_000 < when]
        assert len(before) < (20 if severity == "P1" else 15)


@given(st.lists(st.integers(0, 90_000), max_size=40), st.sampled_from(["P1", "P3"]))
def test_after_the_wait_it_may_be_used_and_not_before(pauses: list[int], severity: str) -> None:
    """`wait` is exact to the millisecond."""
    budgets, now = Budgets(), 0
    for pause in pauses:
        now += pause
        wait = budgets.wait(KEY, severity, now, CALL)
        if wait:
            assert budgets.wait(KEY, severity, now + wait - 1, CALL) > 0
            now += wait
        assert budgets.wait(KEY, severity, now, CALL) == 0
        budgets.spend(KEY, now, CALL)


def test_two_voices_with_one_credential_share_it() -> None:
    """The maker counts keys, not our tables; another key is not touched."""
    budgets = Budgets()
    spend_all(budgets, "P1", 0)

    assert budgets.wait(("other",), "P4", 0, WECOM) == 0
    assert budgets.wait(("other", *KEY), "P4", 0, WECOM) == 60_000
    assert budgets.left(("other", *KEY), "P4", 0, WECOM) == 0
    assert budgets.left(("other",), "P4", 0, WECOM) == 15


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    """Uses of a time that has not come yet count as none."""
    budgets = Budgets()
    spend_all(budgets, "P1", 86_400_000)

    assert budgets.wait(KEY, "P4", 0, WECOM) == 0


def test_short_windows_do_not_make_digests() -> None:
    """Five a second is waited for; only windows of a minute or more say how many are left."""
    budgets = Budgets()

    assert budgets.left(KEY, "P4", 0, (Limit(5, 1.0),)) is None
    assert budgets.left(KEY, "P4", 0, (Limit(5, 1.0), Limit(100, 60.0))) == 75
    assert budgets.left(KEY, "P4", 0, ()) is None
