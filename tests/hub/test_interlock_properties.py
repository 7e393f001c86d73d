"""Whatever is ordered, heard, lost and restarted: doors that move by our orders alone are never both open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from device_profiles.types import MqttCommand
from hub.orders import interlock
from hub.outcome import OrderState
from hub.reading import Label
from hub.settings.site import Interlock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hub.conftest import Yard

WORD = Label(zh="令", en="order")
WITHIN_S = 8
DOORS = ("gate-1", "gate-2")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("open", "close", "say", "wait", "restart")), st.sampled_from(DOORS), st.integers(0, WITHIN_S)
    ),
    min_size=5,
    max_size=40,
)


class Doors:
    """Two doors that obey in the order in which they are told, each within the time that its command has."""

    def __init__(self, yard: Yard) -> None:
        """Both shut, and they have said so."""
        self.yard = _airlock(yard)
        self.open = dict.fromkeys(DOORS, False)
        self.coming: dict[str, list[tuple[int, bool]]] = {door: [] for door in DOORS}  # when, and what then
        for door in DOORS:
            self.say(door)

    def say(self, door: str) -> None:
        """How it really stands."""
        self.yard.say(door, "gate", "open" if self.open[door] else "closed")

    def order(self, door: str, command: str, delay_s: int) -> None:
        """Where the hub lets it leave, it is obeyed in so many seconds."""
        made = self.yard.order("command", door, command=command)
        if made.state is not OrderState.REQUESTED:
            return
        self.yard.keep(self.yard.core.sent(made.id, self.yard.now))
        queue = self.coming[door]
        at = max([self.yard.now + delay_s * 1000, *(when for when, _ in queue)])
        queue.append((at, command == "open"))
        self.move()

    def move(self) -> None:
        """What is due by now has happened; never are both open."""
        for door, queue in self.coming.items():
            while queue and queue[0][0] <= self.yard.now:
                self.open[door] = queue.pop(0)[1]
        assert not all(self.open.values()), "both doors are open"

    def wait(self, seconds: int) -> None:
        """Second by second; the doors say nothing."""
        for _ in range(seconds):
            self.yard.wait(1)
            self.move()

    def restart(self) -> None:
        """The hub stops and starts; the doors go on."""
        self.yard.restart()
        self.yard.link_up()


def _airlock(yard: Yard) -> Yard:
    link, gate = yard.site.links[0], yard.site.devices()["gate-1"]
    commands = {
        name: MqttCommand(label=WORD, confirm={"gate": state}, within=WITHIN_S, payload={"do": name})
        for name, state in {"open": "open", "close": "closed"}.items()
    }
    profile = replace(gate.profile, command=commands)
    others = [device for device in link.devices if device.id != "gate-1"]
    devices = type(link.devices)((*others, *(replace(gate, id=door, profile=profile) for door in DOORS)))
    site = replace(yard.site, links=(replace(link, devices=devices), *yard.site.links[1:]))
    yard.site = replace(site, interlocks=(Interlock(gates=DOORS),))
    yard.keep(yard.core.rebind(yard.site, yard.rules, yard.now))
    yard.link_up()
    return yard


def play(doors: Doors, steps: list[tuple[str, str, int]]) -> None:
    """One after the other; a second passes between them."""
    for what, door, number in steps:
        match what:
            case "say":
                doors.say(door)
            case "wait":
                doors.wait(number)
            case "restart":
                doors.restart()
            case _:
                doors.order(door, what, number)
        doors.wait(1)


@given(steps=STEPS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_never_both(open_yard: Callable[..., Yard], steps: list[tuple[str, str, int]]) -> None:
    """Also with orders of one moment, doors that are slow, silent or not confirmed, and a hub that stops meanwhile."""
    doors = Doors(open_yard())
    play(doors, steps)
    assert not all(doors.open.values())


def test_without_the_table_both_open(open_yard: Callable[..., Yard], monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the same doors, and an interlock that refuses nothing."""
    monkeypatch.setattr(interlock, "TABLE", dict.fromkeys(interlock.TABLE))
    with pytest.raises(AssertionError, match="both doors are open"):
        play(Doors(open_yard()), [("open", DOORS[0], 0), ("say", DOORS[0], 0), ("open", DOORS[1], 0)])
