"""Modbus transactions without I/O: a request as bytes, and the bytes that came back as checked Registers or a Trouble.

An answer must fit its request in unit, function, length and echo, and must be exactly the bytes that came: a wrong
value is worse than none. No ports, no time-outs, no meaning of registers here (MODBUS Application Protocol V1.1b3).
"""

import struct

import msgspec

from firmware_bridge.raw import Registers, Trouble
from hub.reading import FaultKind

MAX_REGISTERS = 125  # of one read, Application Protocol V1.1b3 6.3 and 6.4
MAX_BITS = 2000  # of one read, 6.1 and 6.2
TABLES = {1: "coil", 2: "discrete", 3: "holding", 4: "input", 5: "coil", 6: "holding"}
DOUBLE_S = 0.05  # so long after an answer a radio bridge may send a second copy of it
READ_FUNCTION = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}

_EXCEPTIONS = {
    0x01: "illegal function",
    0x02: "illegal data address",
    0x03: "illegal data value",
    0x04: "server device failure",
    0x05: "acknowledge: accepted, needs longer",
    0x06: "server device busy",
    0x07: "negative acknowledge",
    0x08: "memory parity error",
    0x0A: "gateway path unavailable",
    0x0B: "gateway: the target device did not respond",
}
_BUSY = frozenset({0x05, 0x06})
_NOT_THERE = 0x0B  # the gateway's word for what a line says by silence
_READS = frozenset({1, 2, 3, 4})
_BIT_READS = frozenset({1, 2})
_ECHOED = frozenset({5, 6, 15, 16})
_MBAP = 6  # transaction, protocol, length: what stands before the unit
_MAX_PDU_AND_UNIT = 254
_GOOD_TCP = struct.Struct(">HHHBBB")  # transaction, protocol, length, unit, function, byte count


class Request(msgspec.Struct, frozen=True):
    """One question: reads (1 to 4) take `count`, writes (5, 6) take `value`, a 16-bit word. Raises ValueError."""

    unit: int
    function: int
    address: int
    count: int = 1
    value: int = 0

    def __post_init__(self) -> None:
        """Refuse what the protocol cannot say."""
        if self.function not in TABLES:
            raise ValueError(f"function {self.function} is not one of 1 to 6")
        if not 0 <= self.unit <= 0xFF:
            raise ValueError(f"unit {self.unit} is not a byte")
        most = 1 if self.function not in _READS else MAX_BITS if self.function in _BIT_READS else MAX_REGISTERS
        if not 1 <= self.count <= most:
            raise ValueError(f"count {self.count} is not 1 to {most}")
        if not (self.address >= 0 and self.address + self.count <= 0x10000 and 0 <= self.value <= 0xFFFF):
            raise ValueError(f"address {self.address} or value {self.value} is not in 0 to 65535")

    @property
    def table(self) -> str:
        """coil | discrete | holding | input."""
        return TABLES[self.function]

    @property
    def expected_rtu_length(self) -> int:
        """Bytes of the good RTU answer, CRC included."""
        return 8 if self.function not in _READS else 5 + self._data_length

    @property
    def shape(self) -> tuple[int, int, int]:
        """All that an RTU answer to a read says of its question: not the address."""
        return self.unit, self.function, self.expected_rtu_length

    @property
    def _data_length(self) -> int:
        return (self.count + 7) // 8 if self.function in _BIT_READS else 2 * self.count

    @property
    def _pdu(self) -> bytes:
        last = self.count if self.function in _READS else self.value
        return struct.pack(">BHH", self.function, self.address, last)

    def rtu(self) -> bytes:
        """The request as an RTU frame, CRC included."""
        body = bytes([self.unit]) + self._pdu
        return body + crc16(body)

    def tcp(self, transaction: int) -> bytes:
        """The request as a Modbus TCP frame with this transaction id (16 bit)."""
        pdu = self._pdu
        return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, self.unit) + pdu

    @classmethod
    def from_rtu(cls, data: bytes) -> "Request":
        """The request in an RTU frame. Raises ValueError when it is none, or its CRC is wrong."""
        if len(data) != 8:
            raise ValueError(f"a request of functions 1 to 6 has 8 bytes, not {len(data)}")
        if crc16(data[:-2]) != data[-2:]:
            raise ValueError(f"CRC {data[-2:].hex(' ')} is wrong, {crc16(data[:-2]).hex(' ')} would be right")
        unit, function, address, last = struct.unpack(">BBHH", data[:6])
        if function in _READS:
            return cls(unit, function, address, count=last)
        return cls(unit, function, address, value=last)


def read_rtu(request: Request, data: bytes) -> Registers | Trouble | None:
    """The answer to `request` in all the bytes that came since it was sent; None while more are needed.

    Nothing is cut off or skipped: leading or trailing bytes make it a Trouble (checksum or mismatch).
    """
    length = rtu_length(data)
    if length == 0:
        length = request.expected_rtu_length  # a function that we never ask: wait for what was asked, then judge
    if length is None or len(data) < length:
        return None
    if crc16(data[: length - 2]) != data[length - 2 : length]:
        if data != request.rtu() and request.rtu().startswith(data):
            return None  # perhaps our own question coming back: that deserves its own words
        return _garbled(request, data)
    if len(data) > length:
        return Trouble(FaultKind.MISMATCH, f"{len(data) - length} more bytes after the answer", data)
    return _checked(request, data[0], data[1:-2], data)


def unfinished_rtu(request: Request, data: bytes) -> Trouble:
    """What to say when the time is over and `read_rtu` still says None."""
    if not data:
        return Trouble(FaultKind.NO_ANSWER, f"unit {request.unit} does not answer")
    if len(data) >= request.expected_rtu_length or data == request.rtu():
        return _garbled(request, data)
    detail = f"the answer broke off after {len(data)} of {request.expected_rtu_length} bytes"
    return Trouble(FaultKind.INCOMPLETE, detail, data)


def rtu_length(data: bytes) -> int | None:
    """How long the RTU answer at the start of `data` says that it is; None: not told yet; 0: no such function."""
    if len(data) < 2:
        return None
    function = data[1]
    if function & 0x80:
        return 5
    if function in _READS:
        return 5 + data[2] if len(data) > 2 else None
    return 8 if function in _ECHOED else 0


def read_tcp(request: Request, transaction: int, data: bytes) -> Registers | Trouble | None:
    """The answer to `request` in one Modbus TCP frame (`tcp_length` cuts a stream); None while more are needed."""
    if request.function in _READS:
        wanted = request._data_length
        good = _GOOD_TCP.pack(transaction, 0, wanted + 3, request.unit, request.function, wanted)
        if data.startswith(good) and len(data) == len(good) + wanted:  # all that is checked below, in one comparison
            return Registers(request.table, request.address, request.count, data[len(good) :])
    length = tcp_length(data)
    if length is None or len(data) < length:
        return None
    if length == 0:
        return Trouble(FaultKind.MALFORMED, f"not Modbus TCP: {data[:8].hex(' ')}", data)
    if len(data) > length:
        return Trouble(FaultKind.MISMATCH, f"{len(data) - length} more bytes after the answer", data)
    if (came := tcp_transaction(data)) != transaction:
        return Trouble(FaultKind.MISMATCH, f"answer to transaction {came}, not to {transaction}", data)
    return _checked(request, data[_MBAP], data[_MBAP + 1 :], data)


def tcp_length(data: bytes) -> int | None:
    """How long the Modbus TCP frame at the start of `data` is; None: not told yet; 0: none at all."""
    if len(data) < _MBAP:
        return None
    _, protocol, length = struct.unpack_from(">HHH", data)
    return 0 if protocol or not 3 <= length <= _MAX_PDU_AND_UNIT else _MBAP + length


def tcp_transaction(data: bytes) -> int:
    """The transaction id of the Modbus TCP frame at the start of `data`."""
    return int.from_bytes(data[:2], "big")


def bits_per_character(parity: str, stop_bits: int) -> int:
    """Start, eight data, parity and stop bits: 10 for 8N1, 11 for 8E1 and 8N2."""
    return 9 + (parity != "N") + stop_bits


def silence_ms(baud: int, parity: str, stop_bits: int) -> float:
    """The silence between frames, t3.5, in ms: 3.5 characters, fixed 1.75 ms above 19200 baud.

    MODBUS over serial line V1.02, 2.5.1.1.
    """
    return 1.75 if baud > 19200 else 3.5 * 1000 * bits_per_character(parity, stop_bits) / baud


def bus_time_ms(request: Request, baud: int, parity: str, stop_bits: int, latency_ms: float) -> float:
    """How long one transaction holds an RS-485 line: both frames, two silences, and the device's own time."""
    characters = len(request.rtu()) + request.expected_rtu_length
    wire_ms = 1000 * characters * bits_per_character(parity, stop_bits) / baud
    return wire_ms + 2 * silence_ms(baud, parity, stop_bits) + latency_ms


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ 0xA001 if byte & 1 else byte >> 1
        table.append(byte)
    return tuple(table)


_CRC = _crc_table()


def crc16(data: bytes) -> bytes:
    """CRC-16/MODBUS (0xA001 reflected, start 0xFFFF; "123456789" gives 0x4B37), low byte first as on the wire."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def _garbled(request: Request, data: bytes) -> Trouble:
    if data.startswith(request.rtu()):
        return Trouble(FaultKind.MISMATCH, "our own question came back (local echo, or a second master?)", data)
    return Trouble(FaultKind.CHECKSUM, f"wrong CRC in {data[:16].hex(' ')}", data)


def _checked(request: Request, unit: int, pdu: bytes, whole: bytes) -> Registers | Trouble:
    """Unit, function, byte count and echo of an answer whose frame is in order."""
    if unit != request.unit:
        return Trouble(FaultKind.MISMATCH, f"unit {unit} answered instead of unit {request.unit}", whole)
    if pdu[0] == request.function | 0x80 and len(pdu) == 2:
        return _exception(pdu[1], whole)
    if pdu[0] != request.function:
        return Trouble(FaultKind.MISMATCH, f"answer to function {pdu[0]}, not to {request.function}", whole)
    if request.function in _READS:
        return _data(request, pdu, whole)
    if pdu != request._pdu:
        return Trouble(FaultKind.MISMATCH, f"confirmed {pdu.hex(' ')}, asked was {request._pdu.hex(' ')}", whole)
    return Registers(request.table, request.address, request.count, b"")


def _data(request: Request, pdu: bytes, whole: bytes) -> Registers | Trouble:
    data, wanted = pdu[2:], request._data_length
    if len(data) != wanted or pdu[1] != wanted:
        return Trouble(FaultKind.MISMATCH, f"{pdu[1]} bytes of data, asked were {wanted}", whole)
    return Registers(request.table, request.address, request.count, data)


def _exception(code: int, whole: bytes) -> Trouble:
    words = _EXCEPTIONS.get(code, "a code of the maker's own")
    silent = FaultKind.NO_ANSWER if code == _NOT_THERE else FaultKind.REFUSED
    kind = FaultKind.BUSY if code in _BUSY else silent
    return Trouble(kind, f"exception {code:02X}: {words}", whole)
