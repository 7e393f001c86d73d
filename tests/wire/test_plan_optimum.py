"""The read plan is the cheapest there is: equal to trying everything, and better than two greedy ways of merging."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from device_profiles.types import AddressRanges, ModbusLink, ModbusProfile, RegisterField
from firmware_bridge.wire.modbus import Request
from firmware_bridge.wire.plan import RtuTiming, TcpTiming, Timing, one_by_one, plan, span
from hub.reading import Label

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "modbus.json").read_text())
NORMAL = RtuTiming(9600, "N", 1)
Spans = list[tuple[int, int]]


def made(
    *fields: RegisterField, most: int = 125, least: int = 1, gaps: str = "readable", **never: Spans
) -> ModbusProfile:
    """A profile with these fields; `forbidden` and `once` are ranges of holding registers."""
    return ModbusProfile(
        profile=1,
        id="test/any",
        title=Label(zh="x", en="x"),
        source="made by hand",
        sample=[],
        link=ModbusLink(),
        reading={f"field_{n}": field for n, field in enumerate(fields)},
        max_registers=most,
        min_registers=least,
        gaps="readable" if gaps == "readable" else "unknown",
        forbidden=AddressRanges(holding=never.get("forbidden", [])),
        read_to_clear=AddressRanges(holding=never.get("once", [])),
    )


def words(*addresses: int) -> list[RegisterField]:
    """One holding register each."""
    return [RegisterField(address=address) for address in addresses]


def reads(profile: ModbusProfile, timing: Timing = NORMAL, latency: float = 0.02) -> Spans:
    """The plan as (address, count)."""
    return [(request.address, request.count) for request in plan(profile, 1, timing, latency)]


def cost(requests: Iterator[Request] | tuple[Request, ...], timing: Timing = NORMAL, latency: float = 0.02) -> float:
    """All of them, in ms."""
    return sum(timing.ms(request, latency) for request in requests)


def test_ten_registers_side_by_side() -> None:
    """At 9600 8N1 with 20 ms latency they cost 62 ms in one read, and 429 ms one by one."""
    profile = made(*words(*range(10)))

    assert cost(plan(profile, 1, NORMAL, 0.02)) == pytest.approx(61.667, abs=0.001)
    assert cost(one_by_one(profile, 1)) == pytest.approx(429.167, abs=0.001)
    assert (round(cost(plan(profile, 1))), round(cost(one_by_one(profile, 1)))) == (62, 429)


@pytest.mark.parametrize("row", VECTORS["bus_time"]["rows"], ids=lambda row: "-".join(map(str, row.values())))
def test_a_plan_costs_what_the_table_says(row: dict[str, int | float]) -> None:
    """So many neighbours are one request, for the bus time of the table and the latency, at each speed and format."""
    timing = RtuTiming(int(row["baud"]), "E" if row["bits_per_char"] == 11 else "N", 1)
    profile = made(*words(*range(int(row["registers"]))))

    requests = plan(profile, 1, timing, 0.02)

    assert [request.count for request in requests] == [row["registers"]]
    assert cost(requests, timing) == pytest.approx(row["total_ms_no_latency"] + 20, abs=0.01)


@pytest.mark.parametrize(
    ("timing", "latency", "widest"),
    [
        (NORMAL, 0.02, 19),  # 2 g x 10 / 9600 < 13 x 10 / 9600 + 2 x 3.646 ms + 20 ms
        (RtuTiming(9600, "E", 1), 0.02, 18),
        (RtuTiming(9600, "N", 2), 0.02, 18),
        (NORMAL, 0.04, 29),
        (RtuTiming(1200, "N", 1), 0.02, 11),
        (RtuTiming(115200, "N", 1), 0.002, 38),
        (TcpTiming(), 0.02, 123),
    ],
    ids=str,
)
def test_the_widest_gap_worth_reading(timing: Timing, latency: float, widest: int) -> None:
    """Speed, parity, stop bits and latency say up to which gap one read is cheaper than two: not one register more."""
    assert len(reads(made(*words(0, widest + 1)), timing, latency)) == 1
    assert len(reads(made(*words(0, widest + 2)), timing, latency)) == 2


def test_on_tcp_the_fewest_requests_and_of_those_the_least_registers() -> None:
    """The length of a request is free there, but what nobody wants is not read for nothing."""
    assert reads(made(*words(0, 60, 124)), TcpTiming()) == [(0, 125)]
    assert reads(made(*words(0, 60, 100, 150)), TcpTiming()) == [(0, 1), (60, 91)]


def test_what_is_forbidden_is_never_touched() -> None:
    """Neither as a gap, nor to make a read as long as the device answers."""
    assert reads(made(*words(0, 2))) == [(0, 3)]
    assert reads(made(*words(0, 2), forbidden=[(1, 1)])) == [(0, 1), (2, 1)]
    assert reads(made(*words(5), least=4, forbidden=[(6, 9)])) == [(2, 4)]
    assert reads(made(*words(0xFFFF), least=4)) == [(0xFFFC, 4)]
    with pytest.raises(ValueError, match="address 5 fits no read"):
        plan(made(*words(5), least=4, forbidden=[(4, 4), (7, 7)]), 1)
    with pytest.raises(ValueError, match="address 5 is forbidden"):
        plan(made(*words(5), forbidden=[(5, 5)]), 1)
    with pytest.raises(ValueError, match="ends after address 65535"):
        plan(made(RegisterField(address=0xFFFF, type="u32")), 1)


def test_what_is_cleared_by_reading_is_read_for_itself_and_once() -> None:
    """It fills no gap, but is welcome where it is wanted; two reads that overlap in it would lose a count."""
    assert reads(made(*words(0, 2), once=[(1, 1)])) == [(0, 1), (2, 1)]
    assert reads(made(*words(0, 1, 2), once=[(1, 1)])) == [(0, 3)]
    overlapping = [RegisterField(address=0, type="u64"), RegisterField(address=2, type="u64")]
    assert reads(made(*overlapping, most=5)) == [(0, 4), (2, 4)]
    with pytest.raises(ValueError, match="address 0 fits no read"):
        plan(made(*overlapping, most=5, once=[(2, 3)]), 1)


def test_an_unknown_gap_is_read_only_where_the_device_sends_it_anyway() -> None:
    """Without the maker's word nothing is known to be readable; what `min_registers` brings is there already."""
    assert reads(made(*words(0, 2), gaps="unknown")) == [(0, 1), (2, 1)]
    assert reads(made(*words(0, 2), gaps="unknown", least=4)) == [(0, 4)]


def test_the_lines_own_settings_are_the_default() -> None:
    """Without a line the plan counts with the profile's [link]: 9600 8N1, 20 ms."""
    assert plan(made(*words(0, 20)), 1) == (Request(1, 3, 0, count=21),)
    assert len(plan(made(*words(0, 21)), 1)) == 2


# --- against trying everything, and against greed ---------------------------------------------------------------


def partitions(fields: list[RegisterField]) -> Iterator[list[list[RegisterField]]]:
    """Every way to put the fields into groups."""
    if not fields:
        yield []
        return
    first, *rest = fields
    for groups in partitions(rest):
        yield [[first], *groups]
        for at, group in enumerate(groups):
            yield [*groups[:at], [first, *group], *groups[at + 1 :]]


def window(profile: ModbusProfile, group: list[RegisterField]) -> Request | None:
    """Any allowed read of the group, as the profile's keys are written down: by single addresses."""
    wanted = {address for field in group for address in field.addresses}
    known = {address for field in profile.reading.values() for address in field.addresses}
    start, end = min(wanted), max(wanted) + 1
    count = max(end - start, profile.min_registers)
    never = profile.forbidden.addresses("holding") | (profile.read_to_clear.addresses("holding") - wanted)
    anyway = profile.gaps == "readable" or count == profile.min_registers or set(range(start, end)) <= known
    for first in range(end - count, start + 1):
        if first >= 0 and count <= profile.max_registers and anyway and never.isdisjoint(range(first, first + count)):
            return Request(1, 3, first, count=count)
    return None


def cheapest(profile: ModbusProfile, timing: Timing, latency: float) -> float | None:
    """Try everything; None: nothing is allowed."""
    once = profile.read_to_clear.addresses("holding")
    found: list[float] = []
    for groups in partitions(list(profile.reading.values())):
        windows = [asked for group in groups if (asked := window(profile, group))]
        cleared = [at for asked in windows for at in range(asked.address, asked.address + asked.count) if at in once]
        if len(windows) == len(groups) and len(cleared) == len(set(cleared)):
            found.append(sum(timing.ms(asked, latency) for asked in windows))
    return min(found, default=None)


fields = st.builds(
    RegisterField,
    address=st.integers(0, 45),
    type=st.sampled_from(["u8", "u16", "i32", "f64"]),
    byte=st.integers(0, 2),
)
ranges = st.lists(st.tuples(st.integers(0, 45), st.integers(0, 2)).map(lambda pair: (pair[0], sum(pair))), max_size=2)
timings = st.sampled_from([NORMAL, RtuTiming(1200, "E", 2), RtuTiming(115200, "N", 1), TcpTiming()])
profiles = st.builds(
    lambda chosen, most, least, gaps, forbidden, once: made(
        *chosen, most=most, least=min(least, most), gaps=gaps, forbidden=forbidden, once=once
    ),
    st.lists(fields, min_size=1, max_size=6),
    st.integers(5, 30),
    st.sampled_from([1, 1, 2, 4]),
    st.sampled_from(["readable", "unknown"]),
    ranges,
    ranges,
)


@given(profiles, timings, st.sampled_from([0.0005, 0.02]))
def test_equal_to_trying_everything(profile: ModbusProfile, timing: Timing, latency: float) -> None:
    """No set of allowed reads is cheaper, and where none is allowed the plan says so instead of reading."""
    best = cheapest(profile, timing, latency)
    if best is None:
        with pytest.raises(ValueError, match="at address"):
            plan(profile, 1, timing, latency)
        return
    assert cost(plan(profile, 1, timing, latency), timing, latency) == pytest.approx(best, abs=1e-4)


@given(profiles, timings)
def test_every_plan_keeps_every_key(profile: ModbusProfile, timing: Timing) -> None:
    """Fields whole, lengths within limits, nothing forbidden, nothing cleared twice or for nobody."""
    assume(cheapest(profile, timing, 0.02) is not None)
    requests = plan(profile, 1, timing, 0.02)
    touched = [at for request in requests for at in range(request.address, request.address + request.count)]
    wanted = {at for field in profile.reading.values() for at in field.addresses}
    cleared = [at for at in touched if at in profile.read_to_clear.addresses("holding")]

    assert all(profile.min_registers <= request.count <= profile.max_registers for request in requests)
    assert profile.forbidden.addresses("holding").isdisjoint(touched)
    assert len(cleared) == len(set(cleared))
    assert set(cleared) <= wanted
    for field in profile.reading.values():
        start, end = span(field)
        assert any(request.address <= start and end <= request.address + request.count for request in requests)
    assert all(one.address < other.address for one, other in pairwise(requests))


def greedy(spans: Spans, most: int, gap: int) -> Spans:
    """From left to right: take the next one along while the gap is no wider than this and the read no longer."""
    merged: Spans = []
    for start, end in spans:
        if merged and start - merged[-1][1] <= gap and end - merged[-1][0] <= most:
            merged[-1] = merged[-1][0], end
        else:
            merged.append((start, end))
    return merged


@pytest.mark.parametrize(
    ("addresses", "most", "gap", "greedily", "best"),
    [
        ((0, 2), 125, 0, [(0, 1), (2, 1)], [(0, 3)]),  # only what touches: a request too many
        ((0, 3, 4, 5, 6), 4, 19, [(0, 4), (4, 3)], [(0, 1), (3, 4)]),  # whatever pays: a gap too many
        ((0, 2, 3, 5, 7, 8), 4, 19, [(0, 4), (5, 4)], [(0, 4), (5, 4)]),  # and sometimes greed is right
    ],
)
def test_greed_is_worse_on_some(addresses: tuple[int, ...], most: int, gap: int, greedily: Spans, best: Spans) -> None:
    """Neither merging what touches nor merging what pays is an optimum: the comparison above can fail."""
    found = [(start, end - start) for start, end in greedy([(at, at + 1) for at in addresses], most, gap)]

    assert found == greedily
    assert reads(made(*words(*addresses), most=most)) == best
    asked = tuple(Request(1, 3, start, count=count) for start, count in greedily)
    ours = cost(plan(made(*words(*addresses), most=most), 1))
    assert ours < cost(asked) if greedily != best else ours == cost(asked)


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60, unique=True), st.integers(4, 125), st.integers(0, 30))
def test_never_worse_than_greed(addresses: list[int], most: int, gap: int) -> None:
    """On long maps, where everything cannot be tried."""
    spans = greedy([(at, at + 1) for at in sorted(addresses)], most, gap)
    asked = tuple(Request(1, 3, start, count=end - start) for start, end in spans)

    assert cost(plan(made(*words(*addresses), most=most), 1)) <= cost(asked) + 1e-6
