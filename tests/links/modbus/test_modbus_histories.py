"""Whatever comes late, twice, foreign or garbled, on three kinds of line and with all functions: no wrong value.

The same histories are read by a reader that believes any right checksum, so that it shows that they can tell.
"""

from collections import Counter

import pytest
from hypothesis import given, settings

from firmware_bridge.links.modbus_lines import Line, SerialLine
from firmware_bridge.raw import Registers
from tests.links.modbus.histories import (
    ASCII,
    OVER_TCP,
    QUESTIONS,
    WIRES,
    FakePort,
    Step,
    Wire,
    histories,
    played,
    truth,
    wrong_values,
)

by_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)

# histories that once gave a wrong value, or would without one of the rules
HARD = [
    [Step(0, "double", when=1.0), Step(5, "good"), Step(1, "good", when=1.0)],
    [Step(0, "late", when=1.0), Step(1, "good", when=1.0)],
    [Step(0, "good"), Step(6, "echoed", rest=2.0), Step(1, "half_and_late"), Step(0, "good", when=1.0)],
    [Step(0, "good"), Step(2, "double", when=1.0), Step(2, "late"), Step(0, "good", when=1.0)],
    [Step(9, "echoed", when=0.9)],
    [Step(14, "late", when=0.5), Step(15, "good", when=1.0)],
    [Step(17, "double", when=1.0), Step(18, "late")],
    [Step(0, "refused", when=0.9, bits=(11,)), Step(1, "good", when=1.0)],
]
OUTAGES = [
    [Step(0, "outage", when=0.1375), Step(1, "good", when=1.0)],
    [Step(0, "outage", when=0.3), Step(1, "silent"), Step(2, "good", when=1.0)],
    [Step(0, "outage", when=1.0), Step(1, "good"), Step(2, "good", when=1.0)],
]


def judge(wire: Wire, examples: int) -> Counter[str]:
    """Play so many random histories to both readers; the strict one's first wrong value fails. Counts of the other."""
    count: Counter[str] = Counter()

    @settings(max_examples=examples, database=None)
    @given(histories(wire))
    def each(history: list[Step]) -> None:
        assert wrong_values(history, wire) == 0
        wrong = wrong_values(history, wire, wire.gullible)
        count.update(histories=1, questions=len(history), wrong=wrong, spoilt=wrong > 0)

    each()
    return count


@by_wire
def test_no_history_gives_a_wrong_value(wire: Wire) -> None:
    """Late, doubled, foreign, garbled, broken, joined, echoed, noisy: none; and who trusts checksums has many."""
    count = judge(wire, 1000)
    assert count["histories"] >= 1000
    assert count["spoilt"] > count["histories"] / 20


@pytest.mark.soak
@pytest.mark.timeout(3600)
@by_wire
def test_a_hundred_thousand_histories_give_no_wrong_value(wire: Wire) -> None:
    """The same at length: with 0 in 100,000, less than 3 in 100,000 histories have one (95 % sure)."""
    count = judge(wire, 100_000)
    assert count["histories"] >= 100_000
    assert count["spoilt"] > count["histories"] / 20


@by_wire
@pytest.mark.parametrize("history", HARD, ids=lambda history: "-".join(step.fate for step in history))
def test_hard_histories(wire: Wire, history: list[Step]) -> None:
    """Each of them needs a rule of its own: the wait for a double, the quarantine, the look at an echo."""
    assert wrong_values(history, wire) == 0


@pytest.mark.parametrize("history", OUTAGES, ids=["in the question", "in the second question", "longer than patience"])
def test_a_network_that_comes_back(history: list[Step]) -> None:
    """Behind a serial server an answer that was held up comes before our next question has arrived: it is not taken."""
    assert wrong_values(history, OVER_TCP) == 0


def test_without_a_look_at_what_has_arrived() -> None:
    """Negative control: the quarantine alone, however long, takes the held-up answer for the new one."""

    def blind(port: FakePort) -> Line:
        return SerialLine(port, OVER_TCP.framing, quiet=OVER_TCP.quiet)

    assert wrong_values(OUTAGES[0], OVER_TCP, blind) > 0


@by_wire
def test_the_histories_can_tell(wire: Wire) -> None:
    """Negative control: a reader that trusts any right checksum, and one that does not wait for quiet, are wrong."""
    history = [Step(0, "late", when=0.3), Step(1, "good", when=1.0)]
    assert wrong_values(history, wire, wire.gullible) > 0
    assert wrong_values(history, wire, wire.impatient) > 0
    assert wrong_values(history, wire) == 0


@by_wire
def test_every_history_heals(wire: Wire) -> None:
    """After any history the next good answer is a value: caution does not become deafness."""

    @settings(max_examples=100, database=None)
    @given(histories(wire), histories(wire))
    def each(history: list[Step], last: list[Step]) -> None:
        number = last[0].question
        said = played([*history, Step(number, "good", rest=10.0, when=0.5)], wire, wire.strict)[-1]
        question = QUESTIONS[number]
        count = 1 if question.function == 43 else question.count
        assert said == Registers(question.table, question.address, count, truth(question))

    each()


def test_an_ascii_line_without_parity() -> None:
    """Why such a line wants its parity bit: two flipped bits in two characters may cancel out in the LRC."""
    history = [Step(0, "garbled", bits=(8 * 8 + 0, 8 * 10 + 0))]
    bare = Wire("8N1", ASCII.framing, ASCII.seal, ASCII.believe)
    assert wrong_values(history, bare) == 1
    assert wrong_values(history, ASCII) == 0
