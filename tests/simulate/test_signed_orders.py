"""Signed orders on their whole way, with a real broker: what the hub's own key did not sign moves no gate.

Forged, changed, repeated, stale, of another door, retained, after a restart of the hub, and with another key.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from firmware_bridge.raw import Publish
from firmware_bridge.simulate.life import Life
from firmware_bridge.simulate.mqtt_device import MqttDevice
from firmware_bridge.simulate.script import QUIET
from firmware_bridge.wire import orders
from firmware_bridge.wire.seal import Seal
from hub.orders.keys import key_file, make_key, read_key
from tests.simulate.gate_yard import CLOCK, TOPIC, Yard, clock_of_the_hub, intruder

if TYPE_CHECKING:
    from pathlib import Path

    from hub.settings.site import Device
    from tests.conftest import Mosquitto

KEY = bytes(range(32))


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's clock is right; the other half is test_challenge.py."""
    clock_of_the_hub(monkeypatch, trusted=True)


def order(gate: Device, *, key: bytes = KEY, counter: int = 5, topic: str = TOPIC, **changes: object) -> bytes:
    """An order as the hub makes it."""
    now = CLOCK.now()
    told = {"order_id": "7", "device": "gate-1", "issued": now, "expires": now + 10_000} | changes
    made = orders.action(gate.profile, "open", topic=topic, seal=Seal(key, counter), **told)  # type: ignore[arg-type]  # of several types
    assert isinstance(made, Publish)
    return made.payload


def controller(gate: Device, memory: Path, key: bytes = KEY) -> MqttDevice:
    """With its memory."""
    return MqttDevice(gate, "garden", Life(gate, QUIET), CLOCK, CLOCK.monotonic(), memory, key)


def test_what_a_controller_refuses(gate: Device, tmp_path: Path) -> None:
    """A wrong key, no key, no signature, another door, another topic, too late, good for too long, retained."""
    player, now = controller(gate, tmp_path / "m"), CLOCK.now()
    unsigned = msgspec.json.encode(
        {"do": "open", "id": "7", "device": "gate-1", "issued": now, "expires": now + 9_000, "counter": 9}
    )
    refusals = {
        "forged": [order(gate, key=bytes(32)), unsigned, order(gate, topic="garden/gate-2/do")],
        "foreign": [order(gate, device="gate-2")],
        "expired": [order(gate, expires=now - 1), order(gate, expires=now + 60_000)],
    }
    for word, payloads in refusals.items():
        assert [player.refusal(payload, retained=False) for payload in payloads] == [word] * len(payloads)
    assert player.refusal(order(gate), retained=True) == "retained"
    assert controller(gate, tmp_path / "m", b"").refusal(order(gate), retained=False) == "forged"
    assert player.refusal(order(gate), retained=False) == ""


def test_a_count_that_does_not_grow_is_refused(gate: Device, tmp_path: Path) -> None:
    """Also with another id and a fresh time, and also after a power cut: the count is on its disk before it moves."""
    player, memory = controller(gate, tmp_path / "m"), tmp_path / "m"
    player.obey(order(gate, counter=5), retained=False)
    for again in (player, controller(gate, memory)):
        for counter, word in ((5, "repeated"), (4, "repeated"), (6, "")):
            assert again.refusal(order(gate, counter=counter, order_id="8"), retained=False) == word
    forgetful = MqttDevice(gate, "garden", Life(gate, QUIET), CLOCK, CLOCK.monotonic(), None, KEY)
    assert forgetful.refusal(order(gate, counter=4), retained=False) == ""  # the control


def test_another_key_counts_anew(gate: Device, tmp_path: Path) -> None:
    """A hub that lost its count, and whose clock was wrong, is helped by a new key; the old one is worth nothing."""
    controller(gate, tmp_path / "m").obey(order(gate, counter=900), retained=False)
    renewed = controller(gate, tmp_path / "m", bytes(32))
    assert renewed.refusal(order(gate, key=bytes(32), counter=1, order_id="8"), retained=False) == ""
    assert renewed.refusal(order(gate, counter=901, order_id="9"), retained=False) == "forged"


async def test_it_moves_and_says_by_which_order(yard: Yard) -> None:
    """Confirmed by the gate, which names the order; what left is no longer good than ten seconds, and not retained."""
    async with yard.hub(), yard.controller():
        number = yard.press()
        assert await yard.ended(number) == "confirmed"
        await yard.until("SELECT 1 FROM reading WHERE quantity = 'obeyed_order'")
    said = yard.ask("SELECT value, json_extract(detail, '$.order') FROM reading WHERE quantity = 'obeyed_order'")
    assert said == [("open", str(number))]


async def test_who_may_write_at_the_broker_opens_nothing(yard: Yard, mosquitto: Mosquitto) -> None:
    """A recorded order, and one of his own making; the gate moved once, and both tries are an alarm."""
    async with yard.hub(), intruder(mosquitto) as thief, yard.controller():
        await thief.subscribe(TOPIC)
        assert await yard.ended(yard.press()) == "confirmed"
        recorded = await asyncio.wait_for(anext(aiter(thief.messages)), 10)
        assert isinstance(recorded.payload, bytes)
        said = msgspec.json.decode(recorded.payload)
        assert recorded.properties is not None
        assert 0 < recorded.properties.MessageExpiryInterval <= 10  # type: ignore[attr-defined]  # paho has no types
        forged = said | {"id": "99", "issued": CLOCK.now(), "expires": CLOCK.now() + 9_000, "counter": 2**60}
        await thief.publish(TOPIC, recorded.payload)
        await thief.publish(TOPIC, msgspec.json.encode(forged))
        for word in ("repeated", "forged"):
            await yard.until(f"SELECT 1 FROM reading WHERE quantity = 'refused_order' AND value = '{word}'")
        await yard.until("SELECT 1 FROM occurrence WHERE rule = 'order-refused' AND source = 'gate-1'")
    assert yard.opened() == 1


async def test_the_count_goes_on_after_a_restart_of_the_hub(yard: Yard) -> None:
    """A controller that remembers obeys the hub that was started again."""
    for _ in range(2):
        async with yard.hub(), yard.controller():
            number = yard.press()
            obeyed = "SELECT 1 FROM reading WHERE quantity = 'obeyed_order' AND json_extract(detail, '$.order')"
            await yard.until(f"{obeyed} = '{number}'")
    assert yard.ask("SELECT count(*) FROM reading WHERE quantity = 'refused_order'") == [(0,)]


async def test_a_new_key_counts_from_the_next_order_on(yard: Yard, gate: Device, tmp_path: Path) -> None:
    """Without a restart of the hub: refused by the controller with the old key, obeyed by it with the new one."""
    async with yard.hub():
        make_key(key_file(gate, tmp_path), renew=True)
        async with yard.controller():
            number = yard.press()
            await yard.until("SELECT 1 FROM reading WHERE quantity = 'refused_order' AND value = 'forged'")
            assert yard.opened() == 0
        await yard.until(f"SELECT 1 FROM orders WHERE id = {number} AND ended IS NOT NULL")
        yard.key = read_key(key_file(gate, tmp_path))
        async with yard.controller():
            assert await yard.ended(yard.press()) == "confirmed"


async def test_without_a_key_the_order_fails_in_words(yard: Yard, gate: Device, tmp_path: Path) -> None:
    """Nothing unsigned leaves, and the words hold no digit of any key."""
    key_file(gate, tmp_path).unlink()
    async with yard.hub(), yard.controller():
        assert await yard.ended(yard.press()) == "failed"
    outcome = str(yard.ask("SELECT outcome FROM orders")[0][0])
    assert outcome.startswith("not-sent:refused: ")
    assert "zhian device key gate-1" in outcome
