"""The journal: one transaction an outcome, everything back as Memory, repeats of MQTT deliveries known."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_bridge.raw import Redelivery
from hub.journal.writer import Journal, JournalError, connect, put_order, requested_orders
from hub.outcome import Alarm, Entry, Flip, Health, Occurrence, Order, OrderState, Outcome
from hub.reading import Fault, FaultKind, Label, Quality, Reading
from hub.settings.site import Site
from hub.settings.site_voice import LogSpec


def a_site(name: str = "garden") -> Site:
    """A site with two voices: one for all severities, one for P1 only."""
    voices = (LogSpec(id="all"), LogSpec(id="worst", severities=("P1",)))
    label = Label(zh="花园", en="Garden")
    return Site(id=name, name=label, timezone="Asia/Shanghai", zones=(), links=(), voices=voices)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An empty journal of the site."""
    opened = Journal(tmp_path / "journal.sqlite", a_site())
    yield opened
    opened.close()


def reading(value: float | str, ts: int, quality: Quality = Quality.GOOD) -> Reading:
    """A reading of noise-east."""
    return Reading(device="noise-east", quantity="laeq", value=value, ts=ts, rx=ts, quality=quality)


ALARM = Alarm(
    key="held/gate", rule="held", source="gate", zone="north", severity="P2", filter="on", since=1, last=2,
    state="unacked", suppressed=("link:mqtt",), one_shot=True, occurrence=3, activations=1, announced=True,
    value="open", quantity="gate", raised=2,
)  # fmt: skip
OCCURRENCE = Occurrence(
    key="held/gate", occurrence=3, rule="held", source="gate", zone="north", severity="P2", quantity="gate", raised=2
)
ORDER = Order(id=0, token="t1", kind="command", target="gate", actor="cli:x", issued=1, expires=9, command="open")


def test_durable_settings(journal: Journal) -> None:
    """WAL and synchronous=FULL (2): only FULL survives a power cut."""
    assert journal.db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert journal.db.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_memory_gives_back_what_was_written(journal: Journal) -> None:
    """Every row of an outcome comes back as the same struct, from a journal opened anew."""
    health = Health(source="noise-east", kind="device", state="ok", since=5, last_rx=6, faults=2)
    entry = Entry(list="dogs", id="156000000000101", note="brown")
    outcome = Outcome(
        readings=[reading(41.5, 10), reading(44.0, 11)],
        health=[health], alarms=[ALARM], occurrences=[OCCURRENCE], entries=[entry],
    )  # fmt: skip

    journal.write([outcome])
    journal.close()
    memory = Journal(journal.path, a_site()).memory()

    assert memory.latest == [reading(44.0, 11)]
    assert memory.health == [health]
    assert memory.alarms == [ALARM]
    assert memory.occurrences == [OCCURRENCE]
    assert memory.entries == [entry]


def test_latest_is_fresh(journal: Journal) -> None:
    """Late and retained readings are kept, and never become the latest."""
    late = [reading(90.0, 12, Quality.LATE), reading(91.0, 13, Quality.RETAINED)]

    journal.write([Outcome(readings=[reading(41.5, 10), *late])])

    assert journal.memory().latest == [reading(41.5, 10)]
    assert journal.db.execute("SELECT count(*) FROM reading").fetchone()[0] == 3


def test_all_or_nothing(journal: Journal) -> None:
    """When one row cannot be written, none is."""
    flip = Flip(at=1, key="k", occurrence=1, event="raised", before="a", after="b", note=None)  # type: ignore[arg-type]
    bad = Outcome(readings=[reading(1.0, 1)], flips=[flip])

    with pytest.raises(sqlite3.IntegrityError):
        journal.write([Outcome(readings=[reading(2.0, 2)]), bad])

    assert journal.db.execute("SELECT count(*) FROM reading").fetchone()[0] == 0
    assert not journal.db.in_transaction


def test_flips_fill_the_outbox(journal: Journal) -> None:
    """A flip that announces gets a row for each voice of its severity, and the siren's before them."""
    flip = Flip(
        at=7, key="held/gate", occurrence=3, event="raised", before="normal", after="unacked", announce="raised"
    )
    quiet = Flip(at=8, key="held/gate", occurrence=3, event="comment", before="unacked", after="unacked", severity="P1")

    journal.write([Outcome(flips=[_as(flip, "P2"), _as(flip, "P1", siren=True), quiet])])

    rows = journal.db.execute("SELECT flip, voice, kind, status FROM outbox ORDER BY id").fetchall()
    assert [tuple(row) for row in rows] == [
        (1, "all", "raised", "pending"),
        (2, "siren", "raised", "pending"),
        (2, "all", "raised", "pending"),
        (2, "worst", "raised", "pending"),
    ]


def _as(flip: Flip, severity: str, *, siren: bool = False) -> Flip:
    fields = {name: getattr(flip, name) for name in flip.__struct_fields__}
    return Flip(**{**fields, "severity": severity, "siren": siren})


def test_faults_are_counted_by_the_minute(journal: Journal) -> None:
    """A noisy line adds to one row a minute; what could not be read is quarantined, cut to 4 kB."""
    faults = [
        Fault(source="gate", kind=FaultKind.CHECKSUM, detail=f"{n}", rx=60_000 + n, payload=b"x" * 5000)
        for n in range(3)
    ]

    journal.write([Outcome(faults=faults)])

    assert [tuple(row) for row in journal.db.execute("SELECT * FROM fault")] == [("gate", "checksum", 1, 3, "2")]
    assert {len(row[0]) for row in journal.db.execute("SELECT payload FROM quarantine")} == {4096}


def test_repeats_are_known_across_a_restart(journal: Journal) -> None:
    """A delivery is a repeat when DUP is set and packet id and digest are those of one that is durable."""
    first = Redelivery("mqtt", 17, 99, again=False)
    journal.write([], [first])
    journal.close()
    again = Journal(journal.path, a_site())

    assert again.repeated(Redelivery("mqtt", 17, 99, again=True))
    assert not again.repeated(Redelivery("mqtt", 17, 99, again=False))  # the same words, said anew
    assert not again.repeated(Redelivery("mqtt", 17, 98, again=True))  # the packet id was used again
    assert not again.repeated(Redelivery("mqtt", 18, 99, again=True))  # was received, but never became durable


def test_orders_come_in_once(journal: Journal) -> None:
    """The same token is one order, and only requested ones come in."""
    number = put_order(journal.db, ORDER)
    assert put_order(journal.db, ORDER) == number

    (order,) = requested_orders(journal.db, 0)
    assert (order.id, order.command, order.state) == (number, "open", OrderState.REQUESTED)
    assert requested_orders(journal.db, number) == []

    sent = Order(
        **{**{name: getattr(order, name) for name in order.__struct_fields__}, "state": OrderState.SENT, "sent": 5}
    )
    journal.write([Outcome(orders=[sent])])
    assert requested_orders(journal.db, 0) == []
    assert journal.memory().orders == [sent]


def test_a_journal_of_another_site_is_refused(journal: Journal) -> None:
    """Two sites never share a journal."""
    with pytest.raises(JournalError, match="belongs to site 'garden'"):
        Journal(journal.path, a_site("other"))


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    """A foreign file is named, and left as it is."""
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"not a database, but long enough to be looked at" * 20)

    with pytest.raises(JournalError, match=r"journal\.sqlite"):
        Journal(path, a_site())

    assert path.read_bytes().startswith(b"not a database")


def test_a_whole_file_is_not_to_be_moved_away(tmp_path: Path) -> None:
    """What cannot be written now, for the disk or the folder's sake, holds the open alarms and stays where it is."""
    with pytest.raises(JournalError, match=r"unable to open database file; is the disk full.*Leave the file"):
        Journal(tmp_path, a_site())


def test_read_only_means_read_only(journal: Journal) -> None:
    """A reader's connection cannot write."""
    reader = connect(journal.path, read_only=True)

    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM meta")
    reader.close()
