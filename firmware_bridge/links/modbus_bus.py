"""A Modbus bus: the units of one RS-485 line or TCP gateway take turns, commands go first, lost cables come back.

It carries checked answers and Troubles; what the registers mean, and whose turn it is, is `wire`'s. A fair semaphore
is the only queue: one transaction at a time, or as many as a TCP link says that its device takes.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Self

from device_profiles.types import ModbusLink, ModbusProfile
from firmware_bridge.links.backoff import Backoff
from firmware_bridge.links.modbus_lines import Line, RtuLine
from firmware_bridge.links.modbus_tcp import open_modbus_tcp
from firmware_bridge.links.ports import PortError, open_port
from firmware_bridge.raw import Action, Arrival, Registers, SendError, Trouble, Write
from firmware_bridge.wire.load import timing_of
from firmware_bridge.wire.modbus import Request
from firmware_bridge.wire.plan import Timing, plan
from firmware_bridge.wire.turns import Habits, Turns
from hub.clock import Clock
from hub.reading import FaultKind, LinkChange, LinkState
from hub.site import Device, ModbusRtuLink, ModbusTcpLink

_MOST_WAITING = 16  # commands; more than that on one cable is a mistake of the sender's
_PORT_RETRY_S = 2.0  # a replugged adapter is back within 5 s
_TCP_RETRY_S = 10.0
_TCP_JITTER = 0.5  # many of them lose their power together
_FOREVER_S = 86_400.0 * 365
_ALIVE = frozenset({FaultKind.REFUSED, FaultKind.BUSY})


class ModbusBus:
    """The link (`raw.Link`) of a Modbus line. Cadences run by `clock`, time-outs and reconnecting in real seconds."""

    def __init__(self, link: ModbusRtuLink | ModbusTcpLink, clock: Clock) -> None:
        """Opens nothing yet."""
        self.id = link.id
        self._link, self._clock = link, clock
        timing = timing_of(link)
        self._units = {device.id: _Unit(place, device, timing) for place, device in enumerate(link.devices)}
        self._places = [*self._units.values()]
        self._turns = Turns([unit.habits(timing, clock.speed) for unit in self._places])
        self._line: Line | None = None
        self._known = (LinkState.DOWN, "")
        self._news: list[LinkChange] = []
        rtu = isinstance(link, ModbusRtuLink)
        self._retry = Backoff(most=_PORT_RETRY_S) if rtu else Backoff(most=_TCP_RETRY_S, jitter=_TCP_JITTER)
        self._retry_in = 0.0
        self._outstanding = link.outstanding if isinstance(link, ModbusTcpLink) else 1
        self._turn = asyncio.Semaphore(self._outstanding)
        self._waiting = 0
        self._pause: asyncio.Future[None] | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        """The cable is opened by the iterator, again and again if need be."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the cable; the iterator ends."""
        self._closed = True
        self._wake()
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

    async def send(self, device: str, action: Action) -> None:
        """Write one coil or register after the running transaction, before any poll. Raises SendError."""
        unit = self._units.get(device)
        if self._line is None:
            raise SendError(FaultKind.LINK_DOWN, self._why_down())
        if unit is None:
            raise SendError(FaultKind.UNKNOWN_DEVICE, f"{device} is not on {self.id}")
        if not isinstance(action, Write) or action.function not in (5, 6):
            raise SendError(FaultKind.MALFORMED, f"{self.id} carries Modbus writes, not a {type(action).__name__}")
        if self._waiting >= _MOST_WAITING:
            raise SendError(FaultKind.BUSY, f"{_MOST_WAITING} commands are waiting for {self.id} already")
        answer = await self._write(unit, action)
        alive = isinstance(answer, Registers) or answer.kind in _ALIVE
        self._turns.urgent(unit.place, self._clock.monotonic(), alive=alive)
        self._wake()
        if isinstance(answer, Trouble):
            raise SendError(answer.kind, answer.detail)

    async def _write(self, unit: "_Unit", write: Write) -> Registers | Trouble:
        self._waiting += 1
        try:
            return await self._ask(Request(unit.number, write.function, write.address, value=write.value), unit.timeout)
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
            answer = await self._line.ask(request, timeout)
        self._retry.reset()
        return answer

    async def _next(self, batch: list[Arrival | LinkChange]) -> None:
        """Poll whose turn it is, or wait for the next turn or for something to happen."""
        async with self._turn:  # commands that wait go first, and may change whose turn it is
            if self._line is None:
                return
            self._line.check()
        now = self._clock.monotonic()
        turns = self._due(now)
        if len(turns) == 1:
            await self._poll(*turns[0], batch)
        elif turns:
            ends = await asyncio.gather(*(self._poll(*turn, batch) for turn in turns), return_exceptions=True)
            for end in filter(None, ends):
                raise end
        else:
            await self._rest((self._turns.next(now).at - now) / self._clock.speed)

    def _due(self, now: float) -> list[tuple["_Unit", float]]:
        """Who is asked now, and waited for how long: one, or as many as may be outstanding."""
        turns: list[tuple[_Unit, float]] = []
        while len(turns) < self._outstanding and (turn := self._turns.next(now)).place is not None:
            self._turns.take(turn.place, now)
            turns.append((self._places[turn.place], turn.timeout / self._clock.speed))
        return turns

    async def _rest(self, seconds: float) -> None:
        """Until `_wake`, or for so many real seconds."""
        loop = asyncio.get_running_loop()
        self._pause = loop.create_future()
        alarm = loop.call_later(seconds, self._wake) if seconds < _FOREVER_S else None
        try:
            await self._pause
        finally:
            self._pause = None
            if alarm is not None:
                alarm.cancel()

    def _wake(self) -> None:
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(None)

    async def _poll(self, unit: "_Unit", timeout: float, batch: list[Arrival | LinkChange]) -> None:
        began = self._clock.monotonic()
        spoiled, first = 0.0, 0.0
        for index, request in enumerate(unit.requests):
            answer = await self._ask(request, timeout)
            batch.append(Arrival(unit.id, answer, self._clock.now()))
            if index == 0:
                first = self._clock.monotonic() - began
            if isinstance(answer, Registers) or answer.kind is FaultKind.REFUSED:
                continue
            if answer.kind is FaultKind.BUSY:
                self._turns.busy(unit.place, self._clock.monotonic())
                return  # it said itself: later
            if answer.kind is FaultKind.NO_ANSWER:
                self._failed_poll(unit, began)
                unit.begin_with(index)
                return  # its other registers would not answer either, and others wait
            spoiled += timeout * self._clock.speed  # the line will be left alone so long
        if spoiled:
            self._failed_poll(unit, began - spoiled)
        else:
            self._turns.answered(unit.place, first)

    def _failed_poll(self, unit: "_Unit", began: float) -> None:
        now = self._clock.monotonic()
        self._turns.failed(unit.place, now, now - began)

    async def _connect(self) -> None:
        again = self._clock.monotonic() + self._retry_in * self._clock.speed
        while not self._closed and (left := again - self._clock.monotonic()) > 0:
            await self._rest(left / self._clock.speed)
        if self._closed:
            return
        try:
            self._line, detail = await self._open()
        except PortError as error:
            self._failed(error.detail)
            return
        self._turns.begin(self._clock.monotonic())
        self._tell(LinkState.UP, detail)

    async def _open(self) -> tuple[Line, str]:
        link = self._link
        if isinstance(link, ModbusTcpLink):
            return await open_modbus_tcp(link.host, link.port, on_lost=self._wake), f"{link.host}:{link.port}"
        port = await open_port(
            link.port, baud=link.baud, parity=link.parity, stop_bits=link.stop_bits, on_lost=self._wake
        )
        quiet = max((unit.timeout for unit in self._units.values()), default=0.0)
        line = RtuLine(port, baud=link.baud, parity=link.parity, stop_bits=link.stop_bits, quiet=quiet)
        return line, f"{link.port}: {link.baud} baud, 8{link.parity}{link.stop_bits}"

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
        self._wake()

    def _tell(self, state: LinkState, detail: str) -> None:
        if self._known != (state, detail):
            self._known = (state, detail)
            self._news.append(LinkChange(link=self.id, state=state, detail=detail, rx=self._clock.now()))


class _Unit:
    """One device of the line, and what it is asked."""

    def __init__(self, place: int, device: Device, timing: Timing) -> None:
        if not isinstance(device.profile, ModbusProfile) or not isinstance(device.options, ModbusLink):
            raise TypeError(f"{device.id} is not a Modbus device")
        self.place, self.id, self.number = place, device.id, device.options.unit
        self.timeout, self._options = device.options.timeout, device.options
        self.requests = plan(device.profile, self.number, timing, device.options.latency)

    def habits(self, timing: Timing, speed: float) -> Habits:
        """For the turns, which count in seconds of the clock."""
        own = self._options
        wire = max((timing.ms(request, 0.0) for request in self.requests), default=0.0) / 1000
        return Habits(own.every, own.timeout * speed, own.latency * speed, wire * speed)

    def begin_with(self, index: int) -> None:
        """The unanswered request is the first of the next poll: a very late answer is then at least one to it."""
        self.requests = self.requests[index:] + self.requests[:index]
