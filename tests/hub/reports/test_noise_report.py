"""The monthly noise report: its figures against hand-made ones, in the value, the workbook and the document."""

import subprocess
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import openpyxl
import pytest

from hub.figures.levels import day_night_level, mean_level
from hub.history.store import StoreError
from hub.reading import Label
from hub.reports import fonts
from hub.reports.noise import NoiseReport, recent_days
from hub.reports.pdf import write_pdf
from hub.reports.words import LANGUAGES, Language, Words
from hub.reports.xlsx import write_xlsx
from hub.rules.noise import Standard

if TYPE_CHECKING:
    from tests.hub.reports.conftest import Community

EVENING = mean_level([(50.0, 14), (68.0, 2)])


def at(month: int, day: int, hour: int = 0) -> datetime:
    """2026 on the wall, as a workbook has it: without a zone."""
    return datetime(2026, month, day, hour, tzinfo=UTC).replace(tzinfo=None)


def test_what_was_measured_is_what_it_says(october: "Community") -> None:
    """Ld, Ln and Ldn of each day, the loud evening and night with their hours, and the hole with its name."""
    report = october.report()
    meter = report.meters[0]
    days = {day.day.day: day for day in meter.month.days}

    assert (report.limits.standard, report.limits.day_db, report.limits.night_db) == (Standard.AREA, 55.0, 45.0)
    assert days[1].ld is not None
    assert days[1].ln is not None
    assert (days[1].ld.laeq, days[1].ln.laeq) == (50.0, 40.0)
    assert days[1].ldn == pytest.approx(50.0)
    assert days[2].ld is not None
    assert days[2].ld.laeq == pytest.approx(EVENING)
    assert days[2].ld.exceeds is True
    assert days[3].ln is not None
    assert days[3].ln.laeq == pytest.approx(mean_level([(40.0, 2), (48.0, 6)]))
    assert days[3].ldn == pytest.approx(day_night_level(50.0, days[3].ln.laeq))
    assert days[4].ld is not None
    assert days[4].ld.coverage == pytest.approx(9 / 16)
    assert (days[4].ld.valid, days[4].ldn) == (False, None)
    wall = Words("zh", october.site.tz).wall
    assert [(wall(run.start), wall(run.end), run.laeq) for run in meter.month.runs] == [
        (at(10, 2, 19), at(10, 2, 21), 68.0),
        (at(10, 4, 0), at(10, 4, 6), 48.0),
    ]
    named = [(wall(gap.start), wall(gap.end), gap.why and gap.why.en) for gap in meter.gaps]
    assert named[0] == (at(10, 4, 8), at(10, 4, 15), "rule device-silent")
    assert [alarm.rule for alarm in report.alarms] == ["noise-laeq"]


def test_sudden_noise_at_night_is_listed(october: "Community") -> None:
    """77.7 dB at 23:30 is 17.7 above the night's 45 + 15; the evening's 78 dB are of the day."""
    sudden = october.report().meters[0].month.sudden

    assert sudden is not None
    assert [(bang.lafmax, sudden.limit) for bang in sudden.events] == [(77.7, 60.0)]


def test_a_month_counts_its_valid_days_alone(october: "Community") -> None:
    """Three days and four nights of 31 count; the day with the hole does not, whatever it says."""
    month = october.report().meters[0].month

    assert (month.by_day.valid, month.by_day.total, month.by_day.exceeding) == (3, 31, 1)
    assert (month.by_night.valid, month.by_night.exceeding) == (4, 1)
    assert month.by_day.level == pytest.approx(mean_level([(50.0, 1), (EVENING or 0, 1), (50.0, 1)]))


def test_the_last_night_ends_in_the_next_month(community: "Community") -> None:
    """Readings of November 1 before 06:00 are October's; those before October 1, 06:00, are September's."""
    community.hear("meter-1", "2026-10-01T00:00", "2026-10-01T06:00", lambda at: 90.0)
    community.hear("meter-1", "2026-10-31T22:00", "2026-11-01T06:00", lambda at: 44.0)
    month = community.report().meters[0].month

    assert (month.by_night.valid, month.by_night.level) == (1, 44.0)
    assert month.days[-1].day == date(2026, 10, 31)


def test_the_calibration_stands_beside_the_figures(october: "Community", tmp_path: Path) -> None:
    """The newest before the month's end, with what is wrong with it; the gap that it made has its name."""
    since, until = october.local("2026-10-04T08:00"), october.local("2026-10-04T15:00")
    done = {"kind": "calibration", "actor": "li", "note": "B&K 4231, no. 3012345", "until": until}
    october.upkeep(at=october.local("2025-01-01T09:00"), level=94.0, reading=94.0, valid_until=since, ended=1, **done)
    assert october.report().meters[0].overdue
    october.upkeep(at=since, level=94.0, reading=93.2, valid_until=until + 10**10, ended=until, **done)
    october.upkeep(
        at=october.local("2026-11-02T09:00"), level=94.0, reading=94.1, valid_until=2 * until, ended=1, **done
    )
    meter = (report := october.report()).meters[0]

    assert meter.calibrated is not None
    assert (meter.calibrated.deviation, meter.overdue, meter.aside_ms) == (-0.8, False, 7 * 3_600_000)
    assert meter.gaps[0].why is not None
    assert "calibrator" in meter.gaps[0].why.en
    for language, told in (("zh", "偏差大于 0.5 dB"), ("en", "MORE THAN 0.5 dB")):
        words = Words(language, october.site.tz)  # type: ignore[arg-type]  # one of the two
        said = dict(words.instrument(meter))
        assert told in said[words("calibrated")]
        assert "3012345" in said[words("calibrated")]
        assert said[words("aside")].startswith("7:00:00")
    write_pdf(report, Words("en", october.site.tz), tmp_path / "x.pdf")
    assert "-0.80 dB" in text_of(tmp_path / "x.pdf")


def test_no_calibration_on_record_is_said(october: "Community") -> None:
    """Not left out, and not "unknown": nothing confirms these figures."""
    words = Words("en", october.site.tz)
    assert "none is on record" in dict(words.instrument(october.report().meters[0]))["Calibration"]


def test_a_zone_without_meter_or_data_says_so(community: "Community", tmp_path: Path) -> None:
    """An empty report is no quiet month: nothing counts, nothing is within; both files can be made."""
    for zone in ("quiet", "hall"):
        report = community.report(zone)
        for language in LANGUAGES:
            words = Words(language, community.site.tz)
            write_xlsx(report, words, tmp_path / "empty.xlsx")
            write_pdf(report, words, tmp_path / "empty.pdf")
    (meter,) = report.meters
    assert (meter.month.by_day.valid, meter.month.by_day.level, meter.month.coverage) == (0, None, 0.0)
    assert meter.month.sudden is None
    assert "Nothing was measured in this month." in text_of(tmp_path / "empty.pdf")


def test_the_newest_days_are_those_of_the_report(october: "Community") -> None:
    """The page and the paper have the same figures, made by the same code."""
    october.clock.at = october.local("2026-10-05T10:00")
    device = october.site.devices()["meter-1"]
    days = recent_days(october.site, device, october.store, october.clock.at, 4)

    assert days[:3] == october.report().meters[0].month.days[1:4]
    assert days[3].ld is not None
    assert not days[3].ld.valid  # today is not over


def text_of(path: Path) -> str:
    """What a person reads in a PDF, by poppler."""
    return subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True, check=True).stdout


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> Language:
    """Both."""
    found: Language = request.param
    return found


def test_the_workbook_says_the_same(october: "Community", language: Language, tmp_path: Path) -> None:
    """Numbers are numbers and times are times, hours that do not count are in brackets, charts have their series."""
    report = october.report()
    words = Words(language, october.site.tz)
    write_xlsx(report, words, tmp_path / "report.xlsx")
    book = openpyxl.load_workbook(tmp_path / "report.xlsx")

    days = book[f"{words('days')} 1"]
    assert [days["A3"].value, days["B3"].value] == [at(10, 2), pytest.approx(EVENING)]
    assert [days["B5"].number_format, days["D5"].value] == ["(0.0)", words("no")]
    assert [days["T3"].value, days["T5"].value] == [pytest.approx(EVENING), None]
    assert [days[f"S{row}"].value for row in (2, 11, 13)] == [
        words(kind) for kind in ("holiday", "adjusted", "workday")
    ]
    assert len(days._charts) == 1
    hours = book[f"{words('hours')} 1"]
    assert hours.max_row == 1 + 31 * 24
    loud = [row for row in hours.iter_rows(min_row=2, values_only=True) if row[14] == words("above")]
    assert [(row[0], row[3], row[13]) for row in loud[:2]] == [
        (at(10, 2, 19), 68.0, 55),
        (at(10, 2, 20), 68.0, 55),
    ]
    assert book.sheetnames[0] == words("summary")
    silent = Label(zh="规则 device-silent", en="rule device-silent")
    gaps = list(book[words("missing")].iter_rows(values_only=True))
    assert any(row[1] == at(10, 4, 8) and row[4] == words.say(silent) for row in gaps)


def test_the_document_says_the_same(october: "Community", language: Language, tmp_path: Path) -> None:
    """Limits, clauses, verdicts, hours and gaps can be read; the Chinese one in Chinese."""
    report = october.report()
    words = Words(language, october.site.tz)
    write_pdf(report, words, tmp_path / "report.pdf")
    text = text_of(tmp_path / "report.pdf")

    for wanted in (
        "GB 3096-2008",
        "HJ 906-2017",
        words("title"),
        words("above"),
        "2026-10-02 19:00:00",
        "2026-10-04 15:00:00",
    ):
        assert wanted in text, wanted
    assert f"{EVENING:.1f}" in text
    assert "(50.0)" not in text  # what does not count has no decimals
    assert "noise-laeq" in text


def test_hostile_names_stay_names(october: "Community", language: Language, tmp_path: Path) -> None:
    """A name that begins like a formula is text in every cell, and markup in a name is written as it is."""
    report = october.report()
    words = Words(language, october.site.tz)
    write_xlsx(report, words, tmp_path / "report.xlsx")
    write_pdf(report, words, tmp_path / "report.pdf")
    cells = [
        cell for sheet in openpyxl.load_workbook(tmp_path / "report.xlsx") for row in sheet.iter_rows() for cell in row
    ]

    assert {cell.data_type for cell in cells} <= {"s", "n", "d", "inlineStr"}
    assert any(str(cell.value).startswith("=HYPERLINK") for cell in cells)
    assert not any(cell.hyperlink for cell in cells)
    assert "<script>&" in text_of(tmp_path / "report.pdf")


def test_the_font_is_embedded_or_named(october: "Community", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TrueType font of Debian's stands in the file; without one the file names a type that every reader replaces."""
    report, words = october.report("hall"), Words("zh", october.site.tz)
    write_pdf(report, words, tmp_path / "own.pdf")
    monkeypatch.setattr(fonts, "KNOWN", ())
    write_pdf(report, words, tmp_path / "named.pdf")
    own, named = (tmp_path / "own.pdf").read_bytes(), (tmp_path / "named.pdf").read_bytes()

    assert (b"/FontFile2" in own, b"STSong-Light" in own) == (True, False)
    assert (b"/FontFile2" in named, b"/BaseFont /STSong-Light" in named) == (False, True)


def test_a_store_that_cannot_answer_makes_no_report(october: "Community") -> None:
    """Half a month never looks like a whole one."""
    october.store.close()

    with pytest.raises(StoreError):
        october.report()


def test_the_report_as_json(october: "Community") -> None:
    """What `--json` prints is the whole value, and reads back as the same."""
    report = october.report()

    assert msgspec.json.decode(msgspec.json.encode(report), type=NoiseReport) == report
