"""10,000 alarms at once in a whole field process: the one that lives hang on is told first, the others in a few words."""

import asyncio
import contextlib
import json
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from device_profiles.types import JsonField
from firmware_bridge.raw import Arrival, Message
from hub.journal import FILE
from hub.rules import Rule
from hub.site import Device, Devices, Site
from hub.site_voice import WebhookSpec

if TYPE_CHECKING:
    from tests.hub.field.conftest import Hub

WITHIN_S = 2.0  # from the news to the webhook's receiver, for P1


class Office:
    """A webhook's receiver that notes when it heard what."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.port = 0
        self.told: list[tuple[float, dict[str, Any]]] = []  # Any: JSON, as the receiver heard it

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            body = await reader.readexactly(int(head.partition("content-length:")[2].split()[0]))
            self.told.append((time.monotonic(), json.loads(body)))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    def of(self, rule: str) -> list[float]:
        """When it was told of this rule."""
        return [at for at, body in self.told if body["rule"] == rule]


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    """It listens."""
    made = Office()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


Crowd = Callable[[int, str], "Hub"]


@pytest.fixture
def crowd(hub: "Hub", tmp_path: Path, site: Site, rules: tuple[Rule, ...], office: Office) -> Crowd:
    """A hub with so many sound level meters, each with an alarm of this severity that waits for nothing."""

    def made(meters: int, severity: Any) -> "Hub":  # Any: a Severity
        hub.journal.close()
        (mqtt, port) = site.links
        own = {device.id: device for device in mqtt.devices}
        field = {"laeq": JsonField(), "sos": JsonField(type="choice", choices={"pressed": ["p"], "idle": ["i"]})}
        meter = replace(own["noise-1"], profile=replace(own["noise-1"].profile, reading={"laeq": JsonField()}))
        many: list[Device] = [replace(meter, id=f"m{number:05d}") for number in range(meters)]
        sos = replace(own["sos-1"], profile=replace(own["sos-1"].profile, reading={"sos": field["sos"]}))
        loud = next(rule for rule in rules if rule.id == "battery-low")
        loud = replace(loud, id="loud", quantity="laeq", above=60.0, below=None, deadband=0.0, on_delay=0.0, severity=severity)
        voices = (WebhookSpec(id="office", url=f"http://127.0.0.1:{office.port}/office"),)
        big = replace(site, links=(replace(mqtt, devices=Devices([*many, sos])), port), voices=voices)
        kept = tuple(rule for rule in rules if rule.id in ("sos", "loud", "device-silent"))
        return type(hub)(tmp_path / FILE, big, (*kept, loud))

    return made


def news(hub: "Hub", meters: int) -> list[Arrival]:
    """All meters at once, and somebody who presses for help among them."""
    loud = [hub.arrival(f"m{number:05d}", Message("x", b'{"laeq": 90.0}')) for number in range(meters)]
    return [*loud[: meters // 2], hub.arrival("sos-1", Message("x", b'{"sos": "p"}')), *loud[meters // 2 :]]


@pytest.mark.parametrize("severity", ["P3", "P2"])
async def test_p1_is_told_at_once_among_ten_thousand(crowd: Crowd, office: Office, severity: str) -> None:
    """10,000."""
    hub = crowd(10_000, severity)
    async with hub.running():
        hub.mqtt.up()
        await hub.until(lambda: hub.ask("SELECT 1 FROM health WHERE source = 'mqtt' AND state = 'up'"))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        arrivals = news(hub, 10_000)
        began = time.monotonic()
        hub.mqtt.offer(*arrivals)
        await hub.until(lambda: office.of("sos"), 60)
        print("P1 after", office.of("sos")[0] - began)
        for _ in range(20):
            await asyncio.sleep(1)
            print(round(time.monotonic() - began, 1), len(office.told), Counter(hub.ask("SELECT status FROM outbox")),
              resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
