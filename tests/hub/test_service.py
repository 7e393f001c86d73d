"""Out of service: nothing is said and no siren sounds until a person puts it back; once a day people are told again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from hub.care.reminder import KEY, REMINDER, listed
from hub.outcome import Flip

if TYPE_CHECKING:
    from tests.hub.conftest import Yard

SOS, WATER, HELD = "sos/sos-1", "water-presence/radar-1", "gate-held/gate-1"
PRESSED, IDLE = ("sos-1", "sos", "pressed"), ("sos-1", "sos", "idle")
HOUR, DAY = 3600, 86_400


def out(yard: Yard, target: str, **more: object) -> str:
    """Take it out of service: state and outcome of the order."""
    order = yard.order("out-of-service", target, **{"text": "new cable", **more})
    return f"{order.state} {order.outcome}"


def back(yard: Yard, target: str) -> str:
    """Put it back."""
    order = yard.order("in-service", target)
    return f"{order.state} {order.outcome}"


def hushed(yard: Yard) -> list[str]:
    """Keys of the alarms whose row says that they are out of service."""
    return sorted(row.key for row in yard.kept.alarms.values() if row.out_of_service)


def reminders(yard: Yard) -> list[Flip]:
    """The daily lists."""
    return [flip for flip in yard.kept.flips if flip.event == REMINDER]


def pass_days(yard: Yard, seconds: int) -> None:
    """Time as a hub lives it that is looked at each minute (the machine does not sleep)."""
    for _ in range(seconds // 20):
        yard.now += 20_000
        yard.keep(yard.core.tick(yard.now))


def test_an_alarm_out_of_service_is_silent_and_its_siren_too(night: Yard) -> None:
    """P1 as well, with a reason; the machines run on, and nobody is told that it came or went."""
    assert out(night, WATER) == "done done"
    night.wait(5, ("radar-1", "presence", "present"))
    night.wait(8, ("radar-1", "presence", "absent"))
    night.wait(5, ("radar-1", "presence", "present"))
    assert night.state(WATER) == "unacked"
    assert not night.told(WATER)
    assert not [flip for flip in night.kept.flips if flip.siren]
    assert hushed(night) == [WATER]
    assert night.kept.services[WATER].reason == "new cable"


def test_back_in_service_what_is_active_is_told_as_if_it_were_new(night: Yard) -> None:
    """With its siren, whether nobody had been told or somebody had acknowledged it before."""
    night.wait(3, PRESSED)
    night.order("ack", SOS, occurrence=1)
    out(night, SOS)
    night.wait(3, PRESSED)
    assert back(night, SOS) == "done done"
    assert (night.state(SOS), night.told(SOS)) == ("unacked", ["raised", "raised"])
    assert [flip.siren for flip in night.kept.flips if flip.key == SOS and flip.announce] == [True, True]
    assert night.events(SOS)[-3:] == ["out-of-service", "in-service", "renotified"]
    assert hushed(night) == []


def test_back_in_service_what_is_over_is_not_told(yard: Yard) -> None:
    """It came and went while it was being mended: an entry in its timeline and no more."""
    out(yard, HELD)
    yard.wait(65, ("gate-1", "gate", "open"))
    yard.wait(2, ("gate-1", "gate", "closed"))
    back(yard, HELD)
    assert (yard.state(HELD), yard.told(HELD)) == ("normal", [])
    assert yard.kept.occurrences[HELD, 1].closed == "unannounced"


def test_who_was_told_that_it_came_is_told_that_it_is_over(yard: Yard) -> None:
    """Even while it is out of service."""
    yard.wait(65, ("gate-1", "gate", "open"))
    out(yard, HELD)
    yard.wait(2, ("gate-1", "gate", "closed"))
    assert yard.told(HELD) == ["raised", "cleared"]


def test_a_device_takes_all_its_alarms_with_it_and_no_others(yard: Yard) -> None:
    """Also those that are made only when their value comes; its neighbour's are not touched."""
    assert out(yard, "chip-1") == "done done"
    assert out(yard, "gate-1") == "done done"
    yard.say("chip-1", "chip", "900000000000001")
    assert yard.kept.alarms["chip-unregistered/chip-1/900000000000001"].state == "unacked"
    yard.wait(65, ("gate-1", "gate", "open"), PRESSED)
    assert {key.split("/")[1] for key in hushed(yard)} == {"chip-1", "gate-1"}
    assert not [key for key in yard.kept.alarms if yard.told(key) and ("chip-1" in key or "gate-1" in key)]
    assert yard.told(SOS) == ["raised"]
    back(yard, "chip-1")
    assert {key.split("/")[1] for key in hushed(yard)} == {"gate-1"}


def test_an_alarm_and_its_device_are_two_reasons(yard: Yard) -> None:
    """Putting back one leaves the other; the refusal names the device that holds it."""
    out(yard, "gate-1")
    assert back(yard, HELD) == "refused not-out-of-service:gate-1"
    out(yard, HELD)
    back(yard, "gate-1")
    assert hushed(yard) == [HELD]
    back(yard, HELD)
    assert hushed(yard) == []


@pytest.mark.parametrize(
    ("target", "more", "why"),
    [
        (SOS, {"text": "  "}, "refused no-reason"),
        ("sos/moon", {}, "refused no-such-alarm:sos/moon"),
        ("moon", {}, "refused no-such-device:moon"),
        ("square", {}, "refused no-such-device:square"),
        (SOS, {"expires": 0}, "expired expired"),
    ],
)
def test_what_cannot_be_done_changes_nothing(yard: Yard, target: str, more: dict[str, object], why: str) -> None:
    """Without a reason nothing goes out of service, and an order of yesterday takes nothing out today."""
    assert out(yard, target, **more) == why
    assert not yard.kept.services
    assert hushed(yard) == []
    assert back(yard, SOS) == "refused not-out-of-service"


def test_twice_is_refused_with_who_did_it(yard: Yard) -> None:
    """The first reason stays."""
    out(yard, SOS)
    assert out(yard, SOS, text="other", actor="li") == "refused already-out-of-service:keeper"
    assert yard.kept.services[SOS].reason == "new cable"


def test_it_survives_a_restart_and_a_reload(yard: Yard) -> None:
    """Only a person ends it; what a reload adds at a device that is out of service is out of service as well."""
    out(yard, "gate-1")
    rules = yard.rules
    few = tuple(rule for rule in rules if rule.id != "gate-held")
    yard.restart(30, rules=few)
    yard.link_up()
    assert HELD not in hushed(yard)
    yard.keep(yard.core.rebind(yard.site, rules, yard.now))
    yard.wait(65, ("gate-1", "gate", "open"))
    assert HELD in hushed(yard)
    assert (yard.state(HELD), yard.told(HELD)) == ("unacked", [])
    assert back(yard, "gate-1") == "done done"
    assert yard.told(HELD) == ["raised"]


def test_what_is_gone_is_out_of_service_no_longer(yard: Yard) -> None:
    """A device that comes back months later is not silently unwatched."""
    out(yard, "gate-1")
    links = tuple(
        replace(link, devices=type(link.devices)(device for device in link.devices if device.id != "gate-1"))
        for link in yard.site.links
    )
    outcome = yard.keep(yard.core.rebind(replace(yard.site, links=links), yard.rules, yard.now))
    assert [(row.target, row.ended, row.ended_by) for row in outcome.services] == [("gate-1", yard.now, "hub")]
    yard.keep(yard.core.rebind(yard.site, yard.rules, yard.now))
    yard.wait(65, ("gate-1", "gate", "open"))
    assert yard.told(HELD) == ["raised"]


def test_once_a_day_at_nine_people_are_told_what_is_out_of_service(yard: Yard) -> None:
    """Taken out at noon: tomorrow at nine, the worst severity chooses the voices; each day once, until it is back."""
    out(yard, "gate-1", text="painting")
    out(yard, SOS)
    pass_days(yard, 21 * HOUR - 60)
    assert not reminders(yard)
    pass_days(yard, 120)
    (flip,) = reminders(yard)
    assert (flip.key, flip.severity, flip.announce) == (KEY, "P1", REMINDER)
    assert [(row.target, row.actor, row.reason) for row in listed(flip.note)] == [
        ("gate-1", "keeper", "painting"), (SOS, "keeper", "new cable"),
    ]  # fmt: skip
    pass_days(yard, DAY - 600)
    assert len(reminders(yard)) == 1
    pass_days(yard, 1200)
    assert len(reminders(yard)) == 2
    back(yard, "gate-1")
    back(yard, SOS)
    pass_days(yard, 2 * DAY)
    assert len(reminders(yard)) == 2


def test_a_hub_that_was_off_at_nine_makes_up_for_it_and_never_tells_twice(yard: Yard) -> None:
    """Restarts at any moment of the day: one list a day."""
    out(yard, SOS)
    yard.restart(23 * HOUR)
    pass_days(yard, 60)
    assert len(reminders(yard)) == 1
    for _ in range(5):
        yard.restart(600)
        pass_days(yard, 60)
    assert len(reminders(yard)) == 1
    yard.restart(-3 * DAY)  # the clock is put right: "told" lies in the future now
    pass_days(yard, 60)
    assert len(reminders(yard)) == 2
