"""What holds for every history of an alarm (design, 7.1), and the filter against a plain model of Prometheus' `for`."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.alarms import gate
from hub.alarms.alarm import (
    Closed,
    Deed,
    Edge,
    Filter,
    FilterState,
    Manners,
    OperatorEvent,
    OperatorState,
    Truth,
    observe,
    step_filter,
)
from hub.alarms.gate import Status, Step, Told

SECOND = 1000
MANNERS = st.builds(
    Manners,
    on_delay=st.sampled_from([0, 2, 5]).map(SECOND.__mul__),
    off_delay=st.sampled_from([0, 3]).map(SECOND.__mul__),
    on_unknown=st.just(Truth.UNKNOWN),
    latches=st.booleans(),
    ack_required=st.booleans(),
    max_shelf=st.just(20 * SECOND),
)
ACT = st.one_of(
    st.sampled_from(Truth),
    st.sampled_from([OperatorEvent.ACK, OperatorEvent.RESET, OperatorEvent.REALARM, OperatorEvent.WITHDRAW]),
    st.sampled_from(["shelve", "once", "unshelve", "hide", "unhide", "out", "in"]),
)
HISTORY = st.lists(st.tuples(st.integers(0, 4), ACT), max_size=60)
ACTIVE = (OperatorState.UNACKED, OperatorState.ACKED)


class Life:
    """One alarm through a history, with the truth that holds between acts."""

    def __init__(self, manners: Manners) -> None:
        self.manners, self.status, self.now, self.truth = manners, Status(), 0, Truth.UNKNOWN

    def act(self, wait: int, act: object) -> tuple[Step, ...]:
        """Let `wait` seconds pass (timers included), then do it."""
        steps: tuple[Step, ...] = ()
        for _ in range(wait):
            self.now += SECOND
            steps += self._take(gate.time_out(self.status, self.now))
            steps += self._evaluate(self.truth)
        if isinstance(act, Truth):
            return steps + self._evaluate(act)
        if isinstance(act, OperatorEvent):
            return steps + self._take(gate.operate(self.status, act, self.now, self.manners))
        return steps + self._take(self._overlay(str(act)))

    def _overlay(self, act: str) -> tuple[Status, tuple[Step, ...]]:
        if act in ("shelve", "once"):
            end = self.now + 10 * SECOND
            return gate.shelve(self.status, end, self.now, self.manners, once=act == "once")
        if act == "unshelve":
            return gate.unshelve(self.status, self.now)
        if act in ("hide", "unhide"):
            return (gate.hide if act == "hide" else gate.unhide)(self.status, "link:a")
        return gate.serve(self.status, self.now, self.manners, in_service=act == "in")

    def _evaluate(self, truth: Truth) -> tuple[Step, ...]:
        steps = self._take(gate.evaluate(self.status, self.truth, truth, self.now, self.manners))
        self.truth = truth
        return steps

    def _take(self, result: tuple[Status, tuple[Step, ...]]) -> tuple[Step, ...]:
        self.status, steps = result
        return steps


@settings(max_examples=300)
@given(manners=MANNERS, history=HISTORY)
def test_what_always_holds(manners: Manners, history: list[tuple[int, object]]) -> None:
    """No visible alarm unsaid; active is on or falling; every end has its reason; cleared only after raised."""
    life, told = Life(manners), Told.NOTHING
    for wait, act in history:
        for step in life.act(wait, act):
            if step.speak is Told.CLEARED:
                assert told is Told.RAISED
            told = Told.NOTHING if step.deed is Deed.RAISED else told
            told = step.speak if step.speak is not Told.NOTHING else told
            if step.after is OperatorState.NORMAL and step.before is not OperatorState.NORMAL:
                _check_end(step, manners, told)
        status = life.status
        assert status.told is told
        assert (status.state in ACTIVE) == status.filter.active
        if status.state is not OperatorState.NORMAL and not status.overlay.hidden:
            unseen = status.state in (OperatorState.UNACKED, OperatorState.RETURNED, OperatorState.LATCHED_UNACKED)
            assert told is not Told.NOTHING or not unseen
            assert told is Told.RAISED or status.state is not OperatorState.UNACKED


def _check_end(step: Step, manners: Manners, told: Told) -> None:
    assert step.closed is not None
    if manners.ack_required and told is not Told.NOTHING:
        allowed = {Closed.ACKED, Closed.RESET, Closed.WITHDRAWN}
        assert step.closed in allowed or (step.before, step.closed) == (OperatorState.ACKED, Closed.CLEARED)
    if step.closed is Closed.AUTO:
        assert not manners.ack_required


@settings(max_examples=150)
@given(manners=MANNERS, history=HISTORY, more=st.lists(st.sampled_from(["hide", "unhide", "out", Truth.TRUE])))
def test_an_ack_is_not_lost(manners: Manners, history: list[tuple[int, object]], more: list[object]) -> None:
    """Hiding, showing and more of the same leave an acknowledged alarm acknowledged."""
    life = Life(manners)
    for wait, act in history:
        life.act(wait, act)
    if life.status.state is OperatorState.ACKED and life.status.filter.state is FilterState.ON:
        life.act(0, Truth.TRUE)
        for act in more:
            life.act(1, act)
        assert life.status.state is OperatorState.ACKED


@settings(max_examples=150)
@given(manners=MANNERS, history=HISTORY)
def test_back_in_service_what_is_active_is_new(manners: Manners, history: list[tuple[int, object]]) -> None:
    """Out of service nothing is said; back in service each active, visible alarm is said, and unacknowledged."""
    life = Life(manners)
    for wait, act in history:
        life.act(wait, act)
    was = life.status.overlay.out_of_service
    life.act(0, "out")
    assert not [step for step in life.act(3, Truth.TRUE) if step.speak is Told.RAISED]
    steps = life.act(0, "in")
    if life.status.filter.active and not life.status.overlay.hidden:
        assert [step.speak for step in steps].count(Told.RAISED) == 1
        assert life.status.state is OperatorState.UNACKED
    assert was or steps


@settings(max_examples=150)
@given(manners=MANNERS, history=HISTORY)
def test_the_same_again_changes_nothing(manners: Manners, history: list[tuple[int, object]]) -> None:
    """A truth or an overlay delivered twice at the same instant is one; a late one is none."""
    life = Life(manners)
    for wait, act in history:
        life.act(wait, act)
        was = life.status
        if isinstance(act, Truth) or act in ("hide", "unhide", "out", "in", "unshelve"):
            assert life.act(0, act) == ()
            assert life.status == was
        if was.filter.last > 0:
            late = gate.evaluate(was, life.truth, Truth.TRUE, was.filter.last - 1, manners)
            assert late == (was, ())
            assert step_filter(was.filter, Truth.TRUE, was.filter.last - 1, manners) == (was.filter, None)


@settings(max_examples=150)
@given(manners=MANNERS, history=HISTORY)
def test_every_shelf_ends(manners: Manners, history: list[tuple[int, object]]) -> None:
    """After the longest time that a shelf may last, nothing is shelved."""
    life = Life(manners)
    for wait, act in history:
        life.act(wait, act)
    life.act(21, "unhide")
    assert life.status.overlay.shelved_until is None


TRUTHS = st.lists(st.tuples(st.sampled_from(Truth), st.integers(1, 4)), max_size=30)


@settings(max_examples=300)
@given(manners=MANNERS, truths=TRUTHS)
def test_unknown_time_does_not_exist(manners: Manners, truths: list[tuple[Truth, int]]) -> None:
    """Cut the unknown stretches out of a history: the same edges, at the same times but for what was cut."""
    whole, cut = _edges(manners, truths), _edges(manners, [pair for pair in truths if pair[0] is not Truth.UNKNOWN])
    assert whole == cut


def _edges(manners: Manners, truths: list[tuple[Truth, int]]) -> list[tuple[Edge, int]]:
    """Edges of the filter, with the known time at which they came; evaluated each second and at each change."""
    state, before, now, known = Filter(), Truth.UNKNOWN, 0, 0
    found = []
    for truth, seconds in truths:
        for _ in range(seconds):
            state, edge = observe(state, before, truth, now, manners)
            before = truth
            if edge is not None:
                assert truth is not Truth.UNKNOWN
                found.append((edge, known))
            now += SECOND
            known += SECOND if truth is not Truth.UNKNOWN else 0
    return found


@settings(max_examples=300)
@given(
    truths=st.lists(st.sampled_from(Truth), max_size=80),
    every=st.sampled_from([15, 30, 60]),
    wait=st.integers(0, 240),
    keep=st.integers(0, 240),
)
def test_as_prometheus_does(truths: list[Truth], every: int, wait: int, keep: int) -> None:
    """With `on_unknown = false` the filter is Prometheus' `for` and `keep_firing_for`, tick by tick."""
    manners = Manners(on_delay=wait * SECOND, off_delay=keep * SECOND, on_unknown=Truth.FALSE)
    state = Filter()
    active_at: int | None = None
    firing, keep_since = False, -1
    for tick, truth in enumerate(truths):
        now = tick * every * SECOND
        state, _ = step_filter(state, truth, now, manners)
        if truth is Truth.TRUE:
            active_at = now if active_at is None else active_at
            firing = firing or now - active_at >= wait * SECOND
            keep_since = -1
        elif firing:
            keep_since = now if keep_since < 0 else keep_since
            if now - keep_since >= keep * SECOND:
                firing, active_at, keep_since = False, None, -1
        else:
            active_at = None
        assert state.active == firing
        assert (state.state is FilterState.RISING) == (active_at is not None and not firing)


def test_a_reset_before_the_ack_still_wants_the_ack() -> None:
    """Latched and unseen: the reset lets go of the latch, not of the acknowledgement."""
    manners = Manners(latches=True)
    status = Status()
    for at, truth in enumerate((Truth.TRUE, Truth.FALSE)):
        status, _ = gate.evaluate(status, truth, truth, at, manners)
    status, _ = gate.operate(status, OperatorEvent.RESET, 5, manners)
    assert status.state is OperatorState.RETURNED


def test_what_returned_unseen_while_hidden_and_told_waits_for_its_ack() -> None:
    """Told raised, then hidden, cleared, and shown again: it was announced, so somebody has to have seen it."""
    manners = Manners()
    status, _ = gate.evaluate(Status(), Truth.TRUE, Truth.TRUE, 0, manners)
    status, _ = gate.hide(status, "link:a")
    status, steps = gate.evaluate(status, Truth.TRUE, Truth.FALSE, 1, manners)
    assert [step.speak for step in steps] == [Told.CLEARED]
    status, steps = gate.unhide(status, "link:a")
    assert (status.state, steps[0].speak) == (OperatorState.RETURNED, Told.NOTHING)
