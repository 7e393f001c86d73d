"""What the core does with readings: which count, which are history, which are dropped; and what alarms they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.reading import FaultKind, Quality

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hub.conftest import Yard

NOISE = "noise-limit/noise-1"
LAKE = "water-presence/radar-1"


def test_a_late_reading_is_kept_and_raises_nothing(night: Yard) -> None:
    """A reading that is not newer than its series is history, never news."""
    night.say("radar-1", "presence", "absent")
    old = night.say("radar-1", "presence", "present", ts=night.now - 5000)
    night.wait(10)
    assert [reading.quality for reading in old.readings] == [Quality.LATE]
    assert night.kept.latest["radar-1", "presence"].value == "absent"
    assert night.state(LAKE) == "normal"


def test_a_retained_reading_is_kept_and_raises_nothing(night: Yard) -> None:
    """What a broker replays on subscribing says nothing about now, not even that the device is well."""
    outcome = night.say("radar-1", "presence", "present", quality=Quality.RETAINED)
    night.wait(10)
    assert [reading.quality for reading in outcome.readings] == [Quality.RETAINED]
    assert night.state(LAKE) == "normal"
    assert night.kept.health["radar-1"].state == "unknown"


def test_a_reading_delivered_twice_is_one(yard: Yard) -> None:
    """Same series, same device time, same value: dropped without a word."""
    stamp = yard.now - 100
    assert yard.say("noise-1", "laeq", 50.0, ts=stamp).readings
    yard.now += 50
    assert yard.say("noise-1", "laeq", 50.0, ts=stamp).readings == []
    assert [reading.quality for reading in yard.say("noise-1", "laeq", 51.0, ts=stamp).readings] == [Quality.GOOD]


def test_two_readings_in_one_millisecond_are_two(yard: Yard) -> None:
    """Stamped by the hub, the same time is no proof of the same reading: two dogs may pass in one millisecond."""
    yard.say("noise-1", "laeq", 50.0)
    assert [reading.quality for reading in yard.say("noise-1", "laeq", 50.0).readings] == [Quality.GOOD]


def test_a_delivery_is_known_again_after_a_restart(yard: Yard) -> None:
    """The last device time of each series outlives the hub."""
    stamp = yard.now - 100
    yard.say("noise-1", "laeq", 50.0, ts=stamp)
    yard.restart(1)
    assert yard.say("noise-1", "laeq", 50.0, ts=stamp).readings == []


def test_a_reading_of_nobody_is_a_fault(yard: Yard) -> None:
    """What no device of the site reads is named, not stored."""
    outcome = yard.say("ghost", "laeq", 50.0)
    assert (outcome.readings, [fault.kind for fault in outcome.faults]) == ([], [FaultKind.UNKNOWN_DEVICE])


@pytest.mark.parametrize("value", [55.1, 90.0])
def test_an_alarm_waits_for_its_delay(yard: Yard, value: float) -> None:
    """noise-limit, class 1 by day: above 55 dB for 30 s, one clean flip, and the rows to show it."""
    yard.say("noise-1", "laeq", value)
    yard.wait(29, ("noise-1", "laeq", value))
    assert yard.state(NOISE) == "normal"
    yard.wait(1, ("noise-1", "laeq", value))
    assert (yard.state(NOISE), yard.told(NOISE)) == ("unacked", ["raised"])
    row = yard.kept.occurrences[NOISE, 1]
    assert (row.value, row.limit, row.zone, row.closed) == (value, 55.0, "square", "")


def test_the_worst_value_is_kept(yard: Yard) -> None:
    """The occurrence's peak is the maximum while it was true, the alarm's value the last one."""
    yard.wait(31, ("noise-1", "laeq", 60.0))
    yard.wait(2, ("noise-1", "laeq", 81.5))
    yard.wait(5, ("noise-1", "laeq", 62.0))
    assert yard.kept.occurrences[NOISE, 1].peak == 81.5
    assert yard.kept.alarms[NOISE].value == 62.0


def test_an_active_alarm_is_written_once_a_second_at_most(yard: Yard) -> None:
    """A stream of readings does not become a stream of alarm rows, and the last value is not lost."""
    yard.wait(31, ("noise-1", "laeq", 60.0))
    written = 0
    for step in range(100):
        yard.now += 10
        written += len(yard.say("noise-1", "laeq", 60.0 + step / 100).alarms)
    assert written <= 1
    yard.wait(2)
    assert yard.kept.alarms[NOISE].value == 60.99


def test_health_is_not_written_on_every_message(yard: Yard) -> None:
    """Besides changes of state, one row a source in five seconds."""
    rows = 0
    for _ in range(100):
        yard.now += 100
        rows += len(yard.say("noise-1", "laeq", 50.0).health)
    assert rows <= 3


def test_silence_never_clears(night: Yard) -> None:
    """An alarm whose sensor breaks stays, and the breakage is an alarm of its own."""
    night.wait(5, ("radar-1", "presence", "present"))
    assert night.state(LAKE) == "unacked"
    night.wait(600)
    assert night.state(LAKE) == "unacked"
    assert night.state("water-unwatched/radar-1") == "unacked"


def test_the_lake_opens_and_closes_with_its_hours(open_yard: Callable[..., Yard]) -> None:
    """Somebody at the water is nobody's business by day, and an alarm from closing time on without a new reading."""
    day = open_yard(9.99)
    day.wait(35, ("radar-1", "presence", "present"))
    assert day.state(LAKE) == "normal"
    day.wait(5, ("radar-1", "presence", "present"))
    assert day.state(LAKE) == "unacked"


def test_closing_time_comes_without_a_reading(open_yard: Callable[..., Yard]) -> None:
    """The clock alone changes what is true: of the lake's hours, and of the noise limit at the start of the night."""
    day = open_yard(10 - 5 / 3600)
    day.say("radar-1", "presence", "present")
    day.say("noise-1", "laeq", 50.0)
    day.wait(4)
    assert (day.state(LAKE), NOISE in day.kept.alarms) == ("normal", False)
    day.wait(3)
    assert (day.state(LAKE), day.kept.alarms[NOISE].filter) == ("unacked", "rising")


def test_a_level_that_is_not_read_any_more_is_unknown(yard: Yard) -> None:
    """The device lives on, one of its values does not: 10 s later the delay stands still."""
    yard.wait(20, ("noise-1", "laeq", 60.0), ("noise-1", "battery_level", 90.0))
    yard.wait(60, ("noise-1", "battery_level", 90.0))
    assert (yard.state(NOISE), yard.kept.alarms[NOISE].filter) == ("normal", "rising")


def test_the_siren_of_the_zone_sounds(night: Yard) -> None:
    """A rule that sounds, in a zone with a siren: the raised flip says so, and no other flip does."""
    night.wait(5, ("radar-1", "presence", "present"))
    night.wait(10, ("radar-1", "presence", "absent"))
    assert [(flip.event, flip.siren) for flip in night.kept.flips if flip.key == LAKE] == [
        ("raised", True),
        ("cleared", False),
    ]


def test_seen_again_before_the_ack_is_told_again(night: Yard) -> None:
    """Cleared was said; so raised is said again, siren included, within the same occurrence."""
    night.wait(5, ("radar-1", "presence", "present"))
    night.wait(10, ("radar-1", "presence", "absent"))
    night.wait(5, ("radar-1", "presence", "present"))
    assert night.told(LAKE) == ["raised", "cleared", "raised"]
    assert [flip.siren for flip in night.kept.flips if flip.key == LAKE] == [True, False, True]
    row = night.kept.occurrences[LAKE, 1]
    assert (row.activations, row.cleared, row.closed) == (2, None, "")


def test_each_chip_has_its_own_alarm(yard: Yard) -> None:
    """Rules per value: the key names the value; one dog does not hide another."""
    yard.say("chip-1", "chip", "900000000000001")
    yard.now += 10
    yard.say("chip-1", "chip", "900000000000002")
    keys = [key for key, row in yard.kept.alarms.items() if row.state == "unacked"]
    assert keys == ["chip-unregistered/chip-1/900000000000001", "chip-unregistered/chip-1/900000000000002"]


def test_registering_a_dog_ends_its_alarm(yard: Yard) -> None:
    """Rules see a list at once: now, on the next reading, and after a restart."""
    key = "chip-unregistered/chip-1/900000000000001"
    yard.say("chip-1", "chip", "900000000000001")
    yard.order("list-add", "dogs", text="900000000000001 Wangcai")
    assert (yard.state(key), yard.kept.entries["dogs", "900000000000001"].note) == ("returned", "Wangcai")
    yard.restart(5)
    yard.now += 1000
    yard.say("chip-1", "chip", "900000000000001")
    assert yard.state(key) == "returned"
    yard.order("list-remove", "dogs", text="900000000000001")
    yard.now += 1000
    yard.say("chip-1", "chip", "900000000000001")
    assert yard.state(key) == "unacked"
