"""Charts that are no lines: states as durations, counters as increases, events as counts; and all as tables."""

import csv
import io
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dashboard.charts import bars
from dashboard.charts.bars import MOST_BARS, STEPS_MS, bar_width
from dashboard.charts.heard import Heard
from dashboard.charts.stretches import MOST_STRETCHES, SEVERAL, Stretch, changes, stretches
from dashboard.charts.window import LONGEST_MS, Window, asked_for
from device_profiles.types import ModbusProfile, RegisterField
from hub.history.store import StoreError
from hub.keeping.retention import KEEP_TRACES_MS

if TYPE_CHECKING:
    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, ListHistory

NOW = 1_760_000_000_000  # 2025-10-09 16:53:20 in Shanghai
MINUTE, HOUR = 60_000, 3_600_000
DAY = 24 * HOUR
TICK = 10_000
SHANGHAI = ZoneInfo("Asia/Shanghai")
GATE = "/api/v1/devices/gate-north/series?quantity="

WINDOWS: list[tuple[dict[str, str], Window | None]] = [
    ({}, Window(NOW - HOUR, NOW, live=True)),
    ({"range": "1y"}, Window(NOW - 365 * DAY, NOW, live=True)),
    ({"since": "1000", "until": "61000"}, Window(1_000, 61_000)),
    ({"since": str(NOW - HOUR), "until": str(NOW + HOUR)}, Window(NOW - HOUR, NOW)),
    ({"from": "2025-10-08", "to": "2025-10-08"}, Window(NOW - 60_800_000 - DAY, NOW - 60_800_000)),
    ({"from": "2025-10-09", "to": "2025-10-31"}, Window(NOW - 60_800_000, NOW)),
    ({"range": "2h"}, None), ({"since": "1"}, None), ({"since": "x", "until": "9"}, None),
    ({"from": "2025-10-08"}, None),
    ({"from": "2025-10-08", "to": "2025-10-07"}, None), ({"since": "5", "until": "5"}, None),
    ({"from": "", "to": ""}, None),
    ({"since": "0", "until": str(LONGEST_MS + 1)}, None), ({"since": "-5", "until": "60000"}, None),
    ({"since": str(NOW + 1), "until": str(NOW + HOUR)}, None), ({"from": "9999-12-31", "to": "9999-12-31"}, None),
    ({"since": "1e3", "until": "9e9"}, None), ({"since": "9" * 5000, "until": "9" * 5000}, None),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "window"), WINDOWS, ids=lambda value: str(value)[:40])
def test_which_window(arguments: dict[str, str], window: Window | None) -> None:
    """The usual spans, instants, dates of the site with both included; never the future, never nonsense."""
    assert asked_for(arguments, NOW, SHANGHAI) == window


def test_states_are_durations(admin: "Browser", field: "Field", history: "ListHistory") -> None:
    """How long each was; it goes on from before the window; in silence nothing is known; the journal goes on."""
    field.all_well()
    field.put("cursor", name="history", seq=0, at=NOW)
    ticks = [*range(NOW - 70 * MINUTE, NOW - 40 * MINUTE, TICK), *range(NOW - 20 * MINUTE, NOW - MINUTE, TICK)]
    history.kept = [("gate-north", "gate", at, "open" if at < NOW - 50 * MINUTE else "closed") for at in ticks]
    for at in range(NOW - MINUTE, NOW, TICK):
        field.read("gate-north", "gate", "locked", at)
    found = admin.client.get(f"{GATE}gate&range=1h").json
    assert found["kind"] == "state"
    assert found["totals"] == {"open": 10 * MINUTE, "closed": (10 + 19) * MINUTE - TICK, "locked": MINUTE}
    assert found["unknown"] == 20 * MINUTE + TICK
    assert found["gaps"] == [[NOW - 40 * MINUTE - TICK, NOW - 20 * MINUTE]]
    assert found["stretches"][0] == [NOW - HOUR, NOW - 50 * MINUTE, "open"]
    assert found["states"]["closed"]["zh"] == "关闭"


def test_another_quantity_tells_that_it_lives(admin: "Browser", field: "Field", history: "ListHistory") -> None:
    """A state that is told only when it changes holds while its device says other things, and not after."""
    field.all_well()
    history.kept = [("gate-north", "tamper", NOW - 50 * MINUTE, "normal")]
    assert admin.client.get(f"{GATE}tamper&range=1h").json["totals"] == {}
    history.kept += [("gate-north", "gate", at, "closed") for at in range(NOW - HOUR, NOW - 10 * MINUTE, TICK)]
    found = admin.client.get(f"{GATE}tamper&range=1h").json
    assert found["totals"] == {"normal": 40 * MINUTE - TICK}
    assert found["gaps"] == [[NOW - 10 * MINUTE - TICK, NOW]]


def test_events_are_counts(admin: "Browser", field: "Field", history: "ListHistory") -> None:
    """So many a bar, none where the device lived and nobody came, nothing where it was silent; passages by law."""
    field.all_well()
    history.kept = [("gate-north", "gate", at, "closed") for at in range(NOW - 12 * HOUR, NOW, 4 * MINUTE)]
    history.kept += [("gate-north", "passage", NOW - 2 * HOUR + n, "granted") for n in range(3)]
    history.kept += [("gate-north", "passage", NOW - KEEP_TRACES_MS - 1, "granted")]
    found = admin.client.get(f"{GATE}passage&range=24h").json
    assert (found["kind"], found["total"], sum(value or 0 for value in found["value"])) == ("event", 3, 3)
    assert found["value"][0] is None
    assert 0.0 in found["value"]
    assert admin.client.get(f"{GATE}passage&range=90d").json["total"] == 3


def test_counters_are_increases(office: "Office", field: "Field", history: "ListHistory") -> None:
    """From reading to reading; a reset counts from zero; what rose while nothing was heard is told apart."""
    meter, begin = field.site.devices()["noise-east"], NOW - HOUR
    values = [
        (-5_000, 8.0),
        (5_000, 10.0),
        (15_000, 12.0),
        (70_000, 15.0),
        (80_000, 1.0),
        (90_000, 2.0),
        (HOUR - 9, 7.0),
    ]
    history.kept = [("noise-east", "energy", begin + at, value) for at, value in values]
    found = bars.read(office, meter, "energy", Window(begin, NOW))
    assert isinstance(found, bars.Increases)
    assert (found.width, found.resets, found.in_gaps, found.total) == (MINUTE, 1, 5.0, 2 + 2 + 3 + 1 + 1 + 5)
    first = next(n for n, ts in enumerate(found.ts) if ts <= begin + 5_000 < ts + MINUTE)
    assert sum(value or 0 for value in found.value) == 2 + 2 + 3 + 1 + 1
    assert found.value[first + 5] is None
    assert found.gaps == [(begin + 90_000, begin + HOUR - 9)]
    later = bars.read(office, meter, "energy", Window(begin + 75_000, NOW))
    assert later.total == 1 + 1 + 5  # what rose before is in the first bar, and not in the sum


def test_a_counter_goes_over_the_end_that_its_profile_states(
    office: "Office", field: "Field", history: "ListHistory"
) -> None:
    """By the register's width it is no reset; what falls to elsewhere is another meter, and not counted."""
    meter, begin = field.site.devices()["noise-east"], NOW - HOUR
    register = RegisterField(address=0, type="u16", unit="kWh")
    assert isinstance(meter.profile, ModbusProfile)
    meter = replace(meter, profile=replace(meter.profile, reading={**meter.profile.reading, "energy": register}))
    values = enumerate([65_530.0, 65_534.0, 2.0, 3.0, 9_000.0, 4_000.0, 4_001.0])
    history.kept = [("noise-east", "energy", begin + n * TICK, value) for n, value in values]
    found = bars.read(office, meter, "energy", Window(begin, NOW))
    assert isinstance(found, bars.Increases)
    assert (found.rolled, found.resets, found.others) == (1, 0, 1)
    assert found.total == 4 + 4 + 1 + 8_997 + 1
    blind = replace(meter, profile=replace(meter.profile, reading={"energy": replace(register, type="i32")}))
    assert isinstance(unknown := bars.read(office, blind, "energy", Window(begin, NOW)), bars.Increases)
    assert (unknown.rolled, unknown.resets) == (0, 1)


@pytest.mark.parametrize("quantity", ["gate", "passage"])
def test_a_store_that_cannot_answer(
    quantity: str, admin: "Browser", field: "Field", history: "ListHistory", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal's part is shown, and the chart says that it is a part."""
    field.all_well()
    field.read("gate-north", quantity, "open" if quantity == "gate" else "granted", NOW - 5_000)

    def down(*_: object) -> None:
        raise StoreError("connection refused")

    assert admin.client.get(f"{GATE}{quantity}&range=1h").json["whole"] is True
    monkeypatch.setattr(history, "last_before", down)
    found = admin.client.get(f"{GATE}{quantity}&range=1h").json
    assert found["whole"] is False
    assert found.get("totals", {"open": found.get("total")}) in ({"open": 5_000}, {"open": 1})


def table(answer: str) -> list[list[str]]:
    """As a spreadsheet reads it."""
    assert answer[0] == "\ufeff"
    return list(csv.reader(io.StringIO(answer[1:])))


def test_what_is_shown_as_a_table(admin: "Browser", field: "Field", history: "ListHistory") -> None:
    """Each kind in its own columns, in the reader's language, with the site's time beside UTC."""
    field.all_well()
    history.kept = [
        ("noise-east", "laeq", NOW - 60_000, 48.5),
        *[("gate-north", "gate", at, "open") for at in range(NOW - MINUTE, NOW, TICK)],
    ]
    url = "/api/v1/devices/noise-east/series?quantity=laeq&range=1h&format=csv"
    answer = admin.client.get(f"{url}&lang=zh")
    assert "attachment" in answer.headers["Content-Disposition"]
    head, row = table(answer.text)
    assert head[:4] == ["时间（当地）", "时区", "UTC 毫秒", "平均"]
    assert row[:7] == ["2025-10-09 16:52:20.000", "UTC+08:00", str(NOW - 60_000), "48.5", "48.5", "48.5", "1"]
    head, row = table(admin.client.get(f"{GATE}gate&range=1h&format=csv&lang=en").text)
    assert head == ["time (local)", "time zone", "UTC ms", "until", "UTC ms", "state", "seconds"]
    assert row[2:] == [str(NOW - 60_000), "2025-10-09 16:53:20.000", str(NOW), "open", "60.0"]
    assert table(admin.client.get(f"{GATE}passage&range=1h&format=csv").text)[0][-1] == "count"
    assert admin.client.get(f"{GATE}gate&format=xml").status_code == 400


@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from("abc")), max_size=30), st.integers(1, 40))
def test_stretches_and_gaps_fill_the_window(said: list[tuple[int, str]], longest: int) -> None:
    """No two overlap, none lies in a gap, and at each instant the state is the one said last."""
    said.sort(key=lambda pair: pair[0])
    heard = Heard(longest)
    found = changes(said, 50, heard)
    blind = heard.gaps(50, 150)
    drawn = [each for each in stretches(found, 150, blind) if each.since < 150]
    for before, after in pairwise(drawn):
        assert before.until <= after.since
    for instant in range(50, 150):
        state = next((text for at, text in reversed(said) if at <= instant), None)
        silent = any(a <= instant < b for a, b in blind)
        shown = [each.state for each in drawn if each.since <= instant < each.until]
        assert shown == ([] if silent or state is None else [state])


@given(st.lists(st.integers(0, 300), max_size=30), st.lists(st.integers(0, 300), max_size=30), st.integers(1, 50))
def test_what_was_heard(ours: list[int], others: list[int], longest: int) -> None:
    """Two series together are silent where all their readings, sorted, are too far apart."""
    one, two = Heard(longest), Heard(longest)
    for heard, times in ((one, ours), (two, others)):
        for at in sorted(times):
            heard.at(at)
    one.also(two)
    times = sorted([*ours, *others])
    edges = times if times and times[0] <= 100 else [100, *times]
    wanted = [(max(a, 100), min(b, 200)) for a, b in pairwise([*edges, 200]) if b - a > longest]
    assert one.gaps(100, 200) == [(a, b) for a, b in wanted if a < b]


@given(st.integers(10_000, LONGEST_MS))
def test_bars_are_not_too_many(length: int) -> None:
    """At most MOST_BARS of a width that people know."""
    assert bar_width(length) in STEPS_MS
    assert length / bar_width(length) <= MOST_BARS


def test_what_changes_too_fast_to_draw(admin: "Browser", field: "Field", history: "ListHistory") -> None:
    """Thousands of changes are drawn as few, called several; the durations in words stay exact."""
    field.all_well()
    ticks = range(NOW - HOUR, NOW, 1_000)
    history.kept = [("gate-north", "gate", at, "open" if at // 1_000 % 2 else "closed") for at in ticks]
    found = admin.client.get(f"{GATE}gate&range=1h").json
    assert len(found["stretches"]) <= MOST_STRETCHES
    assert SEVERAL in {state for *_, state in found["stretches"]}
    assert found["totals"] == {"open": HOUR // 2, "closed": HOUR // 2}
    assert Stretch(*found["stretches"][0]).since == NOW - HOUR
