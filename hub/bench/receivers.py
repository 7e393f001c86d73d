"""What other clients receive from the same broker when they do nothing with it: paho-mqtt and aiomqtt, for comparison.

Each runs in a process of its own and counts messages at QoS 1; nothing is decoded, kept or acknowledged late.
"""

import asyncio
import multiprocessing
import time
from multiprocessing.sharedctypes import Synchronized

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from hub.bench.blast import Blast
from hub.bench.court import Court
from hub.processes import broker

WINDOW = 12_000  # messages that may be under way
TOPIC = "bench/+/up"


def rates(running: Court, seconds: float) -> dict[str, float]:
    """Messages a second of each client, one after the other, for `seconds` each."""
    return {name: _rate(running, name, seconds) for name in ("paho", "aiomqtt")}


def _rate(running: Court, name: str, seconds: float) -> float:
    ways = multiprocessing.get_context("spawn")
    counter: Synchronized[int] = ways.Value("Q", 0)
    child = ways.Process(target=_receive, args=(name, running.port, running.password, counter), daemon=True)
    child.start()
    blast = Blast(running.port, running.password, running.meters)
    try:
        sent = 0
        deadline = time.monotonic() + 20
        while not counter.value and time.monotonic() < deadline:  # it takes a moment to subscribe
            sent = len(blast.burst())
            time.sleep(0.05)
        before, began = counter.value, time.monotonic()
        sent = before
        while (spent := time.monotonic() - began) < seconds:
            if sent - counter.value > WINDOW:
                time.sleep(0.001)
                continue
            sent += len(blast.burst())
        return (counter.value - before) / spent
    finally:
        blast.close()
        child.terminate()
        child.join()


def _receive(name: str, port: int, password: str, counter: "Synchronized[int]") -> None:
    if name == "paho":
        _paho(port, password, counter)
    else:
        asyncio.run(_aiomqtt(port, password, counter))


def _paho(port: int, password: str, counter: "Synchronized[int]") -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="bench-paho", protocol=paho.MQTTv5)
    client.username_pw_set(broker.HUB, password)
    raw = counter.get_obj()

    def count(*_: object) -> None:
        raw.value += 1

    def subscribe(*_: object) -> None:
        client.subscribe(TOPIC, qos=1)

    client.on_message = count
    client.on_connect = subscribe
    client.connect("127.0.0.1", port)
    client.loop_forever()


async def _aiomqtt(port: int, password: str, counter: "Synchronized[int]") -> None:
    raw = counter.get_obj()
    async with aiomqtt.Client(
        "127.0.0.1", port, username=broker.HUB, password=password, identifier="bench-aio"
    ) as client:
        await client.subscribe(TOPIC, qos=1)
        async for _ in client.messages:
            raw.value += 1
