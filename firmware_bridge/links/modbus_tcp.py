"""Modbus TCP questions and answers on one connection: the transaction id says which answer is whose.

Several questions may be out at once; late answers are dropped. Which unit is asked when, and what happens when the
connection is lost, is the bus's business.
"""

import asyncio
from collections.abc import Callable
from typing import TypeAlias, cast

from firmware_bridge.links.ports import PortError, connect, tcp_words
from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire.modbus import Request, read_tcp, tcp_length, tcp_transaction
from hub.reading import FaultKind

_HELD_UP_S = 0.05  # a timer that is later than this: we were held up, and the answer may lie unread ...
_READ_S = 0.005  # ... and is read within this
_Answer: TypeAlias = "asyncio.Future[Registers | Trouble]"


async def open_modbus_tcp(
    host: str, port: int, *, timeout: float = 3.0, on_lost: Callable[[], None] = lambda: None
) -> "TcpLine":
    """A connection to a device or gateway, within `timeout` seconds; `on_lost` is called once. Raises PortError."""
    return await connect(lambda: TcpLine(f"{host}:{port}", on_lost), host, port, timeout)


class _Asked:
    """A question that is out."""

    __slots__ = ("answer", "deadline", "dropped", "request")

    def __init__(self, request: Request, deadline: float, dropped: int, answer: "_Answer") -> None:
        self.request, self.deadline, self.answer = request, deadline, answer
        self.dropped = dropped  # foreign answers up to then


class TcpLine(asyncio.Protocol):
    """A `modbus_lines.Line`. One timer a connection watches all deadlines: most answers cost none."""

    def __init__(self, name: str, on_lost: Callable[[], None] = lambda: None) -> None:
        """Made for `connect`; `name` begins the words of each PortError."""
        self._name, self._on_lost = name, on_lost
        self._loop = asyncio.get_running_loop()
        self._asked: dict[int, _Asked] = {}
        self._transaction = 0
        self._dropped = 0
        self._unread = b""
        self._lost = ""
        self._alarm: asyncio.TimerHandle | None = None
        self._rings_at = float("inf")

    async def ask(self, request: Request, timeout: float) -> Registers | Trouble:
        """As Line says; may be called again before the answer is there."""
        if self._lost:
            raise PortError(self._lost)
        transaction = self._transaction = (self._transaction + 1) & 0xFFFF
        deadline = self._loop.time() + timeout
        answer: _Answer = self._loop.create_future()
        self._asked[transaction] = _Asked(request, deadline, self._dropped, answer)
        if deadline < self._rings_at:
            self._watch(deadline)
        self._transport.write(request.tcp(transaction))
        try:
            return await answer
        finally:
            self._asked.pop(transaction, None)

    def check(self) -> None:
        """As Line says."""
        if self._lost:
            raise PortError(self._lost)

    def close(self) -> None:
        """As Line says."""
        self._on_lost = lambda: None
        self._lose("closed")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop's."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        """The loop's: cut whole frames off the stream, and hand each to whoever asked."""
        if self._unread:
            data = self._unread + data
        while (length := tcp_length(data)) is not None and len(data) >= length:
            if length == 0:
                self._lose(f"the answer is no Modbus TCP: {data[:12].hex(' ')}")
                return
            self._take(data if len(data) == length else data[:length])
            data = data[length:]
        self._unread = data

    def connection_lost(self, exc: Exception | None) -> None:
        """The loop's."""
        self._lose(tcp_words(exc) if isinstance(exc, OSError) else "the other end closed the connection")

    def _take(self, frame: bytes) -> None:
        asked = self._asked.get(transaction := tcp_transaction(frame))
        said = read_tcp(asked.request, transaction, frame) if asked else None
        if asked is None or said is None:
            self._dropped += 1
        elif not asked.answer.done():
            asked.answer.set_result(said)

    def _watch(self, when: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._rings_at = self._loop.call_at(when, self._ring), when

    def _ring(self) -> None:
        """Somebody's time may be over. What came while we were held up is read first."""
        now, late = self._loop.time(), self._loop.time() - self._rings_at
        self._alarm, self._rings_at = None, float("inf")
        if late > _HELD_UP_S:
            self._watch(now + _READ_S)
            return
        for asked in self._asked.values():
            if asked.deadline <= now and not asked.answer.done():
                asked.answer.set_result(self._silence(asked))
        left = [asked.deadline for asked in self._asked.values() if not asked.answer.done()]
        if left:
            self._watch(min(left))

    def _silence(self, asked: _Asked) -> Trouble:
        dropped = self._dropped - asked.dropped
        others = f" ({dropped} answers to other questions)" if dropped else ""
        return Trouble(FaultKind.NO_ANSWER, f"unit {asked.request.unit} does not answer{others}")

    def _lose(self, why: str) -> None:
        if self._lost:
            return
        self._lost = f"{self._name}: {why}"
        self._transport.abort()
        if self._alarm is not None:
            self._alarm.cancel()
        for asked in self._asked.values():
            if not asked.answer.done():
                asked.answer.set_exception(PortError(self._lost))
        self._on_lost()
