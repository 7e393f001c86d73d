"""The Modbus read plan: every field in one read, few reads, nothing read that no field needs."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.types import ModbusLink, ModbusProfile, RegisterField
from firmware_bridge.wire.modbus import Request
from firmware_bridge.wire.plan import plan, span
from hub.reading import Label


def profile(*fields: RegisterField, most: int = 125, least: int = 1) -> ModbusProfile:
    """A profile with these fields."""
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
    )


def test_neighbours_are_read_together() -> None:
    """Touching and overlapping fields are one read, a gap begins another; tables are never mixed."""
    fields = [
        RegisterField(address=10, type="f32"),
        RegisterField(address=12),
        RegisterField(address=12, type="u8", byte=1),
        RegisterField(address=14),
        RegisterField(address=10, table="input"),
        RegisterField(address=1, table="coil", type="bit"),
        RegisterField(address=0, table="coil", type="bit"),
        RegisterField(address=2, table="discrete", type="bit"),
    ]
    assert plan(profile(*fields), 9) == (
        Request(9, 1, 0, count=2),
        Request(9, 2, 2),
        Request(9, 3, 10, count=3),
        Request(9, 3, 14),
        Request(9, 4, 10),
    )


def test_limits_of_one_read() -> None:
    """A long run is cut at max_registers, between fields; coils at 2000."""
    words = [RegisterField(address=n, type="u32") for n in range(0, 10, 2)]
    assert plan(profile(*words, most=5), 1) == (
        Request(1, 3, 0, count=4),
        Request(1, 3, 4, count=4),
        Request(1, 3, 8, count=2),
    )
    coils = [RegisterField(address=n, table="coil", type="bit") for n in range(2001)]
    assert [request.count for request in plan(profile(*coils), 1)] == [2000, 1]


def test_a_field_longer_than_a_read() -> None:
    """A profile that contradicts itself is refused."""
    with pytest.raises(ValueError, match="address 7"):
        plan(profile(RegisterField(address=7, type="f64"), most=2), 1)


def test_at_least_so_many() -> None:
    """A device that always answers four registers is asked for four."""
    assert plan(profile(RegisterField(address=0), least=4), 1) == (Request(1, 3, 0, count=4),)


fields = st.builds(
    RegisterField,
    address=st.integers(0, 60),
    type=st.sampled_from(["u8", "u16", "i32", "f64"]),
    byte=st.integers(0, 3),
    table=st.sampled_from(["holding", "input"]),
) | st.builds(
    RegisterField, address=st.integers(0, 60), type=st.just("bit"), table=st.sampled_from(["coil", "discrete"])
)


@given(st.lists(fields, min_size=1, max_size=12), st.integers(6, 20))
def test_every_field_is_whole_in_one_read(chosen: list[RegisterField], most: int) -> None:
    """No field is split, no read is too long, no address is read that belongs to no field."""
    requests = plan(profile(*chosen, most=most), 1)
    covered = {(field.table, address) for field in chosen for address in range(*span(field))}
    read = {(r.table, address) for r in requests for address in range(r.address, r.address + r.count)}
    assert read == covered
    for field in chosen:
        start, end = span(field)
        assert any(r.table == field.table and r.address <= start and end <= r.address + r.count for r in requests)
    assert all(request.count <= most for request in requests if request.table in ("holding", "input"))


def test_numbered_fields_are_one_read() -> None:
    """Eight coils, spelled out one by one, cost one transaction."""
    first = RegisterField(address=0, table="coil", type="bit")
    coils = [msgspec.structs.replace(first, address=n) for n in range(8)]
    assert plan(profile(*coils), 3) == (Request(3, 1, 0, count=8),)
