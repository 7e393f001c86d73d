"""What must be true of a Modbus answer: unit, function, quantity, byte count and echo are those of its question.

A wrong value is worse than none, so whatever does not fit is a Trouble with a name. How an answer is cut out of a
stream is the framings' business, what its registers mean `decode`'s (MODBUS Application Protocol V1.1b3).
"""

from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire.modbus_pdu import IDENTIFICATION, IDENTIFY, MAX_PDU, MEI_IDENTIFY, READS, Request
from hub.reading import FaultKind

BUSY_PAUSE_S = 1.0  # so long a device that says "later" is left alone; the standard names no time

_REPEATED = frozenset({5, 6, 22})  # the good answer is the question itself
_WRITTEN_LENGTH = {5: 5, 6: 5, 15: 5, 16: 5, 22: 7}  # of the answer's PDU
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
_LATER = frozenset({0x05, 0x06})
_NOT_REACHED = frozenset({0x0A, 0x0B})


def checked(request: Request, unit: int, pdu: bytes, whole: bytes) -> Registers | Trouble:
    """What an answer says whose frame is in order; `whole` are the bytes that a Trouble keeps."""
    if unit != request.unit:
        return Trouble(FaultKind.MISMATCH, f"unit {unit} answered instead of unit {request.unit}", whole)
    if pdu[0] == request.function | 0x80 and len(pdu) == 2:
        return _exception(pdu[1], whole)
    if pdu[0] != request.function:
        return Trouble(FaultKind.MISMATCH, f"answer to function {pdu[0]}, not to {request.function}", whole)
    if pdu == request.pdu and request.function not in _REPEATED:
        return echo(whole)
    if request.function in READS:
        return _data(request, pdu, whole)
    if request.function == IDENTIFY:
        return _identification(request, pdu, whole)
    if pdu != request.pdu[: request.answer_length]:
        return Trouble(FaultKind.MISMATCH, f"confirmed {pdu.hex(' ')}, asked was {request.pdu.hex(' ')}", whole)
    return Registers(request.table, request.address, request.count, b"")


def echo(whole: bytes) -> Trouble:
    """The Trouble of a line that brings our own question back. It may even look like an answer, and is none."""
    return Trouble(FaultKind.MISMATCH, "our own question came back (local echo, or a second master?)", whole)


def answer_length(pdu: bytes) -> int | None:
    """How long the answer's PDU says that it is, by its first bytes; None: not told yet; 0: no such function."""
    if not pdu:
        return None
    if pdu[0] & 0x80:
        return 2
    if pdu[0] in READS:
        return 2 + pdu[1] if len(pdu) > 1 else None
    if pdu[0] == IDENTIFY:
        return _identification_length(pdu)
    return _WRITTEN_LENGTH.get(pdu[0], 0)


def _identification_length(pdu: bytes) -> int | None:
    """6.21: MEI type, code, conformity, more follows, next object, number of objects; then number, length, bytes."""
    if len(pdu) > 1 and pdu[1] != MEI_IDENTIFY:
        return 0
    if len(pdu) < 7:
        return None
    length = 7
    for _ in range(pdu[6]):
        if len(pdu) < length + 2:
            return None
        length += 2 + pdu[length + 1]
    return length if length <= MAX_PDU else 0


def _data(request: Request, pdu: bytes, whole: bytes) -> Registers | Trouble:
    data, wanted = pdu[2:], request.data_length
    if len(data) != wanted or pdu[1] != wanted:
        return Trouble(FaultKind.MISMATCH, f"{len(data)} bytes of data, asked were {wanted}", whole)
    return Registers(request.table, request.address, request.count, data)


def _identification(request: Request, pdu: bytes, whole: bytes) -> Registers | Trouble:
    if answer_length(pdu) != len(pdu):
        return Trouble(FaultKind.MISMATCH, "the objects of the identification do not fill it", whole)
    if pdu[2] != request.value or pdu[3] & 0x7F not in (1, 2, 3) or pdu[4] not in (0x00, 0xFF):
        return Trouble(FaultKind.MISMATCH, f"not an identification of code {request.value}: {pdu[:7].hex(' ')}", whole)
    if request.value == 4 and (pdu[6] != 1 or pdu[7] != request.address):
        return Trouble(FaultKind.MISMATCH, f"not the one object {request.address}: {pdu[:9].hex(' ')}", whole)
    return Registers(IDENTIFICATION, request.address, pdu[6], pdu[2:])


def _exception(code: int, whole: bytes) -> Trouble:
    """7: 05 and 06 mean later; 0A and 0B that a gateway did not reach the device, which is as good as silent."""
    detail = f"exception {code:02X}: " + _EXCEPTIONS.get(code, "a code of the maker's own")
    if code in _LATER:
        return Trouble(FaultKind.BUSY, detail, whole, pause_s=BUSY_PAUSE_S)
    return Trouble(FaultKind.NO_ANSWER if code in _NOT_REACHED else FaultKind.REFUSED, detail, whole)
