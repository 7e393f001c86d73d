"""Modbus questions: what may be asked, and its bytes in each framing, before any of them leaves.

What an answer must look like is `modbus_answer`'s, how it is cut out of a stream the framings' (`modbus_rtu`, `_ascii`,
`_tcp`). Functions and limits are those of MODBUS Application Protocol V1.1b3, chapter 6.
"""

import struct

import msgspec

from firmware_bridge.raw import Write
from firmware_bridge.wire.modbus_sums import crc16, lrc

MAX_REGISTERS = 125  # of one read, 6.3 and 6.4
MAX_BITS = 2000  # of one read, 6.1 and 6.2
MAX_PDU = 253  # 4.1
IDENTIFY, MEI_IDENTIFY = 43, 14  # 6.21: read device identification
IDENTIFICATION = "identification"
TABLES = {
    1: "coil",
    2: "discrete",
    3: "holding",
    4: "input",
    5: "coil",
    6: "holding",
    15: "coil",
    16: "holding",
    22: "holding",
    23: "holding",
    IDENTIFY: IDENTIFICATION,
}
READ_FUNCTION = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}

READS = frozenset({1, 2, 3, 4, 23})
_BIT_READS = frozenset({1, 2})
_BITS_WRITTEN, _REGISTERS_WRITTEN, _MASKED, _READ_WRITE = 15, 16, 22, 23
_WITH_DATA = frozenset({_BITS_WRITTEN, _REGISTERS_WRITTEN, _READ_WRITE})
_WRITES = frozenset({5, 6, _BITS_WRITTEN, _REGISTERS_WRITTEN, _MASKED})
_MOST = {1: MAX_BITS, 2: MAX_BITS, 3: MAX_REGISTERS, 4: MAX_REGISTERS, 15: 1968, 16: 123, 23: MAX_REGISTERS}
_MOST_READ_WRITTEN = 121  # registers that one function 23 writes, 6.17
_CODES = range(1, 5)  # of 43/14: basic, regular, extended, one object


class Request(msgspec.Struct, frozen=True):
    """One question. Raises ValueError for what the protocol cannot say.

    Reads (1 to 4) take `count`; 5 and 6 `value`, a 16-bit word; 15 `count` coils packed in `data`, the first lowest;
    16 `count` registers in `data`; 22 the AND mask in `mask`, the OR mask in `value`; 23 reads `count` registers after
    it wrote `data` to `write_address`; 43 (`identify`) takes its code in `value`, the object's number in `address`.
    """

    unit: int
    function: int
    address: int
    count: int = 1
    value: int = 0
    mask: int = 0
    data: bytes = b""
    write_address: int = 0

    def __post_init__(self) -> None:
        """Refuse what the protocol cannot say."""
        if self.function not in TABLES:
            raise ValueError(f"function {self.function} is not one of {', '.join(map(str, TABLES))}")
        if not 0 <= self.unit <= 0xFF:
            raise ValueError(f"unit {self.unit} is not a byte")
        most = _MOST.get(self.function, 1)
        if not 1 <= self.count <= most:
            raise ValueError(f"count {self.count} is not 1 to {most}")
        if not (self.address >= 0 and self.address + self.count <= 0x10000 and 0 <= self.value <= 0xFFFF):
            raise ValueError(f"address {self.address} or value {self.value} is not in 0 to 65535")
        self._check_written()
        if self.function == IDENTIFY and not (self.value in _CODES and self.address <= 0xFF):
            raise ValueError(f"code {self.value} is not 1 to 4, or object {self.address} is not a byte")

    def _check_written(self) -> None:
        if not 0 <= self.mask <= (0xFFFF if self.function == _MASKED else 0):
            raise ValueError(f"mask {self.mask} is no 16-bit mask of function 22")
        size = len(self.data)
        if self.function == _READ_WRITE:
            if not (size % 2 == 0 and 2 <= size <= 2 * _MOST_READ_WRITTEN):
                raise ValueError(f"data of {size} bytes: function 23 writes 1 to {_MOST_READ_WRITTEN} registers")
            if not 0 <= self.write_address <= 0x10000 - size // 2:
                raise ValueError(f"write address {self.write_address} is not in 0 to 65535")
            return
        wanted = {_BITS_WRITTEN: (self.count + 7) // 8, _REGISTERS_WRITTEN: 2 * self.count}.get(self.function, 0)
        if size != wanted or self.write_address:
            raise ValueError(f"data of {size} bytes: function {self.function} with count {self.count} has {wanted}")
        if self.function == _BITS_WRITTEN and self.data[-1] >> ((self.count - 1) % 8 + 1):
            raise ValueError(f"data holds more coils than count {self.count}")

    @classmethod
    def of(cls, unit: int, write: Write) -> "Request":
        """The question that carries out a `raw.Write`. Raises ValueError."""
        if write.function not in _WRITES:
            raise ValueError(f"function {write.function} is no write; it must be one of 5, 6, 15, 16, 22")
        count = len(write.data) // 2 if write.function == _REGISTERS_WRITTEN else write.count
        return cls(unit, write.function, write.address, count, write.value, write.mask, write.data)

    @classmethod
    def identify(cls, unit: int, code: int = 1, first: int = 0) -> "Request":
        """Function 43/14 from object `first` on: `code` 1 basic, 2 regular, 3 extended, 4 this one object only."""
        return cls(unit, IDENTIFY, first, value=code)

    @property
    def table(self) -> str:
        """coil | discrete | holding | input | identification."""
        return TABLES[self.function]

    @property
    def pdu(self) -> bytes:
        """Function and data, as every framing carries them."""
        if self.function in _WITH_DATA:
            size = len(self.data)
            there = (self.write_address, size // 2) if self.function == _READ_WRITE else ()
            head = struct.pack(f">{2 + len(there)}HB", self.address, self.count, *there, size)
            return bytes([self.function]) + head + self.data
        if self.function == _MASKED:
            return struct.pack(">BHHH", self.function, self.address, self.mask, self.value)
        if self.function == IDENTIFY:
            return bytes([IDENTIFY, MEI_IDENTIFY, self.value, self.address])
        return struct.pack(">BHH", self.function, self.address, self.count if self.function in READS else self.value)

    @property
    def answer_length(self) -> int:
        """Bytes of the good answer's PDU; of an identification the most that it can have."""
        if self.function in READS:
            return 2 + self.data_length
        return {_MASKED: 7, IDENTIFY: MAX_PDU}.get(self.function, 5)

    @property
    def expected_rtu_length(self) -> int:
        """Bytes of the good RTU answer, CRC included."""
        return 3 + self.answer_length

    @property
    def shape(self) -> tuple[int, int, int]:
        """All that the answer to a read says of its question on a serial line: not the address."""
        return self.unit, self.function, self.answer_length

    @property
    def data_length(self) -> int:
        """Bytes of data that a read asks for."""
        return (self.count + 7) // 8 if self.function in _BIT_READS else 2 * self.count

    def rtu(self) -> bytes:
        """The question as an RTU frame, CRC included."""
        body = bytes([self.unit]) + self.pdu
        return body + crc16(body)

    def ascii(self) -> bytes:
        """The question as an ASCII frame, from the colon to the line feed."""
        body = bytes([self.unit]) + self.pdu
        return b":" + (body + lrc(body)).hex().upper().encode() + b"\r\n"

    def tcp(self, transaction: int) -> bytes:
        """The question as a Modbus TCP frame with this transaction id (16 bit)."""
        pdu = self.pdu
        return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, self.unit) + pdu

    @classmethod
    def from_rtu(cls, data: bytes) -> "Request":
        """The question in an RTU frame. Raises ValueError when it is none, or its CRC is wrong."""
        if len(data) < 6:
            raise ValueError(f"a question has at least 6 bytes, not {len(data)}")
        if crc16(data[:-2]) != data[-2:]:
            raise ValueError(f"CRC {data[-2:].hex(' ')} is wrong, {crc16(data[:-2]).hex(' ')} would be right")
        return cls.from_pdu(data[0], data[1:-2])

    @classmethod
    def from_pdu(cls, unit: int, pdu: bytes) -> "Request":
        """The question in function and data. Raises ValueError."""
        try:
            request = _parsed(unit, pdu)
        except (struct.error, IndexError):
            request = None
        if request is None or request.pdu != pdu:
            raise ValueError(f"{len(pdu)} bytes are no question of function {pdu[0] if pdu else 'none'}")
        return request


def _parsed(unit: int, pdu: bytes) -> Request:
    """Each number from its place; `from_pdu` sees by the way back whether it was all."""
    function = pdu[0]
    if function == IDENTIFY:
        return Request.identify(unit, pdu[2], pdu[3])
    address, last = struct.unpack_from(">HH", pdu, 1)
    if function == _READ_WRITE:
        there = struct.unpack_from(">H", pdu, 5)[0]
        return Request(unit, function, address, last, data=pdu[10:], write_address=there)
    if function in _WITH_DATA:
        return Request(unit, function, address, last, data=pdu[6:])
    if function == _MASKED:
        return Request(unit, function, address, mask=last, value=struct.unpack_from(">H", pdu, 5)[0])
    if function in READS:
        return Request(unit, function, address, last)
    return Request(unit, function, address, value=last)
