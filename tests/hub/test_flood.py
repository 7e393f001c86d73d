"""When a flood of alarms begins and is over (ISA-18.2), what it covers, and how its digests are spaced."""

from hypothesis import given
from hypothesis import strategies as st

from hub.alarms.flood import EVERY_MS, GATHER_MS, KEY, OVER, Flood, recalled, told
from hub.alarms.isa import FLOOD, TEN_MINUTES
from hub.outcome import Alarm, Flip

NOW = 1_760_000_000_000


def alarm(state: str, raised: int, cleared: int | None = None) -> Alarm:
    """The row of the flood's own alarm."""
    return Alarm(
        key=KEY, rule="alarm-flood", source="hub", zone="", severity="P2", filter=state, since=raised, last=raised,
        state="unacked", raised=raised, cleared=cleared,
    )  # fmt: skip


def test_more_than_ten_in_ten_minutes_are_a_flood() -> None:
    """The eleventh begins it, if it comes within ten minutes of the first."""
    assert not Flood().step([NOW] * FLOOD, NOW).on
    assert Flood().step([NOW] * FLOOD, NOW).step([NOW + TEN_MINUTES - 1], NOW + TEN_MINUTES - 1).on
    assert not Flood().step([NOW] * FLOOD, NOW).step([NOW + TEN_MINUTES], NOW + TEN_MINUTES).on


def test_it_is_over_when_fewer_than_five_came() -> None:
    """Not at the first quiet minute: with six to ten in ten minutes a flood goes on, and none begins."""
    begun = Flood().step([NOW + at for at in range(FLOOD + 1)], NOW + FLOOD)
    later = NOW + TEN_MINUTES + FLOOD - OVER
    assert begun.step([], later).on
    over = begun.step([], later + 1)
    assert (over.on, over.since, over.until) == (False, NOW + FLOOD, later + 1)
    assert not over.step([later + 2] * 5, later + 2).on


def test_it_covers_what_happened_meanwhile() -> None:
    """From the alarm that made it one to its end."""
    flood = Flood((), NOW, NOW + 100)
    assert [flood.covers(NOW + at) for at in (-1, 0, 100, 101)] == [False, True, True, False]
    assert not Flood().covers(NOW)
    assert Flood((), NOW).covers(NOW + TEN_MINUTES)


def test_digests_are_spaced() -> None:
    """The first soon after the begin, then one in five minutes, the last at once; a clock set back holds none up."""
    flood = Flood((), NOW)
    assert (flood.pause(None, NOW), flood.pause(None, NOW + GATHER_MS)) == (GATHER_MS, 0)
    assert flood.pause(NOW + GATHER_MS, NOW + GATHER_MS + 1) == EVERY_MS - 1
    assert Flood((), NOW, NOW + 1).pause(NOW, NOW + 2) == 0
    assert flood.pause(NOW + GATHER_MS, NOW - 10 * EVERY_MS) <= EVERY_MS


def test_a_flood_is_none_of_its_own_alarms() -> None:
    """Counted are the alarms that people were told of, and not that there is a flood."""
    flips = [
        Flip(at=NOW, key=key, occurrence=1, event="raised", before="normal", after="unacked", announce=announce)
        for key, announce in [("a/b", "raised"), ("a/b", "cleared"), ("a/c", ""), (KEY, "raised")]
    ]
    assert told(flips) == [NOW]


@given(steps=st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 4)), max_size=60))
def test_a_restart_changes_nothing(steps: list[tuple[int, int]]) -> None:
    """At any moment the journal's last instants and the row of the flood's own alarm give the same flood again."""
    flood, now, every = Flood(), NOW, list[int]()
    for pause, times in steps:
        now += pause
        every += [now] * times
        flood = flood.step([now] * times, now)
        assert len(flood.recent) <= FLOOD + 1
        row = None
        if flood.since is not None:
            row = alarm("on" if flood.on else "off", flood.since, flood.until)
        again = recalled(every[-FLOOD - 1 :], row, now)
        assert again == flood
