"""What a message costs on its way through the hub, stage by stage, without broker and sockets, for many devices.

The very parts of the field process, called one after the other with the lists that a busy broker makes. Processor time;
of the last rounds the lower quartile, because the machine has other things to do.
"""

import gc
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import mqtt5

from firmware_bridge.links.mqtt_delivery import Delivery
from firmware_bridge.links.mqtt_routes import Routes
from firmware_bridge.links.mqtt_wire import MOST, Connection, Hello
from firmware_bridge.wire.decode import decoder
from hub.core import Core
from hub.journal.writer import FILE, Journal
from hub.outcome import Memory
from hub.reading import LinkChange, LinkState, News
from hub.rules.door import load_rules
from hub.settings.door import load_site
from hub.settings.site import Site

ROUNDS = 40
_QOS_1 = mqtt5.QoS.AT_LEAST_ONCE
T = TypeVar("T")
_SITE = """\
[site]
id = "bench"
name = {{ zh = "测量", en = "Bench" }}
timezone = "Asia/Shanghai"
[[link]]
id = "mqtt"
kind = "mqtt"
{devices}
"""
_DEVICE = '[[link.device]]\nid = "noise-{at:06d}"\nprofile = "noise/json-mqtt"\n'


async def stages(devices: int, now: int) -> dict[str, float]:
    """µs of processor time a message in each stage; three quantities a message. `now`: ms since 1970."""
    with tempfile.TemporaryDirectory(prefix="zhian-bench-") as name:
        folder = Path(name)
        text = _SITE.format(devices="".join(_DEVICE.format(at=at) for at in range(devices)))
        (folder / "site.toml").write_text(text, encoding="utf-8")
        site = load_site(folder / "site.toml")
        with closing(Journal(folder / FILE, site)) as journal:
            way = _Way(site, folder / "site.toml", journal, now)
            gc.freeze()
            try:
                for _ in range(max(ROUNDS, 2 * devices // MOST + ROUNDS)):
                    way.round()
            finally:
                gc.unfreeze()
            return way.costs()


class _Way:
    """The parts, and what each round of them has cost."""

    def __init__(self, site: Site, path: Path, journal: Journal, now: int) -> None:
        self._now, self._site, self._journal = now, site, journal
        self._core = Core(site, load_rules(site, path), Memory(), now)
        self._core.accept([LinkChange(link="mqtt", state=LinkState.UP, detail="", rx=now)], now)
        self._devices = [device.id for device in site.devices().values()]
        self._routes = Routes(site.links[0].devices, site.id)
        profiles = {device.profile.id: decoder(device.profile) for device in site.devices().values()}
        self._decoders = {device.id: profiles[device.profile.id] for device in site.devices().values()}
        self._connection = Connection(Hello(client_id="bench"), lambda: self._now, lambda: None)
        self._spent: dict[str, list[float]] = {}
        self._sent = 0

    def costs(self) -> dict[str, float]:
        """µs a message, of the last rounds the lower quartile."""
        return {name: sorted(times[-ROUNDS:])[ROUNDS // 4] / MOST * 1e6 for name, times in self._spent.items()}

    def round(self) -> None:
        """One list, from bytes to disk."""
        self._now += 16  # as at 60,000 messages a second
        data = self._bytes()
        deliveries = self._timed("parse", lambda: self._receive(data))
        arrivals = self._timed("route", lambda: self._routes.arrivals("mqtt", deliveries))

        def decode() -> list[News]:
            news: list[News] = []
            for arrival in arrivals:
                news += self._decoders[arrival.device](arrival.device, arrival.raw, arrival.rx)
            return news

        news = self._timed("decode", decode)
        outcome = self._timed("core", lambda: self._core.accept(news, self._now))
        packets = [arrival.redelivery for arrival in arrivals if arrival.redelivery is not None]
        self._timed("journal", lambda: self._journal.write([outcome], packets))
        if len(outcome.readings) != 3 * MOST:
            raise RuntimeError(f"{len(outcome.readings)} readings of {MOST} messages: nothing was measured")

    def _timed(self, name: str, work: Callable[[], T]) -> T:
        began = time.process_time()
        done = work()
        self._spent.setdefault(name, []).append(time.process_time() - began)
        return done

    def _bytes(self) -> bytes:
        packets = []
        for at in range(MOST):
            device = self._devices[self._sent % len(self._devices)]
            self._sent += 1
            ts = self._now + at // len(self._devices)  # each message of a device is later than the one before
            payload = b'{"ts":%d,"laeq":41.5,"lafmax":52.1,"battery":3.61}' % ts
            packet = mqtt5.PublishPacket(f"bench/{device}/up", payload, qos=_QOS_1, packet_id=at + 1)
            packets.append(packet.write())
        return b"".join(packets)

    def _receive(self, data: bytes) -> list[Delivery]:
        """As the loop hands it over, 64 kB at a time."""
        at = 0
        while at < len(data):
            room = self._connection.get_buffer(0)
            size = min(len(room), len(data) - at, 1 << 16)
            room[:size] = data[at : at + size]
            self._connection.buffer_updated(size)
            at += size
        return self._connection.take()
