"""One Modbus question and its answer on an open Port, in each framing, so that no other answer can be taken for it.

RTU and ASCII answers carry no transaction id: after anything doubtful nothing is asked until the line was quiet long
enough. Which unit is asked when, and what happens when the port is lost, is the bus's business.
"""

import math
from collections.abc import Callable
from typing import Protocol

import msgspec

from firmware_bridge.links.ports import Port, PortError
from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire.modbus import (
    DOUBLE_S,
    STALL_S,
    Request,
    gap_ms,
    read_ascii,
    read_rtu,
    silence_ms,
    unfinished_ascii,
    unfinished_rtu,
)
from firmware_bridge.wire.plan import AsciiTiming, RtuTiming
from hub.reading import FaultKind

_MOST_NOISE_S = 5.0  # so long we wait for a chattering line to fall silent before we say so
_CERTAIN = frozenset({FaultKind.REFUSED, FaultKind.BUSY})  # whole answers: nothing more is to come


class Line(Protocol):
    """Who asks on an open port. One question at a time: the caller sees to it."""

    async def ask(self, request: Request, timeout: float) -> Registers | Trouble:
        """The checked answer, or why there is none within `timeout` seconds. Raises PortError when the port is lost."""

    def check(self) -> None:
        """Look at what came unasked. Raises PortError when the port is lost."""

    def close(self) -> None:
        """Let go of the port."""


class Framing(msgspec.Struct, frozen=True):
    """How questions and answers look on a serial line, and how long they take there, in seconds.

    `gap`: what follows an answer within it belongs to it. `stall`: after so long without a byte it has broken off.
    """

    question: Callable[[Request], bytes]
    read: Callable[[Request, bytes], Registers | Trouble | None]
    unfinished: Callable[[Request, bytes], Trouble]
    on_wire: Callable[[Request], float]
    gap: float
    stall: float = math.inf


def rtu(baud: int, parity: str, stop_bits: int) -> Framing:
    """RTU frames at this speed and format."""
    timing = RtuTiming(baud, parity, stop_bits)
    gap = silence_ms(baud, parity, stop_bits) / 1000
    return Framing(Request.rtu, read_rtu, unfinished_rtu, lambda request: timing.ms(request, 0) / 1000, gap)


def ascii_(baud: int, parity: str, stop_bits: int, data_bits: int) -> Framing:
    """ASCII frames at this speed and format."""
    timing = AsciiTiming(baud, data_bits, parity, stop_bits)
    gap = gap_ms(baud, parity, stop_bits, data_bits) / 1000
    on_wire: Callable[[Request], float] = lambda request: timing.ms(request, 0) / 1000  # noqa: E731
    return Framing(Request.ascii, read_ascii, unfinished_ascii, on_wire, gap, STALL_S)


class SerialLine:
    """A line whose answers do not say which question they answer: an RS-485 port, or one behind a serial server.

    `quiet` = seconds of silence after which no late answer can come: the slowest unit's time-out (`network`: and more).
    """

    def __init__(
        self,
        port: Port,
        framing: Framing,
        *,
        quiet: float,
        network: float = 0.0,
        undelivered: Callable[[], int] = lambda: 0,
    ) -> None:
        """Takes over the open port. `undelivered`: bytes of ours that have not arrived (`TcpPort`)."""
        self._port, self._framing, self._undelivered = port, framing, undelivered
        self._network, self._quiet = network, quiet + network
        self._doubtful = False
        self._owed = port.now()  # until then the last question may still be answered in time
        self._silent: dict[int, float] = {}  # unit -> until then its late answer may come
        self._told: dict[tuple[int, int, int], float] = {}  # shape -> when the last such question ended

    async def ask(self, request: Request, timeout: float) -> Registers | Trouble:
        """As Line says; `timeout` is the unit's own time, the frames' time on the wire is added."""
        if not await self._settled(request):
            detail = "the line does not fall silent: something talks unasked (second master? wrong baud?)"
            return Trouble(FaultKind.MISMATCH, detail)
        self._doubtful = True  # also when this task is cancelled before the answer is there
        self._owed = self._port.now() + timeout + self._framing.on_wire(request)
        try:
            self._port.write(self._framing.question(request))
            answer = await self._answer(request)
            self._doubtful = isinstance(answer, Trouble) and not self._over(request, answer)
        finally:
            self._told[request.shape] = self._port.now()
        return answer

    def wait_longer(self, quiet: float) -> None:
        """Another unit may be slower. Never shorter: one that is gone may still answer."""
        self._quiet = max(self._quiet, quiet + self._network)

    def check(self) -> None:
        """As Line says."""
        if self._port.drain_input():
            self._doubtful = True

    def close(self) -> None:
        """As Line says."""
        self._port.close()

    def _over(self, request: Request, trouble: Trouble) -> bool:
        """True when others may be asked: a whole answer came, or nothing: a late answer would say whose it is."""
        if trouble.kind is FaultKind.NO_ANSWER and trouble.payload is None:
            self._silent[request.unit] = self._owed + self._quiet
            return not self._undelivered()
        return trouble.kind in _CERTAIN or trouble.kind is FaultKind.NO_ANSWER

    async def _settled(self, request: Request) -> bool:
        """Wait until nothing of an earlier question can come any more; False when the line is never quiet."""
        self.check()
        self._doubtful |= self._port.now() < self._silent.pop(request.unit, float("-inf"))
        await self._no_double(request)
        patience = max(self._owed, self._port.now()) + max(_MOST_NOISE_S, 2 * self._quiet)
        while self._doubtful:
            self._port.drain_input()
            if stuck := self._undelivered():  # it may be answered so long after it has arrived
                self._owed = max(self._owed, self._port.now())
            left = max(self._owed, self._port.last_byte()) + self._quiet - self._port.now()
            if left <= 0:
                self._doubtful = False
            elif self._port.now() > patience:
                if stuck:
                    raise PortError(f"{self._port.name}: the other end takes no more bytes (network? powered?)")
                return False
            else:
                await self._port.read(left)
        return True

    async def _no_double(self, request: Request) -> None:
        """Radio bridges repeat frames: give a second copy of an answer that would fit here time to show up.

        Also one to the same question: taken for the new answer, it would leave that one to come later.
        """
        left = self._told.get(request.shape, float("-inf")) + DOUBLE_S - self._port.now()
        if left > 0 and await self._port.read(left):
            self._doubtful = True

    async def _answer(self, request: Request) -> Registers | Trouble:
        data = b""
        while (left := self._owed - self._port.now()) > 0:
            came = await self._port.read(min(left, self._framing.stall) if data else left)
            data += came
            if came and self._undelivered():
                return Trouble(FaultKind.MISMATCH, "bytes came before our question had arrived: a late answer", data)
            if self._framing.read(request, data) is not None:
                # what follows within the gap belongs to the same frame, and makes it wrong
                data += await self._port.read(self._framing.gap)
                break
            if data and not came:
                break  # stalled, or the time is over
        answer = self._framing.read(request, data)
        return answer if answer is not None else self._framing.unfinished(request, data)
