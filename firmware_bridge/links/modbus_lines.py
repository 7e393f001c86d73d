"""One Modbus question and its answer on an open Port, so that no other answer can be taken for it.

RTU answers carry no transaction id: after anything doubtful nothing is asked until the line was quiet long enough.
Which unit is asked when, and what happens when the port is lost, is the bus's business.
"""

from typing import Protocol

from firmware_bridge.links.ports import Port
from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire.modbus import (
    DOUBLE_S,
    Request,
    bus_time_ms,
    read_rtu,
    silence_ms,
    unfinished_rtu,
)
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


class RtuLine:
    """An RS-485 line. `quiet` = seconds of silence after which no late answer can come: the slowest unit's time-out."""

    def __init__(self, port: Port, *, baud: int, parity: str, stop_bits: int, quiet: float) -> None:
        """Takes over the open port."""
        self._port, self._quiet = port, quiet
        self._baud, self._parity, self._stop_bits = baud, parity, stop_bits
        self._gap = silence_ms(baud, parity, stop_bits) / 1000
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
        on_wire = bus_time_ms(request, self._baud, self._parity, self._stop_bits, latency_ms=0) / 1000
        self._owed = self._port.now() + timeout + on_wire
        try:
            self._port.write(request.rtu())
            answer = await self._answer(request)
            self._doubtful = isinstance(answer, Trouble) and answer.kind not in _CERTAIN
            if isinstance(answer, Trouble) and answer.kind is FaultKind.NO_ANSWER:
                self._doubtful = False
                if answer.payload is None:  # others may be asked: its late answer says whose it is, and fits only it
                    self._silent[request.unit] = self._owed + self._quiet
        finally:
            self._told[request.shape] = self._port.now()
        return answer

    def check(self) -> None:
        """As Line says."""
        if self._port.drain_input():
            self._doubtful = True

    def close(self) -> None:
        """As Line says."""
        self._port.close()

    async def _settled(self, request: Request) -> bool:
        """Wait until nothing of an earlier question can come any more; False when the line is never quiet."""
        self.check()
        self._doubtful |= self._port.now() < self._silent.pop(request.unit, float("-inf"))
        await self._no_double(request)
        patience = max(self._owed, self._port.now()) + max(_MOST_NOISE_S, 2 * self._quiet)
        while self._doubtful:
            self._port.drain_input()
            left = max(self._owed, self._port.last_byte()) + self._quiet - self._port.now()
            if left <= 0:
                self._doubtful = False
            elif self._port.now() > patience:
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
            data += await self._port.read(left)
            if read_rtu(request, data) is not None:
                # what follows within t3.5 belongs to the same frame, and makes it wrong
                data += await self._port.read(self._gap)
                break
        answer = read_rtu(request, data)
        return answer if answer is not None else unfinished_rtu(request, data)
