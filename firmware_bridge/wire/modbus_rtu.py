"""Modbus RTU answers out of the bytes of a serial line, and how long a transaction holds that line.

An answer must be exactly the bytes that came. No ports, no clock (MODBUS over serial line V1.02, 2.5.1).
"""

from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire.modbus_answer import answer_length, checked, echo
from firmware_bridge.wire.modbus_pdu import Request
from firmware_bridge.wire.modbus_sums import crc16
from hub.reading import FaultKind

DOUBLE_S = 0.05  # so long after an answer a radio bridge may send a second copy of it


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
    return checked(request, data[0], data[1:-2], data)


def unfinished_rtu(request: Request, data: bytes) -> Trouble:
    """What to say when the time is over and `read_rtu` still says None."""
    if not data:
        return Trouble(FaultKind.NO_ANSWER, f"unit {request.unit} does not answer")
    if len(data) >= request.expected_rtu_length or data.startswith(request.rtu()):
        return _garbled(request, data)
    detail = f"the answer broke off after {len(data)} of {request.expected_rtu_length} bytes"
    return Trouble(FaultKind.INCOMPLETE, detail, data)


def rtu_length(data: bytes) -> int | None:
    """How long the RTU answer at the start of `data` says that it is; None: not told yet; 0: no such function."""
    length = answer_length(data[1:])
    return 3 + length if length else length


def bits_per_character(parity: str, stop_bits: int, data_bits: int = 8) -> int:
    """Start, data, parity and stop bits: 10 for 8N1 and 7E1, 11 for 8E1 and 8N2."""
    return 1 + data_bits + (parity != "N") + stop_bits


def silence_ms(baud: int, parity: str, stop_bits: int) -> float:
    """The silence between frames, t3.5, in ms: 3.5 characters, fixed 1.75 ms above 19200 baud (2.5.1.1)."""
    return 1.75 if baud > 19200 else 3.5 * 1000 * bits_per_character(parity, stop_bits) / baud


def bus_time_ms(request: Request, baud: int, parity: str, stop_bits: int, latency_ms: float) -> float:
    """How long one transaction holds an RS-485 line: both frames, two silences, and the device's own time."""
    characters = len(request.rtu()) + request.expected_rtu_length
    wire_ms = 1000 * characters * bits_per_character(parity, stop_bits) / baud
    return wire_ms + 2 * silence_ms(baud, parity, stop_bits) + latency_ms


def _garbled(request: Request, data: bytes) -> Trouble:
    if data.startswith(request.rtu()):
        return echo(data)
    return Trouble(FaultKind.CHECKSUM, f"wrong CRC in {data[:16].hex(' ')}", data)
