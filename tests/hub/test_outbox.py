"""The outbox under a flood: a claim is compare-and-set, and its work grows with the rows, not with their square."""

from pathlib import Path

from msgspec.structs import replace

from hub.journal.writer import FILE, Journal
from hub.outcome import Flip, Occurrence, Outcome
from hub.settings.site import Site
from hub.settings.site_voice import LogSpec
from hub.speaking.outbox import Claim, claim, mark, release

NOW = 1_760_000_000_000
P1, REST = Claim(voice="v", urgent=True), Claim(voice="v", urgent=False)


def flooded(folder: Path, site: Site, rows: int) -> Journal:
    """A journal with so many P4 announcements that wait, and one of P1."""
    folder.mkdir()
    journal = Journal(folder / FILE, replace(site, voices=(LogSpec(id="v"),)))
    journal.write([told(number, "P4") for number in range(rows)] + [told(rows, "P1")])
    return journal


def told(number: int, severity: str) -> Outcome:
    """One alarm is raised."""
    key = f"r/{number}"
    chapter = Occurrence(
        key=key, occurrence=1, rule="r", source="s", zone="", severity=severity, quantity="", raised=NOW
    )
    flip = Flip(
        at=NOW, key=key, occurrence=1, event="raised", before="a", after="b", announce="raised", severity=severity
    )
    return Outcome(flips=[flip], occurrences=[chapter])


def work(journal: Journal, what: Claim) -> int:
    """Hundreds of SQLite's own steps that a claim takes; no clock is asked."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    journal.db.set_progress_handler(step, 100)
    claim(journal, "test", what, NOW)
    journal.db.set_progress_handler(None, 0)
    return steps


def test_a_claim_does_not_stop_the_journal_in_a_flood(tmp_path: Path, site: Site) -> None:
    """Four times the rows are about four times the work (sixteen times, where each row looks at all others)."""
    few, many = flooded(tmp_path / "few", site, 500), flooded(tmp_path / "many", site, 2000)

    assert work(many, REST) < 8 * work(few, REST)
    assert work(many, P1) < 8 * work(few, P1)
    few.close()
    many.close()


def test_p1_is_claimed_before_everything_else(tmp_path: Path, site: Site) -> None:
    """Its lane sees no other row, and the other lane not P1."""
    journal = flooded(tmp_path / "j", site, 30)

    assert [row.severity for row in claim(journal, "test", P1, NOW)] == ["P1"]
    assert {row.severity for row in claim(journal, "test", REST, NOW)} == {"P4"}
    journal.close()


def test_a_claim_that_was_lost_marks_nothing(tmp_path: Path, site: Site) -> None:
    """Who claimed a row once, and comes back after another has claimed it again, changes nothing of it."""
    journal = flooded(tmp_path / "j", site, 0)
    (first,) = claim(journal, "test", P1, NOW)
    (second,) = claim(journal, "test", P1, NOW + 31_000)

    mark(journal, [first], "failed", NOW, "too late", None)
    release(journal, [first], NOW, "too late")
    between = tuple(journal.db.execute("SELECT status, attempts FROM outbox").fetchone())
    mark(journal, [second], "accepted", NOW, "said", None)

    assert between == ("sending", 2)
    assert tuple(journal.db.execute("SELECT status, detail FROM outbox").fetchone()) == ("accepted", "said")
    journal.close()
