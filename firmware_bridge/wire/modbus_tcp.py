"""Modbus TCP answers out of a stream: the MBAP header says how long a frame is, and which question it answers.

No sockets, no clock (MODBUS Messaging on TCP/IP V1.0b, 3.1.3). RTU frames in a TCP stream are `modbus_rtu`'s.
"""

import struct

from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire.modbus_answer import checked
from firmware_bridge.wire.modbus_pdu import MAX_PDU, Request
from hub.reading import FaultKind

_GOOD = struct.Struct(">HHHBBB")  # transaction, protocol, length, unit, function, byte count
_WORDS = frozenset({3, 4})
_MBAP = 6  # transaction, protocol, length: what stands before the unit


def read_tcp(request: Request, transaction: int, data: bytes) -> Registers | Trouble | None:
    """The answer to `request` in one Modbus TCP frame (`tcp_length` cuts a stream); None while more are needed."""
    if request.function in _WORDS:  # whose answer is never as long as its question: no echo can look like it
        wanted = request.data_length
        good = _GOOD.pack(transaction, 0, wanted + 3, request.unit, request.function, wanted)
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
    return checked(request, data[_MBAP], data[_MBAP + 1 :], data)


def tcp_length(data: bytes) -> int | None:
    """How long the Modbus TCP frame at the start of `data` is; None: not told yet; 0: none at all."""
    if len(data) < _MBAP:
        return None
    _, protocol, length = struct.unpack_from(">HHH", data)
    return 0 if protocol or not 3 <= length <= MAX_PDU + 1 else _MBAP + length


def tcp_transaction(data: bytes) -> int:
    """The transaction id of the Modbus TCP frame at the start of `data`."""
    return int.from_bytes(data[:2], "big")
