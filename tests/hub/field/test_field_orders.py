"""Orders through the field process: at most once, never late, written before they leave, confirmed by the device."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from firmware_bridge.raw import Publish, SendError
from hub.reading import FaultKind

if TYPE_CHECKING:
    from tests.hub.field.conftest import Brake, Hub


async def test_an_order_is_sent_once_and_written_before(hub: "Hub") -> None:
    """`sent` is in the file when the first byte leaves; only the device's own word confirms; it never leaves again."""
    async with hub.running():
        hub.mqtt.up(hub.gate())
        number = await hub.press()
        await hub.until(lambda: hub.mqtt.sent)
        assert hub.mqtt.states == ["sent"]
        await hub.until(lambda: hub.order() == ("sent", ""))
        hub.mqtt.offer(hub.gate(value="open"))
        await hub.until(lambda: hub.order()[0] == "confirmed")

    ((device, publish),) = hub.mqtt.sent
    assert device == "gate-1"
    assert isinstance(publish, Publish)
    assert f'"id":"{number}"'.encode() in publish.payload


@pytest.mark.parametrize(
    ("kind", "state", "outcome"),
    [
        (FaultKind.LINK_DOWN, "failed", "link-down"),
        (FaultKind.REFUSED, "failed", "not-sent:refused"),
        (FaultKind.OFFLINE, "failed", "not-sent:offline"),
        (FaultKind.BUSY, "failed", "not-sent:busy"),
        (FaultKind.NO_ANSWER, "sent", "no-echo:no-answer"),  # it may have acted: a reading, or the time, decides
        (FaultKind.CHECKSUM, "sent", "no-echo:checksum"),
    ],
)
async def test_what_the_cable_said_decides(hub: "Hub", kind: FaultKind, state: str, outcome: str) -> None:
    """What surely did not act is failed; what may have acted stays open; neither is sent again."""
    hub.mqtt.refusal = SendError(kind, "as the test says")
    async with hub.running():
        hub.mqtt.up()
        await hub.press()
        await hub.until(lambda: hub.mqtt.sent and hub.order()[1])
        await asyncio.sleep(0.1)

        assert hub.order()[0] == state
        assert hub.order()[1].startswith(outcome)
        assert len(hub.mqtt.sent) == 1


async def test_an_order_that_the_disk_held_up_is_not_sent_late(hub: "Hub", brake: "Brake") -> None:
    """Nobody stands at the gate any more: what expired while the journal could not be written does not leave."""
    async with hub.running():
        hub.mqtt.up()
        await hub.press()
        await hub.until(lambda: hub.mqtt.sent)
        hub.mqtt.offer(hub.gate(value="open"))
        await hub.until(lambda: hub.order()[0] == "confirmed")

        late = await hub.press(lasts_s=0.5)
        brake.off.clear()
        await hub.until(lambda: brake.held)
        await asyncio.sleep(0.6)
        brake.off.set()
        await hub.until(lambda: hub.ask(f"SELECT 1 FROM orders WHERE id = {late} AND ended IS NOT NULL"))

        assert hub.ask(f"SELECT state FROM orders WHERE id = {late}")[0][0] in ("failed", "expired")
        assert len(hub.mqtt.sent) == 1


async def test_what_was_under_way_is_unknown_after_a_stop(hub: "Hub") -> None:
    """An order that was sent and not confirmed when the hub stopped is `unknown`, and is not sent again."""
    async with hub.running():
        hub.mqtt.up()
        await hub.press()
        await hub.until(lambda: hub.mqtt.sent)

    again = hub.again()
    async with again.running():
        again.mqtt.up()
        await again.until(lambda: again.mqtt.asked == 2)
        await asyncio.sleep(0.1)
        assert again.order()[0] == "unknown"
        assert again.mqtt.sent == []


async def test_an_order_for_a_cable_that_is_down_fails_at_once(hub: "Hub") -> None:
    """It is never kept for later."""
    async with hub.running():
        hub.mqtt.up()
        await hub.until(lambda: hub.mqtt.asked == 2)
        hub.mqtt.down("cut")
        await hub.until(lambda: hub.mqtt.asked == 3)
        hub.put()
        await hub.until(lambda: hub.order() == ("failed", "link-down:cut"))
        assert hub.mqtt.sent == []
