"""Histories of bad Modbus lines in made-up time: what is asked, what becomes of the answer, and what was the truth.

Registers, coils and objects tell their own address, so that an answer to another question shows. A reader is judged by
`wrong_values`; `GULLIBLE` is the one that these histories are against.
"""

import heapq
import itertools
import re
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st

from firmware_bridge.links.modbus_lines import Framing, Line, SerialLine, ascii_, rtu
from firmware_bridge.links.ports import Port, PortError
from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire.modbus import Request, crc16, lrc
from hub.reading import FaultKind

T = TypeVar("T")
TIMEOUT = 0.2
QUIET = 0.25
QUESTIONS = [
    Request(1, 3, 0, count=2),
    Request(1, 3, 40, count=2),
    Request(1, 3, 80, count=2),
    Request(1, 4, 0, count=2),
    Request(1, 3, 0, count=3),
    Request(2, 3, 0, count=2),
    Request(1, 6, 5, value=7),
    Request(1, 6, 6, value=7),
    Request(1, 1, 0, count=12),
    Request(1, 1, 0x0311, count=20),  # its echo looks like an answer
    Request(1, 2, 16, count=12),
    Request(1, 15, 3, count=10, data=b"\xcd\x01"),
    Request(1, 16, 1, count=2, data=b"\0\x0a\x01\x02"),
    Request(1, 22, 4, value=0x25, mask=0xF2),
    Request(1, 23, 3, count=2, data=b"\0\xff", write_address=14),
    Request(1, 23, 30, count=2, data=b"\0\xff", write_address=14),
    Request.identify(1, 1),
    Request.identify(1, 4, 1),
    Request.identify(1, 4, 2),
]


class Step(msgspec.Struct, frozen=True):
    """One question, and what the line does with it."""

    question: int
    fate: str
    rest: float = 0.0  # before it, in seconds
    when: float = 0.0  # 0 to 1: where in its span the fate strikes
    bits: tuple[int, ...] = ()
    noise: bytes = b""


class FakePort:
    """A port in made-up time: nothing waits, `read` turns the clock on. While it is `stuck`, nothing gets through."""

    name = "fake"

    def __init__(self, fate: Callable[["FakePort", bytes], None]) -> None:
        """`fate` is told each question, and says `come` for what the line brings."""
        self._fate = fate
        self._time = 0.0
        self._coming: list[tuple[float, int, bytes]] = []
        self._order = itertools.count()
        self._last = float("-inf")
        self._stuck_until = self._delivered_at = 0.0

    def come(self, after: float, data: bytes) -> None:
        """These bytes come so many seconds from now, or when the network is there again."""
        at = max(self._time + after, self._stuck_until)
        heapq.heappush(self._coming, (at, next(self._order), data))

    def rest(self, seconds: float) -> None:
        """Time passes, and nobody reads."""
        self._time += seconds

    def stick(self, seconds: float) -> None:
        """The network is gone for so long."""
        self._stuck_until = self._time + seconds

    def undelivered(self) -> int:
        """A question that was written into a dead network arrives a little after what was held up in it."""
        return 8 if self._time < self._delivered_at else 0

    async def read(self, timeout: float) -> bytes:
        end = self._time + max(0.0, timeout)
        if self._coming and self._coming[0][0] <= end:
            self._time = max(self._time, self._coming[0][0])
        else:
            self._time = end
        return self.drain_input()

    def write(self, data: bytes) -> None:
        if self._time < self._stuck_until:
            self._delivered_at = self._stuck_until + 0.01
        self._fate(self, data)

    def drain_input(self) -> bytes:
        data = b""
        while self._coming and self._coming[0][0] <= self._time:
            self._last, _, part = heapq.heappop(self._coming)
            data += part
        return data

    def now(self) -> float:
        return self._time

    def last_byte(self) -> float:
        return self._last

    def close(self) -> None:
        """The connection is new: what was under way in the old one never comes."""
        self._coming.clear()
        self._stuck_until = self._delivered_at = 0.0


def answer_pdu(question: Request) -> bytes:
    """The right answer, without unit and checksum."""
    unit, function, address, count = question.unit, question.function, question.address, question.count
    if function in (1, 2):
        packed = bytes((37 * address + 11 * unit + function + n) & 0xFF for n in range((count + 7) // 8))
        data = packed[:-1] + bytes([packed[-1] & (0xFF >> -count % 8)])
        return bytes([function, len(data)]) + data
    if function in (3, 4, 23):
        words = (unit << 12 | (function & 0xF) << 8 | place for place in range(address, address + count))
        data = b"".join(word.to_bytes(2, "big") for word in words)
        return bytes([function, len(data)]) + data
    if function == 43:
        text = f"object {address} of {unit}".encode()
        return bytes([43, 14, question.value, 0x83, 0, 0, 1, address, len(text)]) + text
    return question.pdu[:5] if function in (15, 16) else question.pdu


def truth(question: Request) -> bytes:
    """The data of the right answer."""
    pdu = answer_pdu(question)
    return pdu[2:] if question.function in (1, 2, 3, 4, 23, 43) else b""


def _crc_ok(data: bytes) -> bytes | None:
    return data[1:-2] if len(data) > 4 and crc16(data[:-2]) == data[-2:] else None


def _lrc_ok(data: bytes) -> bytes | None:
    for frame in re.findall(rb":((?:[0-9A-F]{2})+)\r\n", data):
        body = bytes.fromhex(frame.decode())
        if lrc(body[:-1]) == body[-1:] and len(body) > 3:
            return body[1:-1]
    return None


def _flip(data: bytes, bits: tuple[int, ...]) -> bytes:
    damaged = bytearray(data)
    for bit in bits:
        damaged[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(damaged)


def _flip_with_parity(data: bytes, bits: tuple[int, ...]) -> bytes:
    """As a port reads it that looks at the parity bit (here the eighth): a character of wrong parity is a zero."""
    flips = _flip(bytes(len(data)), bits)
    return bytes(
        0 if flip.bit_count() % 2 else character ^ flip & 0x7F for character, flip in zip(data, flips, strict=True)
    )


class Wire(msgspec.Struct, frozen=True):
    """One kind of line: how its frames look, how it damages them, and who believes any right checksum on it."""

    name: str
    framing: Framing
    seal: Callable[[bytes], bytes]
    believe: Callable[[bytes], bytes | None]
    damage: Callable[[bytes, tuple[int, ...]], bytes] = _flip
    quiet: float = QUIET
    network: bool = False

    def question(self, request: Request) -> bytes:
        """As it leaves."""
        return self.framing.question(request)

    def answer(self, question: Request) -> bytes:
        """The right answer as a frame."""
        return self.seal(bytes([question.unit]) + answer_pdu(question))

    def strict(self, port: FakePort) -> Line:
        """The line of the hub."""
        undelivered = port.undelivered if self.network else lambda: 0
        return SerialLine(port, self.framing, quiet=self.quiet, undelivered=undelivered)

    def impatient(self, port: FakePort) -> Line:
        """The same without its quarantine."""
        return SerialLine(port, self.framing, quiet=0.0)

    def gullible(self, port: FakePort) -> Line:
        """A reader as libraries have it."""
        return Gullible(port, self)


def _rtu_frame(body: bytes) -> bytes:
    return body + crc16(body)


def _ascii_frame(body: bytes) -> bytes:
    return b":" + (body + lrc(body)).hex().upper().encode() + b"\r\n"


RTU = Wire("rtu", rtu(9600, "N", 1), _rtu_frame, _crc_ok)
ASCII = Wire("ascii", ascii_(9600, "E", 1, 7), _ascii_frame, _lrc_ok, _flip_with_parity)
OVER_TCP = Wire("rtu-over-tcp", rtu(9600, "N", 1), _rtu_frame, _crc_ok, quiet=QUIET + 1.0, network=True)
WIRES = [RTU, ASCII, OVER_TCP]


class Gullible:
    """Takes the first frame with a right checksum for the answer, whatever it answers."""

    def __init__(self, port: Port, wire: Wire) -> None:
        self._port, self._wire = port, wire

    async def ask(self, request: Request, timeout: float) -> Registers | Trouble:
        self._port.write(self._wire.question(request))
        data, deadline = b"", self._port.now() + timeout
        while (left := deadline - self._port.now()) > 0:
            data += await self._port.read(left)
            if (pdu := self._wire.believe(data)) is not None:
                return Registers(request.table, request.address, request.count, pdu[2:] if truth(request) else b"")
        return Trouble(FaultKind.NO_ANSWER, "")

    def check(self) -> None:
        pass

    def close(self) -> None:
        pass


Fate = Callable[[FakePort, Step, Wire], None]


def _right(step: Step, wire: Wire, ahead: int = 0) -> bytes:
    return wire.answer(QUESTIONS[(step.question + ahead) % len(QUESTIONS)])


def good(port: FakePort, step: Step, wire: Wire) -> None:
    port.come(TIMEOUT * step.when * 0.9, _right(step, wire))


def silent(port: FakePort, step: Step, wire: Wire) -> None:
    pass


def late(port: FakePort, step: Step, wire: Wire) -> None:
    port.come(TIMEOUT + 0.03 + (QUIET - 0.04) * step.when, _right(step, wire))


def double(port: FakePort, step: Step, wire: Wire) -> None:
    port.come(0.01, _right(step, wire))
    port.come(0.01 + 0.04 * step.when, _right(step, wire))


def half_and_late(port: FakePort, step: Step, wire: Wire) -> None:
    truncated(port, step, wire)
    port.come(TIMEOUT * 1.3, _right(step, wire))


def foreign(port: FakePort, step: Step, wire: Wire) -> None:
    question = QUESTIONS[step.question]
    port.come(0.01, wire.answer(msgspec.structs.replace(question, unit=question.unit + 1)))
    port.come(0.01 + TIMEOUT * step.when, _right(step, wire))


def garbled(port: FakePort, step: Step, wire: Wire) -> None:
    frame = _right(step, wire)
    damaged = wire.damage(frame, step.bits)
    port.come(0.01, damaged if damaged != frame else frame[:-1])


def truncated(port: FakePort, step: Step, wire: Wire) -> None:
    frame = _right(step, wire)
    port.come(0.01, frame[: 1 + int(step.when * (len(frame) - 2))])


def concatenated(port: FakePort, step: Step, wire: Wire) -> None:
    frame, other = _right(step, wire), _right(step, wire, 1)
    port.come(0.01, frame + other if step.when < 0.5 else other + frame)


def echoed(port: FakePort, step: Step, wire: Wire) -> None:
    port.come(0.001, wire.question(QUESTIONS[step.question]))
    port.come(0.01 + TIMEOUT * step.when, _right(step, wire))


def noisy(port: FakePort, step: Step, wire: Wire) -> None:
    port.come(0.01, step.noise + _right(step, wire))


def in_pieces(port: FakePort, step: Step, wire: Wire) -> None:
    frame = _right(step, wire)
    for at in range(len(frame)):
        port.come(0.005 + 0.01 * at, frame[at : at + 1])


def second_master(port: FakePort, step: Step, wire: Wire) -> None:
    port.come(0.01, _right(step, wire))
    other = QUESTIONS[(step.question + 1) % len(QUESTIONS)]
    port.come(TIMEOUT * step.when, wire.question(other))
    port.come(TIMEOUT * step.when + 0.02, wire.answer(other))


def refused(port: FakePort, step: Step, wire: Wire) -> None:
    question = QUESTIONS[step.question]
    code = step.bits[0] % 16 if step.bits else 2
    port.come(0.01, wire.seal(bytes([question.unit, question.function | 0x80, code])))
    if step.when > 0.8:  # a gateway that gave up, and hands the answer on all the same
        port.come(0.05 * step.when, _right(step, wire))


def outage(port: FakePort, step: Step, wire: Wire) -> None:
    """The network goes with the answer in it, and comes back when another question waits behind it."""
    port.stick(0.5 + 8 * step.when)
    port.come(0.0, _right(step, wire))


_SERIAL: list[Fate] = [
    good,
    silent,
    late,
    double,
    half_and_late,
    foreign,
    garbled,
    truncated,
    concatenated,
    echoed,
    noisy,
    in_pieces,
    second_master,
    refused,
]
FATES = {fate.__name__: fate for fate in [*_SERIAL, outage]}


def histories(wire: Wire) -> st.SearchStrategy[list[Step]]:
    """Up to eight questions and their fates."""
    return st.lists(
        st.builds(
            Step,
            question=st.integers(0, len(QUESTIONS) - 1),
            fate=st.sampled_from([fate.__name__ for fate in [*_SERIAL, outage][: None if wire.network else -1]]),
            rest=st.sampled_from([0.0, 0.0, 0.02, 0.3, 2.0]),
            when=st.floats(0.0, 1.0),
            bits=st.lists(st.integers(0, 511), min_size=1, max_size=3, unique=True).map(tuple),
            noise=st.binary(min_size=1, max_size=6),
        ),
        min_size=1,
        max_size=8,
    )


def played(history: list[Step], wire: Wire, make: Callable[[FakePort], Line]) -> list[Registers | Trouble]:
    """What the reader said to each question of the history; a lost port is opened anew."""
    now: list[Step] = []
    port = FakePort(lambda port, question: FATES[now[-1].fate](port, now[-1], wire))
    line = make(port)
    said: list[Registers | Trouble] = []
    for step in history:
        now.append(step)
        port.rest(step.rest)
        try:
            said.append(run(line.ask(QUESTIONS[step.question], TIMEOUT)))
        except PortError as error:
            port.close()
            line = make(port)
            said.append(Trouble(FaultKind.LINK_DOWN, error.detail))
    return said


def wrong_values(history: list[Step], wire: Wire, make: Callable[[FakePort], Line] | None = None) -> int:
    """How many values of this history are not what stands where it was asked for."""
    answers = zip(history, played(history, wire, make or wire.strict), strict=True)
    return sum(isinstance(said, Registers) and said.data != truth(QUESTIONS[step.question]) for step, said in answers)


def run(work: Coroutine[Any, Any, T]) -> T:  # Any: what an await hands over does not matter, nothing waits
    """The result of a coroutine that never really waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # the coroutine's own type
    raise AssertionError("it waits")
