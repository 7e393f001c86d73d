"""One MQTT 5 connection, from CONNECT until it is lost: the only file that knows the codec.

Messages wait here, bounded by count and bytes, until they are taken; a full house stops reading the socket. Nothing is
acknowledged, retried or reconnected here: that is `mqtt_session.py`.
"""

import asyncio
import ssl
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain, repeat
from typing import TypeVar, cast

import mqtt5
import msgspec

from firmware_bridge.links.mqtt_delivery import Delivery, unreadable

T = TypeVar("T")

MOST = 1000  # messages that wait at most
RECEIVE_MAXIMUM = 2 * MOST  # what the broker may send before we acknowledge: one list under way, the next one coming
MOST_BYTES = 4 << 20
MOST_PACKET = 256 << 10  # the broker discards larger ones for us (MQTT 5, 3.1.2.11.4); no sensor has so much to say
CLOSE_S = 1.0
_ROOM = 64 << 10
_QOS_1 = mqtt5.QoS.AT_LEAST_ONCE
_QOS_1_BIT, _QOS_2_BIT = 0x02, 0x04
_PUBACK = 0x4002  # MQTT 5, 3.4: type and length of an acknowledgement without reason code, which means success

# MQTT 5, 3.2.2.2 and 3.14.2.1. By number: the codec's enums cannot be keys.
_REFUSALS = {
    0x84: "the broker does not speak MQTT 5",
    0x85: "the broker does not accept the client id",
    0x86: "not authorised: user name or password wrong",
    0x87: "not authorised: user name or password wrong",
    0x88: "the broker is not ready",
    0x89: "the broker is busy",
}
_FAREWELLS = {
    0x8B: "the broker is shutting down",
    0x8E: "another client took over our client id: does a second hub run?",
    0x98: "the broker's administrator closed the connection",
}


class ConnectionLost(Exception):
    """The connection is gone, or was not made; the words say why. Worth retrying, for ever."""


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """Who we are and what we ask of the broker. Times in seconds."""

    client_id: str
    username: str = ""
    password: str = ""
    keep_alive: float = 10.0
    session_expiry: int = 0
    will: tuple[str, bytes] | None = None  # what the broker says (retained) when we are gone without a word


class Connection(asyncio.BufferedProtocol):
    """One connection. `ended` becomes the reason in plain words; `wake` is called when there is something to take."""

    def __init__(self, hello: Hello, now: Callable[[], int], wake: Callable[[], None]) -> None:
        """`now` gives ms since 1970."""
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = loop.create_future()
        self._ending = False
        self._loop, self._hello, self._now, self._wake = loop, hello, now, wake
        self._greeted: asyncio.Future[mqtt5.ConnAckPacket] = loop.create_future()
        self._awaited: dict[int, asyncio.Future[Sequence[int]]] = {}
        self._last_id = 0
        self._most_sends = 65535
        self._transport: asyncio.Transport | None = None
        self._closed = asyncio.Event()
        self._buffer = memoryview(bytearray(4 * _ROOM))
        self._start = self._end = 0
        self._waiting: list[Delivery] = []
        self._waiting_bytes = 0
        self._paused = False
        self._keep_alive = hello.keep_alive
        self._asked = self._pinged = 0.0  # the oldest ping without answer, the last ping
        self._timer: asyncio.TimerHandle | None = None

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None) -> bool:
        """Connect and be greeted; True when the broker still had our session. Raises ConnectionLost, OSError.

        Whoever gives up waiting calls `end`.
        """
        await self._loop.create_connection(lambda: self, host, port, ssl=tls)
        self._write(_connect_packet(self._hello))
        greeting = await self._greeted
        if greeting.server_keep_alive:
            self._keep_alive = min(self._keep_alive, float(greeting.server_keep_alive))
        self._most_sends = greeting.receive_max
        self._watch()
        return greeting.session_present

    async def subscribe(self, filters: Sequence[str]) -> list[bool]:
        """Subscribe at QoS 1, retained messages wanted; says for each filter whether the broker granted it."""
        granted: list[bool] = []
        for at in range(0, len(filters), 500):  # a SUBSCRIBE of ten thousand filters is more than brokers take
            topics = [
                mqtt5.TopicFilter(pattern, max_qos=_QOS_1, retain_as_published=False)
                for pattern in filters[at : at + 500]
            ]
            packet_id = self._next_id()
            self._write(mqtt5.SubscribePacket(packet_id, topics).write())
            granted += [code < 0x80 for code in await self._answer(packet_id)]
        return granted

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """Leave these filters."""
        packet_id = self._next_id()
        self._write(mqtt5.UnsubscribePacket(packet_id, list(filters)).write())
        await self._answer(packet_id)

    async def publish(self, topic: str, payload: bytes, *, expires_s: int, retain: bool) -> int:
        """Publish at QoS 1; the broker's reason code. Raises ConnectionLost; ValueError when it cannot be written."""
        packet_id = self._next_id()
        packet = mqtt5.PublishPacket(
            topic,
            payload,
            qos=_QOS_1,
            retain=retain,
            packet_id=packet_id,
            message_expiry_interval=expires_s or None,
        )
        self._write(packet.write())
        return (await self._answer(packet_id))[0]

    @property
    def busy(self) -> bool:
        """True while the broker's own Receive Maximum leaves no room for another publish."""
        return len(self._awaited) >= self._most_sends

    def take(self) -> list[Delivery]:
        """What has come, at most MOST; makes room, and reads on."""
        taken, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if self._paused and not self.ended.done():
            self._parse()
        return taken

    def acknowledge(self, packet_ids: Sequence[int]) -> None:
        """PUBACK these, in this order."""
        self._write(struct.pack(f">{2 * len(packet_ids)}H", *chain.from_iterable(zip(repeat(_PUBACK), packet_ids))))

    async def close(self) -> None:
        """Say goodbye, keeping the session at the broker, and wait until the cable is let go of."""
        self._write(mqtt5.DisconnectPacket().write())
        if self._transport is not None:
            self._transport.close()
            self.end("closed")
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._closed.wait()
            self._transport.abort()

    def end(self, why: str) -> None:
        """Drop the connection; the first reason stands."""
        if self._ending:
            return
        self._ending = True
        self.ended.set_result(why)
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()
        _fail(self._greeted, why)
        for future in self._awaited.values():
            _fail(future, why)
        self._wake()

    # --- asyncio's side -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the cable."""
        self._transport = cast(asyncio.Transport, transport)
        if self.ended.done():
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other end went, or the cable broke."""
        self._closed.set()
        words = exc.strerror if isinstance(exc, OSError) and exc.strerror else exc
        self.end(f"connection lost: {words}" if exc else "the broker closed the connection")

    def get_buffer(self, sizehint: int) -> memoryview:
        """Room for at least one more read; what is left over of a packet moves to the front."""
        if len(self._buffer) - self._end < _ROOM:
            rest = self._buffer[self._start : self._end]
            grown = len(rest) > len(self._buffer) - _ROOM
            target = memoryview(bytearray(2 * len(self._buffer))) if grown else self._buffer
            target[: len(rest)] = bytes(rest)
            self._buffer, self._start, self._end = target, 0, len(rest)
        return self._buffer[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came."""
        self._end += nbytes
        self._asked = 0.0
        self._parse()

    # --- packets --------------------------------------------------------------------------------------------------

    def _parse(self) -> None:
        rx, waiting = self._now(), self._waiting
        while not self._ending and self._start < self._end and not self._full:
            view = self._buffer[self._start : self._end]
            try:
                packet, size = mqtt5.read(view)
            except IndexError:
                break
            except ValueError as error:
                size = self._set_aside(view, rx, str(error))
            except BaseException as error:
                # The codec panics on text that is not UTF-8, and pyo3's PanicException is not an Exception.
                if type(error).__name__ != "PanicException":
                    raise
                size = self._set_aside(view, rx, "text that is not UTF-8")
            else:
                if type(packet) is mqtt5.PublishPacket and (head := view[0]) & _QOS_2_BIT == 0:
                    waiting.append(_delivery(packet, head, rx))
                    self._waiting_bytes += size
                else:
                    self._handle(packet)
            self._start += size
        if self._end - self._start > MOST_PACKET + 5 and not self._full:
            self.end("the broker sent a larger packet than we allow")
        self._throttle()
        if self._waiting:
            self._wake()

    @property
    def _full(self) -> bool:
        return len(self._waiting) >= MOST or self._waiting_bytes >= MOST_BYTES

    def _throttle(self) -> None:
        """Full: leave the rest to the socket's own window, which slows the sender down."""
        if self._transport is None or self._full == self._paused or self._transport.is_closing():
            return
        self._paused = self._full
        if self._paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _handle(self, packet: mqtt5.Packet) -> None:
        match packet:
            case mqtt5.PubAckPacket():
                self._settle(packet.packet_id, [int(packet.reason_code)])
            case mqtt5.PingRespPacket():
                pass
            case mqtt5.SubAckPacket() | mqtt5.UnsubAckPacket():
                self._settle(packet.packet_id, [int(code) for code in packet.reason_codes])
            case mqtt5.ConnAckPacket():
                self._greet(packet)
            case mqtt5.DisconnectPacket():
                reason = int(packet.reason_code)
                self.end(_FAREWELLS.get(reason, f"the broker closed the connection (MQTT reason 0x{reason:02x})"))
            case _:
                self.end(f"the broker sent what it must not send: {type(packet).__name__}")

    def _greet(self, packet: mqtt5.ConnAckPacket) -> None:
        reason = int(packet.reason_code)
        if reason:
            self.end(_REFUSALS.get(reason, f"the broker refuses us (MQTT reason 0x{reason:02x})"))
        elif not self._greeted.done():
            self._greeted.set_result(packet)

    def _set_aside(self, view: memoryview, rx: int, problem: str) -> int:
        """A PUBLISH that cannot be read is a delivery too: else it would come back for ever. All else ends us."""
        delivery, size = unreadable(bytes(view), rx, problem)
        if delivery is None:
            self.end(f"the broker sent a malformed packet: {problem}")
        else:
            self._waiting.append(delivery)
            self._waiting_bytes += size
        return size

    # --- asking and answering -------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _next_id(self) -> int:
        self._last_id = self._last_id % 65535 + 1
        while self._last_id in self._awaited:
            self._last_id = self._last_id % 65535 + 1
        return self._last_id

    async def _answer(self, packet_id: int) -> Sequence[int]:
        if self.ended.done():
            raise ConnectionLost(self.ended.result())
        future: asyncio.Future[Sequence[int]] = self._loop.create_future()
        self._awaited[packet_id] = future
        try:
            return await future
        finally:
            self._awaited.pop(packet_id, None)

    def _settle(self, packet_id: int, codes: Sequence[int]) -> None:
        future = self._awaited.get(packet_id)
        if future is not None and not future.done():
            future.set_result(codes)

    def _watch(self) -> None:
        """Ping twice in each keep-alive interval; a ping unanswered for 0.75 intervals is a dead or frozen broker."""
        now = self._loop.time()
        if self._paused:
            self._asked = 0.0  # the answer waits behind what we do not read
        elif self._asked and now - self._asked >= 0.75 * self._keep_alive:
            self.end(f"no answer from the broker for {now - self._asked:.0f} s")
            return
        if now - self._pinged >= 0.4 * self._keep_alive:
            self._pinged = now
            self._asked = self._asked or now
            self._write(mqtt5.PingReqPacket().write())
        self._timer = self._loop.call_later(self._keep_alive / 8, self._watch)


def _fail(future: asyncio.Future[T], why: str) -> None:
    if not future.done():
        future.set_exception(ConnectionLost(why))
        future.exception()  # looked at: nobody may be waiting for it any more


def _connect_packet(hello: Hello) -> bytes:
    return mqtt5.ConnectPacket(
        hello.client_id,
        username=hello.username or None,
        password=hello.password.encode() if hello.password else None,
        clean_start=False,
        will=mqtt5.Will(hello.will[0], payload=hello.will[1], qos=_QOS_1, retain=True) if hello.will else None,
        keep_alive=max(1, round(hello.keep_alive)),
        session_expiry_interval=hello.session_expiry,
        receive_max=RECEIVE_MAXIMUM,
        max_packet_size=MOST_PACKET,
    ).write()


def _delivery(packet: mqtt5.PublishPacket, head: int, rx: int) -> Delivery:
    """`head`: the packet's first byte, whose flags cost less than the codec's attributes (MQTT 5, 3.3.1)."""
    topic, payload = packet.topic, packet.payload
    if head & _QOS_1_BIT:
        return Delivery(topic, payload, 1, head & 1 == 1, packet.packet_id or 0, head & 8 == 8, rx)
    return Delivery(topic, payload, 0, head & 1 == 1, 0, False, rx)
