"""Simulated Modbus devices: the units of one link, on a TCP port or on the master side of a pty.

Messages are pymodbus's, an independent implementation; memory and commands come from the profiles. What the values are
and how they change is the play's business, not this file's.
"""

import asyncio
import contextlib
import struct
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Self

import msgspec
from pymodbus import FramerType
from pymodbus.constants import DeviceInformation
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsResponse,
    ReadDiscreteInputsResponse,
    WriteMultipleCoilsRequest,
    WriteMultipleCoilsResponse,
)
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest, ReadDeviceInformationResponse
from pymodbus.pdu.register_message import (
    MaskWriteRegisterRequest,
    MaskWriteRegisterResponse,
    ReadHoldingRegistersResponse,
    ReadInputRegistersResponse,
    ReadWriteMultipleRegistersRequest,
    ReadWriteMultipleRegistersResponse,
    WriteMultipleRegistersRequest,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)

from device_profiles.types import ModbusLink, ModbusProfile
from firmware_bridge.raw import Write
from firmware_bridge.simulate.modbus_stream import AnyCoilValue, Connection, Pty, stop
from firmware_bridge.simulate.paced import Pace
from firmware_bridge.wire import encode, orders
from hub.clock import Clock
from hub.reading import Value
from hub.settings.site import ModbusAsciiLink, ModbusLine, ModbusTcpLink

_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE, _NO_TARGET = 1, 2, 3, 11
_ON, _OFF = 0xFF00, 0x0000
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
        link: ModbusLine,
        clock: Clock,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        fd: int | None = None,
        pace: Pace | None = None,
    ) -> None:
        """Speaks as the link does. `fd` stays the caller's; with `pace` it takes a real line's time."""
        self._clock = clock
        self._gateway = isinstance(link, ModbusTcpLink)
        serial = FramerType.ASCII if isinstance(link, ModbusAsciiLink) else FramerType.RTU
        self._framer = FramerType.SOCKET if self._gateway else serial
        self._host, self.port, self._fd, self._pace = host, port, fd, pace
        units = [_Unit(device.id, device.profile, device.options) for device in link.devices]
        self._by_id = {unit.id: unit for unit in units}
        self._by_number = {unit.number: unit for unit in units}
        self._pulses: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Serve."""
        if self._fd is not None:
            self._open.callback(Pty(self.answer, self._framer, self._fd, self._pace).close)
            return self
        connections: set[Connection] = set()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            partial(Connection, self.answer, self._framer, connections), self._host, self.port
        )
        self.port = server.sockets[0].getsockname()[1]
        self._open.push_async_callback(stop, server, connections)
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

    def answer(self, request: ModbusPDU) -> ModbusPDU | None:
        """What comes back; None: nothing. A gateway says so when there is no such unit, an RS-485 line does not."""
        unit = self._by_number.get(request.dev_id)
        if unit is None:
            return ExceptionResponse(request.function_code, _NO_TARGET) if self._gateway else None
        if unit.silent:
            return None
        if request.function_code in _READS:
            return _read(unit, request)
        if isinstance(request, ReadDeviceInformationRequest):
            return _identified(unit, request)
        if isinstance(request, ReadWriteMultipleRegistersRequest):
            write = Write(16, request.write_address, data=_packed(request.write_registers))
            refused = self._write(unit, write, request)
            return _read_back(unit, request) if refused is request else refused
        if (understood := _written(request)) is not None:
            return self._write(unit, *understood)
        return ExceptionResponse(request.function_code, _ILLEGAL_FUNCTION)

    def _write(self, unit: "_Unit", write: Write, reply: ModbusPDU) -> ModbusPDU:
        known = orders.read(unit.profile, write)
        if known is not None:
            self._command(unit, *known)
            return reply
        words = unit.memory.get("coil" if write.function in (5, 15) else "holding", {})
        if write.function == 5 and write.value not in (_ON, _OFF) and write.address in words:
            return ExceptionResponse(write.function, _ILLEGAL_VALUE)
        fresh = _stored(write, words.get(write.address, 0))
        if not fresh.keys() <= words.keys():
            return ExceptionResponse(reply.function_code, _ILLEGAL_ADDRESS)
        words.update(fresh)
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


def _written(request: ModbusPDU) -> tuple[Write, ModbusPDU] | None:
    """The write that a request asks for, and the answer that confirms it. Bits and bytes are packed by us."""
    at = request.address
    match request:
        case AnyCoilValue():
            return Write(5, at, request.value), request
        case WriteSingleRegisterRequest():
            return Write(6, at, request.registers[0]), WriteSingleRegisterResponse(
                address=at, registers=request.registers
            )
        case WriteMultipleCoilsRequest():
            bits = sum(bool(bit) << n for n, bit in enumerate(request.bits))
            data = bits.to_bytes((request.count + 7) // 8, "little")
            return Write(15, at, count=request.count, data=data), WriteMultipleCoilsResponse(
                address=at, count=request.count
            )
        case WriteMultipleRegistersRequest():
            return Write(16, at, data=_packed(request.registers)), WriteMultipleRegistersResponse(
                address=at, count=request.count
            )
        case MaskWriteRegisterRequest():
            return Write(22, at, request.or_mask, mask=request.and_mask), MaskWriteRegisterResponse(
                address=at, and_mask=request.and_mask, or_mask=request.or_mask
            )
    return None


def _stored(write: Write, now: int) -> dict[int, int]:
    """What stands in the memory after a write; `now` is the word at its address."""
    at, data = write.address, write.data
    match write.function:
        case 5:
            return {at: int(write.value == _ON)}
        case 6:
            return {at: write.value}
        case 15:
            return {at + n: data[n // 8] >> n % 8 & 1 for n in range(write.count)}
        case 16:
            return {at + n: word for n, (word,) in enumerate(struct.iter_unpack(">H", data))}
    return {at: now & write.mask | write.value & ~write.mask & 0xFFFF}


def _packed(words: Iterable[int]) -> bytes:
    return b"".join(word.to_bytes(2, "big") for word in words)


def _read_back(unit: _Unit, request: ReadWriteMultipleRegistersRequest) -> ModbusPDU:
    words = unit.memory.get("holding", {})
    wanted = range(request.read_address, request.read_address + request.read_count)
    if not all(address in words for address in wanted):
        return ExceptionResponse(request.function_code, _ILLEGAL_ADDRESS)
    return ReadWriteMultipleRegistersResponse(registers=[words[address] for address in wanted])


def _identified(unit: _Unit, request: ReadDeviceInformationRequest) -> ModbusPDU:
    """Function 43/14: who the unit says that it is, all of it made from its profile."""
    texts = ("Zhian simulator", unit.profile.id, f"{unit.profile.profile}", "", unit.profile.title.en, unit.id)
    objects = {number: text.encode() for number, text in enumerate(texts) if text}
    if request.read_code == DeviceInformation.SPECIFIC:
        objects = {number: data for number, data in objects.items() if number == request.object_id}
        if not objects:
            return ExceptionResponse(request.function_code, _ILLEGAL_ADDRESS)
    most = 2 if request.read_code == DeviceInformation.BASIC else 0xFF
    first = request.object_id if request.object_id in objects else 0
    told = {number: data for number, data in objects.items() if first <= number <= most or len(objects) == 1}
    return ReadDeviceInformationResponse(read_code=request.read_code, information=told)
