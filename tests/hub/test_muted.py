"""A muted zone: P3 and P4 wait and are told together at its end; P1, P2, sirens and calls in person never wait."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from hub.clock import Clock
from hub.journal.commit import Committer
from hub.journal.writer import FILE, SIREN, Journal
from hub.outcome import Flip, Mute, Occurrence, Outcome
from hub.settings.site_voice import LogSpec
from hub.speaking import outbox, speaker
from hub.speaking.announce import Announcer
from hub.speaking.outbox import Claim

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from hub.rules.door import Rule
    from hub.settings.site import Site

NOW = 1_760_000_000_000
END = NOW + 600_000
MUTE = Mute(zone="square", at=NOW, until=END, actor="lin", reason="a wedding")


class Hand(Clock):
    """A clock whose hands the test moves."""

    at = NOW + 1_000

    def now(self) -> int:
        """What the test says."""
        return self.at


class Hub:
    """A journal with one voice, and an announcer on it."""

    def __init__(self, path: Path, site: Site, rules: tuple[Rule, ...]) -> None:
        """Opened, not yet running; the square is muted."""
        self.clock, self.site = Hand(), replace(site, voices=(LogSpec(id="v"),))
        self.journal = Journal(path, self.site)
        self.committer = Committer(self.journal)
        self.announcer = Announcer(self.site, {r.id: r for r in rules}, self.committer, {}, self.clock)
        self.journal.write([Outcome(mutes=[MUTE])])

    def flip(
        self, kind: str, source: str = "noise-1", *, severity: str = "P3", zone: str = "square", siren: bool = False,
        cleared: int | None = None,
    ) -> None:  # fmt: skip
        """An alarm is raised or cleared, now."""
        key, now = f"noise-limit/{source}", self.clock.now()
        chapter = Occurrence(key=key, occurrence=1, rule="noise-limit", source=source, zone=zone, severity=severity,
                             quantity="", raised=now, cleared=cleared)  # fmt: skip
        flip = Flip(at=now, key=key, occurrence=1, event=kind, before="a", after="b", announce=kind, severity=severity,
                    siren=siren)  # fmt: skip
        self.journal.write([Outcome(flips=[flip], occurrences=[chapter])])

    def due(self, voice: str = "v", *, urgent: bool = False) -> list[outbox.Row]:
        """What a speaker would be given now."""
        return outbox.claim(self.journal, "test", Claim(voice=voice, urgent=urgent), self.clock.now())

    def statuses(self) -> list[str]:
        """Of all rows."""
        return [row[0] for row in self.journal.db.execute("SELECT status FROM outbox ORDER BY id")]

    @contextlib.asynccontextmanager
    async def speaking(self) -> AsyncIterator[None]:
        """The announcer runs."""
        tasks = [asyncio.create_task(self.committer.run()), asyncio.create_task(self.announcer.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.committer.close()


@pytest.fixture
def hub(tmp_path: Path, site: Site, rules: tuple[Rule, ...], monkeypatch: pytest.MonkeyPatch) -> Hub:
    """With an empty outbox."""
    monkeypatch.setattr(speaker, "LOOK_S", 0.02)
    return Hub(tmp_path / FILE, site, rules)


async def until(what: Callable[[], object]) -> None:
    """Until it is true."""
    async with asyncio.timeout(15):
        while not what():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("severity", "waits"), [("P1", False), ("P2", False), ("P3", True), ("P4", True)])
def test_only_what_can_wait_waits(hub: Hub, severity: str, waits: bool) -> None:
    """In the muted zone; in the other one nothing does."""
    hub.flip("raised", severity=severity)
    hub.flip("raised", "radar-1", severity=severity, zone="lake")
    found = [row.source for row in hub.due(urgent=severity == "P1")]
    assert found == (["radar-1"] if waits else ["noise-1", "radar-1"])
    hub.journal.close()


def test_a_siren_and_a_call_in_person_never_wait(hub: Hub) -> None:
    """A siren that sounds when the mute is over would be worse than none."""
    hub.flip("raised", siren=True)
    outbox.put(hub.journal.db, 1, "v", NOW, person="li")
    assert [row.voice for row in hub.due(SIREN)] == [SIREN]
    assert [row.person for row in hub.due()] == ["li"]
    hub.journal.close()


def test_what_gets_worse_waits_no_longer(hub: Hub) -> None:
    """The occurrence is P1 now: all of it is said."""
    hub.flip("raised")
    assert hub.due() == []
    hub.flip("raised", severity="P1")
    assert [row.severity for row in hub.due(urgent=True)] == ["P1"]
    hub.journal.close()


@pytest.mark.parametrize("at", [END, END + 1, NOW - 1])
def test_a_mute_ends_by_the_clock_alone(hub: Hub, at: int) -> None:
    """Nobody has to end it; and a clock that was set back before its start has none."""
    hub.flip("raised")
    assert hub.due() == []
    hub.clock.at = at
    assert len(hub.due()) == 1
    hub.journal.close()


def test_who_ends_it_hears_at_once(hub: Hub) -> None:
    """The row says who; what waited is due."""
    hub.flip("raised")
    hub.journal.write([Outcome(mutes=[replace(MUTE, ended=NOW + 2_000, ended_by="lin")])])
    assert [mute.ended_by for mute in hub.journal.mutes()] == ["lin"]
    hub.clock.at = NOW + 2_000
    assert [(row.withheld, row.kind) for row in hub.due()] == [(True, "raised")]
    hub.journal.close()


async def test_one_digest_at_the_end(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    """All that was withheld in one announcement, each alarm once, with how often it came and whether it is over."""
    caplog.set_level(logging.INFO, "zhian.alarm")
    async with hub.speaking():
        hub.flip("raised", "gate-1", severity="P2")
        for kind in ("raised", "cleared", "raised", "cleared"):
            hub.flip(kind)
        hub.flip("raised", "chip-1", severity="P4")
        await until(lambda: hub.statuses()[0] == "accepted")
        assert hub.statuses()[1:] == ["pending"] * 5
        hub.clock.at = END
        await until(lambda: "pending" not in hub.statuses())
        assert hub.statuses() == ["accepted", "accepted", "folded", "folded", "folded", "folded"]
    lines = [record.getMessage() for record in caplog.records if record.name == "zhian.alarm"]
    assert len(lines) == 4
    assert "the mute is over; 2 withheld meanwhile" in lines[1]
    assert "静默结束：期间 2 条通知" in lines[1]
    assert "×2, over since" in lines[2]
    assert "over" not in lines[3]


async def test_without_a_mute_each_is_said(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    """The same alarms in the other zone: the digest is the mute's doing."""
    caplog.set_level(logging.INFO, "zhian.alarm")
    async with hub.speaking():
        for kind in ("raised", "cleared"):
            hub.flip(kind, "radar-1", zone="lake")
        await until(lambda: hub.statuses() == ["accepted", "accepted"])
    assert not [record for record in caplog.records if "digest" in record.getMessage()]


async def test_over_before_it_was_told_again_is_a_plain_end(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    """Raised before the mute, over within it: its end is told with the digest."""
    caplog.set_level(logging.INFO, "zhian.alarm")
    hub.clock.at = NOW - 5_000
    hub.flip("raised")
    async with hub.speaking():
        await until(lambda: hub.statuses() == ["accepted"])
        hub.clock.at = NOW + 5_000
        await asyncio.sleep(0.1)  # whoever looked by the old time has looked
        hub.flip("cleared")
        await asyncio.sleep(0.1)
        assert hub.statuses() == ["accepted", "pending"]
        hub.clock.at = END
        await until(lambda: hub.statuses() == ["accepted", "accepted"])
    assert "P3 cleared" in caplog.records[-1].getMessage()
