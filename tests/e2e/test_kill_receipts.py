"""SIGKILL on the hub while a device asks for receipts: there is none for what is not in the journal."""

import asyncio
import random
import socket
import threading
import time
from pathlib import Path

import msgspec
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from hub.processes import broker
from tests.e2e.conftest import wait_for
from tests.e2e.test_kill import Court

pytestmark = pytest.mark.timeout(240)

KILLS = 5
RATE = 150  # messages a second: fewer than the receipts that may be sent


class Meter:
    """A device that numbers its messages, asks for a receipt for each, and keeps nothing back.

    QoS 0: what is under way when the hub is killed is lost, so that a receipt given too early is one for nothing.
    """

    def __init__(self, court: Court) -> None:
        """Connected, and listening for its receipts."""
        self.sent = 0
        self.first = time.time_ns() // 1_000_000 - 3_600_000  # message n is dated n ms after it
        self.receipts: set[int] = set()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="meter")
        self._client.username_pw_set("meter", broker.credentials(court.data)["meter"])
        self._client.on_message = self._told
        wait_for(lambda: _listens(court.port))
        self._client.connect("127.0.0.1", court.port)
        self._client.subscribe("court/meter/do", qos=1)
        self._client.loop_start()

    def _told(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        self.receipts.add(msgspec.json.decode(message.payload, type=dict[str, int])["ack"])

    def speak(self, stop: threading.Event) -> None:
        """Until told to stop; each message is dated by its number."""
        began = time.monotonic()
        while not stop.is_set():
            while self.sent < (time.monotonic() - began) * RATE:
                ts = self.first + self.sent
                text = f'{{"ts": {ts}, "laeq": 40.0, "seq": {self.sent}, "boot": "one", "ack": true}}'
                self._client.publish("court/meter/up", text, qos=0)
                self.sent += 1
            time.sleep(0.002)

    def leave(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def killed_while_asking(court: Court, kills: int = KILLS, *, caught: bool = False) -> Meter:
    """The device, after the hub was killed so often under it, or after the first kill that caught a wrong receipt."""
    stop, meter = threading.Event(), Meter(court)
    hub = court.hub()
    speaking = asyncio.create_task(asyncio.to_thread(meter.speak, stop))
    try:
        for _ in range(kills):
            known = len(meter.receipts)
            async with asyncio.timeout(30):
                while len(meter.receipts) < known + 50:
                    await asyncio.sleep(0.02)
            await asyncio.sleep(random.uniform(0.0, 0.1))
            hub.kill()
            await asyncio.to_thread(hub.wait)
            if caught and promised_for_nothing(court, meter):
                break
            hub = court.hub()
    finally:
        stop.set()
        await speaking
        hub.kill()
        await asyncio.to_thread(hub.wait)
        meter.leave()
    return meter


def promised_for_nothing(court: Court, meter: Meter) -> int:
    """How many receipts there are for messages of which the journal knows nothing."""
    kept = court.counted()
    return sum(meter.first + seq not in kept for seq in meter.receipts)


async def test_no_receipt_for_what_is_not_in_the_journal(tmp_path: Path) -> None:
    """A device that throws away what it has a receipt for loses nothing by a kill of the hub."""
    court = Court(tmp_path, "after")
    with court.broker():
        meter = await killed_while_asking(court)
    assert len(meter.receipts) >= 50 * KILLS
    assert promised_for_nothing(court, meter) == 0


async def test_control_receipts_before_the_commit_promise_nothing(tmp_path: Path) -> None:
    """The same kills find receipts without readings when they are given before the commit: the test can fail."""
    court = Court(tmp_path, "promise")
    with court.broker():
        meter = await killed_while_asking(court, 20, caught=True)
    assert promised_for_nothing(court, meter) > 0
