"""Orders of a hub whose clock is not trusted, with a real broker: a number of the controller's own, once, and soon.

Replayed, old, of another controller, with a flipped bit, after a power cut, and where no number comes.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec
import pytest

from firmware_bridge.raw import Publish
from firmware_bridge.simulate.life import Life
from firmware_bridge.simulate.mqtt_device import MqttDevice
from firmware_bridge.simulate.nonces import MOST, Nonces
from firmware_bridge.simulate.script import QUIET
from firmware_bridge.wire import orders
from firmware_bridge.wire.nonce import LIFE_S, asked, asking
from firmware_bridge.wire.seal import Seal
from hub import challenge
from hub.clock import Clock
from tests.simulate.gate_yard import TOPIC, Yard, clock_of_the_hub, intruder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import aiomqtt

    from hub.settings.site import Device
    from tests.conftest import Mosquitto

KEY = bytes(range(32))
UP = "garden/gate-1/up"


@pytest.fixture(autouse=True)
def doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel says that nobody synchronises the hub's clock."""
    clock_of_the_hub(monkeypatch, trusted=False)


class Watch(Clock):
    """A controller's own clock that nobody sets, moved by hand; the time of day it does not know."""

    def __init__(self) -> None:
        """At its start."""
        super().__init__()
        self.at = 0.0

    def monotonic(self) -> float:
        """Seconds since then."""
        return self.at

    def now(self) -> int:
        """It believes in 1970."""
        return 5


def controller(gate: Device, watch: Watch, memory: Path | None = None, key: bytes = KEY) -> MqttDevice:
    """A gate without a clock of its own."""
    return MqttDevice(gate, "garden", Life(gate, QUIET), watch, 0.0, memory, key)


def order(gate: Device, nonce: str, *, counter: int = 5, key: bytes = KEY, device: str = "gate-1") -> bytes:
    """As the hub makes it."""
    made = orders.action(
        gate.profile, "open", topic=TOPIC, seal=Seal(key, counter, nonce), order_id="7", device=device,
        issued=1, expires=2,
    )  # fmt: skip
    assert isinstance(made, Publish)
    return made.payload


def test_time_is_not_in_it(gate: Device) -> None:
    """So that a controller that knows no nonces refuses it, whatever its clock and the hub's say."""
    said = msgspec.json.decode(order(gate, "a" * 32), type=dict[str, object])
    assert said.keys() == {"do", "id", "device", "counter", "nonce", "sig"}


def test_a_number_is_good_once_and_not_for_long(gate: Device) -> None:
    """By the controller's own clock; an older number, a used one and another controller's open nothing."""
    watch = Watch()
    player, other = controller(gate, watch), controller(gate, watch)
    nonce, foreign = player.nonce(), other.nonce()
    assert player.refusal(order(gate, nonce), retained=False) == ""  # the control
    assert player.refusal(order(gate, foreign), retained=False) == "expired"
    assert player.refusal(order(gate, nonce), retained=True) == "retained"
    assert player.refusal(order(gate, nonce, device="gate-2"), retained=False) == "foreign"
    assert player.refusal(order(gate, nonce, key=bytes(32)), retained=False) == "forged"
    watch.at = LIFE_S
    assert player.refusal(order(gate, nonce), retained=False) == ""
    watch.at = LIFE_S + 0.1
    assert player.refusal(order(gate, nonce), retained=False) == "expired"


def test_replayed_it_opens_nothing(gate: Device, tmp_path: Path) -> None:
    """The same message, the same number under a higher count, and both after a power cut."""
    watch, memory = Watch(), tmp_path / "m"
    player = controller(gate, watch, memory)
    nonce = player.nonce()
    player.obey(order(gate, nonce), retained=False)
    assert player.refusal(order(gate, nonce), retained=False) == "repeated"
    assert player.refusal(order(gate, nonce, counter=6), retained=False) == "expired"
    again = controller(gate, watch, memory)
    assert again.refusal(order(gate, nonce), retained=False) == "repeated"
    assert again.refusal(order(gate, nonce, counter=6), retained=False) == "expired"
    assert again.refusal(order(gate, again.nonce(), counter=6), retained=False) == ""  # the control


def test_no_flipped_bit_opens(gate: Device) -> None:
    """Of the whole message, the number's bits among them."""
    player = controller(gate, Watch())
    payload = order(gate, player.nonce())
    for at in range(8 * len(payload)):
        flipped = bytearray(payload)
        flipped[at // 8] ^= 1 << at % 8
        assert player.refusal(bytes(flipped), retained=False), bytes(flipped)
    assert player.refusal(payload, retained=False) == ""  # the control


def test_who_asks_and_asks_fills_nothing() -> None:
    """The newest few are good."""
    book = Nonces()
    given = [book.give(0.0) for _ in range(MOST + 1)]
    assert [book.good(each, 1.0) for each in given] == [False, *[True] * MOST]
    book.spend(given[-1])
    assert not book.good(given[-1], 1.0)
    assert len(set(given)) == MOST + 1


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b'{"ask": "nonce"}', b'{"ask": "time", "id": "7", "device": "gate-1"}', b"\xff"]
)
def test_what_asks_for_nothing(payload: bytes) -> None:
    """Only a question for a number, and to this device."""
    assert asked("gate-1", payload) is None
    assert asked("gate-2", asking("gate-1", "7")) is None
    assert asked("gate-1", asking("gate-1", "7")) == "7"


async def test_a_gate_opens_though_nobody_knows_the_time(yard: Yard, mosquitto: Mosquitto) -> None:
    """On the whole way: asked, answered, signed, obeyed, confirmed; a recorded order opens nothing afterwards."""
    async with yard.hub(), intruder(mosquitto) as thief, yard.controller():
        await thief.subscribe(TOPIC)
        assert await yard.ended(yard.press()) == "confirmed"
        question, sent = [await payload(thief) for _ in range(2)]
        assert question["ask"] == "nonce"
        assert "expires" not in sent
        await thief.publish(TOPIC, msgspec.json.encode(sent))
        await yard.until("SELECT 1 FROM reading WHERE quantity = 'refused_order' AND value = 'repeated'")
    assert yard.opened() == 1
    ((nonce,),) = yard.ask("SELECT value FROM reading WHERE quantity = 'order_nonce'")
    assert nonce == sent["nonce"]


async def test_a_trusted_clock_asks_for_nothing(
    yard: Yard, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: then time is in the order, and no way there and back is lost."""
    clock_of_the_hub(monkeypatch, trusted=True)
    async with yard.hub(), intruder(mosquitto) as other, yard.controller():
        await other.subscribe(TOPIC)
        assert await yard.ended(yard.press()) == "confirmed"
        assert "expires" in await payload(other)
    assert yard.ask("SELECT count(*) FROM reading WHERE quantity = 'order_nonce'") == [(0,)]


async def test_without_a_number_nothing_leaves(
    yard: Yard, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A controller that does not answer, one that answers for another order, and one that says what is none."""
    monkeypatch.setattr(challenge, "PATIENCE_S", 0.5)
    async with yard.hub(), deaf(mosquitto) as (controller, heard):
        number = yard.press()
        for said in ({"order_nonce": "a" * 32, "order": "999"}, {"order_nonce": "abc", "order": str(number)}):
            await controller.publish(UP, msgspec.json.encode(said), qos=1)
        assert await yard.ended(number) == "failed"
    assert [message.get("ask") for message in heard] == ["nonce"]
    ((outcome, sent),) = yard.ask("SELECT outcome, sent FROM orders")
    assert str(outcome).startswith("not-sent:no-answer: the hub's clock is not trusted")
    assert sent is None


async def test_another_hands_number_opens_nothing(yard: Yard, mosquitto: Mosquitto, gate: Device) -> None:
    """Whoever may write in the gate's name gets an order that the gate refuses; with its own number it obeys."""
    player = controller(gate, Watch(), key=yard.key)
    async with yard.hub(), intruder(mosquitto) as liar:
        await liar.subscribe(TOPIC)
        for command, nonce, word in (("open", "f" * 32, "expired"), ("lock", player.nonce(), "")):
            yard.press(command)
            said = {"order_nonce": nonce, "order": (await payload(liar))["id"]}
            await liar.publish(UP, msgspec.json.encode(said), qos=1)
            sent = await payload(liar)
            assert sent["nonce"] == nonce
            assert player.refusal(msgspec.json.encode(sent), retained=False) == word


async def payload(client: aiomqtt.Client) -> dict[str, object]:
    """Of the next message."""
    message = await asyncio.wait_for(anext(aiter(client.messages)), 10)
    assert isinstance(message.payload, bytes)
    return msgspec.json.decode(message.payload, type=dict[str, object])


@contextlib.asynccontextmanager
async def deaf(mosquitto: Mosquitto) -> AsyncIterator[tuple[aiomqtt.Client, list[dict[str, object]]]]:
    """A controller of an older make, which knows no questions; and what it was sent."""
    heard: list[dict[str, object]] = []

    async def listen() -> None:
        while True:
            heard.append(await payload(client))

    async with intruder(mosquitto) as client:
        await client.subscribe(TOPIC, qos=1)
        listening = asyncio.create_task(listen())
        yield client, heard
        listening.cancel()
