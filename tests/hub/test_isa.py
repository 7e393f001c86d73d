"""The figures of ISA-18.2: each counted by hand on small histories, and their verdicts at the edges of table 7."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from hub.alarms.isa import DAY, HOUR, TEN_MINUTES, Standing, Told, health, proposed_deadband
from hub.commands.data import alarms_command
from hub.journal.writer import FILE, Journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hub.outcome import Outcome
    from hub.settings.site import Site
    from tests.hub.conftest import Yard


def every(step: int, times: int, key: str = "a/b", severity: str = "P3") -> list[Told]:
    """So many, `step` ms apart."""
    return [Told(at * step, key, severity) for at in range(times)]


@pytest.mark.parametrize(("times", "verdict"), [(6, "well"), (7, "bearable"), (12, "bearable"), (13, "too much")])
def test_alarms_an_hour(times: int, verdict: str) -> None:
    """Six an hour are very likely acceptable, twelve the most that can be managed."""
    found = health(every(HOUR // 20, times), [], 0, HOUR)
    assert (found.alarms, found.per_hour, found.per_hour_verdict) == (times, times, verdict)


def test_the_worst_ten_minutes_are_those_of_any_ten() -> None:
    """Not of the clock's: eleven around a full ten minutes are a flood of eleven, though no period holds as many."""
    rows = [Told(TEN_MINUTES - 5 * 1000 + at * 1000, f"a/{at}", "P3") for at in range(11)]
    found = health(rows, [], 0, HOUR)
    assert (found.most_in_ten_minutes, found.most_at, found.most_verdict) == (11, TEN_MINUTES - 5000, "too much")
    assert (found.flooded, found.flooded_verdict) == (0.0, "well")


def test_time_in_flood() -> None:
    """One of six periods with more than ten."""
    found = health(every(1000, 11), [], 0, HOUR)
    assert (found.flooded, found.flooded_verdict) == (round(1 / 6, 4), "too much")


def test_the_loudest_and_the_priorities() -> None:
    """Shares of what was announced."""
    rows = every(60_000, 15, "loud/a") + every(60_000, 3, "mid/a", "P2") + every(60_000, 2, "life/a", "P1")
    found = health(rows, [], 0, DAY)
    assert [(source.key, source.times) for source in found.top] == [("loud/a", 15), ("mid/a", 3), ("life/a", 2)]
    assert (found.top_share, found.priorities) == (1.0, {"high": 0.1, "medium": 0.15, "low": 0.75})


def test_stale_is_a_day_old() -> None:
    """To the millisecond."""
    found = health([], [Standing("old/a", 0), Standing("new/a", 1)], 0, DAY)
    assert (found.stale, found.stale_verdict) == (["old/a"], "well")


@pytest.mark.parametrize(("step", "chatters"), [(30_000, True), (30_001, False)])
def test_chattering_is_three_within_a_minute(step: int, chatters: bool) -> None:
    """Of one alarm."""
    assert bool(health(every(step, 3), [], 0, HOUR).chattering) is chatters
    assert health([Told(at, f"a/{at}", "P3") for at in range(3)], [], 0, HOUR).chattering == []


def test_what_lies_outside_of_the_span_does_not_count() -> None:
    """Start inclusive, end exclusive."""
    assert health([Told(at, "a/b", "P3") for at in (9, 10, 19, 20)], [], 10, 20).alarms == 2


@pytest.mark.parametrize("slope", [0.0, 0.01])
def test_a_deadband_is_three_times_the_noise(slope: float) -> None:
    """Normal noise of 0.5 around a value that also drifts: 1.5, within a tenth."""
    dice = random.Random(1)
    values = [50.0 + slope * at + dice.gauss(0.0, 0.5) for at in range(2000)]
    assert proposed_deadband(values) == pytest.approx(1.5, rel=0.1)


@pytest.mark.parametrize("values", [[], [1.0] * 100, [1.0, 2.0] * 4])
def test_no_deadband_without_noise(values: list[float]) -> None:
    """Nothing to measure, nothing to propose."""
    assert proposed_deadband(values) is None


def test_chatter_becomes_one_occurrence(yard: Yard) -> None:
    """The third raise within a minute is the last that is said, until it has been quiet for a minute."""
    key = "tamper/gate-1"
    for _ in range(10):
        yard.wait(2, ("gate-1", "tamper", "tampered"))
        yard.wait(2, ("gate-1", "tamper", "normal"))
    assert yard.told(key).count("raised") == 3
    assert yard.events(key).count("chattering") == 1
    assert yard.kept.alarms[key].filter == "falling"
    yard.wait(57, ("gate-1", "tamper", "normal"))
    assert yard.told(key)[-1] == "raised"
    yard.wait(3, ("gate-1", "tamper", "normal"))
    assert yard.told(key)[-1] == "cleared"


def test_chatter_is_remembered_over_a_restart(yard: Yard) -> None:
    """A restart in the middle does not begin the telling anew."""
    key = "tamper/gate-1"
    for _ in range(3):
        yard.wait(2, ("gate-1", "tamper", "tampered"))
        yard.wait(2, ("gate-1", "tamper", "normal"))
    said = len(yard.told(key))
    yard.restart(1)
    yard.link_up()
    for _ in range(3):
        yard.wait(2, ("gate-1", "tamper", "normal"))
        yard.wait(2, ("gate-1", "tamper", "tampered"))
    assert len(yard.told(key)) == said


def test_the_command_prints_them(tmp_path: Path, site: Site, open_yard: Callable[..., Yard]) -> None:
    """From a journal: a meter that swings around its limit, and the deadband that would calm it."""
    yard = open_yard()
    journal = Journal(tmp_path / FILE, site)
    write = yard.kept.write

    def both(outcome: Outcome) -> None:
        journal.write([outcome])
        write(outcome)

    yard.kept.write = both  # type: ignore[method-assign]  # the journal hears of everything
    for _ in range(12):
        yard.wait(2, ("sos-1", "battery_level", 50.0), ("gate-1", "tamper", "tampered"))
        yard.wait(2, ("gate-1", "tamper", "normal"))
    journal.close()
    ran = CliRunner().invoke(
        alarms_command, ["--health", "--since", "36500d", "--data", str(tmp_path)], catch_exceptions=False
    )
    assert ran.exit_code == 0
    assert "chattering: tamper/gate-1" in ran.output
    assert "A flood of alarms" not in ran.output
    assert "3  tamper/gate-1" in ran.output
