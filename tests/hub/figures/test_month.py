"""Days, nights and months judged: validity first, limits by class and hour, the standard's own examples."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub.calendar.schedule import parse_span
from hub.figures.levels import Tally
from hub.figures.measure import Measured
from hub.figures.month import Judge, MeterMonth, meter_month
from hub.figures.periods import Cell, Part, cells, month_days
from hub.figures.sudden import maxima
from hub.reading import Label
from hub.rules.noise import BOUNDARY_DB, LIMITS_DB, SUDDEN_DB, NoiseLimits, Standard, ZoneLimits, exceeds, zone_limits
from hub.settings.site import Site, Zone

TABLE = json.loads((Path(__file__).parents[2] / "vectors" / "noise_limits_cn.json").read_text())
TZ = ZoneInfo("Asia/Shanghai")
HOURS = cells(*month_days("2026-10"), parse_span("22:00-06:00"), TZ)
LIMITS = ZoneLimits(standard=Standard.AREA, noise_class="1", day_db=55, night_db=45, sudden_db=60)
JUDGE = Judge(limits=LIMITS, now=HOURS[-1].end, valid_share=0.75)
NAME = Label(zh="花园", en="Garden")


def site(**more: Any) -> Site:  # Any: whatever a site has
    """A community with one zone."""
    zones = (Zone(id="yard", name=NAME),)
    return Site(**{"id": "garden", "name": NAME, "timezone": "Asia/Shanghai", "zones": zones, "links": (), **more})


def month(levels: Sequence[float | None], share: float = 1.0, judge: Judge = JUDGE) -> MeterMonth:
    """A month of hours at these levels (None: not measured), each measured for `share` of its time."""
    tallies = []
    for cell, level in zip(HOURS, levels, strict=True):
        tally = Tally()
        if level is not None:
            tally.add({level: (cell.end - cell.start) * share})
        tallies.append(tally)
    return meter_month(HOURS, Measured(tallies, [], 0, 0), [None] * len(HOURS), None, judge)


def by_part(day: float, night: float) -> list[float | None]:
    """A month with the same level in all hours of a part."""
    return [day if cell.part is Part.DAY else night for cell in HOURS]


@pytest.mark.parametrize("vector", TABLE["vectors"], ids=lambda vector: f"{vector['cls']} {vector['when']}")
def test_the_standards_examples(vector: dict[str, Any]) -> None:
    """GB 3096-2008: the limit of the hour, reached is not exceeded, and Lmax at night may exceed it by 15 dB."""
    hour, minute = map(int, vector["when"].split(":"))
    at = int(datetime(2026, 10, 9, hour, minute, tzinfo=TZ).timestamp() * 1000)
    limit = NoiseLimits(site(noise_class=vector["cls"])).at("yard", at)

    level = vector.get("leq")
    found = exceeds(level, limit) if level is not None else exceeds(vector["lmax"], limit + SUDDEN_DB)
    assert found is vector["exceeds"]


def test_the_tables_are_the_published_ones() -> None:
    """Both tables of limits, as tests/vectors/noise_limits_cn.json has them; class 4 of GB 22337 is 4a and 4b."""
    area = {name: tuple(map(float, both)) for name, both in TABLE["GB3096_2008"]["limits"].items()}
    boundary = {name: tuple(map(float, both)) for name, both in TABLE["GB22337_2008"]["boundary"].items()}

    assert area == LIMITS_DB
    assert {**{name: boundary[name[0]] for name in area}} == BOUNDARY_DB
    assert TABLE["GB3096_2008"]["night_sudden_Lmax_excess"] == SUDDEN_DB


def test_which_standard_counts_in_a_zone() -> None:
    """GB 22337-2008 where the site uses the rule for boundaries, in one zone or in all; else GB 3096-2008."""
    own = {"noise-boundary": {"zone": {"yard": {"use": "on"}}}}
    off = {"noise-boundary": {"use": "on", "zone": {"yard": {"use": "off"}}}}
    found = [zone_limits(site(noise_class="4b", rules=rules), "yard") for rules in ({}, own, off)]

    assert [limits.standard for limits in found] == [Standard.AREA, Standard.BOUNDARY, Standard.AREA]
    assert [limits.night_db for limits in found] == [60.0, 55.0, 60.0]
    assert {limits.sudden_db for limits in found} == {75.0}


def test_a_whole_month() -> None:
    """52.5 dB by day and by night make an Ldn of 58.52 (tests/vectors/noise.json), each day and for the month."""
    found = month(by_part(52.5, 52.5))

    assert [found.by_day.level, found.by_night.level] == [52.5, 52.5]
    assert found.ldn == pytest.approx(58.5206, abs=0.001)
    assert {round(day.ldn or 0, 3) for day in found.days} == {58.521}
    assert (found.by_day.valid, found.by_day.exceeding, found.by_night.exceeding) == (31, 0, 31)
    assert found.coverage == 1.0
    assert len(found.runs) == 31  # the nights, each in one piece
    assert {(run.part, run.end - run.start, run.limit) for run in found.runs} == {(Part.NIGHT, 8 * 3_600_000, 45.0)}


def test_reached_is_not_exceeded() -> None:
    """Limits are compared with the figure as it is: 55.0 is within 55, and 55.04, which is shown as 55.0, is above."""
    assert month(by_part(55.0, 45.0)).runs == []
    assert month(by_part(55.04, 45.0)).by_day.exceeding == 31


def test_energy_decides() -> None:
    """Two hours of 64 dB among fourteen of 45 exceed 55 dB by day; their arithmetic mean would be 47."""
    levels = [64.0 if cell.hour in (19, 20) else 45.0 if cell.part is Part.DAY else 40.0 for cell in HOURS]
    found = month(levels)

    assert found.by_day.level == pytest.approx(55.34, abs=0.01)
    assert found.by_day.exceeding == 31


@pytest.mark.parametrize(("share", "counts"), [(0.7499, False), (0.75, True), (1.0, True)])
def test_too_little_is_marked_and_not_counted(share: float, counts: bool) -> None:
    """Below the site's share an hour, a day and a night are shown, and neither judged nor counted in the month."""
    found = month(by_part(80.0, 80.0), share)
    day = found.days[3]

    assert day.ld is not None
    assert day.ld.laeq == pytest.approx(80.0)
    assert (day.ld.valid, day.ld.exceeds, day.ldn is not None) == (counts, True if counts else None, counts)
    assert found.by_day.valid == (31 if counts else 0)
    assert (found.by_day.level is not None, bool(found.runs)) == (counts, counts)


def test_a_missing_night_leaves_its_day() -> None:
    """The day counts, the night does not, and there is no Ldn: nothing stands in for what was not measured."""
    levels = [None if cell.day == date(2026, 10, 9) and cell.part is Part.NIGHT else 44.0 for cell in HOURS]
    found = month(levels)
    day = found.days[8]

    assert day.ld is not None
    assert day.ld.valid
    assert day.ln is not None
    assert (day.ln.laeq, day.ln.coverage, day.ln.valid) == (None, 0.0, False)
    assert day.ldn is None
    assert (found.by_day.valid, found.by_night.valid, found.by_night.total) == (31, 30, 31)


def test_what_is_not_over_is_not_judged() -> None:
    """In the middle of a month only whole parts count, and coverage is that of the time that has passed."""
    noon = HOURS[6 + 24].start
    levels = [level if cell.start < noon else None for cell, level in zip(HOURS, by_part(60.0, 60.0), strict=True)]
    found = month(levels, judge=Judge(limits=LIMITS, now=noon, valid_share=0.75))

    assert (found.by_day.valid, found.by_night.valid) == (1, 1)
    assert found.coverage == 1.0


def test_sudden_noise_is_of_the_night() -> None:
    """Maxima more than 15 dB above the night's limit, at night only; within a minute of each other they are one."""
    night = next(cell for cell in HOURS if cell.part is Part.NIGHT)
    day = HOURS[0]
    samples = [(day.start + 1, 90.0), (night.start, 95.0), (night.start + 1000, 60.1), (night.start + 30_000, 71.0)]
    samples += [(night.start + 300_000, 60.0), (night.end, 64.0)]
    found = maxima([samples[:3], samples[3:]], HOURS, 60.0)

    assert found.sudden is not None
    assert [(bang.start - night.start, bang.lafmax) for bang in found.sudden.events] == [
        (1000, 71.0),
        (3_600_000, 64.0),
    ]
    assert found.sudden.count == 2
    assert [found.of_cells[at] for at in (0, HOURS.index(night))] == [90.0, 71.0]


def test_without_lafmax_there_is_no_word_of_sudden_noise() -> None:
    """A meter that gives no maxima is not judged; one that gave only quiet ones had none."""
    assert maxima([], HOURS, 60.0).sudden is None
    quiet = maxima([[(HOURS[0].start + 1, 40.0)]], HOURS, 60.0).sudden
    assert quiet is not None
    assert quiet.count == 0


def test_an_hour_of_two_hours() -> None:
    """Where the clocks go back the doubled hour is one row of twice the length, and the night has nine hours."""
    tz = ZoneInfo("Europe/Berlin")
    found: list[Cell] = cells(date(2026, 10, 24), date(2026, 10, 24), parse_span("22:00-06:00"), tz)
    doubled = next(cell for cell in found if cell.hour == 2)

    assert doubled.end - doubled.start == 2 * 3_600_000
    assert datetime.fromtimestamp(doubled.start / 1000, UTC).hour == 0
