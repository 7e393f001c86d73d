"""Orders about the roster: a stand-in is written once, a shift is taken over by who has it, mistakes are refused."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from hub.calendar.days import Days, seed
from hub.duty.desk import MOST_AHEAD, ORDER, Ask, obey
from hub.duty.file import FILE as DUTY
from hub.duty.file import Override, load_duty
from hub.duty.roster import Roster
from hub.journal.writer import FILE, Journal, put_order
from hub.outcome import Order
from hub.settings.site import Site

T0 = 1_767_610_800_000  # 2026-01-05 19:00 in Shanghai: p2 has the night
FROM = datetime(2026, 1, 6, 19, 0)  # noqa: DTZ001  # the clock on the wall
CHANGE = Override(person="p3", since=FROM, until=FROM + timedelta(hours=12), instead="p1", reason="ill (lin)")


class Desk:
    """A journal, and the roster as it is read again before each look."""

    def __init__(self, data: Path, site: Site) -> None:
        """Empty journal."""
        self.data, self.site = data, site
        self.journal = Journal(data / FILE, site)

    def roster(self) -> Roster | None:
        """As the file has it now."""
        duty = load_duty(self.data, self.site)
        return Roster(duty, self.site.tz, Days(seed())) if duty is not None else None

    def put(self, command: str, target: str, text: str, *, actor: str = "lin", expires: int = T0 + 60_000) -> None:
        """An order of somebody's."""
        token = f"{command}{target}{text}{actor}"
        put_order(self.journal.db, Order(id=0, token=token, kind=ORDER, target=target, command=command, text=text,
                                         actor=actor, issued=T0, expires=expires))  # fmt: skip

    def obeyed(self) -> str:
        """What became of the newest order."""
        obey(self.journal.db, self.data, self.site, self.roster(), T0)
        row = self.journal.db.execute("SELECT state, outcome FROM orders ORDER BY id DESC").fetchone()
        return ":".join(row)


@pytest.fixture
def desk(data: Path, site: Site) -> Iterator[Desk]:
    """Open, and closed at the end."""
    made = Desk(data, site)
    yield made
    made.journal.close()


def stand_in(change: Override) -> str:
    """As the page puts it."""
    return msgspec.json.encode(change).decode()


def posts(desk: Desk, at: datetime) -> list[tuple[str, str]]:
    """(shift, person) at a time of the wall clock."""
    roster = desk.roster()
    assert roster is not None
    now = round(at.replace(tzinfo=desk.site.tz).timestamp() * 1000)
    return [(each.shift, each.person) for each in roster.on_duty(now) if each.shift == "night"]


def test_a_stand_in_is_in_force_and_can_be_taken_back(desk: Desk) -> None:
    """From its first minute on; the same person on both sides, ordered later, wins over a leave."""
    assert posts(desk, FROM) == [("night", "p3")]
    desk.put(Ask.STAND_IN, "p3", stand_in(CHANGE))
    assert desk.obeyed() == "done:done"
    assert posts(desk, FROM) == [("night", "p1")]
    desk.put(Ask.STAND_IN, "p3", stand_in(msgspec.structs.replace(CHANGE, instead="")))
    assert desk.obeyed() == "done:done"
    assert posts(desk, FROM) == []
    desk.put(Ask.STAND_IN, "p3", stand_in(msgspec.structs.replace(CHANGE, instead="p3")))
    assert desk.obeyed() == "done:done"
    assert posts(desk, FROM) == [("night", "p3")]


def test_a_stop_between_file_and_row_writes_it_once(desk: Desk, data: Path) -> None:
    """The order is carried out again after the start, and the file has the change once."""
    desk.put(Ask.STAND_IN, "p3", stand_in(CHANGE))
    desk.obeyed()
    desk.journal.db.execute("UPDATE orders SET state = 'requested', ended = NULL, outcome = ''")
    assert desk.obeyed() == "done:done"
    assert (data / DUTY).read_text(encoding="utf-8").count("[[override]]") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "rejected"),
        (stand_in(msgspec.structs.replace(CHANGE, instead="p9")), "is not known here"),
        (stand_in(msgspec.structs.replace(CHANGE, since=CHANGE.until)), "is not after `from`"),
        (stand_in(msgspec.structs.replace(CHANGE, since=FROM - timedelta(9), until=FROM - timedelta(8))), "is over"),
    ],
)
def test_a_change_that_does_not_fit_writes_nothing(desk: Desk, data: Path, text: str, words: str) -> None:
    """Refused with the reason; the file stays as it was."""
    before = (data / DUTY).read_text(encoding="utf-8")
    desk.put(Ask.STAND_IN, "p3", text)
    told = desk.obeyed()
    assert told.startswith("refused:rejected")
    assert words in told
    assert (data / DUTY).read_text(encoding="utf-8") == before


def test_a_file_that_broke_meanwhile_refuses_and_stops_nothing(desk: Desk, data: Path) -> None:
    """The hub goes on with the roster that it read; the order is refused rather than written into a broken file."""
    roster = desk.roster()
    (data / DUTY).write_text("[[person", encoding="utf-8")
    desk.put(Ask.STAND_IN, "p3", stand_in(CHANGE))
    obey(desk.journal.db, data, desk.site, roster, T0)
    assert desk.journal.db.execute("SELECT state FROM orders").fetchone()[0] == "refused"
    assert (data / DUTY).read_text(encoding="utf-8") == "[[person"


def test_there_is_an_end_to_changes(desk: Desk, data: Path, text: str) -> None:
    """More changes ahead than anybody oversees are refused; those that are over do not count."""
    one = '[[override]]\nperson = "p4"\nfrom = 2026-02-01T00:00:00\nuntil = 2026-02-02T00:00:00\n'
    (data / DUTY).write_text(text + one * MOST_AHEAD, encoding="utf-8")
    desk.put(Ask.STAND_IN, "p3", stand_in(CHANGE))
    assert "lie ahead already" in desk.obeyed()
    (data / DUTY).write_text(text + one.replace("2026", "2025") * MOST_AHEAD, encoding="utf-8")
    desk.put(Ask.STAND_IN, "p3", stand_in(CHANGE), actor="zhou")
    assert desk.obeyed() == "done:done"


@pytest.mark.parametrize(
    ("shift", "person", "actor", "told"),
    [
        ("night", "p2", "anybody", "done:done"),  # p2 has no login of his own
        ("day", "p2", "anybody", "refused:rejected:'p2' does not have the shift 'day' now"),
        ("night", "p9", "anybody", "refused:rejected:'p9' does not have the shift 'night' now"),
    ],
)
def test_a_shift_is_taken_over_by_who_has_it(desk: Desk, shift: str, person: str, actor: str, told: str) -> None:
    """Nobody says so of another shift, or of a person who is not there."""
    desk.put(Ask.TAKE_OVER, shift, person, actor=actor)
    assert desk.obeyed() == told


def test_only_the_login_of_the_roster_takes_over(desk: Desk, data: Path, text: str) -> None:
    """Where the roster names a login, that one alone."""
    (data / DUTY).write_text(text.replace('id = "p2"', 'id = "p2"\nuser = "zhou"'), encoding="utf-8")
    desk.put(Ask.TAKE_OVER, "night", "p2", actor="lin")
    assert "who signs in as zhou" in desk.obeyed()
    desk.put(Ask.TAKE_OVER, "night", "p2", actor="zhou")
    assert desk.obeyed() == "done:done"


def test_without_a_roster_and_too_late_it_is_answered(desk: Desk, data: Path) -> None:
    """No order waits for ever."""
    desk.put(Ask.STAND_IN, "p3", stand_in(CHANGE), expires=T0)
    assert desk.obeyed().startswith("expired")
    (data / DUTY).unlink()
    desk.put(Ask.TAKE_OVER, "night", "p2")
    assert desk.obeyed() == "refused:rejected:there is no roster"
    desk.put("dance", "night", "p2")
    assert desk.obeyed().startswith("refused")
