"""The streams on which simulated Modbus units hear and answer: a TCP connection, or the master side of a pty.

Framing is pymodbus's, an independent implementation. What is answered is the units' business.
"""

import asyncio
import contextlib
import os
import struct
from collections.abc import Callable
from typing import TypeAlias

from pymodbus import FramerType
from pymodbus.exceptions import ModbusIOException
from pymodbus.framer import FRAMER_NAME_TO_CLASS, FramerBase
from pymodbus.pdu import DecodePDU, ModbusPDU

from firmware_bridge.simulate.paced import Pace

Answer: TypeAlias = Callable[[ModbusPDU], ModbusPDU | None]
_STALE_S = 0.2  # half a request that is older than this was noise
_NOBODY_S = 0.05  # how often we look whether somebody has opened the other side of the pty


class AnyCoilValue(ModbusPDU):
    """Function 5 with any value, as question and as its echo: pymodbus's own knows FF00 and 0000 only, while timed
    relays (Waveshare: coil 0x0200 + n, tenths of a second) take a number there."""

    function_code = 5
    rtu_frame_size = 8
    value = 0

    def encode(self) -> bytes:
        return struct.pack(">HH", self.address, self.value)

    def decode(self, data: bytes) -> None:
        self.address, self.value = struct.unpack(">HH", data[:4])


class Ear:
    """Bytes in, whole answers out: one framer for one stream."""

    def __init__(self, answer: Answer, kind: FramerType) -> None:
        decoder = DecodePDU(True)
        decoder.register(AnyCoilValue)
        self._answer, self._patient = answer, kind is FramerType.SOCKET
        self._framer: FramerBase = FRAMER_NAME_TO_CLASS[kind](decoder)
        self._unread = b""
        self._heard = 0.0

    def hear(self, data: bytes, now: float) -> bytes:
        """The answers to the requests that are complete `now` (s); on a serial line half a request grows stale."""
        if not self._patient and now - self._heard > _STALE_S:
            self._unread = b""
        self._heard = now
        self._unread += data
        answers = b""
        while self._unread:
            try:
                used, request = self._framer.handleFrame(self._unread, 0, 0)
            except ModbusIOException:
                used, request = len(self._unread), None
            self._unread = self._unread[used:]
            if request is None:
                break
            if reply := self._answer(request):
                reply.dev_id, reply.transaction_id = request.dev_id, request.transaction_id
                answers += self._framer.buildFrame(reply)
        return answers


class Connection(asyncio.Protocol):
    """One client of the TCP port."""

    def __init__(self, answer: Answer, kind: FramerType, connections: set["Connection"]) -> None:
        self._ear = Ear(answer, kind)
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if answers := self._ear.hear(data, asyncio.get_running_loop().time()):
            self._transport.write(answers)  # type: ignore[attr-defined]  # a stream's transport can write

    def close(self) -> None:
        self._transport.close()


class Pty:
    """The master side of a pty; it does not mind when nobody has opened the other side."""

    def __init__(self, answer: Answer, kind: FramerType, fd: int, pace: Pace | None = None) -> None:
        self._ear = Ear(answer, kind)
        self._fd, self._pace = fd, pace
        self._loop = asyncio.get_running_loop()
        self._again: asyncio.TimerHandle | None = None
        os.set_blocking(fd, False)
        self._watch()

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        if self._pace is not None:
            self._pace.close()
        if self._again is not None:
            self._again.cancel()

    def _watch(self) -> None:
        self._loop.add_reader(self._fd, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, 4096)
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody is there, and the loop would be told so without end
            self._loop.remove_reader(self._fd)
            self._again = self._loop.call_later(_NOBODY_S, self._watch)
            return
        if self._pace is not None:
            self._pace.carry(data, self._hear, self._say)
        elif answers := self._hear(data):
            self._say(answers)

    def _hear(self, data: bytes) -> bytes:
        return self._ear.hear(data, self._loop.time())

    def _say(self, answers: bytes) -> None:
        with contextlib.suppress(BlockingIOError, OSError):  # nobody reads: as on a real line
            os.write(self._fd, answers)


async def stop(server: asyncio.Server, connections: set[Connection]) -> None:
    server.close()
    for connection in list(connections):
        connection.close()
    await server.wait_closed()
