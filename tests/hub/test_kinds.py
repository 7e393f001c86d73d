"""What the rule kinds answer, beyond their stories: bounds, unknowns, clocks that are set, memory that stays small."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.alarms.alarm import Truth
from hub.calendar.schedule import Hours
from hub.devices.health import OK, SILENT, UP, DeviceWatch, LinkWatch
from hub.reading import Label, Reading, Value
from hub.rules.kinds.balance import Balance
from hub.rules.kinds.discrepancy import Discrepancy
from hub.rules.kinds.level import Level
from hub.rules.kinds.measure import Count, Deviation, Gathered, Rise
from hub.rules.kinds.sequence import Sequence
from hub.rules.kinds.vote import Vote
from hub.rules.kinds.window import BUCKETS, Window
from hub.rules.rule import Rule, RuleKind
from hub.rules.truth import Question, Series
from hub.settings.site import Site

T, F, U = Truth
NAME = Label(zh="例", en="case")
SECOND = 1000
NIGHT = Hours("22:00-06:00", Site(id="s", name=NAME, timezone="UTC", zones=(), links=()).tz)


def rule(kind: RuleKind, **keys: object) -> Rule:
    """A rule of this kind, without what the kinds do not look at."""
    given = {"quantity": "laeq", **keys}
    return Rule(id="r", kind=kind, severity="P3", area="system", title=NAME, response=NAME, story=[], **given)  # type: ignore[arg-type]  # as the test says


class Bench:
    """One device whose series are fed by hand. Time is `now` (ms)."""

    def __init__(self, silent_after: float = 20.0) -> None:
        """Heard, and well."""
        link = LinkWatch("link", 0)
        link.state = UP
        self.watch = DeviceWatch("d", link, silent_after, 0)
        self.watch.state = OK
        self.series: dict[str, Series] = {}
        self.now = 0

    def of(self, quantity: str, *, gauge: bool = True) -> Series:
        """The series of this quantity."""
        return self.series.setdefault(quantity, Series(self.watch, gauge=gauge))

    def say(self, quantity: str, value: Value, *hearing: Question | Gathered | Rise | Count) -> None:
        """One reading, now."""
        series = self.of(quantity)
        series.ts = series.rx = self.now
        series.value, series.known = value, True
        for each in hearing:
            each.take(Reading(device="d", quantity=quantity, value=value, ts=self.now, rx=self.now), self.now)


# --- windows ----------------------------------------------------------------------------------------------------------

ARRIVALS = st.lists(st.tuples(st.integers(0, 4000), st.floats(-50, 150)), max_size=80)


@given(span=st.sampled_from([60, 600, 6_000, 60_000]), arrivals=ARRIVALS, wait=st.integers(0, 70_000))
def test_a_window_holds_what_a_list_would(span: int, arrivals: list[tuple[int, float]], wait: int) -> None:
    """Everything of the span, nothing older than a sixtieth more, and never more than 62 buckets."""
    window, now, said = Window(span), 0, []
    for step, value in arrivals:
        now += step
        window.add(now, value, weight=step, total=value)
        said.append((now, value))
        assert len(window) <= BUCKETS + 1
    now += wait
    sums = window.sums(now)
    least = [value for at, value in said if at > now - span]
    most = [value for at, value in said if at >= now - span - 2 * math.ceil(span / BUCKETS)]
    assert len(least) <= sums.n <= len(most)
    assert min(most, default=math.inf) <= sums.low <= min(least, default=math.inf)
    assert max(least, default=-math.inf) <= sums.high <= max(most, default=-math.inf)


@given(arrivals=ARRIVALS, gap=st.integers(-(10**10), 10**10))
def test_a_clock_that_is_set_moves_a_window(arrivals: list[tuple[int, float]], gap: int) -> None:
    """Shifted by any gap it holds the same, then as before."""
    one, other, now = Window(6_000), Window(6_000), 0
    for step, value in arrivals:
        now += step
        one.add(now, value)
        other.add(now, value)
    other.shift(gap)
    assert other.sums(now + gap) == one.sums(now)
    assert other.edge(now + gap) == one.edge(now) + gap
    assert other.leaves(now + gap) in (None, (one.leaves(now) or 0) + gap)


def test_leq_is_a_mean_of_energies() -> None:
    """80, 80.3, 80.6, 80.4, 79.7, 76.9 dB make 79.80699 dB, never their arithmetic mean (tests/vectors/noise.json)."""
    bench = Bench()
    gathered = Gathered(rule("aggregate", aggregate="energy-mean", window=6.0), bench.of("laeq"))
    bench.say("laeq", 0.0, gathered)  # stands for nothing: what was before it is not known
    for value in (80.0, 80.3, 80.6, 80.4, 79.7, 76.9):
        bench.now += SECOND
        bench.say("laeq", value, gathered)
    bounds = gathered.bounds(bench.now)
    assert bounds is not None
    assert bounds == pytest.approx((79.80699, 79.80699), abs=1e-4)


@pytest.mark.parametrize(
    ("aggregate", "bounds"),
    [("min", (-math.inf, 40.0)), ("max", (70.0, math.inf)), ("spread", (30.0, math.inf)), ("mean", None)],
)
def test_half_a_window_bounds_a_figure(aggregate: str, bounds: tuple[float, float] | None) -> None:
    """What was not seen may have been anything: a figure is known on the side on which it can only grow."""
    bench = Bench()
    gathered = Gathered(rule("aggregate", aggregate=aggregate, window=60.0), bench.of("laeq"))
    for value in (40.0, 70.0, 50.0):
        bench.now += SECOND
        bench.say("laeq", value, gathered)
    assert gathered.bounds(bench.now) == bounds


def test_a_counter_that_begins_anew_has_counted_from_nought() -> None:
    """5, 8, then 0.5 after a power cut: three and a half in all; what falls to elsewhere was not counted by anybody."""
    bench = Bench()
    gathered = Gathered(rule("aggregate", quantity="flow", aggregate="increase", window=60.0), bench.of("flow"))
    for value in (5.0, 8.0, 0.5, 0.4):
        bench.now += SECOND
        bench.say("flow", value, gathered)
    assert gathered.bounds(bench.now) == (3.5, math.inf)


def test_events_may_have_come_while_the_device_was_gone() -> None:
    """A count is exact only when the device was there for the whole window."""
    bench = Bench()
    count = Count(rule("aggregate", quantity="passage", aggregate="count", window=60.0), bench.of("passage"), 0)
    bench.now = 60 * SECOND
    bench.say("passage", "denied", count)
    assert count.bounds(bench.now) == (1.0, 1.0)
    bench.watch.state = SILENT
    assert count.bounds(bench.now) == (1.0, math.inf)
    bench.watch.state = OK
    bench.now += SECOND
    assert count.bounds(bench.now) == (1.0, math.inf)
    bench.now += 62 * SECOND
    assert count.bounds(bench.now) == (0.0, 0.0)


def test_a_rise_is_known_before_the_window_is_full() -> None:
    """From 1.0 to 1.5 within a minute of ten is a rise of half a metre, whatever was before."""
    bench = Bench()
    rise = Rise(rule("rate", quantity="water_level", window=600.0, above=0.3), bench.of("water_level"))
    for value in (1.0, 1.5):
        bench.now += 10 * SECOND
        bench.say("water_level", value, rise)
    assert rise.bounds(bench.now) == (0.5, math.inf)


def test_a_deviation_needs_both() -> None:
    """One sensor alone deviates from nothing."""
    bench = Bench()
    deviation = Deviation(bench.of("temperature"), bench.of("water_temperature"))
    bench.say("temperature", 20.0)
    assert deviation.bounds(bench.now) is None
    bench.say("water_temperature", 18.5)
    assert deviation.bounds(bench.now) == (1.5, 1.5)


# --- limits and votes -------------------------------------------------------------------------------------------------


@given(
    value=st.floats(-10, 10),
    standing=st.booleans(),
    above=st.floats(1, 5),
    below=st.floats(-5, 0),
    band=st.floats(0, 2),
)
def test_a_level_is_true_outside_and_stays_so_for_a_deadband(
    value: float, standing: bool, above: float, below: float, band: float
) -> None:
    """Two limits: true beyond either, and when it was true, until the deadband's width inside."""
    bench = Bench()
    bench.say("laeq", value)
    level = Level(rule("level", above=above, below=below, deadband=band), bench.of("laeq"), None, "1", NIGHT)
    width = band if standing else 0.0
    assert (level.ask(0, standing) is T) == (value > above - width or value < below + width)


VOICES = st.lists(st.sampled_from(Truth), min_size=1, max_size=6)


class Said(Level):
    """A voice that says what it is told to."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth

    def ask(self, now: int, standing: bool) -> Truth:
        """The same each time."""
        return self.truth


@given(voices=VOICES, least=st.integers(1, 6))
def test_a_vote_is_what_every_filling_of_the_unknowns_says(voices: list[Truth], least: int) -> None:
    """True if all fillings are true, false if all are false, else unknown; fail-safe needs one that is really true."""
    true, unknown = voices.count(T), voices.count(U)
    fillings = {true + more >= least for more in range(unknown + 1)}
    expected = U if len(fillings) == 2 else T if fillings == {True} else F
    strict = Vote(rule("vote", least=least), [Said(voice) for voice in voices])
    safe = Vote(rule("vote", least=least, degraded="fail-safe"), [Said(voice) for voice in voices])
    assert strict.ask(0, False) is expected
    assert safe.ask(0, False) is (T if expected is U and true else expected)


# --- memory -----------------------------------------------------------------------------------------------------------


def test_an_order_is_remembered_over_a_restart() -> None:
    """What was sent and not reached is due after the restart as before."""
    asked = Discrepancy(rule("discrepancy", quantity="", within=2.0))
    assert asked.ordered({"gate": "open"}, 8 * SECOND, 0)
    again = Discrepancy(rule("discrepancy", quantity="", within=2.0))
    again.recall(asked.keep(), 5 * SECOND)
    assert [again.ask(at * SECOND, False) for at in (9, 10)] == [F, T]
    assert again.value(10 * SECOND) == "gate=open"


def test_a_count_goes_on_over_a_restart() -> None:
    """Two went in while the hub was away: their counters say so."""
    bench = Bench()
    series = [bench.of(name) for name in ("count_in", "count_out")]
    keys = {"quantity": "people", "entered": "count_in", "left": "count_out", "within": 10.0}
    before = Balance(rule("balance", **keys), series, {"d": bench.of("people")})
    for name, value in (("people", 0.0), ("count_in", 7.0), ("count_out", 3.0)):
        bench.say(name, value, before)
    after = Balance(rule("balance", **keys), series, {"d": bench.of("people")})
    after.recall(before.keep(), 0)
    bench.say("count_in", 9.0, after)
    assert (after.ask(bench.now, False), after.value(bench.now)) == (T, 2.0)
    after.settle(bench.now)
    assert after.ask(bench.now, False) is F


def test_silence_of_the_eyes_is_strict_or_fail_safe() -> None:
    """One is inside, and nobody looks: unknown, or true where the rule says so; nobody inside is nobody missing."""
    bench = Bench()
    ways = [bench.of("count_in"), bench.of("count_out")]
    keys = {"quantity": "people", "entered": "count_in", "left": "count_out", "within": 10.0}
    strict = Balance(rule("balance", **keys), ways, {"d": bench.of("people")})
    safe = Balance(rule("balance", **keys, degraded="fail-safe"), ways, {"d": bench.of("people")})
    for name, value in (("count_in", 7.0), ("count_out", 3.0)):
        bench.say(name, value, strict, safe)
    assert [each.ask(bench.now, False) for each in (strict, safe)] == [F, F]
    bench.say("count_in", 8.0, strict, safe)
    assert [each.ask(bench.now, False) for each in (strict, safe)] == [U, T]


def test_a_gate_that_was_judged_stays_judged() -> None:
    """Forced before the restart and still open: forced. Opened while the hub was away: nobody knows."""
    bench = Bench()
    keys = {"quantity": "gate", "states": ["open"], "cause": "passage", "within": 10.0}
    before = Sequence(rule("sequence", **keys), bench.of("gate", gauge=False), None)
    for value in ("closed", "open"):
        bench.now += SECOND
        bench.say("gate", value, before)
    assert before.ask(bench.now, False) is T
    after = Sequence(rule("sequence", **keys), bench.of("gate"), None)
    after.recall(before.keep(), bench.now)
    bench.say("gate", "open", after)
    assert after.ask(bench.now, False) is T
    fresh = Sequence(rule("sequence", **keys), bench.of("gate"), None)
    bench.say("gate", "open", fresh)
    assert fresh.ask(bench.now, False) is U
