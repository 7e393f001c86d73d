"""A kill at any write of an escalation: the same calls, at least once, whichever statement the process dies at."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from hub.journal.writer import FILE, Journal
from hub.settings.site import Site
from tests.hub.duty.conftest import CALLS, Opened, Room


def story(room: Room) -> None:
    """Nobody sees an alarm for 9 minutes, then one does and does nothing; it is raised again, and then it is over."""
    room.tick(0)
    room.alarm()
    for second in (1, 2, 61, 62, 181, 182, 481, 500):
        room.tick(second)
    room.alarm("acked", acked=room.clock.at, acked_by="p1")
    for second in (501, 800, 1100, 1101):
        room.tick(second)
    room.alarm()  # the core has raised it again
    for second in (1102, 1103, 1163):
        room.tick(second)
    room.alarm("normal", acked=room.clock.at)
    for second in (1164, 1300):
        room.tick(second)
    room.journal.close()


def result(room: Room, path: Path, site: Site) -> tuple[list[tuple[Any, ...]], set[tuple[int, str, str]]]:  # Any: rows
    """Every call that was to be made, with its time, and everything that was said."""
    journal = Journal(path / FILE, site)
    rows = [
        tuple(row)
        for sql in (
            "SELECT key, occurrence, at, event, before, after, note FROM flip WHERE actor = 'hub' ORDER BY seq",
            f"SELECT key, occurrence, at, person, voice, status, outbox.note {CALLS} ORDER BY at, person, voice",
            "SELECT state, run, turn, step, due_at FROM escalation",
            "SELECT kind, target FROM orders",
            "SELECT incident, at, event, state FROM incident_log ORDER BY seq",
        )
        for row in journal.db.execute(sql)
    ]
    journal.close()
    return rows, set(room.said)


def kills(opened: Opened, folder: Path, site: Site, stride: int, offset: int) -> int:
    """Die at every `stride`-th statement of the story, each in a run of its own; returns how many deaths there were."""
    whole = opened("whole")
    story(whole)
    want, total, deaths = result(whole, folder / "whole", site), whole.wire.count, 0
    for cut in range(offset, total, stride):
        room = opened(f"cut-{cut}", cut)
        story(room)
        assert result(room, folder / f"cut-{cut}", site) == want, f"killed at statement {cut}"
        deaths += room.deaths
    return deaths


def test_a_kill_at_any_write_announces_the_same(opened: Opened, tmp_path: Path, site: Site) -> None:
    """The same rows at the same times, the same people told (perhaps twice), wherever the process dies."""
    assert kills(opened, tmp_path, site, 29, 4) > 5


@pytest.mark.soak
def test_a_kill_at_every_write_announces_the_same(opened: Opened, tmp_path: Path, site: Site) -> None:
    """The same, at each statement."""
    assert kills(opened, tmp_path, site, 1, 0) > 200


def test_the_kill_test_can_fail(opened: Opened, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with every statement a transaction of its own, a kill loses calls."""

    def careless(room: Room) -> None:
        execute = room.wire.execute

        def loose(sql: str, parameters: Any = ()) -> sqlite3.Cursor:  # Any: SQLite's
            return execute("SELECT 1" if sql in ("BEGIN IMMEDIATE", "COMMIT") else sql, parameters)

        monkeypatch.setattr(room.wire, "execute", loose)

    whole = opened("whole")
    story(whole)
    want = result(whole, tmp_path / "whole", site)
    for cut in range(115, whole.wire.count):
        room = opened(f"loose-{cut}", cut)
        careless(room)
        story(room)
        if result(room, tmp_path / f"loose-{cut}", site) != want:
            return
    pytest.fail("no kill did any harm")
