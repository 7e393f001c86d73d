"""One question at a time on a bad serial line, in made-up time: names of faults, quarantine, patience, stalls."""

import itertools

import pytest

from firmware_bridge.links.ports import PortError
from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire.modbus import Request
from hub.reading import FaultKind
from tests.links.modbus.histories import (
    ASCII,
    OVER_TCP,
    QUESTIONS,
    QUIET,
    RTU,
    TIMEOUT,
    WIRES,
    FakePort,
    Step,
    Wire,
    played,
    run,
)

by_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)


@by_wire
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
        ("refused", FaultKind.REFUSED),
    ],
)
def test_faults_have_names(wire: Wire, fate: str, kind: FaultKind) -> None:
    """Each way to go wrong is a fault with its own name, in every framing."""
    (said,) = played([Step(0, fate, bits=(40,), noise=b"\x00\xff", when=0.3)], wire, wire.strict)
    assert isinstance(said, Trouble)
    assert said.kind is kind


@by_wire
def test_quarantine_lasts_until_quiet(wire: Wire) -> None:
    """After a time-out nothing is asked before the line was quiet for the slowest unit's time-out."""
    asked: list[float] = []
    port = FakePort(lambda port, question: asked.append(port.now()))
    line = wire.strict(port)
    run(line.ask(QUESTIONS[0], TIMEOUT))
    gave_up = port.now()
    port.come(QUIET / 2, wire.answer(QUESTIONS[0]))
    run(line.ask(QUESTIONS[1], TIMEOUT))
    assert asked[1] == pytest.approx(gave_up + QUIET / 2 + wire.quiet)


@by_wire
def test_a_silent_unit_does_not_keep_the_others_waiting(wire: Wire) -> None:
    """After a time-out another unit is asked at once, for a late answer would say whose it is; the same one is not."""
    asked: list[float] = []
    port = FakePort(lambda port, question: asked.append(port.now()))
    line = wire.strict(port)
    run(line.ask(QUESTIONS[0], TIMEOUT))
    gave_up = port.now()
    run(line.ask(QUESTIONS[5], TIMEOUT))
    assert asked[1] == gave_up
    run(line.ask(QUESTIONS[0], TIMEOUT))
    assert asked[2] >= gave_up + wire.quiet


@by_wire
def test_a_late_answer_is_not_another_units(wire: Wire) -> None:
    """It comes into the next unit's turn: that poll is lost, and no value is wrong."""
    asked: list[bytes] = []

    def fate(port: FakePort, question: bytes) -> None:
        asked.append(question)
        if len(asked) == 2:
            port.come(0.01, wire.answer(QUESTIONS[0]))

    line = wire.strict(FakePort(fate))
    run(line.ask(QUESTIONS[0], TIMEOUT))
    said = run(line.ask(QUESTIONS[5], TIMEOUT))
    assert isinstance(said, Trouble)
    assert said.kind is FaultKind.MISMATCH


@by_wire
def test_a_line_that_is_never_quiet(wire: Wire) -> None:
    """Another master's chatter is a fault in words; no question is put into it."""
    asked: list[bytes] = []
    port = FakePort(lambda port, question: asked.append(question))
    line = wire.strict(port)
    for n in range(200):
        port.come(0.1 * n, b"\x00")
    said = run(line.ask(QUESTIONS[0], TIMEOUT))
    assert isinstance(said, Trouble)
    assert said.kind is FaultKind.MISMATCH
    assert "second master" in said.detail
    assert asked == []


def test_a_network_that_takes_nothing() -> None:
    """Behind a serial server a question that does not arrive for seconds is a lost cable, said in words."""
    port = FakePort(lambda port, question: port.stick(3600))
    line = OVER_TCP.strict(port)
    port.stick(3600)
    run(line.ask(QUESTIONS[0], TIMEOUT))
    with pytest.raises(PortError, match="takes no more bytes"):
        run(line.ask(QUESTIONS[0], TIMEOUT))
    assert port.now() < 10


@pytest.mark.parametrize(("wire", "gap"), [(RTU, 0.035 / 9.6), (ASCII, 0.035 / 9.6)], ids=["rtu", "ascii"])
def test_a_healthy_line_is_not_slowed(wire: Wire, gap: float) -> None:
    """Between good answers there is only the silence of 3.5 characters."""
    asked: list[float] = []

    def fate(port: FakePort, question: bytes) -> None:
        asked.append(port.now())
        port.come(0.01, wire.answer(QUESTIONS[order[len(asked) - 1]]))

    order = (0, 5, 3, 4)
    line = wire.strict(FakePort(fate))
    for question in order:
        run(line.ask(QUESTIONS[question], TIMEOUT))
    assert [after - before for before, after in itertools.pairwise(asked)] == pytest.approx([0.01 + gap] * 3)


@pytest.mark.parametrize(("pause", "kind"), [(0.9, None), (1.1, FaultKind.INCOMPLETE)], ids=["slow", "broken off"])
def test_a_second_between_two_characters(pause: float, kind: FaultKind | None) -> None:
    """An ASCII frame may take its time, but after a second without a character it has broken off."""

    def fate(port: FakePort, question: bytes) -> None:
        frame = ASCII.answer(QUESTIONS[0])
        port.come(0.1, frame[:9])
        port.come(0.1 + pause, frame[9:])

    port = FakePort(fate)
    said = run(ASCII.strict(port).ask(QUESTIONS[0], 5.0))
    assert (said.kind if isinstance(said, Trouble) else None) is kind
    assert isinstance(said, Registers) or port.now() == pytest.approx(1.1)


@by_wire
def test_an_echo_that_looks_like_an_answer(wire: Wire) -> None:
    """20 coils from 0x0311: that question has the form of an answer of three bytes, and is none."""
    question = Request(1, 1, 0x0311, count=20)
    (said,) = played([Step(QUESTIONS.index(question), "echoed", when=0.9)], wire, wire.strict)
    assert isinstance(said, Trouble)
    assert "our own question came back" in said.detail
