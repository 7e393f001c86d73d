"""Numbered messages through the field process: what is in the journal, what is missing, and who gets a receipt when."""

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace

from firmware_bridge.raw import Arrival, Message, Publish, SendError
from hub import receipts
from hub.reading import FaultKind
from hub.settings.site import Devices, Site

if TYPE_CHECKING:
    from tests.hub.field.conftest import Brake, Hub


@pytest.fixture(scope="session")
def site(site: Site) -> Site:
    """The small community, whose gate numbers its messages."""
    links = []
    for link in site.links:
        devices = [
            replace(device, profile=replace(device.profile, seq="/seq", boot="/boot", ack="/ack"))
            if device.id == "gate-1"
            else device
            for device in link.devices
        ]
        links.append(replace(link, devices=Devices(devices)))
    return replace(site, links=tuple(links))


def said(hub: "Hub", seq: int, value: str = "o", *, ack: bool = False, boot: str = "b") -> Arrival:
    """The gate's message of this number."""
    text = msgspec.json.encode({"gate": value, "seq": seq, "boot": boot} | ({"ack": True} if ack else {}))
    return hub.arrival("gate-1", Message("x", text))


def receipts_of(hub: "Hub") -> list[object]:
    """What was published on the gate's orders topic."""
    assert all(isinstance(action, Publish) and action.topic == "test/gate-1/do" for _, action in hub.mqtt.sent)
    return [msgspec.json.decode(action.payload) for _, action in hub.mqtt.sent if isinstance(action, Publish)]


async def test_a_duplicate_is_dropped_across_a_restart_of_the_hub(hub: "Hub") -> None:
    """One reading for each number, whatever a broker, a radio or a restart repeats."""
    async with hub.running():
        hub.mqtt.up(said(hub, 1), said(hub, 2, "c"), said(hub, 2, "c"))
        await hub.until(lambda: hub.mqtt.asked == 2)
        assert hub.values() == ["open", "closed"]

    again = hub.again()
    async with again.running():
        again.mqtt.up(said(again, 2, "c"), said(again, 3))
        await again.until(lambda: again.mqtt.asked == 2)
        assert again.values() == ["open", "closed", "open"]
    assert again.ask("SELECT last, missing, repeated FROM sequence") == [(3, 0, 2)]


async def test_a_gap_is_a_fault_that_people_see(hub: "Hub") -> None:
    """Counted by minute, named in the device's health, and the device itself stays well."""
    async with hub.running():
        hub.mqtt.up(said(hub, 1), said(hub, 200))
        await hub.until(lambda: hub.ask("SELECT 1 FROM fault WHERE kind = 'gap'"))
        await hub.until(lambda: hub.ask("SELECT 1 FROM health WHERE source = 'gate-1' AND faults > 0"), 20)
    ((source, kind, count),) = hub.ask("SELECT source, kind, sum(count) FROM fault GROUP BY source, kind")
    assert (source, kind) == ("gate-1", FaultKind.GAP)
    assert count == hub.ask("SELECT missing FROM sequence")[0][0] > 100
    ((state, detail),) = hub.ask("SELECT state, detail FROM health WHERE source = 'gate-1'")
    assert state == "ok"
    assert detail.startswith("gap: ")
    assert hub.ask("SELECT 1 FROM fault WHERE detail LIKE '%messages are missing, % to %'")


async def heard_by_another(hub: "Hub", seq: int) -> "Hub":
    """The next process on the same journal, after it has made this message durable."""
    later = hub.again()
    async with later.running():
        later.mqtt.up(said(later, seq))
        await later.until(lambda: later.mqtt.asked == 2)
    return later


async def test_a_restart_of_the_hub_invents_no_gap(hub: "Hub") -> None:
    """It goes on where the journal stands; what was really lost while it was down is told."""
    for seq in (1, 2, 3):
        hub = await heard_by_another(hub, seq)
    assert hub.ask("SELECT last, missing, owed FROM sequence") == [(3, 0, 0)]
    hub = await heard_by_another(hub, 99)
    assert hub.ask("SELECT sum(count) FROM fault WHERE kind = 'gap'") == [(95 - 63,)]


async def test_a_receipt_comes_after_the_journal(hub: "Hub", brake: "Brake") -> None:
    """Not while the transaction is being written; at once when it is durable; only to those that asked."""
    async with hub.running():
        hub.mqtt.up()
        await hub.until(lambda: hub.mqtt.asked == 2)
        brake.off.clear()
        hub.mqtt.offer(said(hub, 7, ack=True), said(hub, 8), said(hub, 9, ack=True))
        await hub.until(lambda: brake.held)
        await asyncio.sleep(0.2)
        assert hub.mqtt.sent == []
        assert hub.values() == []

        brake.off.set()
        await hub.until(lambda: len(hub.mqtt.sent) == 2)
        assert hub.values() == ["open"] * 3
    assert receipts_of(hub) == [{"ack": 7}, {"ack": 9}]


async def test_a_repeated_message_gets_its_receipt_again(hub: "Hub") -> None:
    """The device repeats itself because the receipt was lost: its reading is there already, and it may stop."""
    async with hub.running():
        hub.mqtt.up(said(hub, 7, ack=True))
        await hub.until(lambda: hub.mqtt.asked == 2)
        hub.mqtt.refusal = SendError(FaultKind.OFFLINE, "nobody listens")
        hub.mqtt.offer(said(hub, 8, ack=True))
        await hub.until(lambda: len(hub.mqtt.sent) == 2)
        hub.mqtt.refusal = None
        hub.mqtt.offer(said(hub, 8, ack=True))
        await hub.until(lambda: len(hub.mqtt.sent) == 3)
        assert hub.values() == ["open"] * 2
    assert receipts_of(hub) == [{"ack": 7}, {"ack": 8}, {"ack": 8}]


async def test_receipts_are_bounded_and_each_device_has_its_turn(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood costs the one who makes it: the newest are kept, others are not held up, and no device owes a thing."""
    sent: list[tuple[str, bytes]] = []

    class Cable:
        """Takes everything."""

        async def send(self, device: str, action: Publish) -> None:
            """Note it."""
            sent.append((device, action.payload))

    monkeypatch.setattr(receipts, "PAUSE_S", 0.0)
    desk = receipts.Receipts(site, {"mqtt": Cable(), "port": Cable()})  # type: ignore[dict-item]  # as far as it is used
    desk.offer(("gate-1", seq) for seq in range(10 * receipts.MOST))
    desk.offer([("sos-1", 1)])
    running = asyncio.create_task(desk.run())
    async with asyncio.timeout(10):
        while len(sent) < receipts.MOST + 1:
            await asyncio.sleep(0.01)
    running.cancel()
    assert ("sos-1", b'{"ack":1}') in sent[:2]
    kept = [msgspec.json.decode(payload)["ack"] for device, payload in sent if device == "gate-1"]
    assert kept == list(range(9 * receipts.MOST, 10 * receipts.MOST))
