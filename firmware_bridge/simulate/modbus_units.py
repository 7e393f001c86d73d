"""Simulated Modbus devices: the units of one link, on a TCP port or on the master side of a pty.

Framing and messages are pymodbus's, an independent implementation; memory and commands come from the profiles. What
the values are and how they change is the play's business, not this file's.
"""

import asyncio
import contextlib
import os
import struct
from collections.abc import Mapping
from typing import Self

import msgspec
from pymodbus import FramerType
from pymodbus.exceptions import ModbusIOException
from pymodbus.framer import FRAMER_NAME_TO_CLASS, FramerBase
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsResponse, ReadDiscreteInputsResponse
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersResponse,
    ReadInputRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)

from device_profiles.types import ModbusLink, ModbusProfile
from firmware_bridge.raw import Write
from firmware_bridge.simulate.paced import Pace
from firmware_bridge.wire import encode, orders
from hub.clock import Clock
from hub.reading import Value
from hub.site import ModbusRtuLink, ModbusTcpLink

_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE, _NO_TARGET = 1, 2, 3, 11
_ON, _OFF = 0xFF00, 0x0000
_STALE_S = 0.2  # half a request that is older than this was noise
_NOBODY_S = 0.05  # how often we look whether somebody has opened the other side of the pty
_READS: dict[int, tuple[str, type[ModbusPDU]]] = {
    1: ("coil", ReadCoilsResponse),
    2: ("discrete", ReadDiscreteInputsResponse),
    3: ("holding", ReadHoldingRegistersResponse),
    4: ("input", ReadInputRegistersResponse),
}


class Units:
    """The devices of `link`, served on `host`:`port` (0 = a free one) or on the pty master `fd`, while entered.

    A value that was never set answers exception 02; what a plan reads along unwanted is 0. `clock` times the pulses
    that a board ends by itself.
    """

    def __init__(
        self,
        link: ModbusRtuLink | ModbusTcpLink,
        clock: Clock,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        fd: int | None = None,
        pace: Pace | None = None,
    ) -> None:
        """With `fd` (stays the caller's) it speaks RTU, at once or in the time of `pace`; else Modbus TCP."""
        self._clock = clock
        self._host, self.port, self._fd, self._pace = host, port, fd, pace
        units = [_Unit(device.id, device.profile, device.options) for device in link.devices]
        self._by_id = {unit.id: unit for unit in units}
        self._by_number = {unit.number: unit for unit in units}
        self._pulses: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Serve."""
        if self._fd is not None:
            self._open.callback(_Pty(self, self._fd, self._pace).close)
            return self
        connections: set[_Connection] = set()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self, connections), self._host, self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._open.push_async_callback(_stop, server, connections)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop serving; pulses end where they are."""
        await self._open.aclose()
        for task in self._pulses.values():
            task.cancel()
        await asyncio.gather(*self._pulses.values(), return_exceptions=True)

    def set(self, device_id: str, values: Mapping[str, Value]) -> None:
        """Put these values where the device's profile says that they stand."""
        unit = self._by_id[device_id]
        unit.values.update(values)
        for table, words in encode.memory(unit.profile, unit.values).items():
            unit.memory.setdefault(table, {}).update(words)

    def values(self, device_id: str) -> dict[str, Value]:
        """What was set last, by `set` or by a command."""
        return dict(self._by_id[device_id].values)

    def mute(self, device_id: str, silent: bool) -> None:
        """A silent unit answers nothing, as one without power."""
        self._by_id[device_id].silent = silent

    def answer(self, request: ModbusPDU, *, gateway: bool) -> ModbusPDU | None:
        """What comes back; None: nothing. A `gateway` says so when there is no such unit, an RS-485 line does not."""
        unit = self._by_number.get(request.dev_id)
        if unit is None:
            return ExceptionResponse(request.function_code, _NO_TARGET) if gateway else None
        if unit.silent:
            return None
        if request.function_code in _READS:
            return _read(unit, request)
        if isinstance(request, _AnyCoilValue):
            return self._write(unit, Write(5, request.address, request.value), request)
        if isinstance(request, WriteSingleRegisterRequest):
            reply = WriteSingleRegisterResponse(address=request.address, registers=request.registers)
            return self._write(unit, Write(6, request.address, request.registers[0]), reply)
        return ExceptionResponse(request.function_code, _ILLEGAL_FUNCTION)

    def _write(self, unit: "_Unit", write: Write, reply: ModbusPDU) -> ModbusPDU:
        known = orders.read(unit.profile, write)
        if known is not None:
            self._command(unit, *known)
            return reply
        words = unit.memory.get("coil" if write.function == 5 else "holding", {})
        if write.address not in words:
            return ExceptionResponse(write.function, _ILLEGAL_ADDRESS)
        if write.function == 5 and write.value not in (_ON, _OFF):
            return ExceptionResponse(write.function, _ILLEGAL_VALUE)
        words[write.address] = int(write.value == _ON) if write.function == 5 else write.value
        return reply

    def _command(self, unit: "_Unit", name: str, seconds: float | None) -> None:
        for quantity, state in unit.profile.command[name].confirm.items():
            before = unit.values.get(quantity)
            self.set(unit.id, {quantity: state})
            if pulse := self._pulses.pop((unit.id, quantity), None):
                pulse.cancel()
            if seconds is not None:
                after = _other(unit.profile, quantity, state, before)
                task = asyncio.get_running_loop().create_task(self._end_pulse(unit, quantity, after, seconds))
                self._pulses[unit.id, quantity] = task

    async def _end_pulse(self, unit: "_Unit", quantity: str, state: Value, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self.set(unit.id, {quantity: state})
        del self._pulses[unit.id, quantity]


class _Unit:
    """One device: its profile, what it was told, and the registers that follow from it."""

    def __init__(self, device_id: str, profile: msgspec.Struct, options: msgspec.Struct) -> None:
        if not isinstance(profile, ModbusProfile) or not isinstance(options, ModbusLink):
            raise TypeError(f"{device_id} is not a Modbus device")
        self.id, self.number, self.profile = device_id, options.unit, profile
        self.values: dict[str, Value] = {}
        self.memory = encode.filler(profile)
        self.silent = False


class _AnyCoilValue(ModbusPDU):
    """Function 5 with any value, as question and as its echo: pymodbus's own knows FF00 and 0000 only, while timed
    relays (Waveshare: coil 0x0200 + n, tenths of a second) take a number there."""

    function_code = 5
    rtu_frame_size = 8
    value = 0

    def encode(self) -> bytes:
        return struct.pack(">HH", self.address, self.value)

    def decode(self, data: bytes) -> None:
        self.address, self.value = struct.unpack(">HH", data[:4])


class _Ear:
    """Bytes in, whole answers out: one framer for one stream."""

    def __init__(self, units: Units, kind: FramerType) -> None:
        decoder = DecodePDU(True)
        decoder.register(_AnyCoilValue)
        self._units, self._gateway = units, kind is FramerType.SOCKET
        self._framer: FramerBase = FRAMER_NAME_TO_CLASS[kind](decoder)
        self._unread = b""

    def hear(self, data: bytes) -> bytes:
        """The answers to the requests that are complete now."""
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
            if reply := self._units.answer(request, gateway=self._gateway):
                reply.dev_id, reply.transaction_id = request.dev_id, request.transaction_id
                answers += self._framer.buildFrame(reply)
        return answers

    def forget(self) -> None:
        """Half a request that will never be whole."""
        self._unread = b""


class _Connection(asyncio.Protocol):
    """One client of the TCP port."""

    def __init__(self, units: Units, connections: set["_Connection"]) -> None:
        self._ear = _Ear(units, FramerType.SOCKET)
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if answers := self._ear.hear(data):
            self._transport.write(answers)  # type: ignore[attr-defined]  # a stream's transport can write

    def close(self) -> None:
        self._transport.close()


class _Pty:
    """The master side of a pty; it does not mind when nobody has opened the other side."""

    def __init__(self, units: Units, fd: int, pace: Pace | None) -> None:
        self._ear = _Ear(units, FramerType.RTU)
        self._fd, self._pace = fd, pace
        self._loop = asyncio.get_running_loop()
        self._again: asyncio.TimerHandle | None = None
        self._heard = 0.0
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
        if self._loop.time() - self._heard > _STALE_S:
            self._ear.forget()
        self._heard = self._loop.time()
        if self._pace is not None:
            self._pace.carry(data, self._ear.hear, self._say)
        elif answers := self._ear.hear(data):
            self._say(answers)

    def _say(self, answers: bytes) -> None:
        with contextlib.suppress(BlockingIOError, OSError):  # nobody reads: as on a real line
            os.write(self._fd, answers)


async def _stop(server: asyncio.Server, connections: set[_Connection]) -> None:
    server.close()
    for connection in list(connections):
        connection.close()
    await server.wait_closed()


def _read(unit: _Unit, request: ModbusPDU) -> ModbusPDU:
    table, response = _READS[request.function_code]
    words = unit.memory.get(table, {})
    wanted = range(request.address, request.address + request.count)
    if not all(address in words for address in wanted):
        return ExceptionResponse(request.function_code, _ILLEGAL_ADDRESS)
    found = [words[address] for address in wanted]
    return response(bits=[bool(bit) for bit in found]) if request.function_code < 3 else response(registers=found)


def _other(profile: ModbusProfile, quantity: str, state: Value, before: Value | None) -> Value:
    """What the board goes back to: the state's only opposite, else what it was before."""
    others = [choice for choice in profile.reading[quantity].choices if choice != state]
    if len(others) == 1 or before in (None, state):
        return others[0] if others else state
    return before if before is not None else state
