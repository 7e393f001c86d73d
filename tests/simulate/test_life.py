"""Ordinary life, orders and scripts on one device, without a cable and without waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from device_profiles.load import profiles
from device_profiles.types import ModbusProfile, MqttProfile, SerialProfile
from firmware_bridge.raw import Frame, Message, Registers
from firmware_bridge.simulate.life import AUTO_CLOSE_S, PASS_S, TRAVEL_S, Life, Moment
from firmware_bridge.simulate.script import QUIET, Mute, Scene, Script
from firmware_bridge.simulate.serial_device import frames
from firmware_bridge.wire import decode, encode
from hub.reading import Label, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from firmware_bridge.raw import Raw
    from hub.reading import Fault
    from hub.settings.site import Device

NOTE = Label(zh="", en="")
DOGS = {"156000000000101": "one", "900250000023921": "two"}


def over_the_wire(device: Device, moment: Moment) -> list[Reading | Fault]:
    """What a hub would read of this moment."""
    profile = device.profile
    raws: Sequence[Raw] = []
    if isinstance(profile, SerialProfile):
        raws = [Frame(data) for data in frames(profile, moment)]
    elif isinstance(profile, MqttProfile):
        raws = [Message("up", encode.message(profile, moment.values, ts=1_760_000_000_000))]
        raws += [Message("up", encode.message(profile, each.values, detail=each.detail)) for each in moment.events]
    elif isinstance(profile, ModbusProfile):
        raws = [_answer(table, words) for table, words in encode.memory(profile, moment.values).items()]
    return [said for raw in raws for said in decode.decode(device.id, profile, raw, 1_760_000_000_000)]


def _answer(table: str, words: dict[int, int]) -> Registers:
    first, count = min(words), len(words)
    if table in ("coil", "discrete"):
        bits = sum(bit << (at - first) for at, bit in words.items())
        return Registers(table, first, count, bits.to_bytes((count + 7) // 8, "little"))
    return Registers(table, first, count, b"".join(words[at].to_bytes(2) for at in sorted(words)))


@pytest.mark.parametrize("name", sorted(profiles()))
def test_ordinary_life_of_every_profile_is_readable(name: str, device: Callable[..., Device]) -> None:
    """Each profile's device says each of its quantities, and never a fault, on an ordinary evening."""
    played = device(name)
    life = Life(played, Script(round=100.0, registered=DOGS))
    said = [each for second in range(600) for each in over_the_wire(played, life.look(float(second)))]
    assert [each for each in said if not isinstance(each, Reading)] == []
    heard = {each.quantity for each in said if isinstance(each, Reading)}
    left_out = {"distance", "refused_order", "obeyed_order"} if isinstance(played.profile, MqttProfile) else set()
    assert heard == set(played.profile.reading) - left_out


@pytest.mark.parametrize(("name", "quantity"), [("noise/generic-rs485", "laeq"), ("noise/json-mqtt", "lafmax")])
def test_ordinary_noise_stays_below_the_night_limit(name: str, quantity: str, device: Callable[..., Device]) -> None:
    """GB 3096-2008, class 1 at night: 45 dB, and 15 dB more for sudden noise. It moves, too."""
    life = Life(device(name), QUIET)
    levels = [float(life.look(second / 4).values[quantity]) for second in range(40_000)]
    assert 30.0 <= min(levels) < max(levels) <= (42.0 if quantity == "laeq" else 60.0)
    assert len(set(levels)) > 20


def test_gate_travels_opens_and_closes_by_itself(device: Callable[..., Device]) -> None:
    """Ordered open, it is moving, then open, then closed again; the last order counts."""
    life = Life(device("gate/json-mqtt", "gate-x"), QUIET)
    life.obey("open", None, 0.0)
    seen = [life.look(at).values["gate"] for at in (0.1, TRAVEL_S + 0.1, TRAVEL_S + AUTO_CLOSE_S + 0.1)]
    assert seen == ["moving", "open", "closed"]
    life.obey("open", None, 20.0)
    life.obey("lock", None, 20.5)
    assert [life.look(at).values["gate"] for at in (20.6, 20.5 + TRAVEL_S, 90.0)] == ["moving", "locked", "locked"]


def test_locked_gate_lets_nobody_pass(device: Callable[..., Device]) -> None:
    """While it is locked nobody is granted passage; ordered closed, people pass again and the gate opens for each."""
    life = Life(device("gate/json-mqtt", "gate-y"), QUIET)
    life.obey("lock", None, 0.0)
    assert [life.look(float(at)).events for at in range(2, 600)] == [[]] * 598
    life.obey("close", None, 600.0)
    moments = [life.look(600.0 + at / 2) for at in range(4, 1200)]
    passed = [at for at, moment in enumerate(moments) if moment.events]
    assert len(passed) > 4
    assert {moment.events[0].values["passage"] for moment in moments if moment.events} == {"granted"}
    assert all(moments[at].values["gate"] == "open" for at in passed)
    shares = [moment.values["gate"] == "open" for moment in moments]
    assert 0 < sum(shares) <= len(passed) * 2 * (PASS_S + 0.5)


@pytest.mark.parametrize("dogs", [DOGS, {}])
def test_only_registered_dogs_pass_on_an_ordinary_evening(dogs: dict[str, str], device: Callable[..., Device]) -> None:
    """Chips come from the script's list, and without a list there are none."""
    life = Life(device("chip/wl-134a"), Script(round=100.0, registered=dogs))
    events = [said for at in range(2000) for said in life.look(float(at)).events]
    assert {said.values["chip"] for said in events} == set(dogs)


def test_script_lies_over_life_and_lifts_again(device: Callable[..., Device]) -> None:
    """A scene's values count while it is on, with their spread; an order in between does not break it."""
    held = Scene(at=10.0, lasts=5.0, device="gate-x", set={"gate": "open"}, note=NOTE)
    life = Life(device("gate/json-mqtt", "gate-x"), Script(round=1000.0, scene=(held,)))
    life.obey("close", None, 9.0)
    assert [life.look(at).values["gate"] for at in (9.9, 10.0, 12.0, 14.9, 15.0)][1:4] == ["open"] * 3
    loud = Scene(at=0.0, lasts=50.0, device="noise-x", set={"laeq": 63.0}, spread=1.5, note=NOTE)
    life = Life(device("noise/generic-rs485", "noise-x"), Script(round=100.0, scene=(loud,)))
    levels = [float(life.look(float(at)).values["laeq"]) for at in range(100)]
    assert 61.5 <= min(levels[:50]) < max(levels[:50]) <= 64.5
    assert max(levels[50:]) <= 42.0


def test_event_and_mute_come_once_a_round(device: Callable[..., Device]) -> None:
    """However often one looks, an event is said once each round, and a device is mute just while it should be."""
    chip = Scene(at=5.0, device="chip-x", event={"chip": "156000000000977"}, note=NOTE)
    dumb = Scene(at=20.0, lasts=4.0, device="chip-x", mute=Mute.SILENT, note=NOTE)
    script = Script(round=50.0, scene=(chip, dumb))
    for step in (0.1, 0.7, 13.0, 60.0):
        life = Life(device("chip/wl-134a", "chip-x"), script)
        looks = [life.look(n * step) for n in range(int(200 / step) + 1)]
        assert sum(len(look.events) for look in looks) == sum(5.0 + 50 * n < (len(looks) - 1) * step for n in range(5))
    life = Life(device("chip/wl-134a", "chip-x"), script)
    mute = [life.look(at / 2).mute for at in range(100)]
    assert [at / 2 for at, each in enumerate(mute) if each is Mute.SILENT] == [20 + n / 2 for n in range(8)]


def test_life_does_not_grow(device: Callable[..., Device]) -> None:
    """Days of passages and orders leave no more behind than an hour did."""
    life = Life(device("gate/json-mqtt", "gate-x"), Script(round=150.0, registered=DOGS))

    def weight(begin: int, hours: int) -> int:
        for second in range(begin, begin + hours * 3600, 2):
            life.look(float(second))
            if second % 60 == 0:
                life.obey(("open", "close", "lock")[second // 60 % 3], None, float(second))
        kept = [value for value in vars(life).values() if isinstance(value, dict)]
        return len(msgspec.json.encode(kept, enc_hook=str))

    assert weight(3600, 20) < weight(0, 1) + 1000
