"""A Modbus bus: the units of one RS-485 line or TCP gateway take turns, commands go first, lost cables come back.

It carries checked answers and Troubles; what the registers mean, and whose turn it is, is `wire`'s. A fair semaphore
is the only queue: one transaction at a time, or as many as a TCP link says that its device takes.
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
from firmware_bridge.wire.load import timing_of
from firmware_bridge.wire.modbus import Request
from firmware_bridge.wire.plan import Timing, plan
from firmware_bridge.wire.turns import Habits, Turns
from hub.clock import Clock
from hub.reading import FaultKind, LinkChange, LinkState
from hub.settings.site import Device, ModbusAsciiLink, ModbusLine, ModbusRtuLink, ModbusTcpLink

_MOST_WAITING = 16  # commands; more than that on one cable is a mistake of the sender's
_PORT_RETRY_S = 2.0  # a replugged adapter is back within 5 s
_TCP_RETRY_S = 10.0
_TCP_JITTER = 0.5  # many of them lose their power together
_FOREVER_S = 86_400.0 * 365
_ALIVE = frozenset({FaultKind.REFUSED, FaultKind.BUSY})


class ModbusBus:
    """The link (`raw.Link`) of a Modbus line. Cadences run by `clock`, time-outs and reconnecting in real seconds."""

    def __init__(self, link: ModbusLine, clock: Clock) -> None:
        """Opens nothing yet."""
        self.id = link.id
        self._link, self._clock = link, clock
        self._units: dict[str, _Unit] = {}
        self._places: list[_Unit] = []
        self._turns = Turns([])
        self._line: Line | None = None
        self._known = (LinkState.DOWN, "")
        self._news: list[LinkChange] = []
        port = isinstance(link, ModbusRtuLink | ModbusAsciiLink)
        self._retry = Backoff(most=_PORT_RETRY_S) if port else Backoff(most=_TCP_RETRY_S, jitter=_TCP_JITTER)
        self._retry_in = 0.0
        self._outstanding = link.outstanding if isinstance(link, ModbusTcpLink) else 1
        self._turn = asyncio.Semaphore(self._outstanding)
        self._waiting = 0
        self.tap = Tap(link.id)
        self._lent = ""  # why somebody else has the cable
        self._pause: asyncio.Future[None] | None = None
        self._closed = False
        self.carry(link.devices)

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

    def carry(self, devices: Iterable[Device]) -> None:
        """Whoever stays keeps its turn; who is new, or is asked otherwise, is asked soon."""
        timing, before = timing_of(self._link), self._units
        units = [_Unit(device, timing) for device in devices]
        stay = {unit.id: old for unit in units if (old := before.get(unit.id)) and old.wiring == unit.wiring}
        self._turns.carry(
            [
                (unit.habits(timing, self._clock.speed), stay[unit.id].place if unit.id in stay else None)
                for unit in units
            ],
            self._clock.monotonic(),
        )
        self._places = [stay.get(unit.id, unit) for unit in units]
        for place, unit in enumerate(self._places):
            unit.place = place
        self._units = {unit.id: unit for unit in self._places}
        if isinstance(self._line, SerialLine):
            self._line.wait_longer(self._quiet())
        self._wake()

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
        alive = isinstance(answer, Registers) or answer.kind in _ALIVE
        if self._units.get(device) is unit:
            self._turns.urgent(unit.place, self._clock.monotonic(), alive=alive)
            self._wake()
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
            self._wake()

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
        """Ask all its questions; what it says counts only while it is still on the line, as what it was."""
        came: list[Arrival | LinkChange] = []
        try:
            await self._question(unit, timeout, came)
        finally:
            if self._units.get(unit.id) is unit:
                batch += came

    async def _question(self, unit: "_Unit", timeout: float, came: list[Arrival | LinkChange]) -> None:
        began = self._clock.monotonic()
        spoiled, first = 0.0, 0.0
        for index, request in enumerate(unit.requests):
            answer = await self._ask(request, timeout)
            now = self._clock.monotonic()
            if self._units.get(unit.id) is not unit:
                return
            came.append(Arrival(unit.id, answer, self._clock.now()))
            first = first or now - began
            if isinstance(answer, Registers) or answer.kind is FaultKind.REFUSED:
                continue
            if answer.kind is FaultKind.BUSY:
                self._turns.busy(unit.place, now, answer.pause_s)
                return  # it said itself: later
            if answer.kind is FaultKind.NO_ANSWER:
                self._turns.failed(unit.place, now, now - began)
                unit.begin_with(index)
                return  # its other registers would not answer either, and others wait
            spoiled += timeout * self._clock.speed  # the line will be left alone so long
        if spoiled:
            self._turns.failed(unit.place, now, now - began + spoiled)
        else:
            self._turns.answered(unit.place, first)

    async def _connect(self) -> None:
        if self._lent:
            await self._rest(_FOREVER_S)
            return
        again = self._clock.monotonic() + self._retry_in * self._clock.speed
        while not self._closed and not self._lent and (left := again - self._clock.monotonic()) > 0:
            await self._rest(left / self._clock.speed)
        try:
            async with self._turn:
                if self._closed or self._lent:
                    return
                self._line, detail = await self._open()
        except PortError as error:
            self._failed(error.detail)
            return
        self._turns.begin(self._clock.monotonic())
        self._tell(LinkState.UP, detail)

    async def _open(self) -> tuple[Line, str]:
        return await open_line(self._link, self._quiet(), self._wake, self.tap.on)

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
        self._wake()

    def _tell(self, state: LinkState, detail: str) -> None:
        if self._known != (state, detail):
            self._known = (state, detail)
            self._news.append(LinkChange(link=self.id, state=state, detail=detail, rx=self._clock.now()))
            self.tap.arrived(self._news[-1:])


class _Unit:
    """One device of the line, and what it is asked."""

    def __init__(self, device: Device, timing: Timing) -> None:
        if not isinstance(device.profile, ModbusProfile) or not isinstance(device.options, ModbusLink):
            raise TypeError(f"{device.id} is not a Modbus device")
        self.place = 0  # among the line's units, as the turns count them
        self.id, self.number = device.id, device.options.unit
        self.wiring = device.profile, device.options
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
