"""Modbus ASCII answers out of the characters of a serial line: colon, hexadecimal digits, LRC, CR, LF.

As strict as RTU: nothing before, nothing after, capital digits only. No ports, no clock (MODBUS over serial line
V1.02, 2.5.2). The LRC is weak: two damaged characters may cancel out, so such a line wants its parity bit.
"""

import re

from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire.modbus_answer import checked, echo
from firmware_bridge.wire.modbus_pdu import Request
from firmware_bridge.wire.modbus_rtu import bits_per_character
from firmware_bridge.wire.modbus_sums import lrc
from hub.reading import FaultKind

STALL_S = 1.0  # between two characters of a frame (2.5.2.1); longer, and the frame has broken off
_FRAME = re.compile(rb":((?:[0-9A-F]{2}){4,255})\r\n")  # unit, function, one byte and LRC at least; 513 characters


def read_ascii(request: Request, data: bytes) -> Registers | Trouble | None:
    """The answer to `request` in all the characters that came since it was sent; None while more are needed."""
    end = data.find(b"\n") + 1
    if end == 0:
        return None
    frame = _FRAME.fullmatch(data[:end])
    if frame is None:
        return Trouble(FaultKind.CHECKSUM, f"not a Modbus ASCII frame: {data[:40]!r}", data)
    body = bytes.fromhex(frame[1].decode())
    if lrc(body[:-1]) != body[-1:]:
        return Trouble(FaultKind.CHECKSUM, f"wrong LRC in {data[:40]!r}", data)
    if len(data) > end:
        if data.startswith(request.ascii()):
            return echo(data)
        return Trouble(FaultKind.MISMATCH, f"{len(data) - end} more characters after the answer", data)
    return checked(request, body[0], body[1:-1], data)


def unfinished_ascii(request: Request, data: bytes) -> Trouble:
    """What to say when the time is over, or no character came for `STALL_S`, and `read_ascii` still says None."""
    if not data:
        return Trouble(FaultKind.NO_ANSWER, f"unit {request.unit} does not answer")
    if not data.startswith(b":") or len(data) >= ascii_length(request):
        return Trouble(FaultKind.CHECKSUM, f"not a Modbus ASCII frame: {data[:40]!r}", data)
    detail = f"the answer broke off after {len(data)} of {ascii_length(request)} characters"
    return Trouble(FaultKind.INCOMPLETE, detail, data)


def ascii_length(request: Request) -> int:
    """Characters of the good answer."""
    return 2 * (1 + request.answer_length) + 5


def gap_ms(baud: int, parity: str, stop_bits: int, data_bits: int) -> float:
    """So long after the line feed more characters would belong to the same frame: 3.5 of them, as on an RTU line."""
    return 3.5 * 1000 * bits_per_character(parity, stop_bits, data_bits) / baud


def ascii_time_ms(request: Request, baud: int, parity: str, stop_bits: int, data_bits: int, latency_ms: float) -> float:
    """How long one transaction holds the line: both frames, the gap after the answer, and the device's own time."""
    characters = len(request.ascii()) + ascii_length(request)
    wire_ms = 1000 * characters * bits_per_character(parity, stop_bits, data_bits) / baud
    return wire_ms + gap_ms(baud, parity, stop_bits, data_bits) + latency_ms
