"""The daily list of what is out of service, on its way to people: which voices, in what words, once, through a kill."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from hub.care.reminder import KEY, REMINDER, is_due, last_hour, reminded
from hub.clock import Clock
from hub.journal.commit import Committer
from hub.journal.writer import FILE, SIREN, Journal
from hub.outcome import Flip, Occurrence, Outcome, Service
from hub.settings.site_voice import CallSpec, DeviceSpec, LogSpec, SmsSpec
from hub.speaking import speaker
from hub.speaking.announce import Announcer
from hub.speaking.route import speakers
from tests.hub.conftest import NOON
from tests.hub.test_kill_alarms import Hub

if TYPE_CHECKING:
    from pathlib import Path

    from hub.rules.door import Rule
    from hub.settings.site import Site

HOUR, DAY = 3_600_000, 86_400_000
NINE = NOON - 3 * HOUR
ROWS = [
    Service(target="gate-1", at=NOON - 2 * DAY, actor="lin", reason="painting"),
    Service(target="sos/sos-1", at=NOON - DAY, actor="cli:root", reason="new button"),
]


def test_the_hour_is_that_of_the_wall_clock(site: Site) -> None:
    """Nine in the morning of the site, today's or, before it, yesterday's."""
    assert last_hour(NOON, site.tz) == NINE
    assert last_hour(NINE, site.tz) == NINE
    assert last_hour(NINE - 1, site.tz) == NINE - DAY


@pytest.mark.parametrize(
    ("since", "last", "now", "due"),
    [
        (NINE - 1, 0, NINE, True),
        (NINE, 0, NINE, False),  # taken out at nine: tomorrow
        (NINE - 1, NINE, NINE + HOUR, False),
        (NINE - 1, NINE - 1, NOON, True),  # the box was off at nine
        (NINE - 1, NINE + DAY, NOON, True),  # told by a clock that was ahead
        (NOON + DAY, 0, NOON, True),  # taken out by a clock that was ahead
        (NINE - 1, NINE, NINE + DAY, True),
    ],
)
def test_when_it_is_due(site: Site, since: int, last: int, now: int, due: bool) -> None:
    """Once a day, for what was out of service by then."""
    assert is_due([replace(ROWS[0], at=since)], last, now, site.tz) is due


def test_whom_it_reaches() -> None:
    """Who reads that severity, everywhere; never a siren, a telephone, or a text message without a number."""
    horn = DeviceSpec(id="horn", device="relay-1", command="pulse")
    call, sms = CallSpec(id="call", to=("13800138000",)), SmsSpec(id="sms")
    grave, minor = LogSpec(id="grave", severities=("P1",)), LogSpec(id="minor", severities=("P4",))
    lake = LogSpec(id="lake", zones=("lake",))

    def told(*voices: object, severity: str = "P1") -> list[str]:
        return speakers(voices, announce=REMINDER, severity=severity, rule=KEY, zone="", source="")  # type: ignore[arg-type]

    assert told(horn, call, sms, grave, minor, lake) == ["grave"]
    assert told(horn, grave, minor, lake, severity="P4") == ["minor"]
    assert told(horn, call, sms, minor, lake) == ["minor", "lake"]  # better told to the wrong ones than to none
    assert told(horn, call) == []


class Hand(Clock):
    """Stands still."""

    def now(self) -> int:
        """Noon."""
        return NOON


async def test_it_is_one_digest_with_since_when_by_whom_and_why(
    site: Site,
    rules: tuple[Rule, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In both languages; an alarm beside it is told as ever."""
    monkeypatch.setattr(speaker, "LOOK_S", 0.02)
    caplog.set_level(logging.INFO, "zhian.alarm")
    named = replace(site, voices=(LogSpec(id="v"),))
    journal = Journal(tmp_path / FILE, named)
    committer = Committer(journal)
    announcer = Announcer(named, {rule.id: rule for rule in rules}, committer, {}, Hand())
    chapter = Occurrence(key="noise-limit/noise-1", occurrence=1, rule="noise-limit", source="noise-1", zone="square",
                         severity="P3", quantity="", raised=NOON)  # fmt: skip
    alarm = Flip(at=NOON, key=chapter.key, occurrence=1, event="raised", before="a", after="b", announce="raised",
                 severity="P3")  # fmt: skip
    journal.write([Outcome(flips=[reminded(ROWS, "P1", NOON), alarm], occurrences=[chapter], services=ROWS)])
    assert journal.memory().reminded == NOON
    tasks = [asyncio.create_task(committer.run()), asyncio.create_task(announcer.run())]
    rows = "SELECT status FROM outbox ORDER BY id"
    async with asyncio.timeout(15):
        while [row[0] for row in journal.db.execute(rows)] != ["accepted", "accepted"]:
            await asyncio.sleep(0.02)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    committer.close()
    lines = [record.getMessage() for record in caplog.records if record.name == "zhian.alarm"]
    (head,) = [line for line in lines if "digest" in line]
    assert "停用中、无人监护：2 项 / out of service, unwatched: 2" in head
    assert "测试，2026-01-03 12:00 起，lin：painting / test, since 2026-01-03 12:00, lin: painting" in lines
    sos = next(rule.title for rule in rules if rule.id == "sos")
    assert any(f"· {sos.zh}，2026-01-04 12:00 起，cli:root：new button" in line for line in lines)
    assert any(line.startswith("P3 raised") for line in lines)


def test_a_siren_that_waits_is_hushed_when_its_alarm_goes_out_of_service(site: Site, tmp_path: Path) -> None:
    """Its order, and that of a horn, are dropped; a message to people is not, and no other alarm's siren."""
    horn = DeviceSpec(id="horn", device="relay-1", command="pulse", rules=("sos", "smoke"))
    journal = Journal(tmp_path / FILE, replace(site, voices=(horn, LogSpec(id="v"))))
    for rule in ("sos", "smoke"):
        key = f"{rule}/sos-1"
        chapter = Occurrence(key=key, occurrence=1, rule=rule, source="sos-1", zone="lake", severity="P1", quantity="",
                             raised=NOON)  # fmt: skip
        flip = Flip(at=NOON, key=key, occurrence=1, event="raised", before="a", after="b", announce="raised",
                    severity="P1", siren=True)  # fmt: skip
        journal.write([Outcome(flips=[flip], occurrences=[chapter])])
    journal.db.execute(
        "INSERT INTO alarm (key, rule, source, zone, severity, filter, since, last, state, out_of_service, occurrence,"
        " activations, announced) VALUES ('sos/sos-1', 'sos', 'sos-1', 'lake', 'P1', 'on', 1, 1, 'unacked', 1, 1, 1, 1)"
    )
    journal.write([Outcome(services=[ROWS[1]])])
    found = [tuple(row) for row in journal.db.execute("SELECT flip, voice, status FROM outbox ORDER BY id")]
    journal.close()
    assert found == [
        (1, SIREN, "dropped"), (1, "horn", "dropped"), (1, "v", "pending"),
        (2, SIREN, "pending"), (2, "horn", "pending"), (2, "v", "pending"),
    ]  # fmt: skip


def test_a_kill_at_any_write_tells_it_once_a_day(site: Site, odd: tuple[Rule, ...], tmp_path: Path) -> None:
    """The flip is what is remembered: one a day, said at least once, and again only where it was being said."""
    named = replace(site, voices=(LogSpec(id="office"),))

    def live(cut: int | None) -> tuple[int, int, int]:
        hub = Hub(tmp_path / f"{cut}", named, odd, cut, loose=False, eager=False)
        row = ("gate-1", NINE - DAY, "lin", "painting")
        hub.wire.whole.execute("INSERT INTO service (target, at, actor, reason) VALUES (?, ?, ?, ?)", row)
        hub.now = NINE - 3_000
        for _ in range(5):
            hub.second(hub.words())
        flips = hub.wire.whole.execute("SELECT count(*) FROM flip WHERE event = 'reminder'").fetchone()[0]
        said = sum(times for (_, _, kind, _), times in hub.said.items() if kind == REMINDER)
        hub.journal.close()
        return int(flips), said, hub.wire.count

    flips, said, statements = live(None)
    assert (flips, said) == (1, 1)
    for cut in range(statements):
        flips, said, _ = live(cut)
        assert flips == 1, f"killed at statement {cut}"
        assert 1 <= said <= 2, f"killed at statement {cut}"
