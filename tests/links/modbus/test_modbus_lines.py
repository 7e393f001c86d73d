"""Histories of a bad RS-485 line, in made-up time: whatever comes late, twice, foreign or garbled, no wrong value.

Registers hold their own address, so that an answer to another question shows.
"""

import heapq
import itertools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firmware_bridge.links.modbus_lines import Line, RtuLine
from firmware_bridge.links.ports import Port
from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire.modbus import Request, crc16
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
    """A port in made-up time: nothing waits, `read` turns the clock on."""

    name = "fake"

    def __init__(self, fate: Callable[["FakePort", bytes], None]) -> None:
        """`fate` is told each question, and says `come` for what the line brings."""
        self._fate = fate
        self._time = 0.0
        self._coming: list[tuple[float, int, bytes]] = []
        self._order = itertools.count()
        self._last = float("-inf")

    def come(self, after: float, data: bytes) -> None:
        """These bytes come so many seconds from now."""
        heapq.heappush(self._coming, (self._time + after, next(self._order), data))

    def rest(self, seconds: float) -> None:
        """Time passes, and nobody reads."""
        self._time += seconds

    async def read(self, timeout: float) -> bytes:
        end = self._time + max(0.0, timeout)
        if self._coming and self._coming[0][0] <= end:
            self._time = max(self._time, self._coming[0][0])
        else:
            self._time = end
        return self.drain_input()

    def write(self, data: bytes) -> None:
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
        pass


def truth(question: Request) -> bytes:
    """The data of the right answer."""
    if question.function == 6:
        return b""
    places = range(question.address, question.address + question.count)
    return b"".join((question.unit << 12 | question.function << 8 | place).to_bytes(2, "big") for place in places)


def answer(question: Request) -> bytes:
    """The right answer as a frame."""
    if question.function == 6:
        return question.rtu()
    data = truth(question)
    body = bytes([question.unit, question.function, len(data)]) + data
    return body + crc16(body)


def good(port: FakePort, step: Step, frame: bytes) -> None:
    port.come(TIMEOUT * step.when * 0.9, frame)


def silent(port: FakePort, step: Step, frame: bytes) -> None:
    pass


def late(port: FakePort, step: Step, frame: bytes) -> None:
    port.come(TIMEOUT + 0.03 + (QUIET - 0.04) * step.when, frame)


def double(port: FakePort, step: Step, frame: bytes) -> None:
    port.come(0.01, frame)
    port.come(0.01 + 0.04 * step.when, frame)


def half_and_late(port: FakePort, step: Step, frame: bytes) -> None:
    port.come(0.01, frame[: 1 + int(step.when * (len(frame) - 2))])
    port.come(TIMEOUT * 1.3, frame)


def foreign(port: FakePort, step: Step, frame: bytes) -> None:
    other = Request.from_rtu(QUESTIONS[step.question].rtu())
    port.come(0.01, answer(msgspec.structs.replace(other, unit=other.unit + 1)))
    port.come(0.01 + TIMEOUT * step.when, frame)


def garbled(port: FakePort, step: Step, frame: bytes) -> None:
    data = bytearray(frame)
    for bit in step.bits:
        data[bit // 8 % len(data)] ^= 1 << bit % 8
    port.come(0.01, bytes(data) if bytes(data) != frame else frame[:-1])


def truncated(port: FakePort, step: Step, frame: bytes) -> None:
    port.come(0.01, frame[: 1 + int(step.when * (len(frame) - 2))])


def concatenated(port: FakePort, step: Step, frame: bytes) -> None:
    other = QUESTIONS[(step.question + 1) % len(QUESTIONS)]
    port.come(0.01, frame + answer(other) if step.when < 0.5 else answer(other) + frame)


def echoed(port: FakePort, step: Step, frame: bytes) -> None:
    port.come(0.001, QUESTIONS[step.question].rtu())
    port.come(0.01 + TIMEOUT * step.when, frame)


def noisy(port: FakePort, step: Step, frame: bytes) -> None:
    port.come(0.01, step.noise + frame)


def in_pieces(port: FakePort, step: Step, frame: bytes) -> None:
    for at in range(len(frame)):
        port.come(0.005 + 0.01 * at, frame[at : at + 1])


def second_master(port: FakePort, step: Step, frame: bytes) -> None:
    port.come(0.01, frame)
    other = QUESTIONS[(step.question + 1) % len(QUESTIONS)]
    port.come(TIMEOUT * step.when, other.rtu())
    port.come(TIMEOUT * step.when + 0.02, answer(other))


FATES = {
    fate.__name__: fate
    for fate in (
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
    )
}
steps = st.builds(
    Step,
    question=st.integers(0, len(QUESTIONS) - 1),
    fate=st.sampled_from([*FATES]),
    rest=st.sampled_from([0.0, 0.0, 0.02, 0.3, 2.0]),
    when=st.floats(0.0, 1.0),
    bits=st.lists(st.integers(0, 87), min_size=1, max_size=3, unique=True).map(tuple),
    noise=st.binary(min_size=1, max_size=6),
)
histories = st.lists(steps, min_size=1, max_size=8)


class Gullible:
    """The reader that this file is against: takes the first frame with a right CRC."""

    def __init__(self, port: Port) -> None:
        self._port = port

    async def ask(self, request: Request, timeout: float) -> Registers | Trouble:
        self._port.write(request.rtu())
        data, deadline = b"", self._port.now() + timeout
        while (left := deadline - self._port.now()) > 0:
            data += await self._port.read(left)
            if len(data) > 4 and crc16(data[:-2]) == data[-2:]:
                return Registers(request.table, request.address, request.count, data[3:-2])
        return Trouble(FaultKind.NO_ANSWER, "")

    def check(self) -> None:
        pass

    def close(self) -> None:
        pass


def strict(port: Port) -> Line:
    return RtuLine(port, baud=9600, parity="N", stop_bits=1, quiet=QUIET)


def impatient(port: Port) -> Line:
    return RtuLine(port, baud=9600, parity="N", stop_bits=1, quiet=0.0)


def wrong_values(history: list[Step], make: Callable[[Port], Line] = strict) -> int:
    """How many values of this history are not what stands in the registers that were asked."""
    now: list[Step] = []

    def fate(port: FakePort, question: bytes) -> None:
        FATES[now[-1].fate](port, now[-1], answer(Request.from_rtu(question)))

    port = FakePort(fate)
    line = make(port)
    wrong = 0
    for step in history:
        now.append(step)
        port.rest(step.rest)
        said = run(line.ask(QUESTIONS[step.question], TIMEOUT))
        wrong += isinstance(said, Registers) and said.data != truth(QUESTIONS[step.question])
    return wrong


def run(work: Coroutine[Any, Any, T]) -> T:  # Any: what an await hands over does not matter, nothing waits
    """The result of a coroutine that never really waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # the coroutine's own type
    raise AssertionError("it waits")


@settings(max_examples=1000, deadline=None)
@given(histories)
@example([Step(0, "double", when=1.0), Step(5, "good"), Step(1, "good", when=1.0)])
@example([Step(0, "late", when=1.0), Step(1, "good", when=1.0)])
@example([Step(0, "good"), Step(6, "echoed", rest=2.0), Step(1, "half_and_late"), Step(0, "good", when=1.0)])
@example([Step(0, "good"), Step(2, "double", when=1.0), Step(2, "late"), Step(0, "good", when=1.0)])
def test_no_history_gives_a_wrong_value(history: list[Step]) -> None:
    """Late, doubled, foreign, garbled, broken, joined, echoed, noisy answers: never a value that was not asked for."""
    assert wrong_values(history) == 0


@pytest.mark.soak
@pytest.mark.timeout(1800)
@settings(max_examples=100_000, deadline=None)
@given(histories)
def test_a_hundred_thousand_histories_give_no_wrong_value(history: list[Step]) -> None:
    """The same at length: with 0 in 100,000, less than 3 in 100,000 histories have one (95 % sure)."""
    assert wrong_values(history) == 0


@settings(max_examples=150, deadline=None)
@given(histories, st.integers(0, len(QUESTIONS) - 1))
def test_every_history_heals(history: list[Step], question: int) -> None:
    """After any history the next good answer is a value: caution does not become deafness."""
    told: list[Step] = []

    def fate(port: FakePort, question: bytes) -> None:
        FATES[told[-1].fate](port, told[-1], answer(Request.from_rtu(question)))

    port = FakePort(fate)
    line = strict(port)
    for step in [*history, Step(question, "good", rest=1.0, when=0.5)]:
        told.append(step)
        port.rest(step.rest)
        said = run(line.ask(QUESTIONS[step.question], TIMEOUT))
    assert said == Registers(
        QUESTIONS[question].table, QUESTIONS[question].address, QUESTIONS[question].count, truth(QUESTIONS[question])
    )


@pytest.mark.parametrize("reader", [Gullible, impatient])
def test_the_histories_can_tell(reader: Callable[[Port], Line]) -> None:
    """Negative control: a reader that trusts any right CRC, and one that does not wait for quiet, give wrong values."""
    history = [Step(0, "late", when=0.3), Step(1, "good", when=1.0)]
    assert wrong_values(history, reader) > 0
    assert wrong_values(history) == 0


@pytest.mark.parametrize(
    ("fate", "kind"),
    [
        ("silent", FaultKind.NO_ANSWER),
        ("late", FaultKind.NO_ANSWER),
        ("truncated", FaultKind.INCOMPLETE),
        ("garbled", FaultKind.CHECKSUM),
        ("foreign", FaultKind.MISMATCH),
        ("concatenated", FaultKind.MISMATCH),
        ("echoed", FaultKind.MISMATCH),
        ("noisy", FaultKind.CHECKSUM),
    ],
)
def test_faults_have_names(fate: str, kind: FaultKind) -> None:
    """Each way to go wrong is a fault with its own name."""
    step = Step(0, fate, bits=(40,), noise=b"\x00\xff")
    port = FakePort(lambda port, question: FATES[fate](port, step, answer(QUESTIONS[0])))
    said = run(strict(port).ask(QUESTIONS[0], TIMEOUT))
    assert isinstance(said, Trouble)
    assert said.kind is kind


def test_quarantine_lasts_until_quiet() -> None:
    """After a time-out nothing is asked before the line was quiet for the slowest unit's time-out."""
    asked: list[float] = []
    port = FakePort(lambda port, question: asked.append(port.now()))
    line = strict(port)
    run(line.ask(QUESTIONS[0], TIMEOUT))
    gave_up = port.now()
    port.come(QUIET / 2, answer(QUESTIONS[0]))
    run(line.ask(QUESTIONS[1], TIMEOUT))
    assert asked[1] == pytest.approx(gave_up + QUIET / 2 + QUIET)


def test_a_silent_unit_does_not_keep_the_others_waiting() -> None:
    """After a time-out another unit is asked at once, for a late answer would say whose it is; the same one is not."""
    asked: list[float] = []
    port = FakePort(lambda port, question: asked.append(port.now()))
    line = strict(port)
    run(line.ask(QUESTIONS[0], TIMEOUT))
    gave_up = port.now()
    run(line.ask(QUESTIONS[5], TIMEOUT))
    assert asked[1] == gave_up
    run(line.ask(QUESTIONS[0], TIMEOUT))
    assert asked[2] >= gave_up + QUIET


def test_a_late_answer_is_not_another_units() -> None:
    """It comes into the next unit's turn: that poll is lost, and no value is wrong."""
    late = answer(QUESTIONS[0])
    port = FakePort(lambda port, question: port.come(0.01, late) if question == QUESTIONS[5].rtu() else None)
    line = strict(port)
    run(line.ask(QUESTIONS[0], TIMEOUT))
    said = run(line.ask(QUESTIONS[5], TIMEOUT))
    assert isinstance(said, Trouble)
    assert said.kind is FaultKind.MISMATCH


def test_a_line_that_is_never_quiet() -> None:
    """Another master's chatter is a fault in words; no question is put into it."""
    asked: list[bytes] = []
    port = FakePort(lambda port, question: asked.append(question))
    line = strict(port)
    for n in range(200):
        port.come(0.1 * n, b"\x00")
    said = run(line.ask(QUESTIONS[0], TIMEOUT))
    assert isinstance(said, Trouble)
    assert said.kind is FaultKind.MISMATCH
    assert "second master" in said.detail
    assert asked == []


def test_a_healthy_line_is_not_slowed() -> None:
    """Between good answers there is only the silence that the standard wants, 3.5 characters."""
    asked: list[float] = []

    def fate(port: FakePort, question: bytes) -> None:
        asked.append(port.now())
        port.come(0.01, answer(Request.from_rtu(question)))

    line = strict(FakePort(fate))
    for question in (QUESTIONS[0], QUESTIONS[5], QUESTIONS[3], QUESTIONS[4]):
        run(line.ask(question, TIMEOUT))
    assert [after - before for before, after in itertools.pairwise(asked)] == pytest.approx([0.01 + 0.035 / 9.6] * 3)
