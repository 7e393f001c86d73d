"""The Modbus codec against published frames, every delivery, every flipped bit, and pymodbus's own encoder."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus import FramerType
from pymodbus.framer import FRAMER_NAME_TO_CLASS
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.bit_message import ReadCoilsResponse
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse

from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire.modbus import (
    Request,
    bus_time_ms,
    crc16,
    read_rtu,
    read_tcp,
    rtu_length,
    silence_ms,
    tcp_length,
    unfinished_rtu,
)
from hub.reading import FaultKind

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "modbus.json").read_text())
READ_TWO = Request(17, 3, 0x007C, count=2)
WRITE_COIL = Request(1, 5, 0x0200, value=7)
READ_COILS = Request(1, 1, 0, count=10)
ANSWERS = {
    READ_TWO: bytes.fromhex("11 03 04 00 8D 00 8E"),
    WRITE_COIL: bytes.fromhex("01 05 02 00 00 07"),
    READ_COILS: bytes.fromhex("01 01 02 FF 03"),
    Request(3, 6, 1, value=0x1234): bytes.fromhex("03 06 00 01 12 34"),
}

requests = st.one_of(
    st.builds(Request, st.integers(1, 247), st.sampled_from([1, 2]), st.integers(0, 60000), st.integers(1, 2000)),
    st.builds(Request, st.integers(1, 247), st.sampled_from([3, 4]), st.integers(0, 60000), st.integers(1, 125)),
    st.builds(
        Request,
        st.integers(1, 247),
        st.sampled_from([5, 6]),
        st.integers(0, 65535),
        value=st.integers(0, 65535),
    ),
)


def sealed(body: bytes) -> bytes:
    """The body as an RTU frame."""
    return body + crc16(body)


@pytest.mark.parametrize("entry", VECTORS["crc_vectors"], ids=lambda entry: entry["body"])
def test_crc_of_published_frames(entry: dict[str, str]) -> None:
    """The CRC is the one of published frames, low byte first."""
    assert crc16(bytes.fromhex(entry["body"])) == bytes.fromhex(entry["crc_lo_hi"])


def test_crc_check_value() -> None:
    """CRC-16/MODBUS is named by its check value, 4B37."""
    assert crc16(b"123456789") == (0x4B37).to_bytes(2, "little")


def test_published_pulse_frame() -> None:
    """Function 5 carries any value: the timed relay's frame is the maker's."""
    assert WRITE_COIL.rtu() == bytes.fromhex(VECTORS["pulse"]["frame"])


def test_published_tcp_frames() -> None:
    """Question, answer and exception of Modbus TCP as published."""
    question, answer, refusal = (bytes.fromhex(entry["hex"]) for entry in VECTORS["tcp"])
    assert READ_TWO.tcp(0) == question
    assert read_tcp(READ_TWO, 0x0C05, answer) == Registers("holding", 0x7C, 2, bytes.fromhex("008D008E"))
    said = read_tcp(READ_TWO, 0x0C05, refusal)
    assert isinstance(said, Trouble)
    assert (said.kind, said.detail) == (FaultKind.REFUSED, "exception 02: illegal data address")


@pytest.mark.parametrize("row", [row for row in VECTORS["bus_time"]["rows"] if row["fc"] == "03/04"], ids=str)
def test_bus_time_table(row: dict[str, float]) -> None:
    """Bus time is frames and silences; 10 bits a character is 8N1, 11 is 8E1."""
    baud, parity = int(row["baud"]), "N" if row["bits_per_char"] == 10 else "E"
    request = Request(1, 3, 0, count=int(row["registers"]))
    assert silence_ms(baud, parity, 1) == pytest.approx(row["t35_ms"], abs=0.001)
    assert bus_time_ms(request, baud, parity, 1, 0) == pytest.approx(row["total_ms_no_latency"], abs=0.01)
    assert bus_time_ms(request, baud, parity, 1, 20) == pytest.approx(row["total_ms_no_latency"] + 20, abs=0.01)


@given(requests)
def test_request_round_trip(request_: Request) -> None:
    """What `rtu` writes, `from_rtu` reads back."""
    assert Request.from_rtu(request_.rtu()) == request_


@given(requests, st.integers(0, 63))
def test_request_with_a_flipped_bit_is_refused(request_: Request, bit: int) -> None:
    """A damaged request is a ValueError, never another request."""
    with pytest.raises(ValueError, match=r"CRC|function|count|address"):
        Request.from_rtu(flipped(request_.rtu(), bit))


@pytest.mark.parametrize(
    "wrong",
    [
        {"function": 7},
        {"function": 0},
        {"unit": 256},
        {"unit": -1},
        {"function": 3, "count": 126},
        {"function": 1, "count": 2001},
        {"function": 3, "count": 0},
        {"function": 6, "count": 2},
        {"address": 65535, "count": 2},
        {"address": -1},
        {"function": 6, "value": 65536},
    ],
    ids=str,
)
def test_impossible_requests(wrong: dict[str, Any]) -> None:  # Any: fields of all types
    """The limits are the protocol's: 125 registers, 2000 bits, 16-bit addresses."""
    with pytest.raises(ValueError, match=r"\d"):
        Request(**{"unit": 1, "function": 3, "address": 0, **wrong})


@pytest.mark.parametrize("data", [b"", b"\x01\x03", READ_TWO.rtu() + b"\0"])
def test_not_a_request(data: bytes) -> None:
    """A question has its length, and its checksum at the end."""
    with pytest.raises(ValueError, match=r"6 bytes|CRC"):
        Request.from_rtu(data)


@pytest.mark.parametrize("request_", ANSWERS, ids=str)
def test_three_deliveries(request_: Request) -> None:
    """Whole, byte by byte, and with bytes after it: read, waited for, and refused."""
    answer = sealed(ANSWERS[request_])
    data = b"" if request_.function > 4 else ANSWERS[request_][3:]
    assert len(answer) == request_.expected_rtu_length == rtu_length(answer)
    assert read_rtu(request_, answer) == Registers(request_.table, request_.address, request_.count, data)
    assert [read_rtu(request_, answer[:n]) for n in range(len(answer))] == [None] * len(answer)
    for tail in (b"\0", answer):
        said = read_rtu(request_, answer + tail)
        assert isinstance(said, Trouble)
        assert said.kind is FaultKind.MISMATCH


@pytest.mark.parametrize("request_", ANSWERS, ids=str)
def test_every_flipped_bit_is_refused(request_: Request) -> None:
    """No single flipped bit gives a value, whether the reader judges at once or when the time is over."""
    answer = sealed(ANSWERS[request_])
    for bit in range(8 * len(answer)):
        damaged = flipped(answer, bit)
        said = read_rtu(request_, damaged) or unfinished_rtu(request_, damaged)
        assert isinstance(said, Trouble)
        assert said.kind is FaultKind.CHECKSUM
        assert said.payload == damaged


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (READ_TWO, "12 03 04 00 8D 00 8E"),
        (READ_TWO, "11 04 04 00 8D 00 8E"),
        (READ_TWO, "11 43 04 00 8D 00 8E"),
        (READ_TWO, "11 03 02 00 8D"),
        (READ_TWO, "11 03 06 00 8D 00 8E 00 8F"),
        (READ_TWO, "11 84 02"),
        (READ_TWO, "12 83 02"),
        (WRITE_COIL, "01 05 02 01 00 07"),
        (WRITE_COIL, "01 05 02 00 00 08"),
        (WRITE_COIL, "01 06 02 00 00 07"),
        (READ_COILS, "01 01 01 FF"),
    ],
    ids=str,
)
def test_a_valid_frame_that_does_not_fit(request_: Request, body: str) -> None:
    """A right CRC is not enough: unit, function, byte count and echo must be the question's."""
    data = sealed(bytes.fromhex(body))
    said = read_rtu(request_, data) or unfinished_rtu(request_, data)
    assert isinstance(said, Trouble)
    assert said.kind is FaultKind.MISMATCH


@pytest.mark.parametrize("code", [*VECTORS["rules"]["exceptions"], "FF"])
def test_exceptions(code: str) -> None:
    """05 and 06 mean later, 0A and 0B that nobody is there, all others are refused: each with its meaning in words."""
    said = read_rtu(READ_TWO, sealed(bytes([17, 0x83, int(code, 16)])))
    assert isinstance(said, Trouble)
    kinds = {"05": FaultKind.BUSY, "06": FaultKind.BUSY, "0A": FaultKind.NO_ANSWER, "0B": FaultKind.NO_ANSWER}
    assert said.kind is kinds.get(code, FaultKind.REFUSED)
    assert (said.pause_s > 0) == (said.kind is FaultKind.BUSY)
    assert said.detail.startswith(f"exception {code}: ")
    assert len(said.detail) > len("exception 00: ")


def test_our_own_question_coming_back() -> None:
    """A local echo is named as such, in every delivery."""
    echo = READ_TWO.rtu()
    assert [read_rtu(READ_TWO, echo[:n]) for n in range(8)] == [None] * 8
    for data in (echo, echo + sealed(ANSWERS[READ_TWO])):
        said = read_rtu(READ_TWO, data)
        assert isinstance(said, Trouble)
        assert said.kind is FaultKind.MISMATCH
        assert "echo" in said.detail


def test_an_answer_that_begins_like_its_question() -> None:
    """Data may look like the question's bytes: a frame in order is an answer."""
    request = Request(1, 3, 0x0400, count=2)
    echo = request.rtu()
    answer = sealed(echo[:7])
    assert answer.startswith(echo)
    assert read_rtu(request, answer) == Registers("holding", 0x0400, 2, echo[3:7])


def test_when_the_time_is_over() -> None:
    """Nothing is no answer, a part is incomplete, too much of nothing right is a checksum fault."""
    answer = sealed(ANSWERS[READ_TWO])
    assert unfinished_rtu(READ_TWO, b"").kind is FaultKind.NO_ANSWER
    assert unfinished_rtu(READ_TWO, answer[:4]).kind is FaultKind.INCOMPLETE
    assert unfinished_rtu(READ_TWO, b"\x11\x03\xfa" + bytes(20)).kind is FaultKind.CHECKSUM


def test_tcp_deliveries() -> None:
    """Byte by byte waits; a foreign transaction, another protocol and trailing bytes are refused."""
    whole = bytes.fromhex("0C05 0000 0007 11 03 04 008D 008E")
    assert [read_tcp(READ_TWO, 0x0C05, whole[:n]) for n in range(len(whole))] == [None] * len(whole)
    assert tcp_length(whole) == len(whole)
    for transaction, data, kind in (
        (0x0C06, whole, FaultKind.MISMATCH),
        (0x0C05, whole + b"\0", FaultKind.MISMATCH),
        (0x0C05, whole[:2] + b"\1" + whole[3:], FaultKind.MALFORMED),
        (0x0C05, whole[:4] + b"\xff\xff" + whole[6:], FaultKind.MALFORMED),
        (0x0C05, whole[:6] + b"\x12" + whole[7:], FaultKind.MISMATCH),
        (0x0C05, whole[:8] + b"\x02" + whole[9:], FaultKind.MISMATCH),
    ):
        said = read_tcp(READ_TWO, transaction, data)
        assert isinstance(said, Trouble)
        assert said.kind is kind


@given(st.integers(1, 247), st.lists(st.integers(0, 65535), min_size=1, max_size=125), st.integers(0, 65535))
def test_registers_as_pymodbus_encodes_them(unit: int, words: list[int], transaction: int) -> None:
    """Answers of an independent implementation are read, over RTU and over TCP."""
    request = Request(unit, 3, 5, count=len(words))
    want = Registers("holding", 5, len(words), b"".join(word.to_bytes(2, "big") for word in words))
    reply = ReadHoldingRegistersResponse(registers=words, dev_id=unit, transaction_id=transaction)
    assert read_rtu(request, FRAMER_NAME_TO_CLASS[FramerType.RTU](DecodePDU(True)).buildFrame(reply)) == want
    framed = FRAMER_NAME_TO_CLASS[FramerType.SOCKET](DecodePDU(True)).buildFrame(reply)
    assert read_tcp(request, transaction, framed) == want


@given(st.lists(st.booleans(), min_size=1, max_size=2000))
def test_bits_as_pymodbus_packs_them(bits: list[bool]) -> None:
    """The first coil is the lowest bit of the first byte."""
    reply = ReadCoilsResponse(bits=bits, dev_id=1)
    said = read_rtu(
        Request(1, 1, 0, count=len(bits)), FRAMER_NAME_TO_CLASS[FramerType.RTU](DecodePDU(True)).buildFrame(reply)
    )
    assert isinstance(said, Registers)
    assert [bool(said.data[n // 8] >> n % 8 & 1) for n in range(len(bits))] == bits


@given(requests, st.binary(max_size=40))
def test_any_bytes(request_: Request, data: bytes) -> None:
    """Whatever comes, the readers answer with a value, a Trouble or None."""
    for said in (read_rtu(request_, data), read_tcp(request_, 1, data), unfinished_rtu(request_, data)):
        assert said is None or isinstance(said, Registers | Trouble)


def flipped(data: bytes, bit: int) -> bytes:
    """`data` with one bit turned over."""
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]
