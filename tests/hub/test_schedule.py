"""Hours of the day: over midnight, over a change of the clocks, and the due-list that wakes alarms for them."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.calendar.days import DayKind, Days, seed
from hub.calendar.schedule import Hours, parse_span
from hub.due import Due
from hub.settings.site import DayHours

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
    hours, window = Hours(span, tz), parse_span(span)
    first, last = window.first, window.last
    start = instant("2025-01-01T00:00", zone) // MINUTE
    for minute in range(start, start + 2 * 365 * 24 * 60, 17):
        wall = datetime.fromtimestamp(minute * 60, tz)
        at = wall.hour * 60 + wall.minute
        want = first <= at < last if first < last else at >= first or at < last
        assert hours.inside(minute * MINUTE) == want, wall


@settings(max_examples=100)
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


@settings(max_examples=200)
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


# --- by the kind of the day, against a minute oracle ------------------------------------------------------------

TABLES = {
    "every kind its own": DayHours(
        workday="22:00-06:00", weekend=("23:30-05:00", "12:00-14:00"), holiday="00:00-24:00", adjusted="21:00-21:00"
    ),
    "weekdays only": DayHours(workday=("18:00-01:30", "02:15-02:45"), weekend=""),
    "in the changing hour": DayHours(workday="01:30-02:30", weekend="02:00-03:00", holiday="01:59-01:00"),
}


def walls(hours: DayHours, first: date, last: date) -> set[datetime]:
    """The oracle: every minute of the clock on the wall that is within the hours, day by day, window by window."""
    by_kind = {"workday": hours.workday, "weekend": hours.weekend}
    by_kind["holiday"] = hours.weekend if hours.holiday is None else hours.holiday
    by_kind["adjusted"] = hours.workday if hours.adjusted is None else hours.adjusted
    found = set()
    for n in range((last - first).days + 1):
        day = first + timedelta(days=n)
        spans = by_kind[str(seed().kind(day))]
        for span in [spans] if isinstance(spans, str) else spans:
            if not span:
                continue
            start, end = (datetime.combine(day, time()) + _clock(text) for text in span.split("-"))
            end += timedelta(days=1) if end <= start else timedelta()
            found |= {start + timedelta(minutes=m) for m in range(int((end - start) / timedelta(minutes=1)))}
    return found


def _clock(text: str) -> timedelta:
    return timedelta(hours=int(text[:2]), minutes=int(text[3:]))


def disagreements(zone: str, table: str, step: int, offset: int) -> int:
    """How many of the minutes looked at are not as the oracle has them; each answer must also stand until it says."""
    tz, hours = ZoneInfo(zone), TABLES[table]
    inside = walls(hours, date(2024, 12, 30), date(2027, 1, 2))
    asked = Hours(hours, tz)
    start, end = instant("2025-01-01T00:00", zone) // MINUTE, instant("2027-01-01T00:00", zone) // MINUTE
    wrong, stands, said = 0, 0, False
    for minute in range(start + offset, end, step):
        want = datetime.fromtimestamp(minute * 60, tz).replace(tzinfo=None) in inside
        got = asked.inside(minute * MINUTE)
        wrong += got != want or (minute * MINUTE < stands and got != said)
        said, stands = got, asked.until(minute * MINUTE)
    return wrong


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("table", TABLES)
def test_hours_by_day_are_as_the_oracle_has_them(zone: str, table: str) -> None:
    """Two years with holidays, worked weekends and changes of the clocks, each 13th minute."""
    assert disagreements(zone, table, 13, 5) == 0


@pytest.mark.soak
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("table", TABLES)
def test_every_minute_is_as_the_oracle_has_it(zone: str, table: str) -> None:
    """The same two years, whole."""
    assert disagreements(zone, table, 1, 0) == 0


@pytest.mark.parametrize(("zone", "month", "day"), [("America/New_York", 3, 8), ("America/New_York", 11, 1)])
@pytest.mark.parametrize("table", TABLES)
def test_every_minute_around_a_change_of_the_clocks(zone: str, month: int, day: int, table: str) -> None:
    """Skipped and doubled hours: three days in which every minute is looked at, and the answers' ends are exact."""
    tz, asked = ZoneInfo(zone), Hours(TABLES[table], ZoneInfo(zone))
    inside = walls(
        TABLES[table], date(2026, month, day) - timedelta(days=3), date(2026, month, day) + timedelta(days=3)
    )
    start = instant(f"{date(2026, month, day) - timedelta(days=1)}T12:00", zone) // MINUTE
    want = [datetime.fromtimestamp(m * 60, tz).replace(tzinfo=None) in inside for m in range(start, start + 3 * 1440)]
    assert [asked.inside((start + m) * MINUTE) for m in range(3 * 1440)] == want
    changes = [m for m in range(1, 2 * 1440) if want[m] != want[m - 1]]
    assert all(Hours(TABLES[table], tz).until((start + m - 1) * MINUTE) == (start + m) * MINUTE for m in changes)


def test_the_oracle_is_one_that_can_disagree() -> None:
    """The control: hours that test the weekday of the present day, as careless code does, are found out."""

    class Careless(Hours):
        """Asks today's kind for the small hours as well."""

        def begun(self, now: int) -> tuple[date, ...]:
            wall = datetime.fromtimestamp(now / 1000, ZoneInfo("Asia/Shanghai"))
            windows = self._by_kind[seed().kind(wall.date())]
            minute = wall.hour * 60 + wall.minute
            held = any(minute >= w.first or (w.overnight and minute < w.last) for w in windows)
            return (wall.date(),) if held else ()

    tz, table = ZoneInfo("Asia/Shanghai"), DayHours(workday="22:00-06:00", weekend="")
    saturday = instant("2026-01-10T02:00", "Asia/Shanghai")
    assert Hours(table, tz).inside(saturday)  # Friday night goes on
    assert not Careless(table, tz).inside(saturday)


def test_a_new_calendar_counts_at_once() -> None:
    """An answer that stood for hours is looked up anew when the calendar is exchanged."""
    days = Days(seed())
    hours = Hours(DayHours(workday="22:00-06:00", weekend="00:00-24:00"), ZoneInfo("Asia/Shanghai"), days)
    noon = instant("2026-03-02T12:00", "Asia/Shanghai")
    assert not hours.inside(noon)
    days.calendar = seed().with_days([date(2026, 3, 2)], DayKind.HOLIDAY, source="")
    assert hours.inside(noon)
    assert hours.begun(noon) == (date(2026, 3, 2),)
