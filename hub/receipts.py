"""Receipts for messages that asked for one: sent when the journal has them, at a bounded rate, and never owed.

A receipt that is lost, or for which there was no room, is asked for again by the device, which repeats its message.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping

import msgspec

from device_profiles.types import MqttLink
from firmware_bridge.raw import Link, Publish, SendError
from hub.settings.site import Site

MOST = 64  # receipts that wait for one device; beyond it the oldest is dropped
PAUSE_S = 0.005  # between two: at most 200 a second, so that alarms and orders find the broker free
EXPIRES_S = 60


class Receipts:
    """Those of one site. `run` must be running."""

    def __init__(self, site: Site, links: Mapping[str, Link]) -> None:
        """`links` by id, as they are entered elsewhere."""
        self.renew(site, links)
        self._waiting: dict[str, deque[int]] = {}
        self._wake = asyncio.Event()

    def renew(self, site: Site, links: Mapping[str, Link]) -> None:
        """Go on with another site file."""
        self._site, self._links = site, links
        self._devices = site.devices()

    def offer(self, durable: Iterable[tuple[str, int]]) -> None:
        """Device and number of messages that are in the journal."""
        for device, seq in durable:
            self._waiting.setdefault(device, deque(maxlen=MOST)).append(seq)
            self._wake.set()

    async def run(self) -> None:
        """Send them, for ever; each device gets its turn."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                for device in list(self._waiting):
                    await self._send(device, self._waiting[device].popleft())
                    if not self._waiting[device]:
                        del self._waiting[device]
                    await asyncio.sleep(PAUSE_S)

    async def _send(self, device: str, seq: int) -> None:
        known = self._devices.get(device)
        link = self._links.get(known.link) if known is not None else None
        if known is None or link is None or not isinstance(known.options, MqttLink):
            return  # taken out of the site file meanwhile
        topic = known.options.orders.format(site=self._site.id, device=device)
        receipt = Publish(topic, msgspec.json.encode({"ack": seq}), expires_s=EXPIRES_S)
        try:
            await link.send(device, receipt)
        except SendError:
            return  # the device will ask again
