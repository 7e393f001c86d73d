"""The load of a Modbus line: sums of its requests, and the turns that its devices really get."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles import load as profiles
from device_profiles.types import ModbusLink, ModbusProfile, RegisterField
from firmware_bridge.wire.load import first_due, link_load, next_due, read_every
from firmware_bridge.wire.plan import RtuTiming, TcpTiming
from hub.reading import Label
from hub.settings.site import Device, Devices, ModbusRtuLink, ModbusTcpLink

METER, RELAY = "noise/generic-rs485", "relay/waveshare-8ch"


def device(unit: int, profile: str = METER, every: float = 1.0, latency: float = 0.02) -> Device:
    """One unit of a profile that comes with Zhian."""
    options = ModbusLink(unit=unit, every=every, latency=latency)
    return Device(id=f"u-{unit}", profile=profiles.find(profile, file="", key=""), options=options, name=X, link="line")


X = Label(zh="x", en="x")


def rtu(*devices: Device, baud: int = 9600) -> ModbusRtuLink:
    """An RS-485 line."""
    return ModbusRtuLink(id="line", port="/dev/null", baud=baud, devices=Devices(devices))


def test_a_line_is_the_sum_of_its_requests() -> None:
    """One register at 9600 8N1 with 20 ms is 42.917 ms; eight coils are 41.875 ms, whether in one read or for one."""
    load = link_load(rtu(device(1), device(2, every=0.5), device(3, RELAY, latency=0.1)))

    assert load.timing == RtuTiming(9600, "N", 1)
    assert [unit.cycle_ms for unit in load.devices] == pytest.approx([42.917, 42.917, 121.875], abs=0.001)
    assert load.cycle_ms == pytest.approx(207.708, abs=0.001)
    assert load.load == pytest.approx(0.042917 + 2 * 0.042917 + 0.121875, abs=1e-5)
    assert load.single_ms == pytest.approx(2 * 42.917 + 8 * 121.875, abs=0.01)
    assert load.gain == pytest.approx(load.single_ms / load.cycle_ms)
    assert [unit.read_every for unit in load.devices] == pytest.approx([1.0, 0.5, 1.0], rel=0.01)


def test_on_tcp_only_latency_counts() -> None:
    """Eight coils or one register: one request, 20 ms."""
    load = link_load(ModbusTcpLink(id="line", host="x", devices=Devices((device(1), device(2, RELAY, every=0.1)))))

    assert load.timing == TcpTiming()
    assert [unit.ms for unit in load.devices] == [(20.0,), (20.0,)]
    assert load.load == pytest.approx(0.02 + 0.2)


def test_an_empty_line_is_idle() -> None:
    """No devices: nothing to do, and nothing gained."""
    load = link_load(rtu())

    assert (load.cycle_ms, load.load, load.gain, load.devices) == (0, 0, 1.0, ())


def test_thirty_units_of_ten_registers() -> None:
    """In two blocks of five, three apart: one read is 6.3 times as quick as ten, 1.5 times as quick as two."""
    meter = profiles.find(METER, file="", key="")
    assert isinstance(meter, ModbusProfile)
    reading = {f"r{at}": RegisterField(address=at) for at in (*range(5), *range(8, 13))}
    loads = {}
    for gaps in ("readable", "unknown"):
        profile = msgspec.structs.replace(meter, reading=reading, gaps=gaps)
        units = [msgspec.structs.replace(device(n, every=4.0), profile=profile) for n in range(1, 31)]
        loads[gaps] = link_load(rtu(*units))
    together, apart = loads["readable"], loads["unknown"]

    assert [len(load.devices[0].requests) for load in (together, apart)] == [1, 2]
    assert together.single_ms == apart.single_ms == pytest.approx(30 * 429.167, abs=0.1)
    assert together.cycle_ms == pytest.approx(30 * 67.917, abs=0.1)
    assert (round(together.gain, 1), round(apart.cycle_ms / together.cycle_ms, 1)) == (6.3, 1.5)
    assert together.load == pytest.approx(0.509, abs=0.001)
    assert apart.load == pytest.approx(30 * (0.1025 + 0.05) / 4, abs=0.001)


def test_what_the_bus_waits_counts_as_load() -> None:
    """50 ms from an answer to a question of the same shape, less what was asked in between; others do not wait."""
    meter = profiles.find(METER, file="", key="")
    assert isinstance(meter, ModbusProfile)

    def waits(*spans: tuple[int, str]) -> float:
        reading = {f"r{at}": RegisterField(address=at, type=kind) for at, kind in spans}  # type: ignore[arg-type]  # text
        profile = msgspec.structs.replace(meter, reading=reading)
        (unit,) = link_load(rtu(msgspec.structs.replace(device(1), profile=profile))).devices
        assert unit.poll_ms == unit.cycle_ms + unit.wait_ms
        return unit.wait_ms

    assert waits((0, "u16"), (10, "u32")) == 0
    assert waits((0, "u16"), (10, "u16")) == pytest.approx(50)
    assert waits((0, "u16"), (10, "u16"), (20, "u16")) == pytest.approx(100)
    assert waits((0, "u16"), (10, "u32"), (20, "u16")) == pytest.approx(50 - 45.0)


def test_who_has_no_plan_is_named() -> None:
    """A profile that contradicts itself, or a device that is not Modbus."""
    long = msgspec.structs.replace(
        device(1).profile, reading={"x": RegisterField(address=0, type="f64")}, max_registers=2
    )
    with pytest.raises(ValueError, match="u-1: the field at address 0 is longer"):
        link_load(rtu(msgspec.structs.replace(device(1), profile=long)))
    with pytest.raises(TypeError, match="u-1 is not a Modbus device"):
        link_load(rtu(msgspec.structs.replace(device(1), profile=profiles.find("chip/wl-134a", file="", key=""))))


def test_more_than_full_makes_everybody_late_alike() -> None:
    """Thirty meters at 9600 baud want 1.29 s of each second: each is read every 1.29 s."""
    load = link_load(rtu(*(device(unit) for unit in range(1, 31))))

    assert load.load == pytest.approx(1.2875)
    assert [unit.read_every for unit in load.devices] == pytest.approx([1.2875] * 30, rel=0.02)
    assert all(unit.late for unit in load.devices)


def test_a_long_poll_makes_a_hasty_neighbour_late_before_the_line_is_full() -> None:
    """A beat that passes while another unit holds the line is skipped, not caught up."""
    hasty, slow = read_every([(0.1, 0.03), (1.0, 0.45)])

    assert 0.03 / 0.1 + 0.45 / 1.0 < 0.8
    assert hasty == pytest.approx(1 / 6, rel=0.1)  # four or five of ten beats a second are lost
    assert slow == pytest.approx(1.0, rel=0.01)


polls = st.lists(st.tuples(st.floats(0.1, 5.0), st.floats(0.005, 0.3)), min_size=1, max_size=12)


@given(polls)
def test_turns_are_physical(devices: list[tuple[float, float]]) -> None:
    """Nobody is read more often than asked for, and all together never take more time than there is."""
    paces = read_every(devices)

    assert all(pace > 0.9 * every for pace, (every, _) in zip(paces, devices, strict=True))
    assert sum(takes / pace for pace, (_, takes) in zip(paces, devices, strict=True)) < 1.1


@given(polls)
def test_whoever_fits_is_on_time(devices: list[tuple[float, float]]) -> None:
    """Where one cycle of all is shorter than the shortest `every`, no beat is missed."""
    everybody = sum(takes for _, takes in devices)
    patient = [(everybody + every, takes) for every, takes in devices]

    assert read_every(patient) == pytest.approx([every for every, _ in patient], rel=0.03)


@given(st.floats(0, 100), st.floats(0.01, 10), st.floats(0, 50))
def test_the_next_turn_is_the_next_beat(due: float, every: float, late: float) -> None:
    """After now, by no more than one beat, and on the device's own grid."""
    after = next_due(due, every, due + late)

    assert due + late < after + 1e-9
    assert after <= due + late + every + 1e-9
    assert (after - due) / every == pytest.approx(round((after - due) / every))


def test_first_turns_are_spread() -> None:
    """Over one `every`, or two seconds where that is less."""
    assert [first_due(1.0, place, 4) for place in range(4)] == [0, 0.25, 0.5, 0.75]
    assert all(b - a == pytest.approx(0.5) for a, b in pairwise(first_due(60.0, place, 4) for place in range(4)))
