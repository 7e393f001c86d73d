"""Daily tests of a water's edge: what they mark and what they never hide, when they are passed, failed and overdue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from hub.outcome import DrillState
from hub.reading import LinkState

if TYPE_CHECKING:
    from hub.outcome import Drill, Flip
    from tests.hub.conftest import Yard

LAKE = "water-presence/radar-1"
OVERDUE, FAILED = "water-test-overdue/lake", "water-test-failed/lake"
PRESENT = ("radar-1", "presence", "present")
ABSENT = ("radar-1", "presence", "absent")
HOUR = 3600


def begin(yard: Yard, siren: str = "withheld", **more: object) -> str:
    """Press Test at the lake; what became of it."""
    order = yard.order("drill", "lake", **({"command": siren, "seconds": 120.0} | more))
    return f"{order.state} {order.outcome}"


def drill_of(yard: Yard) -> Drill:
    """The newest one."""
    return max(yard.kept.drills.values(), key=lambda each: each.at)


def raised(yard: Yard) -> list[Flip]:
    """What was said to be alarming at the lake."""
    return [flip for flip in yard.kept.flips if flip.key == LAKE and flip.announce == "raised"]


@pytest.mark.parametrize(("siren", "sounds"), [("withheld", False), ("short", True)])
def test_at_any_hour_whoever_walks_in_alarms(yard: Yard, siren: str, *, sounds: bool) -> None:
    """At noon, when the lake is open: everybody is told, the siren as was chosen, and the test is passed."""
    yard.wait(5, ABSENT)
    assert begin(yard, siren) == "done done"
    yard.wait(3, ABSENT)
    yard.wait(4, PRESENT)
    (flip,) = raised(yard)
    assert (flip.severity, flip.siren) == ("P1", sounds)
    drill = drill_of(yard)
    assert (drill.state, drill.caught, drill.ended) == (DrillState.PASSED, ((LAKE, 1, flip.at),), None)
    assert drill.until == flip.at + 60_000


def test_by_day_it_ends_quietly(yard: Yard) -> None:
    """The tester leaves, or the hour is one at which nobody worries: it clears, and nothing more is said."""
    yard.wait(5, ABSENT)
    begin(yard)
    yard.wait(200, PRESENT)
    assert [flip.event for flip in yard.kept.flips if flip.key == LAKE] == ["raised", "cleared"]
    assert drill_of(yard).ended == drill_of(yard).until


def test_whoever_stands_there_when_it_is_over_is_real(night: Yard) -> None:
    """In closed hours somebody at the edge after the test is announced anew, with the siren, acknowledged or not."""
    night.wait(5, ABSENT)
    begin(night)
    night.wait(4, PRESENT)
    night.order("ack", LAKE, occurrence=1)
    night.wait(70, PRESENT)
    assert [flip.siren for flip in raised(night)] == [False, True]
    assert (night.state(LAKE), night.events(LAKE)[-1]) == ("unacked", "renotified")


def test_a_sensor_that_falls_silent_meanwhile_is_real(night: Yard) -> None:
    """What is not known when the test is over is not taken for nobody."""
    night.wait(5, ABSENT)
    begin(night)
    night.wait(4, PRESENT)
    night.wait(90)
    assert [flip.siren for flip in raised(night)] == [False, True]


def test_after_it_the_next_one_is_real(night: Yard) -> None:
    """He who comes two minutes later, while the test's alarm waits to be acknowledged, has the siren."""
    night.wait(5, ABSENT)
    begin(night)
    night.wait(4, PRESENT)
    night.wait(120, ABSENT)
    assert (night.state(LAKE), drill_of(night).ended is None) == ("returned", False)
    night.wait(4, PRESENT)
    assert [(flip.event, flip.siren) for flip in raised(night)] == [("raised", False), ("reactivated", True)]


def test_other_alarms_of_the_zone_are_never_marked(yard: Yard) -> None:
    """Who presses the SOS button during a test is in need."""
    yard.wait(5, ABSENT)
    begin(yard)
    yard.say("sos-1", "sos", "pressed")
    (flip,) = [flip for flip in yard.kept.flips if flip.key == "sos/sos-1"]
    assert flip.siren
    assert drill_of(yard).caught == ()


def test_a_test_that_sees_nobody_has_failed(yard: Yard) -> None:
    """The edge is unwatched until a test is passed; being ended by a person is neither."""
    yard.wait(5, ABSENT)
    begin(yard)
    yard.wait(121, ABSENT)
    assert (drill_of(yard).state, yard.state(FAILED)) == (DrillState.FAILED, "unacked")
    assert yard.kept.alarms[FAILED].value == LAKE
    begin(yard)
    yard.order("drill-end", "lake")
    yard.wait(2, ABSENT)
    assert (drill_of(yard).state, drill_of(yard).ended_by, yard.state(FAILED)) == ("ended", "keeper", "unacked")
    begin(yard)
    yard.wait(4, PRESENT)
    assert yard.state(FAILED) == "returned"


def test_each_sensor_of_the_zone_has_to_see_him(yard: Yard) -> None:
    """One of two is not enough: the test runs on, and fails."""
    radar = yard.site.devices()["radar-1"]
    link = yard.site.links[0]
    site = replace(
        yard.site, links=(replace(link, devices=type(link.devices)((*link.devices, replace(radar, id="radar-2")))),)
    )
    yard.keep(yard.core.rebind(site, yard.rules, yard.now))
    yard.link("mqtt", LinkState.UP)
    both = (ABSENT, ("radar-2", "presence", "absent"))
    yard.wait(5, *both)
    begin(yard)
    yard.wait(4, PRESENT, both[1])
    assert (drill_of(yard).state, len(drill_of(yard).caught)) == (DrillState.RUNNING, 1)
    yard.wait(120, *both)
    assert drill_of(yard).state == DrillState.FAILED
    assert yard.kept.alarms[FAILED].value == "water-presence/radar-2"


def test_overdue_after_thirty_hours(yard: Yard) -> None:
    """Counted from the first start, then from each test that was passed; and through a restart."""
    yard.wait(2, ABSENT)
    first = yard.now
    for hours in range(1, 31):
        yard.now = first + hours * HOUR * 1000 - 30_000 * (hours < 30)
        yard.restart()
        yard.link_up()
        yard.wait(1, ABSENT)
        assert yard.state(OVERDUE) == ("normal" if hours < 30 else "unacked"), hours
    begin(yard)
    yard.wait(4, PRESENT)
    yard.wait(2, ABSENT)
    assert yard.state(OVERDUE) == "normal"
    yard.restart(down=29 * HOUR)
    yard.wait(2, ABSENT)
    assert yard.state(OVERDUE) == "normal"
    yard.restart(down=1 * HOUR)
    yard.link_up()
    yard.wait(2, ABSENT)
    assert yard.state(OVERDUE) == "unacked"


def test_a_restart_goes_on_with_it(yard: Yard) -> None:
    """A hub that dies between the press and the walk marks what comes, for as long as was said."""
    yard.wait(5, ABSENT)
    begin(yard)
    yard.restart(down=5)
    yard.link_up()
    yard.wait(3, ABSENT)
    yard.wait(4, PRESENT)
    assert [flip.siren for flip in raised(yard)] == [False]
    yard.restart(down=300)
    yard.wait(2)
    assert drill_of(yard).ended == drill_of(yard).until


def test_a_clock_that_is_set_back_ends_it(night: Yard) -> None:
    """An hour back must not make the test an hour longer."""
    night.wait(5, ABSENT)
    begin(night)
    night.now -= HOUR * 1000
    night.wait(6, PRESENT)
    assert [flip.siren for flip in raised(night)] == [True]


def test_what_cannot_be_tested_is_refused(night: Yard) -> None:
    """Unknown zones, dry ones, spans and sirens that are none, two at once; and never over somebody who is there."""
    night.wait(5, ABSENT)
    assert night.order("drill", "moon", command="short", seconds=120.0).outcome == "no-such-zone:moon"
    assert night.order("drill", "square", command="short", seconds=120.0).outcome == "no-such-rule:square"
    assert begin(night, seconds=None) == "refused seconds-out-of-range:60..900"
    assert begin(night, seconds=901.0) == "refused seconds-out-of-range:60..900"
    assert begin(night, "loud") == "refused no-such-command:loud"
    assert night.order("drill-end", "lake").outcome == "not-set:lake"
    night.wait(1, PRESENT)
    assert begin(night) == "refused occupied:radar-1"
    night.wait(5, PRESENT)
    assert begin(night) == "refused rejected:still-active"
    assert begin(night, expires=night.now) == "expired expired"
    night.wait(10, ABSENT)
    assert begin(night) == "done done"
    assert begin(night) == "refused already-under-way:lake"
    assert all(flip.siren for flip in raised(night))


def test_a_reload_goes_on_with_it(yard: Yard) -> None:
    """The tests are the same after the site file was read again."""
    yard.wait(5, ABSENT)
    begin(yard)
    yard.keep(yard.core.rebind(yard.site, yard.rules, yard.now))
    yard.wait(4, PRESENT)
    assert [flip.siren for flip in raised(yard)] == [False]


@pytest.mark.parametrize("word", ["animal", "real"])
def test_what_it_turned_out_to_be(night: Yard, word: str) -> None:
    """A verdict stands in the timeline of its occurrence, also after the end; unknown words and times are refused."""
    night.wait(5, PRESENT)
    assert night.order("verdict", LAKE, command=word).outcome == "occurrence-over"
    assert night.order("verdict", LAKE, occurrence=2, command=word).outcome == "occurrence-over"
    assert night.order("verdict", LAKE, occurrence=1, command="ghost").outcome == "no-such-command:ghost"
    night.order("ack", LAKE, occurrence=1)
    night.wait(10, ABSENT)
    assert night.order("verdict", LAKE, occurrence=1, command=word, text="a duck").state == "done"
    flip = night.kept.flips[-1]
    assert (flip.event, flip.occurrence, flip.note, flip.actor) == ("verdict", 1, f"{word} a duck", "keeper")
