"""Fixtures of the cables' tests: devices by hand, a session that is closed in the end, a broker that misbehaves."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from typing import Protocol, cast

import pytest

from device_profiles.types import MqttLink, MqttProfile
from firmware_bridge.links.mqtt_session import MqttSession
from firmware_bridge.raw import Arrival
from hub.clock import Clock
from hub.reading import Label, LinkChange, LinkState
from hub.settings.site import Device, MqttBrokerLink

News = list[Arrival | LinkChange]


def mqtt_device(name: str, options: MqttLink | None = None) -> Device:
    """A device on the link `mqtt` with a profile that says nothing more."""
    label = Label(zh=name, en=name)
    link = options or MqttLink()
    profile = MqttProfile(
        profile=1, id="test/any", title=label, source="made by hand", sample=[], link=link, reading={}
    )
    return Device(id=name, profile=profile, options=link, name=label, link="mqtt")


@pytest.fixture
def device() -> Callable[..., Device]:
    """Makes an MQTT device by id, with link options."""
    return mqtt_device


class Opener(Protocol):
    """Opens a session; ends it when the test is over."""

    async def __call__(
        self,
        url: str,
        devices: Iterable[Device] = (),
        *,
        keep_alive: float = 10.0,
        username: str = "",
        password: str = "",
        link: MqttBrokerLink | None = None,
    ) -> MqttSession: ...


@pytest.fixture
async def open_session() -> AsyncIterator[Opener]:
    """A session of the site `garden`, client id `hub`, on the given broker."""
    async with AsyncExitStack() as stack:

        async def open_one(
            url: str,
            devices: Iterable[Device] = (),
            *,
            keep_alive: float = 10.0,
            username: str = "",
            password: str = "",
            link: MqttBrokerLink | None = None,
        ) -> MqttSession:
            session = MqttSession(
                link or MqttBrokerLink(id="mqtt"),
                devices,
                "garden",
                Clock(),
                url=url,
                username=username,
                password=password,
                client_id="hub",
                keep_alive=keep_alive,
            )
            return await stack.enter_async_context(session)

        yield open_one


async def next_news(session: MqttSession, within: float = 10.0) -> News:
    """The next list."""
    return await asyncio.wait_for(anext(aiter(session)), within)


async def until(session: MqttSession, enough: Callable[[News], bool], within: float = 15.0) -> News:
    """All lists together, up to the first one after which it is enough."""
    news: News = []
    async with asyncio.timeout(within):
        while not enough(news):
            news += await next_news(session, within)
    return news


async def until_state(session: MqttSession, state: LinkState, within: float = 15.0) -> LinkChange:
    """Read on until the link says that it is so; its words."""

    def last(news: News) -> LinkChange | None:
        changes = [item for item in news if isinstance(item, LinkChange)]
        return changes[-1] if changes and changes[-1].state is state else None

    change = last(await until(session, lambda news: last(news) is not None, within))
    assert change is not None
    return change


class Reader:
    """The functions above, for tests that cannot import this file."""

    next = staticmethod(next_news)
    until = staticmethod(until)
    state = staticmethod(until_state)


@pytest.fixture
def read() -> type[Reader]:
    """How a test reads a session: `next`, `until`, `state`."""
    return Reader


CONNACK_NEW = bytes.fromhex("20 03 00 00 00")
CONNACK_RESUMED = bytes.fromhex("20 03 01 00 00")


class FakeBroker:
    """Says what the test wants, byte by byte; keeps what it was told. Packets by MQTT 5, chapter 3."""

    def __init__(self) -> None:
        """`connections` counts; `acknowledged` holds (connection, packet id) in the order of the PUBACKs."""
        self.connections = 0
        self.acknowledged: list[tuple[int, int]] = []
        self.greeting = CONNACK_NEW
        self.publish_answer: bytes | None = None  # the PUBACK after its packet id
        self.writer: asyncio.StreamWriter | None = None
        self.port = 0
        self._served: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def url(self) -> str:
        """As a site file names it."""
        return f"mqtt://127.0.0.1:{self.port}"

    def say(self, data: bytes) -> None:
        """Send this to the session."""
        assert self.writer is not None
        self.writer.write(data)

    def publish(self, topic: str, payload: bytes, packet_id: int = 0, *, again: bool = False) -> None:
        """A PUBLISH; with a packet id at QoS 1."""
        self.say(publish_packet(topic.encode(), payload, packet_id, again=again))

    def hang_up(self) -> None:
        """Cut the present connection."""
        assert self.writer is not None
        self.writer.transport.abort()

    async def close(self) -> None:
        """Cut all connections."""
        for writer in self._served.values():
            writer.transport.abort()
        await asyncio.gather(*self._served)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self.writer, number = writer, self.connections
        self._served[cast("asyncio.Task[None]", asyncio.current_task())] = writer
        try:
            while True:
                kind, body = await _packet(reader)
                self._answer(kind, body, number, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, kind: int, body: bytes, number: int, writer: asyncio.StreamWriter) -> None:
        if kind == 1:
            writer.write(self.greeting)
        elif kind == 8:  # SUBACK: one code a filter; the session asks for two here, or as many as it has
            writer.write(b"\x90\x05" + body[:2] + b"\x00\x01\x01")
        elif kind == 12:
            writer.write(b"\xd0\x00")
        elif kind == 4:
            self.acknowledged.append((number, int.from_bytes(body[:2])))
        elif kind == 3 and self.publish_answer is not None:
            at = 2 + int.from_bytes(body[:2])
            answer = body[at : at + 2] + self.publish_answer
            writer.write(bytes((0x40, len(answer))) + answer)


def publish_packet(topic: bytes, payload: bytes, packet_id: int = 0, *, again: bool = False) -> bytes:
    """A PUBLISH without properties (MQTT 5, 3.3)."""
    body = (
        struct.pack(">H", len(topic)) + topic + (struct.pack(">H", packet_id) if packet_id else b"") + b"\0" + payload
    )
    length, size = b"", len(body)
    while True:
        size, digit = divmod(size, 128)
        length += bytes((digit | 0x80 if size else digit,))
        if not size:
            return bytes((0x30 | 2 * bool(packet_id) | 8 * again,)) + length + body


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        digit = (await reader.readexactly(1))[0]
        length |= (digit & 0x7F) << shift
        shift += 7
        if digit < 0x80:
            return first >> 4, await reader.readexactly(length)


@pytest.fixture
async def fake_broker() -> AsyncIterator[FakeBroker]:
    """A broker of the test's own, on a free loopback port."""
    broker = FakeBroker()
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.port = server.sockets[0].getsockname()[1]
    yield broker
    server.close()
    await broker.close()
    await server.wait_closed()
