"""Pauses and paces: failures are asked again later and later, and a thousand together are no storm."""

import heapq
import itertools

from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.links.backoff import Backoff, Pace


@given(st.floats(0.1, 2.0), st.floats(2.0, 60.0), st.floats(0.0, 0.9), st.integers(1, 12))
def test_pauses_double_up_to_the_most(first: float, most: float, jitter: float, times: int) -> None:
    """Each pause is twice the last, at most `most`, cut by up to the jitter; a success starts anew."""
    backoff = Backoff(first, most, jitter)
    for n in range(times):
        whole = min(most, first * 2**n)
        assert (1 - jitter) * whole * 0.999 <= backoff.next() <= whole * 1.001
    backoff.reset()
    assert backoff.next() <= first * 1.001


@given(st.lists(st.floats(0.0, 0.2), min_size=1, max_size=200), st.floats(1.0, 500.0), st.integers(1, 30))
def test_a_pace_is_kept_in_every_second(steps: list[float], per_second: float, burst: int) -> None:
    """Whoever asks when: never more than the burst and the rate together, in the order of asking, none for nothing."""
    pace, now, turns = Pace(per_second, burst), 0.0, list[float]()
    for step in steps:
        now += step
        turns.append(now + pace.wait(now))

    assert turns == sorted(turns)
    assert turns[0] == steps[0]
    for first, last in itertools.combinations(range(len(turns)), 2):
        assert last - first + 1 <= burst + per_second * (turns[last] - turns[first]) + 1 + 1e-6


def test_a_thousand_devices_whose_power_returns() -> None:
    """Attempts stay under the pace while all are gone, and all are back within the longest pause and 4 s."""
    pace, backoffs = Pace(250.0, 20), [Backoff(most=10.0, jitter=0.5) for _ in range(1000)]
    power = 60.0
    attempts: list[float] = []
    back: dict[int, float] = {}
    waiting = [(0.0, place) for place in range(1000)]
    while waiting:
        now, place = heapq.heappop(waiting)
        at = now + pace.wait(now)
        attempts.append(at)
        if at >= power:
            back[place] = at
        else:
            heapq.heappush(waiting, (at + backoffs[place].next(), place))

    attempts.sort()
    ahead = iter(attempts[271:])
    assert all(later - first > 1.0 for first, later in zip(attempts, ahead, strict=False))
    assert len(back) == 1000
    assert max(back.values()) <= power + 10.0 + 4.0
