"""Questions and answers of all functions in all framings: published frames, pymodbus's own codec, every delivery."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus import FramerType
from pymodbus.framer import FRAMER_NAME_TO_CLASS
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.bit_message import WriteMultipleCoilsRequest, WriteMultipleCoilsResponse
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest
from pymodbus.pdu.register_message import (
    MaskWriteRegisterRequest,
    MaskWriteRegisterResponse,
    ReadWriteMultipleRegistersRequest,
    ReadWriteMultipleRegistersResponse,
    WriteMultipleRegistersRequest,
    WriteMultipleRegistersResponse,
)

from firmware_bridge.raw import Registers, Trouble, Write
from firmware_bridge.wire.modbus import (
    Request,
    ascii_length,
    ascii_time_ms,
    bits_per_character,
    crc16,
    lrc,
    read_ascii,
    read_rtu,
    read_tcp,
    unfinished_ascii,
    unfinished_rtu,
)
from hub.reading import FaultKind

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "modbus.json").read_text())
# the examples of MODBUS Application Protocol V1.1b3: question, answer (PDUs) and what the answer's data are
STANDARD = {
    "6.1": ("01 00 13 00 13", "01 03 CD 6B 05", "CD 6B 05"),
    "6.2": ("02 00 C4 00 16", "02 03 AC DB 35", "AC DB 35"),
    "6.3": ("03 00 6B 00 03", "03 06 02 2B 00 00 00 64", "02 2B 00 00 00 64"),
    "6.4": ("04 00 08 00 01", "04 02 00 0A", "00 0A"),
    "6.5": ("05 00 AC FF 00", "05 00 AC FF 00", ""),
    "6.6": ("06 00 01 00 03", "06 00 01 00 03", ""),
    "6.11": ("0F 00 13 00 0A 02 CD 01", "0F 00 13 00 0A", ""),
    "6.12": ("10 00 01 00 02 04 00 0A 01 02", "10 00 01 00 02", ""),
    "6.16": ("16 00 04 00 F2 00 25", "16 00 04 00 F2 00 25", ""),
    "6.17": (
        "17 00 03 00 06 00 0E 00 03 06 00 FF 00 FF 00 FF",
        "17 0C 00 FE 0A CD 00 01 00 03 00 0D 00 FF",
        "00 FE 0A CD 00 01 00 03 00 0D 00 FF",
    ),
    "6.21": (
        "2B 0E 01 00",
        VECTORS["device_id"]["response_pdu"],
        VECTORS["device_id"]["response_pdu"][4:],
    ),
}
standard = pytest.mark.parametrize(("question", "answer", "data"), STANDARD.values(), ids=STANDARD)


def framed(pdu: str, unit: int = 17) -> tuple[bytes, bytes]:
    """A PDU as an RTU and as an ASCII frame."""
    body = bytes([unit]) + bytes.fromhex(pdu)
    return body + crc16(body), b":" + (body + lrc(body)).hex().upper().encode() + b"\r\n"


def request_of(pdu: str) -> Request:
    """The question in a PDU, to unit 17."""
    return Request.from_pdu(17, bytes.fromhex(pdu))


@standard
def test_the_examples_of_the_standard(question: str, answer: str, data: str) -> None:
    """Each function's example: the same question, and the answer's data, in RTU, ASCII and TCP."""
    request = request_of(question)
    assert request.pdu == bytes.fromhex(question)
    rtu, ascii_ = framed(answer)
    assert (request.rtu(), request.ascii()) == framed(question)
    want = Registers(request.table, request.address, 3 if data and request.function == 43 else request.count, b"")
    want = Registers(want.table, want.address, want.count, bytes.fromhex(data))
    tcp = b"\x00\x07\x00\x00" + (1 + len(rtu) - 3).to_bytes(2, "big") + rtu[:-2]
    assert read_rtu(request, rtu) == read_ascii(request, ascii_) == read_tcp(request, 7, tcp) == want
    if request.function != 43:
        assert (len(rtu), len(ascii_)) == (request.expected_rtu_length, ascii_length(request))


@standard
@pytest.mark.parametrize(
    ("of", "read", "unfinished"),
    [(0, read_rtu, unfinished_rtu), (1, read_ascii, unfinished_ascii)],
    ids=["rtu", "ascii"],
)
def test_deliveries(
    question: str,
    answer: str,
    data: str,
    of: int,
    read: Callable[[Request, bytes], Registers | Trouble | None],
    unfinished: Callable[[Request, bytes], Trouble],
) -> None:
    """Byte by byte it is waited for; with anything behind it, with one bit wrong, to another unit it is no value."""
    request, frame = request_of(question), framed(answer)[of]
    assert [read(request, frame[:n]) for n in range(len(frame))] == [None] * len(frame)
    for wrong in (frame + b"\0", frame + frame, framed(answer, 18)[of]):
        assert isinstance(read(request, wrong), Trouble)
    for bit in range(8 * len(frame)):
        flipped = frame[: bit // 8] + bytes([frame[bit // 8] ^ 1 << bit % 8]) + frame[bit // 8 + 1 :]
        assert not isinstance(read(request, flipped), Registers)
        assert isinstance(read(request, flipped) or unfinished(request, flipped), Trouble)


@standard
def test_a_question_that_comes_back(question: str, answer: str, data: str) -> None:
    """An echo is no answer to a question whose answer is something else; written words are confirmed by repeating."""
    request = request_of(question)
    said = read_rtu(request, request.rtu()) or unfinished_rtu(request, request.rtu())
    again = read_ascii(request, request.ascii())
    if request.function in (5, 6, 22):
        assert isinstance(said, Registers)
        assert said == again
    else:
        for each in (said, again, read_ascii(request, request.ascii() + framed(answer)[1])):
            assert isinstance(each, Trouble)
            assert "our own question came back" in each.detail


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("0F 00 13 00 0A 02 CD 01", "0F 00 14 00 0A"),
        ("0F 00 13 00 0A 02 CD 01", "0F 00 13 00 0B"),
        ("10 00 01 00 02 04 00 0A 01 02", "10 00 01 00 01"),
        ("16 00 04 00 F2 00 25", "16 00 04 00 F2 00 24"),
        ("16 00 04 00 F2 00 25", "16 00 04 00 F3 00 25"),
        ("17 00 03 00 02 00 0E 00 01 02 00 FF", "17 02 00 FE"),
        ("17 00 03 00 02 00 0E 00 01 02 00 FF", "03 04 00 FE 00 00"),
        ("2B 0E 01 00", "2B 0E 02 83 00 00 00"),
        ("2B 0E 01 00", "2B 0E 01 04 00 00 00"),
        ("2B 0E 01 00", "2B 0E 01 83 01 00 00"),
        ("2B 0E 04 02", "2B 0E 04 83 00 00 01 01 01 41"),
        ("2B 0E 04 02", "2B 0E 04 83 00 00 00"),
        ("2B 0E 04 02", "2B 0D 00"),
    ],
)
def test_a_valid_frame_that_does_not_fit(question: str, answer: str) -> None:
    """Address, quantity, mask, byte count, code and object of the answer must be those of the question."""
    request = request_of(question)
    for read, frame in zip((read_rtu, read_ascii), framed(answer), strict=True):
        said = read(request, frame)
        assert said is None or isinstance(said, Trouble)
    body = b"\0\7\0\0" + bytes([0, len(framed(answer)[0]) - 2]) + framed(answer)[0][:-2]
    tcp = read_tcp(request, 7, body)
    assert isinstance(tcp, Trouble)
    assert tcp.kind is FaultKind.MISMATCH


def test_objects_that_do_not_fill_the_frame() -> None:
    """An identification whose objects end before or after its frame is refused in every framing."""
    request = Request.identify(17)
    for answer in (
        "2B 0E 01 83 00 00 01 00 05 41 42",
        "2B 0E 01 83 00 00 01 00 01 41 42",
        "2B 0E 01 83 00 00 02 00 01 41",
    ):
        said = read_ascii(request, framed(answer)[1])
        assert isinstance(said, Trouble)
        assert said.kind is FaultKind.MISMATCH
    endless = framed("2B 0E 01 83 00 00 02 00 FF" + "41" * 255 + "01 01 41")[0]
    assert read_rtu(request, endless[:200]) is None
    said = read_rtu(request, endless)
    assert isinstance(said, Trouble)


@pytest.mark.parametrize("entry", VECTORS["ascii_lrc"], ids=lambda entry: entry["line"])
def test_published_ascii_lines(entry: dict[str, str]) -> None:
    """The LRC is the one of published lines."""
    body = bytes.fromhex(entry["line"][1:-2])
    assert lrc(body) == bytes.fromhex(entry["line"][-2:])


def test_published_ascii_answer() -> None:
    """A published question and its answer, as they cross the line."""
    request = Request(17, 3, 0x7C, count=2)
    assert request.ascii() == b":1103007C00026E\r\n"
    assert read_ascii(request, b":110304008D008ECD\r\n") == Registers("holding", 0x7C, 2, bytes.fromhex("008D008E"))


@pytest.mark.parametrize(
    "line",
    [
        b"\0:110304008D008ECD\r\n",
        b":110304008d008eCD\r\n",
        b"::110304008D008ECD\r\n",
        b":110304008D008ECD\n",
        b":110304008D008EC\r\n",
        b":110304008D008E\0D\r\n",
        b":110304008D008ECC\r\n",
        b":11\r\n",
        b"\n",
    ],
)
def test_lines_that_are_no_frames(line: bytes) -> None:
    """Small letters, a second colon, a missing carriage return, an odd digit: refused, not mended."""
    said = read_ascii(Request(17, 3, 0x7C, count=2), line)
    assert isinstance(said, Trouble)
    assert said.kind is FaultKind.CHECKSUM


def test_when_an_ascii_line_is_over() -> None:
    """Nothing is no answer, the beginning of a frame is incomplete, anything else is no frame."""
    request = Request(17, 3, 0x7C, count=2)
    kinds = {b"": FaultKind.NO_ANSWER, b":1103": FaultKind.INCOMPLETE, b"x": FaultKind.CHECKSUM}
    kinds[b":" + 30 * b"1"] = FaultKind.CHECKSUM
    assert {data: unfinished_ascii(request, data).kind for data in kinds} == kinds


def test_an_ascii_line_takes_longer() -> None:
    """17 characters of question, 19 of answer, 10 bits each at 9600 baud, and the gap of 3.5 characters."""
    request = Request(1, 3, 0, count=2)
    assert (len(request.ascii()), ascii_length(request), bits_per_character("E", 1, 7)) == (17, 19, 10)
    assert ascii_time_ms(request, 9600, "E", 1, 7, 20) == pytest.approx(36 / 0.96 + 3.5 / 0.96 + 20)


words: st.SearchStrategy[list[int]] = st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=121)


def packed(values: Iterable[int]) -> bytes:
    """Registers as bytes."""
    return b"".join(value.to_bytes(2, "big") for value in values)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Request, ModbusPDU, ModbusPDU]:
    """A question of ours, pymodbus's own, and pymodbus's answer to it."""
    unit, at, there = draw(st.integers(1, 247)), draw(st.integers(0, 60000)), draw(st.integers(0, 60000))
    theirs: ModbusPDU
    answer: ModbusPDU
    match draw(st.sampled_from([15, 16, 22, 23])):
        case 15:
            bits = draw(st.lists(st.booleans(), min_size=1, max_size=1968))
            number = sum(bit << n for n, bit in enumerate(bits))
            data = number.to_bytes((len(bits) + 7) // 8, "little")
            ours = Request(unit, 15, at, len(bits), data=data)
            return ours, WriteMultipleCoilsRequest(at, bits, unit), WriteMultipleCoilsResponse(unit, 0, at, len(bits))
        case 16:
            values = draw(words)
            theirs = WriteMultipleRegistersRequest(unit, 0, at, len(values), registers=values)
            answer = WriteMultipleRegistersResponse(unit, 0, at, len(values))
            return Request(unit, 16, at, len(values), data=packed(values)), theirs, answer
        case 22:
            mask, value = draw(st.integers(0, 0xFFFF)), draw(st.integers(0, 0xFFFF))
            theirs = MaskWriteRegisterRequest(at, mask, value, unit)
            answer = MaskWriteRegisterResponse(at, mask, value, unit)
            return Request(unit, 22, at, value=value, mask=mask), theirs, answer
    values, told = draw(words), draw(words)
    ours = Request(unit, 23, at, len(told), data=packed(values), write_address=there)
    theirs = ReadWriteMultipleRegistersRequest(at, len(told), there, values, unit)
    return ours, theirs, ReadWriteMultipleRegistersResponse(unit, 0, registers=told)


@given(pairs())
def test_as_pymodbus_says_it(pair: tuple[Request, ModbusPDU, ModbusPDU]) -> None:
    """Our questions are byte for byte pymodbus's, and its answers are understood, in every framing."""
    ours, theirs, answer = pair
    build = {kind: FRAMER_NAME_TO_CLASS[kind](DecodePDU(True)).buildFrame for kind in FramerType if kind != "tls"}
    assert ours.rtu() == build[FramerType.RTU](theirs)
    assert ours.ascii() == build[FramerType.ASCII](theirs)
    assert ours.tcp(0) == build[FramerType.SOCKET](theirs)
    assert Request.from_rtu(ours.rtu()) == ours
    data = packed(answer.registers) if ours.function == 23 else b""
    want = Registers(ours.table, ours.address, ours.count, data)
    assert read_rtu(ours, build[FramerType.RTU](answer)) == want
    assert read_ascii(ours, build[FramerType.ASCII](answer)) == want
    assert read_tcp(ours, 0, build[FramerType.SOCKET](answer)) == want


def test_identify_as_pymodbus_asks() -> None:
    """The question of function 43/14 is pymodbus's."""
    theirs = ReadDeviceInformationRequest(read_code=2, object_id=3, dev_id=9)
    assert Request.identify(9, 2, 3).rtu() == FRAMER_NAME_TO_CLASS[FramerType.RTU](DecodePDU(True)).buildFrame(theirs)


@pytest.mark.parametrize(
    "wrong",
    [
        {"function": 15, "count": 1969, "data": bytes(247)},
        {"function": 15, "count": 9, "data": b"\1"},
        {"function": 15, "count": 3, "data": b"\x08"},
        {"function": 16, "count": 124, "data": bytes(248)},
        {"function": 16, "count": 1, "data": b"\0"},
        {"function": 16},
        {"function": 16, "data": b"\0\0", "write_address": 1},
        {"function": 6, "data": b"\0\0"},
        {"function": 6, "mask": 1},
        {"function": 22, "mask": 0x10000},
        {"function": 22, "mask": -1},
        {"function": 23, "data": b""},
        {"function": 23, "data": bytes(244)},
        {"function": 23, "data": b"\0"},
        {"function": 23, "data": b"\0\0", "write_address": 65536},
        {"function": 23, "count": 126, "data": b"\0\0"},
        {"function": 43, "value": 5},
        {"function": 43, "value": 1, "address": 256},
    ],
    ids=str,
)
def test_what_the_protocol_cannot_say(wrong: dict[str, Any]) -> None:  # Any: fields of all types
    """Limits of 6.11 to 6.21: refused before anything leaves."""
    with pytest.raises(ValueError, match=r"\d"):
        Request(**{"unit": 1, "address": 0, **wrong})


@pytest.mark.parametrize(
    "pdu", ["", "03", "03 00 00 00 01 00", "07 00 00 00 00", "2B 0D 01 00", "10 00 00 00 01 02 00"]
)
def test_bytes_that_are_no_question(pdu: str) -> None:
    """Too short, too long, of another function or kind."""
    with pytest.raises(ValueError, match=r"question|function|data"):
        Request.from_pdu(1, bytes.fromhex(pdu))


@pytest.mark.parametrize("function", [1, 3, 23, 43])
def test_only_writes_write(function: int) -> None:
    """An order is a write, whatever its numbers are."""
    with pytest.raises(ValueError, match="is no write"):
        Request.of(1, Write(function, 0, data=b"\0\0"))


@given(pairs(), st.binary(max_size=60))
def test_any_bytes(pair: tuple[Request, ModbusPDU, ModbusPDU], data: bytes) -> None:
    """Whatever comes, the readers answer with a value, a Trouble or None, never with an exception."""
    for request in (pair[0], Request.identify(1, 4, 7)):
        for unit in (b"", bytes([request.unit, request.function])):
            read = [read_rtu(request, unit + data), read_ascii(request, unit + data), read_tcp(request, 1, unit + data)]
            assert all(isinstance(each, Registers | Trouble | None) for each in read)
            assert isinstance(unfinished_rtu(request, data), Trouble)
            assert isinstance(unfinished_ascii(request, data), Trouble)
