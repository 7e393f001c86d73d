"""The tables of the alarm are total, and say what the design's tables say (ISA-18.2 core, three-valued filter)."""

import pytest

from hub.alarms.alarm import (
    FILTER,
    OPERATOR,
    SHELF,
    FilterState,
    Manners,
    OperatorEvent,
    OperatorState,
    Overlay,
    Rejected,
    Shelf,
    ShelfEvent,
    Truth,
    may_shelve,
    step_operator,
    step_shelf,
    suppress,
    unsuppress,
)

# Written anew from the design: state | RAISE CLEAR ACK RESET REALARM WITHDRAW, as next state and why it closed.
PLAIN = """
normal          | unacked normal           !not-active  !not-latched  normal          normal
unacked         | unacked returned         acked        !still-active unacked         normal/withdrawn
acked           | acked   normal/cleared   acked        !still-active unacked         normal/withdrawn
returned        | unacked returned         normal/acked !not-latched  returned        normal/withdrawn
latched-unacked | unacked latched-unacked  latched-acked returned     latched-unacked normal/withdrawn
latched-acked   | unacked latched-acked    latched-acked normal/reset latched-acked   normal/withdrawn
"""


def test_every_pair_has_a_cell() -> None:
    """A machine without a hole, by enumeration."""
    assert set(FILTER) == {(state, truth) for state in FilterState for truth in Truth}
    assert set(OPERATOR) == {(state, event) for state in OperatorState for event in OperatorEvent}
    assert set(SHELF) == {(shelf, event) for shelf in Shelf for event in ShelfEvent}


@pytest.mark.parametrize("line", PLAIN.strip().splitlines())
def test_the_operator_table_is_the_designs(line: str) -> None:
    """Each cell's next state, close reason or rejection, for a rule that asks for an ack and does not latch."""
    state, _, cells = line.partition("|")
    for event, want in zip(OperatorEvent, cells.split(), strict=True):
        cell = step_operator(OperatorState(state.strip()), event, Manners())
        said = f"!{cell.rejected}" if cell.rejected else cell.next + (f"/{cell.closed}" if cell.closed else "")
        assert said == want, (state, event)


@pytest.mark.parametrize(
    ("state", "latches", "ack", "after", "closed"),
    [
        ("unacked", True, True, "latched-unacked", None),
        ("unacked", True, False, "latched-unacked", None),
        ("unacked", False, False, "normal", "auto"),
        ("acked", True, True, "latched-acked", None),
        ("acked", False, False, "normal", "cleared"),
    ],
)
def test_a_clear_depends_on_latch_and_ack(state: str, latches: bool, ack: bool, after: str, closed: str | None) -> None:
    """A latch wins over "no acknowledgement needed"."""
    manners = Manners(latches=latches, ack_required=ack)
    cell = step_operator(OperatorState(state), OperatorEvent.CLEAR, manners)
    assert (cell.next, cell.closed) == (after, closed)


def test_every_state_can_be_reached_and_left() -> None:
    """From normal everything is reachable, and normal from everything."""
    arrows = {
        (state, cell.next)
        for (state, _), whole in OPERATOR.items()
        for cell in (whole, whole.latched, whole.no_ack)
        if cell is not None
    }
    for start in OperatorState:
        reached = {start}
        while more := {after for before, after in arrows if before in reached} - reached:
            reached |= more
        assert reached == set(OperatorState), start


def test_a_shelf_ends_when_its_time_is_over_and_not_before() -> None:
    """TIMEOUT before the end is nothing."""
    shelved = step_shelf(Overlay(), ShelfEvent.SHELVE, 0, 100)
    assert step_shelf(shelved, ShelfEvent.TIMEOUT, 99) is shelved
    assert step_shelf(shelved, ShelfEvent.TIMEOUT, 100) == Overlay()


@pytest.mark.parametrize(
    ("until", "longest", "why"),
    [
        (100, 0, Rejected.NOT_SHELVABLE),
        (None, 100, Rejected.NO_END),
        (10, 100, Rejected.NO_END),
        (111, 100, Rejected.TOO_LONG),
        (110, 100, None),
    ],
)
def test_what_may_be_shelved(until: int | None, longest: int, why: Rejected | None) -> None:
    """With an end in the future, and within what the severity allows; asked at instant 10."""
    assert may_shelve(until, 10, Manners(max_shelf=longest)) is why


def test_suppression_is_counted_by_source() -> None:
    """The same source twice is one; another one keeps it hidden."""
    both = suppress(suppress(suppress(Overlay(), "link:a"), "link:a"), "link:b")
    one = unsuppress(both, "link:a")
    assert (one.hidden, unsuppress(one, "link:b").hidden, unsuppress(one, "link:a")) == (True, False, one)
