"""SIGKILL on the hub, again and again, while numbered QoS 1 messages arrive: none is missing, none is there twice."""

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from hub.journal.query import journal_readings, open_journal
from hub.processes import broker
from tests.e2e.conftest import COURT, free_port, running_broker

pytestmark = pytest.mark.timeout(300)

KILLS = 8
RATE = 1000  # messages a second: some thirty come during each commit
BETWEEN = 3000  # messages from one kill to the next at most, however long a hub takes to start
SITE = (
    COURT
    + """
[[link]]
id = "mqtt"
kind = "mqtt"
listen = "127.0.0.1:$port"
  [[link.device]]
  id = "meter"
  profile = "noise/json-mqtt"
"""
)


class Court:
    """A broker and a hub's field process that is killed and started again."""

    def __init__(self, folder: Path, when: str) -> None:
        """`when`: "after" the commit is the hub as it is; "early" is the control."""
        self.when, self.data, self.site = when, folder / "data", folder / "site.toml"
        self.data.mkdir()
        self.allowed = 0  # messages, since the beginning
        self.port = free_port()
        self.site.write_text(SITE.replace("$port", str(self.port)), encoding="utf-8")
        self.said = folder / "log"
        self.log = self.said.open("ab")

    @contextlib.contextmanager
    def broker(self) -> Iterator[None]:
        """The mosquitto of the site."""
        with self.log, running_broker(self.site, self.data, self.log):
            yield

    def hub(self) -> "subprocess.Popen[bytes]":
        """A field process."""
        script = Path(__file__).with_name("killed_hub.py")
        arguments = [self.when, str(self.site), str(self.data)]
        here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}  # this tree, wherever another is installed
        return subprocess.Popen([sys.executable, str(script), *arguments], stderr=self.log, env=here)

    async def receiving(self) -> "subprocess.Popen[bytes]":
        """A field process that has just been let in by the broker."""
        before, hub = self._connections(), self.hub()
        self.allowed += BETWEEN
        async with asyncio.timeout(60):
            while self._connections() == before:
                await asyncio.sleep(0.02)
        return hub

    def _connections(self) -> int:
        return self.said.read_text(encoding="utf-8").count("mqtt is up")

    def counted(self) -> Counter[int]:
        """Message number -> how often it is in `zhian readings`, for one of its quantities."""
        with contextlib.closing(open_journal(self.data)) as db:
            return Counter(line.ts for line in journal_readings(db, "meter", 0) if line.quantity == "laeq")


def publish(court: Court, first: int, stop: threading.Event) -> int:
    """Number messages by their time stamps at RATE until `stop`; the number after the last, all taken by the broker."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="meter")
    client.username_pw_set("meter", broker.credentials(court.data)["meter"])
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", court.port)
    client.loop_start()
    number, began = first, time.monotonic()
    while not stop.is_set():
        due = first + min(court.allowed, int((time.monotonic() - began) * RATE))
        sent = [client.publish("court/meter/up", b'{"ts": %d, "laeq": 40.0}' % at, qos=1) for at in range(number, due)]
        for message in sent[-1:]:
            message.wait_for_publish(30)
        number = due
        time.sleep(0.005)
    client.disconnect()
    client.loop_stop()
    return number


async def killed_while_publishing(court: Court, kills: int = KILLS) -> tuple[int, int]:
    """Numbers [first, last) were published while the hub was killed so many times, each time as it received."""
    stop, first = threading.Event(), time.time_ns() // 1_000_000 - 3_600_000
    hub = await court.receiving()
    publishing = asyncio.create_task(asyncio.to_thread(publish, court, first, stop))
    for _ in range(kills):
        await asyncio.sleep(random.uniform(0.1, 0.9))
        hub.kill()
        await asyncio.to_thread(hub.wait)
        hub = await court.receiving()
    await asyncio.sleep(0.5)
    stop.set()
    last = await publishing
    async with asyncio.timeout(90):  # the broker hands on in order: with the last one, all have come that ever will
        while last - 1 not in await asyncio.to_thread(court.counted):
            await asyncio.sleep(0.2)
    hub.terminate()
    await asyncio.to_thread(hub.wait)
    return first, last


async def test_none_missing_none_twice(tmp_path: Path) -> None:
    """Acknowledged means durable: whatever instruction the kill hits."""
    court = Court(tmp_path, "after")
    with court.broker():
        first, last = await killed_while_publishing(court)
    counted = court.counted()

    assert last - first > KILLS * 0.3 * RATE
    assert [number for number in range(first, last) if number not in counted] == []
    assert [number for number, times in counted.items() if times > 1] == []


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_a_hundred_kills(tmp_path: Path) -> None:
    """The same, a hundred times: with 0 losses in 100 kills, less than 3 % of kills lose anything (95 % sure)."""
    court = Court(tmp_path, "after")
    with court.broker():
        first, last = await killed_while_publishing(court, 100)
    counted = court.counted()

    assert [number for number in range(first, last) if number not in counted] == []
    assert [number for number, times in counted.items() if times > 1] == []


async def test_control_acknowledging_early_loses(tmp_path: Path) -> None:
    """Such kills lose messages when the hub acknowledges before the commit: the test above can fail."""
    court = Court(tmp_path, "early")
    with court.broker():
        first, last = await killed_while_publishing(court, 4)
    counted = court.counted()

    assert any(number not in counted for number in range(first, last))
