"""Keeps at the broker what a Home Assistant may know (hub/sharing/home_assistant.py). Runs in the office process.

Retained messages outlive us, so their topics stand in `share.json` before they are published: what is shared no more is
withdrawn, also after a restart with another site file. When this process dies, the broker itself says "offline".
"""

import asyncio
import contextlib
import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from firmware_bridge.links.mqtt_session import tls_of
from firmware_bridge.links.mqtt_wire import Connection, ConnectionLost, Hello
from hub.clock import Clock
from hub.durable import replace_file
from hub.journal.writer import FILE as JOURNAL
from hub.outcome import Health
from hub.processes import broker
from hub.rows import to_reading, to_struct
from hub.settings.share import broker_of
from hub.settings.site import MqttBrokerLink, Site
from hub.settings.site_share import ROOT
from hub.sharing.home_assistant import OFFLINE, Known, birth_topic, messages, status_topic

LOG = logging.getLogger("zhian.share")
FILE = "share.json"
LOOK_S, RETRY_S, PATIENCE_S = 1.0, 5.0, 10.0
HUB_FRESH_MS = 5_000


class Sharer:
    """One site's sharing. `run` ends only where there is nothing to share and nothing to withdraw."""

    def __init__(self, site: Site, data: Path, clock: Clock) -> None:
        """Opens nothing."""
        self._site, self._data, self._clock = site, data, clock
        self._link = broker_of(site)
        self._remembered = remembered(data)

    async def run(self) -> None:
        """Connect, tell, and tell again what changes; for ever."""
        while self._link is not None and (self._site.home_assistant is not None or self._remembered):
            try:
                await self._visit(self._link)
            except (ConnectionLost, OSError, TimeoutError) as error:
                LOG.info("sharing waits for the broker: %s", error)
            await asyncio.sleep(RETRY_S)

    async def _visit(self, link: MqttBrokerLink) -> None:
        """One connection, until it is lost or nothing is left to do."""
        wake = asyncio.Event()
        connection = Connection(self._hello(link), self._clock.now, wake.set)
        try:
            async with asyncio.timeout(PATIENCE_S):
                host, port, tls = await asyncio.to_thread(tls_of, link)
                await connection.open(host, port, tls)
            if self._site.home_assistant is not None:
                await connection.subscribe([birth_topic(self._site.home_assistant)])
            await self._tell(connection, wake)
            if self._site.home_assistant is not None:
                raise ConnectionLost(connection.ended.result())
        finally:
            await self._farewell(connection)

    async def _tell(self, connection: Connection, wake: asyncio.Event) -> None:
        shown: dict[str, bytes] = {}
        while not connection.ended.done():
            if self._born(connection):
                shown.clear()
            wanted = messages(self._site, await asyncio.to_thread(read, self._data, self._clock))
            gone = self._remembered - set(wanted)
            await asyncio.to_thread(self._remember, self._remembered | set(wanted))
            for topic in gone:
                await self._publish(connection, topic, b"")
            await asyncio.to_thread(self._remember, set(wanted))
            for topic, payload in wanted.items():
                if shown.get(topic) != payload:
                    await self._publish(connection, topic, payload)
                    shown[topic] = payload
            if not wanted:
                return
            await _wait(wake, LOOK_S)

    async def _farewell(self, connection: Connection) -> None:
        """Whoever goes in order has no last will spoken: say it ourselves."""
        if self._site.home_assistant is not None and not connection.ended.done():
            with contextlib.suppress(ConnectionLost, TimeoutError):
                await self._publish(connection, status_topic(self._site), OFFLINE)
        await connection.close()

    def _born(self, connection: Connection) -> bool:
        """Whether a Home Assistant has started: it wants everything again."""
        came = connection.take()
        connection.acknowledge([delivery.packet_id for delivery in came if delivery.packet_id])
        return any(delivery.payload == b"online" for delivery in came)

    async def _publish(self, connection: Connection, topic: str, payload: bytes) -> None:
        async with asyncio.timeout(PATIENCE_S):
            code = await connection.publish(topic, payload, expires_s=0, retain=True)
        if code >= 0x80:
            raise ConnectionLost(f"the broker does not take {topic} (MQTT reason 0x{code:02x})")

    def _remember(self, topics: set[str]) -> None:
        if topics != self._remembered:
            replace_file(self._data / FILE, msgspec.json.encode(sorted(topics)).decode())
            self._remembered = topics

    def _hello(self, link: MqttBrokerLink) -> Hello:
        share = self._site.home_assistant
        user, password = ROOT, broker.credentials(self._data).get(ROOT, "")
        if link.url:
            own = share is not None and share.username
            user = share.username if share is not None and own else link.username
            file = share.password_file if share is not None and own else link.password_file
            password = Path(file).read_text(encoding="utf-8").strip() if file else ""
        return Hello(
            client_id=f"zhian-{self._site.id}-share",
            username=user,
            password=password,
            will=(status_topic(self._site), OFFLINE) if share is not None else None,
        )


def remembered(data: Path) -> set[str]:
    """The topics that may stand at the broker. A file that nobody can read is none: it is written anew."""
    try:
        return set(msgspec.json.decode((data / FILE).read_bytes(), type=list[str]))
    except (OSError, msgspec.DecodeError):
        return set()


def read(data: Path, clock: Clock) -> Known:
    """What the journal says now; nothing where it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{(data / JOURNAL).resolve().as_uri()}?mode=ro", uri=True, timeout=2.0)) as db:
            db.row_factory = sqlite3.Row
            beat = db.execute("SELECT value FROM meta WHERE key = 'heartbeat'").fetchone()
            health = [to_struct(Health, row) for row in db.execute("SELECT * FROM health")]
            latest = [to_reading(row) for row in db.execute("SELECT * FROM latest")]
    except sqlite3.Error as error:
        LOG.debug("sharing: %s", error)
        return Known(hub_fresh=False)
    fresh = beat is not None and clock.now() - int(beat[0]) <= HUB_FRESH_MS * max(1.0, clock.speed)
    return Known(
        hub_fresh=fresh,
        health={row.source: row for row in health},
        latest={(one.device, one.quantity): one for one in latest},
    )


async def _wait(wake: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return
    wake.clear()
