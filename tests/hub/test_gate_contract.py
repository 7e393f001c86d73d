"""What the hub holds to with gates: no order is good for longer than its command says, none shuts a fire's way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from device_profiles.door import Refusal
from device_profiles.load import ROOT, load
from device_profiles.types import JsonField, MqttCommand
from hub.outcome import OrderState
from hub.reading import Label, LinkState

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hub.conftest import Yard

WORD = Label(zh="令", en="order")


def with_fire(yard: Yard) -> None:
    """The gate can be closed and locked; a second one beside it hears of the fire system."""
    link = yard.site.links[0]
    gate = yard.site.devices()["gate-1"]
    commands = {
        name: MqttCommand(label=WORD, confirm={"gate": state}, within=8.0, payload={"do": name})
        for name, state in {"open": "open", "close": "closed", "lock": "locked"}.items()
    }
    profile = replace(gate.profile, command=commands, reading={**gate.profile.reading, "release": JsonField()})
    gates = (replace(gate, profile=profile), replace(gate, id="gate-2", profile=profile))
    others = tuple(device for device in link.devices if device.id != "gate-1")
    changed = replace(link, devices=type(link.devices)((*others, *gates)))
    site = replace(yard.site, links=(changed, *yard.site.links[1:]))
    yard.keep(yard.core.rebind(site, yard.rules, yard.now))
    yard.link("mqtt", LinkState.UP)


def test_nobody_waits_longer_than_ten_seconds_for_a_gate(yard: Yard) -> None:
    """Whoever ordered it with whatever end: after the command's own ten seconds it is not sent any more."""
    order = yard.order("command", "gate-1", command="open", expires=yard.now + 3_600_000)
    assert (order.state, order.expires - order.issued) == (OrderState.REQUESTED, 10_000)
    late = yard.order("command", "gate-1", command="open", issued=yard.now - 10_000, expires=yard.now + 3_600_000)
    assert late.state in (OrderState.EXPIRED, OrderState.REFUSED)
    yard.wait(16)
    assert yard.kept.orders[order.id].state is OrderState.EXPIRED


def test_an_order_from_the_future_is_good_for_ten_seconds_from_now(yard: Yard) -> None:
    """A clock that was set back leaves orders that would be good for an hour."""
    order = yard.order("command", "gate-1", command="open", issued=yard.now + 3_600_000, expires=yard.now + 3_610_000)
    assert order.expires == yard.now + 10_000


@pytest.mark.parametrize("command", ["close", "lock"])
def test_no_gate_is_shut_from_here_in_a_fire(yard: Yard, command: str) -> None:
    """Released is released, also when its contact has fallen silent since; opening is always possible."""
    with_fire(yard)
    yard.say("gate-2", "release", "normal")
    assert yard.order("command", "gate-1", command=command).state is OrderState.REQUESTED
    yard.wait(20)
    yard.say("gate-2", "release", "released")
    refused = yard.order("command", "gate-1", command=command)
    assert (refused.state, refused.outcome) == (OrderState.REFUSED, "fire-release:gate-1")
    yard.wait(120)
    assert yard.order("command", "gate-1", command=command).state is OrderState.REFUSED
    assert yard.order("command", "gate-1", command="open").state is OrderState.REQUESTED
    yard.say("gate-2", "release", "normal")
    assert yard.order("command", "gate-1", command=command).state is OrderState.REQUESTED


def test_a_profile_may_not_let_a_gate_wait(tmp_path: Path) -> None:
    """An order to open that is older than ten seconds is for somebody else."""
    plain = (ROOT / "gate" / "json-mqtt.toml").read_text(encoding="utf-8")
    slow = plain.replace('"gate/json-mqtt"', '"gate/slow"').replace("within = 8.0", "within = 8.0\nexpires = 30.0", 1)
    path = tmp_path / "gate" / "slow.toml"
    path.parent.mkdir()
    path.write_text(slow, encoding="utf-8")
    with pytest.raises(Refusal, match=r"command\.open\.expires = 30\.0: is too long for a gate"):
        load(path)
