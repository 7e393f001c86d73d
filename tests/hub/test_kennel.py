"""Dogs: who is lost, and whose vaccination has run out; the calendar keeps the list, an alarm tells of it."""

from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from hub.devices.kennel import Change, changes
from hub.journal.writer import FILE, Journal, connect, requested_orders
from hub.keeping.agenda import vaccinations
from hub.outcome import Entry, Outcome
from hub.settings.site import Site

TODAY = date(2026, 3, 1)
CHIP, OTHER = "156000000000101", "156000000000102"


@pytest.mark.parametrize(
    ("until", "overdue", "wanted"),
    [
        ({CHIP: "2026-03-01"}, set(), []),  # its last day is a good day
        ({CHIP: "2026-02-28"}, set(), [Change(CHIP, overdue=True)]),
        ({CHIP: "2026-02-28"}, {CHIP}, []),
        ({CHIP: "2027-02-28"}, {CHIP}, [Change(CHIP, overdue=False)]),
        ({}, {CHIP}, []),  # put there by hand
        ({}, set(), []),
    ],
)
def test_overdue_is_after_the_last_day(until: dict[str, str], overdue: set[str], wanted: list[Change]) -> None:
    """The certificate's own date decides; without one nothing is claimed."""
    assert changes(until, overdue, TODAY) == wanted


def test_the_calendar_puts_the_order_in_once(tmp_path: Path, site: Site) -> None:
    """Each hour it looks, by the site's own date; the hub is asked once a day, however often it looks."""
    with closing(Journal(tmp_path / FILE, site)) as journal:
        kept = [
            Entry(list="vaccinated-until", id=CHIP, note="2026-02-28"),
            Entry(list="vaccinated-until", id=OTHER, note="2099-01-01"),
        ]
        journal.write([Outcome(entries=kept)])
    job = vaccinations(site, tmp_path)
    now = 1_772_294_400_000  # 2026-03-01 00:00 in Shanghai, the day before in UTC
    assert job.run(now - 1000) == 0
    assert job.run(now) == 1
    job.run(now + 3_600_000)
    with closing(connect(tmp_path / FILE)) as db:
        (order,) = requested_orders(db, 0)
    assert (order.kind, order.target, order.text, order.actor) == ("list-add", "vaccination-overdue", CHIP, "calendar")
