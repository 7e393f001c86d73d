"""How the core sees devices and links fall silent and come back, and which of their alarms are said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.reading import FaultKind, LinkState

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hub.conftest import Yard

SILENT = "device-silent/gate-1"
UNWATCHED = "water-unwatched/radar-1"
DOWN = "link-down/mqtt"


def states(yard: Yard, source: str) -> str:
    """The state that the journal shows."""
    return yard.kept.health[source].state


def test_a_device_is_unknown_until_it_speaks(yard: Yard) -> None:
    """Unknown at the start, ok on a fresh reading, and no alarm for either."""
    assert states(yard, "gate-1") == "unknown"
    yard.say("gate-1", "gate", "closed")
    assert states(yard, "gate-1") == "ok"


def test_a_device_falls_silent_and_says_so(yard: Yard) -> None:
    """No fresh reading for `silent_after` (20 s): state, fault and alarm in the same step."""
    yard.say("gate-1", "gate", "closed")
    yard.wait(19)
    assert (states(yard, "gate-1"), yard.state(SILENT)) == ("ok", "normal")
    yard.wait(1)
    assert (states(yard, "gate-1"), yard.state(SILENT)) == ("silent", "unacked")
    assert [fault.kind for fault in yard.last.faults] == [FaultKind.SILENT] * len(yard.last.faults)
    yard.say("gate-1", "gate", "closed")
    assert (states(yard, "gate-1"), yard.state(SILENT)) == ("ok", "normal")


def test_a_chip_reader_may_be_quiet_for_ever(yard: Yard) -> None:
    """silent_after = 0: silence says nothing; a fault does."""
    yard.say("chip-1", "chip", "900000000000001")
    yard.wait(3600)
    assert states(yard, "chip-1") == "ok"
    yard.fault("chip-1", FaultKind.CHECKSUM)
    assert (states(yard, "chip-1"), yard.state("device-silent/chip-1")) == ("unknown", "normal")


def test_a_chip_reader_on_a_lost_port_is_unknown(yard: Yard) -> None:
    """Nothing is known of a device by whose silence nothing is known, once its link is down."""
    yard.say("chip-1", "chip", "900000000000001")
    yard.link("port", LinkState.DOWN)
    assert states(yard, "chip-1") == "unknown"


def test_a_last_will_is_offline_at_once(yard: Yard) -> None:
    """The broker's word counts, and the next reading ends it."""
    yard.say("gate-1", "gate", "closed")
    yard.fault("gate-1", FaultKind.OFFLINE)
    assert (states(yard, "gate-1"), yard.state(SILENT)) == ("offline", "unacked")
    yard.now += 1000
    yard.say("gate-1", "gate", "closed")
    assert (states(yard, "gate-1"), yard.state(SILENT)) == ("ok", "normal")


def test_faults_are_counted_and_change_nothing_else(yard: Yard) -> None:
    """A bad checksum is no silence; the next row carries the count and the last words."""
    yard.say("gate-1", "gate", "closed")
    for _ in range(3):
        yard.fault("gate-1", FaultKind.CHECKSUM)
    yard.wait(6, ("gate-1", "gate", "closed"))
    row = yard.kept.health["gate-1"]
    assert (row.state, row.faults, row.detail) == ("ok", 3, "checksum: as the test says")


def test_the_rule_that_says_it_better_speaks_alone(yard: Yard) -> None:
    """water-unwatched covers the radar, so device-silent does not (yields_to)."""
    yard.wait(60)
    assert yard.state(UNWATCHED) == "unacked"
    assert not [key for key in yard.kept.alarms if key.startswith("device-silent/radar")]


def test_a_lost_link_is_said_once(yard: Yard) -> None:
    """Its devices' silence is hidden (depends = link), what concerns safety is not."""
    for reading in (("gate-1", "gate", "closed"), ("radar-1", "presence", "absent")):
        yard.say(*reading)
    yard.link("mqtt", LinkState.DOWN)
    yard.wait(60)
    assert (yard.told(DOWN), yard.told(UNWATCHED), yard.told(SILENT)) == (["raised"], ["raised"], [])
    assert yard.kept.alarms[SILENT].suppressed == ("link:mqtt",)


def test_what_was_active_before_the_link_went_stays_visible(yard: Yard) -> None:
    """Suppression hides no alarm that people have been told of."""
    yard.say("gate-1", "gate", "closed")
    yard.wait(25)
    yard.link("mqtt", LinkState.DOWN)
    yard.wait(5)
    assert yard.kept.alarms[SILENT].suppressed == ()


@pytest.mark.parametrize(("back", "told"), [(True, []), (False, ["raised"])])
def test_a_link_that_returns_gives_its_devices_time(yard: Yard, back: bool, told: list[str]) -> None:
    """After UP a device has its grace; who is back within it is never said to have been silent."""
    yard.say("gate-1", "gate", "closed")
    yard.link("mqtt", LinkState.DOWN)
    yard.wait(30)
    yard.link("mqtt", LinkState.UP)
    yard.wait(19)
    assert yard.told(SILENT) == []
    if back:
        yard.say("gate-1", "gate", "closed")
    yard.wait(2)
    assert yard.told(SILENT) == told


def test_a_link_that_never_opens_is_an_alarm(open_yard: Callable[..., Yard]) -> None:
    """A link starts as down; ten seconds are forgiven, not more."""
    yard = open_yard(linked=False)
    yard.wait(9)
    assert yard.state(DOWN) == "normal"
    yard.wait(4)
    assert yard.state(DOWN) == "unacked"


def test_a_clock_that_is_set_makes_no_alarm_and_loses_none(night: Yard) -> None:
    """An hour forward or back is no time: nothing falls silent, no delay runs out, no alarm stops being looked at."""
    for hours in (1, -1, 2, -2):
        night.wait(6, ("noise-1", "laeq", 50.0), ("radar-1", "presence", "absent"), ("gate-1", "gate", "closed"))
        night.now += hours * 3_600_000
        night.keep(night.core.tick(night.now))
    assert night.told("noise-limit/noise-1") == []
    night.wait(10, ("noise-1", "laeq", 50.0))
    assert night.told("noise-limit/noise-1") == ["raised"]


def test_a_clock_that_is_set_back_is_noticed_by_silence(yard: Yard) -> None:
    """Silence goes on being counted after a step back of the clock."""
    yard.wait(3, ("gate-1", "gate", "closed"))
    yard.now -= 3_600_000
    yard.wait(25)
    assert states(yard, "gate-1") == "silent"
