"""Escalation as a table and a pure step: total, never losing a step, and steady against a clock that is set."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hub.duty.escalate import TABLE, Deed, Run, RunEvent, RunState, Take, advance, mended, skipped
from hub.duty.file import Duty, Escalation, Step

T0 = 1_790_000_000_000
policies = st.builds(
    Escalation,
    severity=st.just("P1"),
    rounds=st.integers(1, 3),
    again=st.sampled_from([0.0, 300.0]),
    act_within=st.sampled_from([0.0, 120.0]),
    step=st.lists(
        st.builds(Step, after=st.sampled_from([0.0, 1.0, 60.0]), to=st.just(("all",))), min_size=1, max_size=4
    ).map(tuple),
)


def started(policy: Escalation, at: int = T0) -> Run:
    """An escalation that has just begun."""
    return advance(Run(key="sos/s1", occurrence=1, severity="P1", policy=policy), RunEvent.START, at)[0]


def take_all(run: Run, until: int) -> tuple[Run, list[tuple[int, Deed]]]:
    """Everything that is due up to `until`, each with when it was due."""
    deeds = []
    while run.due_at is not None and run.due_at <= until:
        due = run.due_at
        run, deed = advance(run, RunEvent.DUE, due)
        assert deed is not None
        deeds.append((due, deed))
    return run, deeds


def test_the_table_is_total() -> None:
    """Every state has an answer to every event, and every state is reached."""
    assert set(TABLE) == {(state, event) for state in RunState for event in RunEvent}
    assert {cell.next for cell in TABLE.values()} | {RunState.EXHAUSTED} == set(RunState)
    for (state, event), cell in TABLE.items():
        if event is RunEvent.STOP:
            assert cell.next is RunState.IDLE, "whatever it is, it can be stopped"
        if event is RunEvent.ACK:
            assert cell.next is RunState.ACKED
        if event is RunEvent.DUE:
            assert cell.take is not Take.NOTHING or state is RunState.IDLE, "no timer without a deed"


@given(policies)
def test_each_step_is_taken_once_a_round_and_at_its_time(policy: Escalation) -> None:
    """The steps in their order, `rounds` times, each so long after the one before; then the last again and again."""
    run, deeds = take_all(started(policy), T0 + 20 * 60_000 + 20 * 240_000)
    steps = [deed.call for _, deed in deeds]
    regular = list(policy.step) * policy.rounds
    assert steps[: len(regular)] == regular
    assert set(steps[len(regular) :]) <= {policy.step[-1]}
    assert bool(policy.again) == (len(steps) > len(regular))
    assert run.state is RunState.EXHAUSTED
    assert [deed.turn for _, deed in deeds] == list(range(len(deeds)))
    assert deeds[0][0] == T0 + policy.step[0].after * 1000
    for (before, _), (at, deed) in list(pairwise(deeds))[: len(policy.step) - 1]:
        assert deed.call is not None
        assert at - before == deed.call.after * 1000


@given(policies, st.integers(0, 3_600_000))
def test_a_hub_that_was_away_takes_every_step_that_it_missed(policy: Escalation, away: int) -> None:
    """The same steps as if it had been there all the time: none lost, none twice."""
    there, seen = take_all(started(policy), T0 + away)
    run, late = started(policy), []
    for _ in range(100):
        run, deed = advance(run, RunEvent.DUE, T0 + away)
        if deed is None:
            break
        late.append(deed)
    regular = len(policy.step) * policy.rounds
    assert late[:regular] == [deed for _, deed in seen][:regular]
    if len(seen) < regular:
        assert run == there


@given(policies, st.integers(0, 600_000))
def test_an_acknowledgement_stops_it_and_its_time_out_raises_again(policy: Escalation, after: int) -> None:
    """Nobody is called after an ack; `act_within` later the alarm is raised again, once, and calling begins anew."""
    run, _ = take_all(started(policy), T0 + after)
    acked, deed = advance(run, RunEvent.ACK, T0 + after)
    assert (acked.state, deed) == (RunState.ACKED, None)
    rest, deeds = take_all(acked, T0 + after + 86_400_000)
    if not policy.act_within:
        assert (rest, deeds) == (acked, [])
        return
    assert deeds == [(T0 + after + 120_000, Deed(Take.REALARM))]
    assert (rest.state, rest.due_at) == (RunState.IDLE, None)
    again = advance(rest, RunEvent.START, T0 + after + 120_000)[0]
    assert (again.run, again.turn, again.step) == (run.run + 1, 0, 0)


def test_before_its_time_nothing_is_due(duty: Duty) -> None:
    """A millisecond early is early."""
    run = advance(started(duty.escalation[0]), RunEvent.DUE, T0)[0]
    assert run.due_at == T0 + 60_000
    assert advance(run, RunEvent.DUE, T0 + 59_999) == (run, None)
    assert advance(run, RunEvent.DUE, T0 + 60_000)[1] is not None


def test_force_takes_the_next_step_now(duty: Duty) -> None:
    """And the one after it waits from now."""
    run = advance(started(duty.escalation[0]), RunEvent.DUE, T0)[0]
    run, deed = advance(run, RunEvent.FORCE, T0 + 5_000)
    assert deed is not None
    assert deed.call == duty.escalation[0].step[1]
    assert run.due_at == T0 + 125_000


def test_a_step_that_reaches_nobody_is_not_waited_out(duty: Duty) -> None:
    """The next one follows at once; but the last one's repetition keeps its pace."""
    policy = duty.escalation[0]
    run = advance(started(policy), RunEvent.DUE, T0)[0]
    assert skipped(run, T0).due_at == T0
    last, _ = take_all(started(policy), T0 + 200_000)
    assert last.state is RunState.EXHAUSTED
    assert skipped(last, T0 + 200_000) == last


@given(policies, st.integers(0, 900_000), st.integers(1, 10**9))
def test_a_clock_that_is_set_back_holds_nothing_up(policy: Escalation, after: int, back: int) -> None:
    """No timer is further ahead than its own wait; one that is right stays as it is."""
    run, _ = take_all(started(policy), T0 + after)
    assert mended(run, T0 + after) == run
    moved = mended(run, T0 + after - back)
    assert moved.due_at is None or moved.due_at - (T0 + after - back) <= 300_000
