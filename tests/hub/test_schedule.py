"""Hours of the day: over midnight, over a change of the clocks, and the due-list that wakes alarms for them."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.due import Due
from hub.schedule import Hours
from hub.settings import parse_span

ZONES = ["Asia/Shanghai", "America/New_York", "Australia/Lord_Howe"]
MINUTE = 60_000


def instant(text: str, zone: str) -> int:
    """A wall-clock time as ms since 1970."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("span", ["22:00-06:00", "06:00-22:00", "00:00-24:00", "00:00-06:30", "22:00-24:00"])
def test_two_years_against_the_clock_on_the_wall(zone: str, span: str) -> None:
    """Every 17 minutes of two years: inside is what a clock on the wall would say (no edge lies in a doubled hour)."""
    tz = ZoneInfo(zone)
    hours, (first, last) = Hours(span, tz), parse_span(span)
    start = instant("2025-01-01T00:00", zone) // MINUTE
    for minute in range(start, start + 2 * 365 * 24 * 60, 17):
        wall = datetime.fromtimestamp(minute * 60, tz)
        at = wall.hour * 60 + wall.minute
        want = first <= at < last if first < last else at >= first or at < last
        assert hours.inside(minute * MINUTE) == want, wall


@settings(max_examples=100, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    first=st.integers(0, 24 * 60 - 1),
    last=st.integers(0, 24 * 60),
    day=st.integers(0, 730),
    minute=st.integers(0, 24 * 60 - 1),
)
def test_the_answer_stands_until_it_says(zone: str, first: int, last: int, day: int, minute: int) -> None:
    """Up to `until` nothing changes, whatever the span; and a fresh look agrees with the remembered one."""
    span = f"{first // 60:02}:{first % 60:02}-{last // 60:02}:{last % 60:02}"
    hours = Hours(span, ZoneInfo(zone))
    now = instant("2025-01-01T00:00", zone) + (day * 24 * 60 + minute) * MINUTE
    until = hours.until(now)
    assert now < until <= now + timedelta(days=3) / timedelta(milliseconds=1)
    for part in range(8):
        at = now + (until - now - 1) * part // 7
        assert Hours(span, ZoneInfo(zone)).inside(at) == hours.inside(now)


@pytest.mark.parametrize(
    ("at", "inside"),
    [("21:59:59", False), ("22:00:00", True), ("00:00:00", True), ("05:59:59", True), ("06:00:00", False)],
)
def test_the_start_is_inside_and_the_end_is_not(at: str, inside: bool) -> None:
    """Midnight itself is within a span over midnight."""
    hours = Hours("22:00-06:00", ZoneInfo("Asia/Shanghai"))
    assert hours.inside(instant(f"2026-01-05T{at}", "Asia/Shanghai")) == inside


@pytest.mark.parametrize("at", ["21:59:59", "22:00:00", "10:00:00"])
def test_from_one_time_to_the_same_is_the_whole_day(at: str) -> None:
    """An end that is not after its start lies on the next day."""
    hours = Hours("22:00-22:00", ZoneInfo("Asia/Shanghai"))
    assert hours.inside(instant(f"2026-01-05T{at}", "Asia/Shanghai"))


def test_a_night_with_a_doubled_hour_is_nine_hours_long() -> None:
    """Both ends are clock times, never a start plus eight hours."""
    hours = Hours("22:00-06:00", ZoneInfo("America/New_York"))
    start = instant("2026-10-31T22:00", "America/New_York")
    assert hours.until(start) - start == 9 * 60 * MINUTE


def test_a_thing_is_due_once_and_at_its_last_time() -> None:
    """Set later, set sooner, taken back: only the last word counts."""
    due: Due[str] = Due()
    due.set("late", 10)
    due.set("late", 50)
    due.set("soon", 50)
    due.set("soon", 20)
    due.set("never", 5)
    due.set("never", None)
    assert due.pop(19) == []
    assert due.pop(30) == ["soon"]
    assert due.pop(49) == []
    assert due.pop(50) == ["late"]
    assert due.pop(1000) == []


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 40))),
            st.integers(0, 5),
        )
    )
)
def test_the_heap_is_as_a_plain_dict_would_be(moves: list[tuple[str, int | None] | int]) -> None:
    """Any order of setting and popping: the same things come due at the same time."""
    due: Due[str] = Due()
    plain: dict[str, int] = {}
    now = 0
    for move in moves:
        if isinstance(move, int):
            now += move
            assert sorted(due.pop(now)) == sorted(thing for thing, at in plain.items() if at <= now)
            plain = {thing: at for thing, at in plain.items() if at > now}
            continue
        thing, at = move
        due.set(thing, at)
        if at is None:
            plain.pop(thing, None)
        else:
            plain[thing] = at
