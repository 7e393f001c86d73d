"""The hub's own health: where each limit lies, and that a figure at its limit does not come and go."""

import os
import time
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from hub.clock import Clock
from hub.core import Core
from hub.journal.commit import Committer
from hub.journal.scarce import Space
from hub.journal.writer import FILE, Journal
from hub.outcome import Outcome
from hub.processes.inspector import Found, Inspector, Verdicts, lag_s, synchronised
from hub.processes.state import FILE as BOARD
from hub.processes.state import Board, Process
from hub.reading import Quality, Reading
from hub.rules.door import PACKS, load_pack
from hub.rules.rule import Rule
from hub.settings.site import Site

WELL = Found(50.0, 0.0, 1_760_000_000.0, 100.0, None)


def why(verdicts: Verdicts, **found: float | bool) -> set[str]:
    """The rules that are so at this look."""
    return {rule for rule, reason in verdicts.judge(replace(WELL, **found)).items() if reason}


def test_every_verdict_has_its_rule() -> None:
    """A verdict that no rule asks for would be silence."""
    assert set(Verdicts().judge(WELL)) <= {rule.id for rule in load_pack(PACKS / "hub.toml")}


@pytest.mark.parametrize(
    ("rule", "name", "figures"),
    [
        ("hub-disk-low", "free_percent", [(10.0, False), (9.9, True), (10.9, True), (11.0, False), (10.0, False)]),
        ("hub-store-behind", "lag_s", [(900.0, False), (901.0, True), (301.0, True), (300.0, False), (800.0, False)]),
    ],
)
def test_limits_have_a_way_back(rule: str, name: str, figures: list[tuple[float, bool]]) -> None:
    """It begins at one figure and ends at another."""
    verdicts = Verdicts()
    assert [rule in why(verdicts, **{name: figure}) for figure, _ in figures] == [so for _, so in figures]


def test_a_clock_that_was_set_is_told_for_ten_minutes() -> None:
    """By more than two seconds against the clock that nobody sets; a slow drift is none."""
    verdicts, wall = Verdicts(), WELL.wall_s
    assert not why(verdicts)
    assert not why(verdicts, wall_s=wall + 11.9, running_s=110.0)
    assert verdicts.judge(replace(WELL, wall_s=wall - 3580, running_s=120.0))["hub-clock-stepped"] == "-3602 s"
    assert why(verdicts, wall_s=wall - 3580 + 599, running_s=719.0) == {"hub-clock-stepped"}
    assert not why(verdicts, wall_s=wall - 3580 + 600, running_s=720.0)


def test_a_clock_that_is_not_synchronised_is_told() -> None:
    """Where the kernel does not say, nothing is claimed."""
    assert why(Verdicts(), synchronised=False) == {"hub-clock-free"}
    assert not why(Verdicts(), synchronised=True)
    assert synchronised() in (True, False, None)


def test_the_lag_is_the_age_of_what_was_not_shipped(tmp_path: Path, site: Site) -> None:
    """None without a shipper; then from the oldest reading beyond its cursor."""
    journal = Journal(tmp_path / FILE, site)
    for rx in (1_000, 5_000):
        reading = Reading(device="noise-1", quantity="laeq", value=50.0, ts=rx, rx=rx, quality=Quality.GOOD)
        journal.write([Outcome(readings=[reading])])
    assert lag_s(journal.db, 65_000) == 0.0
    journal.db.execute("INSERT INTO cursor VALUES ('history', 0, 0)")
    assert lag_s(journal.db, 65_000) == 64.0
    journal.db.execute("UPDATE cursor SET seq = 1")
    assert lag_s(journal.db, 65_000) == 60.0
    journal.db.execute("UPDATE cursor SET seq = 2")
    assert lag_s(journal.db, 65_000) == 0.0
    journal.close()


def test_what_a_broker_throws_away_is_told_for_ten_minutes() -> None:
    """A count that rises between two looks; a broker that started anew, or says nothing, is none."""
    verdicts = Verdicts()
    assert not why(verdicts, dropped=7)
    assert not why(verdicts, dropped=7)
    assert verdicts.judge(replace(WELL, dropped=12))["hub-broker-drops"] == "5"
    assert why(verdicts, running_s=WELL.running_s + 599, wall_s=WELL.wall_s + 599) == {"hub-broker-drops"}
    assert not why(verdicts, running_s=WELL.running_s + 600, wall_s=WELL.wall_s + 600, dropped=0)


def noted(data: Path, **processes: Process) -> None:
    """What a supervisor that is our parent would have noted."""
    (data / BOARD).write_bytes(msgspec.json.encode(Board(os.getppid(), processes)))


async def test_the_other_processes_are_looked_at(tmp_path: Path, site: Site, rules: tuple[Rule, ...]) -> None:
    """What the supervisor noted becomes an alarm of the field process; a torn note is no news, and no end of it."""
    clock, said = Clock(), list[Outcome]()

    async def take(outcome: Outcome) -> None:
        said.append(outcome)

    async def dropped() -> None:
        return None

    journal = Journal(tmp_path / FILE, site)
    committer, core = Committer(journal), Core(site, rules, journal.memory(), clock.now())
    inspector = Inspector(core, committer, take, tmp_path, clock, dropped, Space())
    ends = (time.monotonic() - 1,) * 3
    noted(tmp_path, office=Process(state="down", since=0.0, how="SIGKILL"), field=Process(state="up", since=0.0))
    await inspector.look()
    assert (inspector.told["hub-office-down"], inspector.told["hub-field-restarts"]) == ("SIGKILL", "")
    (tmp_path / BOARD).write_bytes(b'{"superv')
    await inspector.look()
    assert inspector.told["hub-office-down"] == "SIGKILL"
    noted(
        tmp_path, office=Process(state="up", since=0.0), field=Process(state="up", since=0.0, how="exit 1", ends=ends)
    )
    await inspector.look()
    assert (inspector.told["hub-office-down"], inspector.told["hub-field-restarts"]) == ("", "3× exit 1")
    assert [flip.key for outcome in said for flip in outcome.flips] == ["hub-field-restarts/hub"]
    committer.close()
