"""A Modbus bus: the units of one RS-485 line or TCP gateway take turns, commands go first, lost cables come back.

It carries checked answers and Troubles; what the registers mean is `wire`'s. One transaction at a time: a fair lock
is the only queue.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Self

from device_profiles.types import ModbusLink, ModbusProfile
from firmware_bridge.links.backoff import Backoff
from firmware_bridge.links.modbus_lines import Line, SerialLine
from firmware_bridge.links.modbus_open import open_line
from firmware_bridge.links.ports import PortError
from firmware_bridge.links.tap import Tap
from firmware_bridge.raw import Action, Arrival, Registers, SendError, Trouble, Write
from firmware_bridge.wire.load import first_due, next_due, timing_of
from firmware_bridge.wire.modbus import Request
from firmware_bridge.wire.plan import Timing, plan
from hub.clock import Clock
from hub.reading import FaultKind, LinkChange, LinkState
from hub.site import Device, ModbusAsciiLink, ModbusLine, ModbusRtuLink

_MOST_WAITING = 16  # commands; more than that on one cable is a mistake of the sender's
_PORT_RETRY_S = 2.0  # a replugged adapter is back within 5 s
_TCP_RETRY_S = 10.0
_DEAD_FIRST_S, _DEAD_MOST_S = 1.0, 30.0  # pauses of a unit that does not answer, in seconds of the clock


class ModbusBus:
    """The link (`raw.Link`) of a Modbus line. Cadences run by `clock`, time-outs and reconnecting in real seconds."""

    def __init__(self, link: ModbusLine, clock: Clock) -> None:
        """Opens nothing yet."""
        self.id = link.id
        self._link, self._clock = link, clock
        timing = timing_of(link)
        self._units = {device.id: _Unit(device, timing) for device in link.devices}
        self._line: Line | None = None
        self._known = (LinkState.DOWN, "")
        self._news: list[LinkChange] = []
        retry = _PORT_RETRY_S if isinstance(link, ModbusRtuLink | ModbusAsciiLink) else _TCP_RETRY_S
        self._retry, self._retry_in = Backoff(most=retry), 0.0
        self._turn = asyncio.Lock()
        self._waiting = 0
        self.tap = Tap(link.id)
        self._lent = ""  # why somebody else has the cable
        self._wake = asyncio.Event()
        self._closed = False

    async def __aenter__(self) -> Self:
        """The cable is opened by the iterator, again and again if need be."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the cable; the iterator ends."""
        self._closed = True
        self._wake.set()
        self._release()

    async def __aiter__(self) -> AsyncIterator[list[Arrival | LinkChange]]:
        """One list a poll of a device (all its reads), or one LinkChange."""
        while not self._closed:
            batch: list[Arrival | LinkChange] = []
            try:
                if self._line is None:
                    await self._connect()
                else:
                    await self._next(batch)
            except PortError as error:
                self._lose(error.detail)
            batch += self._news
            self._news = []
            if batch and not self._closed:
                yield batch
        self._release()  # it may have been opened while it was closed

    def carry(self, devices: Iterable[Device]) -> None:
        """Whoever stays keeps its turn; who is new, or is asked otherwise, is asked soon."""
        timing, now = timing_of(self._link), self._clock.monotonic()
        fresh = [_Unit(device, timing) for device in devices]
        units = [self._units.get(unit.id, unit) for unit in fresh]
        for index, unit in enumerate(fresh):
            if units[index].wiring != unit.wiring:
                units[index] = unit
            if units[index] is unit:
                unit.start(now + first_due(unit.every, index, len(fresh)))
        self._units = {unit.id: unit for unit in units}
        if isinstance(self._line, SerialLine):
            self._line.wait_longer(self._quiet())
        self._wake.set()

    async def send(self, device: str, action: Action) -> None:
        """Write coils or registers after the running transaction, before any poll. Raises SendError."""
        unit = self._units.get(device)
        if self._line is None:
            raise SendError(FaultKind.LINK_DOWN, self._why_down())
        if unit is None:
            raise SendError(FaultKind.UNKNOWN_DEVICE, f"{device} is not on {self.id}")
        if not isinstance(action, Write):
            raise SendError(FaultKind.MALFORMED, f"{self.id} carries Modbus writes, not a {type(action).__name__}")
        if self._waiting >= _MOST_WAITING:
            raise SendError(FaultKind.BUSY, f"{_MOST_WAITING} commands are waiting for {self.id} already")
        answer = await self._write(unit, action)
        # What it did shows in its next reading: before all others, however late those are.
        unit.due = min([self._clock.monotonic(), *(other.due for other in self._units.values())]) - 0.001
        self._wake.set()
        if isinstance(answer, Trouble):
            raise SendError(answer.kind, answer.detail)

    async def ask(self, request: Request, timeout: float) -> Registers | Trouble:
        """A question of somebody else's, in its turn between the polls. Raises PortError while the cable is down."""
        try:
            return await self._ask(request, timeout)
        except PortError as error:
            self._lose(error.detail)
            raise

    @contextlib.asynccontextmanager
    async def lend(self, why: str) -> AsyncIterator[None]:
        """Let go of the cable while this is held, so that somebody else can open it: the link is down, for `why`.

        Nothing is asked meanwhile, and who sends hears `why`. Raises PortError when it is lent already.
        """
        async with self._turn:
            if self._lent:
                raise PortError(self._lent)
            self._lent = why
            self._release()
            self._failed(why)
        try:
            yield
        finally:
            self._lent, self._retry_in = "", 0.0
            self._wake.set()

    async def _write(self, unit: "_Unit", write: Write) -> Registers | Trouble:
        self._waiting += 1
        try:
            return await self._ask(Request.of(unit.number, write), unit.timeout)
        except PortError as error:
            self._lose(error.detail)
            raise SendError(FaultKind.LINK_DOWN, error.detail) from error
        except ValueError as error:
            raise SendError(FaultKind.MALFORMED, str(error)) from error
        finally:
            self._waiting -= 1

    async def _ask(self, request: Request, timeout: float) -> Registers | Trouble:
        async with self._turn:
            if self._line is None:
                raise PortError(self._why_down())
            began = self._clock.monotonic()
            answer = await self._line.ask(request, timeout)
            if self.tap:
                took = (self._clock.monotonic() - began) / self._clock.speed
                self.tap.answered(request, answer, self._clock.now(), took)
        self._retry.reset()
        return answer

    async def _next(self, batch: list[Arrival | LinkChange]) -> None:
        """Poll the device whose turn it is, or wait for the next turn or for something to happen."""
        self._wake.clear()
        async with self._turn:  # commands that wait go first, and may change whose turn it is
            if self._line is None:
                return
            self._line.check()
        unit = min(self._units.values(), key=lambda unit: unit.due, default=None)
        left = None if unit is None else (unit.due - self._clock.monotonic()) / self._clock.speed
        if unit is not None and left is not None and left <= 0:
            await self._poll(unit, batch)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._wake.wait()

    async def _poll(self, unit: "_Unit", batch: list[Arrival | LinkChange]) -> None:
        unit.beat(self._clock.monotonic())
        for index, request in enumerate(unit.requests):
            answer = await self._ask(request, unit.timeout)
            if self._units.get(unit.id) is not unit:
                batch.clear()  # while it was asked it was taken off the line, or became another device
                return
            batch.append(Arrival(unit.id, answer, self._clock.now()))
            if isinstance(answer, Trouble) and answer.kind is FaultKind.NO_ANSWER:
                unit.silent(index, self._clock.monotonic())
                return  # its other registers would not answer either, and others wait
        unit.alive()

    async def _connect(self) -> None:
        if self._lent:
            self._wake.clear()
            await self._wake.wait()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._retry_in):
                while not self._closed and not self._lent:
                    self._wake.clear()
                    await self._wake.wait()
        try:
            async with self._turn:
                if self._closed or self._lent:
                    return
                self._line, detail = await self._open()
        except PortError as error:
            self._failed(error.detail)
            return
        now = self._clock.monotonic()
        for index, unit in enumerate(self._units.values()):
            unit.start(now + first_due(unit.every, index, len(self._units)))
        self._tell(LinkState.UP, detail)

    async def _open(self) -> tuple[Line, str]:
        return await open_line(self._link, self._quiet(), self._wake.set, self.tap.on)

    def _quiet(self) -> float:
        return max((unit.timeout for unit in self._units.values()), default=0.0)

    def _lose(self, detail: str) -> None:
        if self._line is not None:  # else another task noticed first, and has said so
            self._release()
            self._failed(detail)

    def _why_down(self) -> str:
        state, detail = self._known
        return detail if state is LinkState.DOWN and detail else f"{self.id} is not open"

    def _release(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _failed(self, detail: str) -> None:
        """Say it once, and let the iterator try again after a pause."""
        self._retry_in = self._retry.next()
        self._tell(LinkState.DOWN, detail)
        self._wake.set()

    def _tell(self, state: LinkState, detail: str) -> None:
        if self._known != (state, detail):
            self._known = (state, detail)
            self._news.append(LinkChange(link=self.id, state=state, detail=detail, rx=self._clock.now()))
            self.tap.arrived(self._news[-1:])


class _Unit:
    """One device of the line: what it is asked, and when again."""

    def __init__(self, device: Device, timing: Timing) -> None:
        if not isinstance(device.profile, ModbusProfile) or not isinstance(device.options, ModbusLink):
            raise TypeError(f"{device.id} is not a Modbus device")
        self.id, self.number = device.id, device.options.unit
        self.wiring = device.profile, device.options
        self.every, self.timeout = device.options.every, device.options.timeout
        self.requests = plan(device.profile, self.number, timing, device.options.latency)
        self._dead = Backoff(_DEAD_FIRST_S, _DEAD_MOST_S, jitter=0.0)
        self.due = 0.0

    def start(self, due: float) -> None:
        """The cable is new: whoever was dead may be alive."""
        self._dead.reset()
        self.due = due

    def beat(self, now: float) -> None:
        """It is asked now, and will be again at the next beat; beats that were missed are skipped."""
        self.due = next_due(self.due, self.every, now)

    def alive(self) -> None:
        """All was answered."""
        self._dead.reset()

    def silent(self, index: int, now: float) -> None:
        """Request `index` was not answered: rest longer each time.

        That request will be the first of the next poll, so that an answer later than any promise is at least one to it.
        """
        self.requests = self.requests[index:] + self.requests[:index]
        self.due = now + max(self.every, self._dead.next())
