"""A journal that comes near its budget: what is thinned, what never is, and that each pass leaves its note."""

from pathlib import Path

import pytest

from hub.journal import batches
from hub.journal.reserve import MB, Reserve
from hub.journal.scarce import Space, spare
from hub.journal.thinning import AROUND_MS, YOUNG_MS, Thinner, thinned
from hub.journal.writer import FILE, Journal
from hub.outcome import Occurrence, Outcome
from hub.reading import Quality, Reading, Value
from hub.settings.site import JournalSpace, Site

T = 1_760_000_040_000  # the beginning of a minute
MINUTE, HOUR = 60_000, 3_600_000


@pytest.fixture
def journal(tmp_path: Path, site: Site) -> Journal:
    """Empty; closed with the process."""
    return Journal(tmp_path / FILE, site)


def said(device: str, quantity: str, value: Value, rx: int) -> Reading:
    """One reading."""
    return Reading(device=device, quantity=quantity, value=value, ts=rx, rx=rx, quality=Quality.GOOD)


def an_hour(journal: Journal, begin: int = T, every: int = 10_000) -> None:
    """Noise, a gate's state and a chip, each ten seconds for an hour; one commit each time."""
    for at in range(begin, begin + HOUR, every):
        news = [
            said("noise-1", "laeq", 50.0, at),
            said("gate-1", "gate", "closed", at),
            said("chip-1", "chip", "1", at),
        ]
        journal.write([Outcome(readings=news)])


def left(journal: Journal, quantity: str) -> list[int]:
    """When what is left of a quantity was received."""
    return [row.rx for row in batches.after(journal.db, 0) if row.quantity == quantity]


def work(journal: Journal, now: int, times: int = 50) -> int:
    """Until there is nothing left to thin."""
    thinner, gone = Thinner(), 0
    for _ in range(times):
        gone += thinner.work(journal.db, journal.site, now)
    journal.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return gone


def test_of_gauges_the_first_of_each_span_stays(journal: Journal) -> None:
    """One a minute, one in ten minutes, one an hour; states and events are whole; numbers stay taken."""
    an_hour(journal)
    before, last = left(journal, "laeq"), batches.last_seq(journal.db)
    work(journal, T + 3 * HOUR)
    after = left(journal, "laeq")
    newest = before[-1]  # the newest batch is never touched: the numbers go on from it
    hours = {at // HOUR for at in before}
    assert after == sorted({min(at for at in before if at // HOUR == hour) for hour in hours} | {newest})
    assert len(left(journal, "gate")) == len(left(journal, "chip")) == len(before) == 360
    assert batches.last_seq(journal.db) == last
    journal.close()


def test_the_last_hour_and_what_was_shipped_stay(journal: Journal) -> None:
    """What the page shows, and what the history already has (that is pruned as ever)."""
    an_hour(journal)
    assert work(journal, T + HOUR + YOUNG_MS - HOUR) == 0
    journal.db.execute("INSERT INTO cursor VALUES ('history', ?, 0)", (batches.last_seq(journal.db),))
    assert work(journal, T + 3 * HOUR) == 0
    assert len(left(journal, "laeq")) == 360
    journal.close()


def test_about_an_alarm_everything_stays(journal: Journal) -> None:
    """Of its source, from ten minutes before until ten minutes after; of a zone's alarm, all devices of the zone."""
    an_hour(journal)
    raised, ended = T + 25 * MINUTE, T + 30 * MINUTE
    alarm = Occurrence(
        key="noise-limit/noise-1", occurrence=1, rule="noise-limit", source="noise-1", zone="", severity="P3",
        quantity="laeq", raised=raised, ended=ended, closed="cleared",
    )  # fmt: skip
    journal.write([Outcome(occurrences=[alarm])])
    work(journal, T + 3 * HOUR)
    about = [at for at in left(journal, "laeq") if raised - AROUND_MS <= at <= ended + AROUND_MS]
    assert len(about) == (ended - raised + 2 * AROUND_MS) // 10_000 + 1
    assert len(left(journal, "laeq")) < len(about) + 5
    journal.close()


def test_each_pass_leaves_its_note(journal: Journal) -> None:
    """How many went, of which span, to what step; a second pass is another row; nothing goes without one."""
    an_hour(journal)
    whole = len(left(journal, "laeq"))
    work(journal, T + 3 * HOUR)
    notes = thinned(journal.db)
    assert [note.step_s for note in notes] == [60, 600, 3600]
    assert sum(note.readings for note in notes) == whole - len(left(journal, "laeq"))
    assert (notes[0].since, notes[0].first) == (T, 1)
    assert notes[0].until == T + HOUR - 20_000
    an_hour(journal, T + HOUR)
    work(journal, T + 4 * HOUR)
    assert [note.step_s for note in thinned(journal.db)] == [60, 600, 3600] * 2
    assert [note.step_s for note in thinned(journal.db, T + HOUR + 1)] == [60, 600, 3600]
    journal.close()


def test_the_space_begins_and_ends(tmp_path: Path, site: Site) -> None:
    """Near the budget old readings go; at the budget new ones are not kept; with room all is as before."""
    journal = Journal(tmp_path / FILE, site)
    space = Space(Reserve(tmp_path, JournalSpace(budget_mb=1, reserve_mb=4)))
    space.look(journal, T)
    assert (space.scarce, space.why_thinned()) == (False, "")
    for begin in range(T, T + 40 * HOUR, HOUR // 6):
        times = range(begin, begin + HOUR // 6, MINUTE)
        news = [said(f"noise-{number}", "laeq", 50.0, at) for at in times for number in range(4)]
        journal.write([Outcome(readings=[*news, *(said("gate-1", "gate", "closed" * 8, at) for at in times)])])
    whole = len(left(journal, "laeq"))
    space.look(journal, T)  # all of it is of the last hour, by this clock
    assert (space.scarce, space.why_full()) == (True, "1 MB")
    for _ in range(10):
        space.look(journal, T + 80 * HOUR)
    assert not space.scarce
    assert space.why_full() == ""
    assert len(left(journal, "gate")) == 2400
    assert whole - len(left(journal, "laeq")) == sum(note.readings for note in thinned(journal.db))
    assert (tmp_path / "reserve").stat().st_size == 4 * MB
    journal.close()


def test_what_is_spared_is_held_or_only_shown() -> None:
    """What a broker still has waits whole; of what was polled, events and what an alarm stands on are kept."""
    news = [said("noise-1", "laeq", 99.0, T), said("chip-1", "chip", "1", T), said("gate-1", "gate", "open", T)]
    outcome = Outcome(readings=list(news))
    later = spare(outcome, hold=True)
    assert (outcome.readings, outcome.passing, later.readings) == ([], [], news)
    polled = Outcome(readings=list(news))
    spare(polled, hold=False)
    assert (polled.readings, polled.passing) == ([news[1]], [news[0], news[2]])
