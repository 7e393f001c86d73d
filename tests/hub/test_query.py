"""What the command line asks a journal: readings with their units, alarms as people see them, where memory begins."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from device_profiles.door import Refusal
from hub.journal.batches import Row
from hub.journal.query import alarm_lines, journal_readings, open_journal, reading_line
from hub.journal.writer import FILE, Journal
from hub.outcome import Alarm, Occurrence, Outcome
from hub.reading import Quality, Reading
from hub.settings.site import Site

CHAPTER = Occurrence(
    key="noise-limit/noise-1", occurrence=2, rule="noise-limit", source="noise-1", zone="square", severity="P3",
    quantity="laeq", value=61.0, limit=55.0, raised=2_000,
)  # fmt: skip
ALARM = Alarm(
    key="noise-limit/noise-1", rule="noise-limit", source="noise-1", zone="square", severity="P3", filter="on",
    since=2_000, last=2_000, state="unacked", occurrence=2, activations=1,
)  # fmt: skip


@pytest.fixture
def journal(tmp_path: Path, site: Site) -> Iterator[Journal]:
    """An empty journal in the data folder."""
    opened = Journal(tmp_path / FILE, site)
    yield opened
    opened.close()


@pytest.fixture
def db(journal: Journal) -> Iterator[sqlite3.Connection]:
    """As the command line opens it."""
    with contextlib.closing(open_journal(journal.path.parent)) as opened:
        yield opened


def reading(device: str, rx: int, *, late: bool = False) -> Reading:
    """A sound level."""
    quality = Quality.LATE if late else Quality.GOOD
    return Reading(device=device, quantity="laeq", value=50.0, ts=1 if late else rx, rx=rx, quality=quality)


def test_no_journal_is_said(tmp_path: Path) -> None:
    """A folder without a journal is the user's mistake, named, and nothing is made there."""
    with pytest.raises(Refusal, match="no journal here"):
        open_journal(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_it_cannot_write(db: sqlite3.Connection) -> None:
    """The command line's connection reads only."""
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM meta")


def test_readings_of_a_device_since_they_came(journal: Journal, db: sqlite3.Connection) -> None:
    """By when they were received: a late one counts as news; oldest first; an empty device is all of them."""
    news = [reading("noise-1", 10), reading("noise-2", 11), reading("noise-1", 12, late=True), reading("noise-1", 13)]
    journal.write([Outcome(readings=news)])

    assert [(line.rx, line.quality) for line in journal_readings(db, "noise-1", 11)] == [(12, "late"), (13, "good")]
    assert [line.rx for line in journal_readings(db, "", 0)] == [10, 11, 12, 13]


def test_a_reading_has_its_unit_and_its_detail(journal: Journal, db: sqlite3.Connection) -> None:
    """Numbers carry the vocabulary's unit, states and words that nobody knows carry none."""
    chip = Reading(device="chip-1", quantity="chip", value="156000000000101", ts=1, rx=1, detail={"animal": "yes"})
    journal.write([Outcome(readings=[reading("noise-1", 10), chip])])

    level, read = journal_readings(db, "", 0)
    assert (level.value, level.unit, level.detail) == (50.0, "dB", None)
    assert (read.value, read.unit, read.detail) == ("156000000000101", "", {"animal": "yes"})
    row = Row(seq=1, device="x", quantity="gone-word", ts=1, rx=1, value=1.0, quality="good")
    assert reading_line(row).unit == ""


def test_alarms_as_people_see_them(journal: Journal, db: sqlite3.Connection) -> None:
    """The open occurrence has the alarm's state; an earlier one of the same alarm is normal."""
    earlier = replace(CHAPTER, occurrence=1, raised=1_000, cleared=1_500, acked=1_200, acked_by="li", closed="cleared")
    journal.write([Outcome(occurrences=[CHAPTER, earlier], alarms=[ALARM])])

    first, second = alarm_lines(db)
    assert (first.state, first.closed, first.acked_by, first.cleared) == ("normal", "cleared", "li", 1_500)
    assert (second.state, second.closed, second.acked, second.value, second.limit) == ("unacked", "", None, 61.0, 55.0)
    assert [line.occurrence for line in alarm_lines(db, open_only=True)] == [2]
    assert [line.occurrence for line in alarm_lines(db, since=1_001)] == [2]
    assert list(alarm_lines(db, since=2_001)) == []


@pytest.mark.parametrize(
    ("alarm", "state"),
    [
        (replace(ALARM, shelved_until=9_000), "shelved"),
        (replace(ALARM, shelved_until=9_000, suppressed=("link:mqtt",)), "suppressed"),
        (replace(ALARM, suppressed=("link:mqtt",), out_of_service=True), "out-of-service"),
        (replace(ALARM, state="acked"), "acked"),
        (replace(ALARM, occurrence=3), "normal"),
    ],
)
def test_what_hides_an_alarm(journal: Journal, db: sqlite3.Connection, alarm: Alarm, state: str) -> None:
    """Out of service before suppressed before shelved; else the operator's state."""
    journal.write([Outcome(occurrences=[CHAPTER], alarms=[alarm])])

    assert [line.state for line in alarm_lines(db)] == [state]


def test_an_occurrence_without_its_alarm(journal: Journal, db: sqlite3.Connection) -> None:
    """It is told as over, not dropped."""
    journal.write([Outcome(occurrences=[CHAPTER])])

    assert [(line.rule, line.state) for line in alarm_lines(db)] == [("noise-limit", "normal")]
