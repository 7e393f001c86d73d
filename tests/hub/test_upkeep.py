"""A calibrator on a meter: what it hears is kept and marked, and raises, clears and measures nothing."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import asdict, replace

from hub.care.upkeep import ABANDON, BEGIN, DAY_MS, EXCHANGE, FINISH, LONGEST_S, newest, written
from hub.care.upkeep import overdue as not_valid
from hub.journal.writer import FILE, SCHEMA, connect
from hub.outcome import Upkeep
from hub.processes.inspector import SPOKE_MS, overdue
from hub.reading import Quality

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hub.conftest import Yard

LOUD, CALM, FULL = ("noise-1", "laeq", 94.0), ("noise-1", "laeq", 45.0), ("noise-1", "battery_level", 80.0)
WHICH = "B&K 4231, class 1, no. 3012345"


def said(yard: Yard, kind: str, target: str = "noise-1", **more: object) -> str:
    """What became of the order."""
    order = yard.order(kind, target, **more)
    return f"{order.state} {order.outcome}"


def noisy(yard: Yard) -> list[str]:
    """Keys of the noise alarms that are not normal."""
    return sorted(key for key in yard.kept.alarms if key.startswith("noise-") and yard.state(key) != "normal")


def only(yard: Yard) -> Upkeep:
    """The one row."""
    (row,) = yard.kept.upkeep.values()
    return row


def test_a_calibrator_raises_nothing(yard: Yard) -> None:
    """Twenty minutes at 94 dB and no alarm then or after; the control, the same without a word, raises one."""
    yard.wait(60, CALM, FULL)
    assert said(yard, BEGIN, text=WHICH) == "done done"
    before = len(yard.kept.readings)
    yard.wait(1200, LOUD, FULL)
    marked = {(row.quantity, row.quality) for row in yard.kept.readings[before:]}
    assert marked == {("laeq", Quality.CALIBRATION), ("battery_level", Quality.GOOD)}
    assert yard.kept.health["noise-1"].state == "ok"  # it speaks: nobody is sent to look at its cable
    assert said(yard, FINISH, command=written(94, 93.8, 365)) == "done done"
    yard.wait(900, CALM, FULL)
    assert noisy(yard) == []
    yard.wait(1200, LOUD, FULL)
    assert noisy(yard) != []


def test_it_clears_nothing(yard: Yard) -> None:
    """An alarm that stands stays: a calibrator that is switched off says nothing about the square."""
    yard.wait(1200, LOUD)
    stood = noisy(yard)
    said(yard, BEGIN, text=WHICH)
    yard.wait(1200, ("noise-1", "laeq", 30.0))
    assert noisy(yard) == stood != []


def test_the_finding_is_kept(yard: Yard) -> None:
    """Who, when, by which calibrator, what it read, by how much that was off, and until when it counts."""
    said(yard, BEGIN, text=WHICH)
    yard.wait(120, LOUD)
    said(yard, FINISH, command=written(94, 93.8, 100), actor="li")
    row = only(yard)
    assert (row.level, row.reading, row.deviation, row.note, row.actor) == (94.0, 93.8, -0.2, WHICH, "keeper")
    assert (row.ended, row.ended_by, row.valid_until) == (yard.now, "li", yard.now + 100 * DAY_MS)
    assert not_valid([row], yard.now + 100 * DAY_MS - 1) == {}
    assert not_valid([row], yard.now + 100 * DAY_MS) == {"noise-1": row}


def test_a_calibrator_that_was_forgotten_ends_by_itself(yard: Yard) -> None:
    """A meter is not deaf for good because somebody went home; over a restart, a reload and a clock that is set."""
    said(yard, BEGIN, text=WHICH, seconds=300.0)
    yard.wait(100, LOUD)
    yard.restart(10)
    yard.link_up()
    yard.keep(yard.core.rebind(yard.site, yard.rules, yard.now))
    yard.wait(5, LOUD)
    assert {row.quality for row in yard.kept.readings} == {Quality.CALIBRATION}
    yard.now -= 3 * DAY_MS
    yard.wait(200, LOUD)
    assert (only(yard).ended_by, only(yard).deviation) == ("hub", None)
    assert [row.quality for row in yard.kept.readings[-5:]] == [Quality.GOOD] * 5


def test_it_can_be_given_up(yard: Yard) -> None:
    """Nothing was found out, and its readings count again at once."""
    said(yard, BEGIN, text=WHICH)
    assert said(yard, ABANDON) == "done done"
    yard.say(*CALM)
    assert [row.quality for row in yard.kept.readings] == [Quality.GOOD]
    assert newest([only(yard)]) == {}


def test_a_finding_without_a_span(yard: Yard) -> None:
    """Somebody wrote down what he had done before: kept, with its calibrator named."""
    assert said(yard, FINISH, command=written(94, 94.9, 365)) == "refused no-reason"
    assert said(yard, FINISH, command=written(94, 94.9, 365), text=WHICH) == "done done"
    assert (only(yard).deviation, only(yard).at) == (0.9, only(yard).ended)


POSSIBLE = "level 60..130, days 1..1100"
REFUSED = [
    (BEGIN, "gate-1", {"text": WHICH}, "no-such-meter:gate-1"),
    (BEGIN, "noise-9", {"text": WHICH}, "no-such-device:noise-9"),
    (BEGIN, "noise-1", {}, "no-reason"),
    (BEGIN, "noise-1", {"text": WHICH, "seconds": 2 * LONGEST_S}, "seconds-out-of-range:60..7200"),
    (ABANDON, "noise-1", {}, "not-set:noise-1"),
    (FINISH, "noise-1", {"text": WHICH, "command": "level=94"}, "does-not-fit:level=94 reading=93.8 days=365"),
    (FINISH, "noise-1", {"text": WHICH, "command": written(9.4, 94, 365)}, f"out-of-range:{POSSIBLE}"),
    (FINISH, "noise-1", {"text": WHICH, "command": "level=nan reading=94 days=365"}, f"out-of-range:{POSSIBLE}"),
    (EXCHANGE, "gate-1", {}, "no-reason"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "target", "more", "why"), REFUSED)
def test_what_cannot_be_changes_nothing(yard: Yard, kind: str, target: str, more: dict[str, object], why: str) -> None:
    """The word says why, and what would be right."""
    assert said(yard, kind, target, **more) == f"refused {why}"
    assert yard.kept.upkeep == {}


def test_two_calibrators_at_once_are_refused(yard: Yard) -> None:
    """With who put the first one on."""
    said(yard, BEGIN, text=WHICH, actor="li")
    assert said(yard, BEGIN, text="another") == "refused already-under-way:li"


def test_an_exchange_is_kept(yard: Yard) -> None:
    """Of any device, with why."""
    assert said(yard, EXCHANGE, "relay-1", text="struck by lightning") == "done done"
    assert (only(yard).kind, only(yard).device, only(yard).ended) == ("exchange", "relay-1", yard.now)


def test_what_is_overdue_is_an_alarm_while_the_meter_lives(tmp_path: Path) -> None:
    """By its newest finding; a meter that has not spoken for a month has been taken away."""
    now, row = (
        400 * DAY_MS,
        Upkeep(device="a", at=1, kind="calibration", actor="li", note="x", level=94.0, reading=94.0),
    )
    rows = [
        replace(row, valid_until=now - 1, ended=1), replace(row, device="b", valid_until=now - 1, ended=1),
        replace(row, device="b", at=2, valid_until=now + 1, ended=2), replace(row, device="c", valid_until=5, ended=1),
        Upkeep(device="d", at=1, kind="calibration", actor="li", note="x", ended=1),
    ]  # fmt: skip
    with closing(connect(tmp_path / FILE)) as db:
        db.executescript(SCHEMA.read_text(encoding="utf-8"))
        for each in rows:
            known = asdict(each)
            db.execute(
                f"INSERT INTO upkeep ({', '.join(known)}) VALUES ({', '.join('?' * len(known))})", [*known.values()]
            )
        for device, spoke in (("a", now - 5), ("b", now), ("c", now - SPOKE_MS - 1), ("d", now)):
            db.execute("INSERT INTO health VALUES (?, 'device', 'ok', 0, ?, '', 0)", (device, spoke))
        assert overdue(db, now) == "a"
